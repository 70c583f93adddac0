"""Which addresses may be asked: spellings of private ones, names that lead elsewhere, redirects, proxies, TLS."""

from __future__ import annotations

import ipaddress
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from registry.errors import BadInput, Retryable
from tools.web import addresses, transfer
from tools.web.addresses import Place, allowed_next, allowed_start, kind, place

Answers = dict[str, tuple[int, dict[str, str], bytes]]
Asked = list[tuple[str, dict[str, str]]]


@contextmanager
def served(answers: Answers, tls: Path | None = None) -> Iterator[tuple[int, Asked]]:
    """A server on loopback; what it was asked is (path, headers), a proxy's path being the whole address."""
    asked: Asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
            status, headers, body = answers.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "cert.pem", tls / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def get(url: str, **options: Any) -> transfer.Answer:
    return transfer.get(url, **{"headers": {}, "timeout": 5.0, "max_bytes": 10_000, **options})


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names of the test's own beside those of the system; each look-up takes the next answer, the last one stays."""
    known: dict[str, list[str]] = {}
    usual = socket.getaddrinfo

    def look_up(host: Any, *rest: Any, **more: Any) -> Any:
        if host not in known:
            return usual(host, *rest, **more)
        answer = known[host].pop(0) if len(known[host]) > 1 else known[host][0]
        return [entry for address in answer.split() for entry in usual(address, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", "public"),
        ("2606:4700::1111", "public"),
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("10.1.2.3", "private"),
        ("172.31.0.1", "private"),
        ("192.168.0.1", "private"),
        ("100.64.0.1", "private"),
        ("fd00::1", "private"),
        ("169.254.169.254", "special"),
        ("::ffff:169.254.169.254", "special"),
        ("fe80::1", "special"),
        ("fec0::1", "special"),
        ("0.0.0.0", "special"),
        ("::", "special"),
        ("224.0.0.1", "special"),
        ("ff02::1", "special"),
        ("255.255.255.255", "special"),
        ("192.0.2.1", "special"),
        ("2002:7f00:1::", "special"),  # 6to4 of 127.0.0.1
        ("64:ff9b::7f00:1", "special"),  # NAT64 of 127.0.0.1
        ("64:ff9b::808:808", "public"),
    ],
)
def test_an_address_is_of_the_kind_that_it_reaches(address: str, expected: str) -> None:
    assert kind(ipaddress.ip_address(address)) == expected


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::ffff:7f00:1]", "localhost"])
def test_other_spellings_of_this_machine_are_this_machine(host: str) -> None:
    assert place(f"http://{host}/").kinds == {"loopback"}


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/x",
        "file:///etc/passwd",
        "http://",
        "http://[::1",
        "http://a b/",
        "http://a\\@127.0.0.1/",
        "http://me:secret@example.org/",
        "http://token@example.org/",
        "http://example.org:99999/",
        "http://exa\tmple.org/",
    ],
)
def test_what_is_no_plain_web_address_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(BadInput) as raised:
        get(url)
    assert "secret" not in str(raised.value)


def test_a_public_name_that_leads_to_this_machine_is_refused(names: dict[str, list[str]]) -> None:
    for address in ("127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "0.0.0.0"):
        names["blog.example.com"] = [address]
        with pytest.raises(BadInput, match="a name that leads to"):
            get("http://blog.example.com/")
    names["blog.example.com"] = ["10.0.0.7"]
    assert allowed_start("http://blog.example.com/", place("http://blog.example.com/"))


def test_a_name_with_public_and_private_addresses_is_asked_at_the_public_ones_alone() -> None:
    mixed = Place("blog.example.com", 80, False, tuple(map(ipaddress.ip_address, ("127.0.0.1", "8.8.8.8", "10.0.0.1"))))
    assert [str(one) for one in allowed_start("http://blog.example.com/", mixed)] == ["8.8.8.8"]
    public = Place("a.example.com", 80, False, (ipaddress.ip_address("8.8.4.4"),))
    assert [str(one) for one in allowed_next("http://x/", mixed, public, "http://a.example.com/")] == ["8.8.8.8"]


@pytest.mark.parametrize(
    ("start", "to", "refused"),
    [
        ("8.8.8.8", "127.0.0.1", True),
        ("8.8.8.8", "10.0.0.1", True),
        ("8.8.8.8", "169.254.169.254", True),
        ("8.8.8.8", "8.8.4.4", False),
        ("127.0.0.1", "8.8.4.4", False),
        ("127.0.0.1", "127.0.0.1", False),
        ("127.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.1", "127.0.0.1", True),
        ("10.0.0.1", "169.254.169.254", True),
    ],
)
def test_a_strangers_word_leads_to_public_places_or_to_the_kind_where_the_user_began(
    start: str, to: str, refused: bool
) -> None:
    began = Place(start, 80, True, (ipaddress.ip_address(start),))
    there = Place(to, 81, True, (ipaddress.ip_address(to),))
    if refused:
        with pytest.raises(BadInput, match="into a private network"):
            allowed_next(f"http://{to}:81/", there, began, f"http://{start}/")
    else:
        assert allowed_next(f"http://{to}:81/", there, began, f"http://{start}/") == there.addresses


def test_the_connection_goes_to_the_address_that_was_looked_at_and_the_host_is_named(
    names: dict[str, list[str]],
) -> None:
    names["wiki.lan"] = ["127.0.0.1", "127.0.0.2"]  # the second answer is a rebinding that nobody follows
    with served({"/board": (200, {}, b"scores")}) as (port, asked):
        assert get(f"http://wiki.lan:{port}/board").body == b"scores"
    ((path, headers),) = asked
    assert (path, headers["host"]) == ("/board", f"wiki.lan:{port}")
    assert names["wiki.lan"] == ["127.0.0.2"]


def test_a_redirect_is_resolved_anew_and_a_rebound_name_is_refused(names: dict[str, list[str]]) -> None:
    names["wiki.lan"] = ["127.0.0.1", "10.255.255.1"]
    with (
        served({}) as (port, asked),
        served({"/": (302, {"Location": f"http://wiki.lan:{port}/"}, b"")}) as (
            first,
            seen,
        ),
    ):
        names["wiki.lan"] = ["169.254.169.254"]
        with pytest.raises(BadInput, match="into a private network"):
            get(f"http://127.0.0.1:{first}/")
    assert (len(seen), asked) == (1, [])


def test_the_next_address_is_tried_where_nobody_listens(names: dict[str, list[str]]) -> None:
    names["wiki.lan"] = ["127.0.0.3 127.0.0.1"]
    with served({"/": (200, {}, b"here")}) as (port, _):
        assert get(f"http://wiki.lan:{port}/").body == b"here"


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{secret}/",
        "http://localhost:{secret}/",
        "http://[::1]:{secret}/",
        "http://2130706433:{secret}/",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "http://user:pw@other.example.com/",
    ],
)
def test_a_public_page_cannot_send_us_into_a_private_network(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The public web stands behind a proxy here, as it does for many who run this."""
    with served({"/": (200, {}, b"private")}) as (secret, private):
        page = {"http://blog.example.com/feed": (302, {"Location": target.format(secret=secret)}, b"")}
        with served(page) as (port, web):
            monkeypatch.setenv(transfer.PROXY, f"http://127.0.0.1:{port}")
            with pytest.raises(BadInput):
                get("http://blog.example.com/feed")
    assert [path for path, _ in web] == ["http://blog.example.com/feed"]
    assert private == []


def test_a_link_of_a_stranger_is_held_to_the_same_rule() -> None:
    with served({"/": (200, {}, b"private")}) as (port, asked), pytest.raises(BadInput, match="private network"):
        get(f"http://127.0.0.1:{port}/", origin="http://8.8.8.8/feed")
    assert asked == []


def test_other_variables_and_files_of_the_user_are_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    jar = {"/": (302, {"Location": "/next", "Set-Cookie": "who=me"}, b""), "/next": (200, {}, b"fine")}
    with served(jar) as (port, asked):
        assert get(f"http://127.0.0.1:{port}/").body == b"fine"
    assert all("authorization" not in headers and "cookie" not in headers for _, headers in asked)


def test_a_header_of_ours_does_not_follow_a_redirect_to_another_host() -> None:
    with (
        served({"/": (200, {}, b"other")}) as (other, asked),
        served({"/": (302, {"Location": f"http://localhost:{other}/"}, b"")}) as (port, first),
    ):
        assert get(f"http://127.0.0.1:{port}/", headers={"x-api-key": "secret"}).body == b"other"
    assert first[0][1]["x-api-key"] == "secret"
    assert "x-api-key" not in asked[0][1]


def test_a_proxy_that_is_none_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(transfer.PROXY, "me:secret")
    with pytest.raises(BadInput, match=transfer.PROXY) as raised:
        get("http://127.0.0.1:1/")
    assert "secret" not in str(raised.value)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates of this test")
def test_a_certificate_is_checked_against_the_name_and_not_the_address(
    tmp_path: Path, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=board.lan"]
    options += ["-addext", "subjectAltName=DNS:board.lan"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run(["openssl", "req", *options, *files], check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    transfer._certificates.cache_clear()
    names["board.lan"] = names["other.lan"] = ["127.0.0.1"]
    try:
        with served({"/": (200, {}, b"safe")}, tls=tmp_path) as (port, _):
            assert get(f"https://board.lan:{port}/").body == b"safe"
            with pytest.raises(Retryable, match=r"(?i)hostname mismatch|certificate"):
                get(f"https://other.lan:{port}/")
    finally:
        transfer._certificates.cache_clear()


def test_a_name_that_is_not_found_in_time_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: done.wait(5) and [])
    try:
        with pytest.raises(Retryable, match=r"not found within 0\.2 s"):
            addresses.place("http://slow.example.com/", within_s=0.2)
    finally:
        done.set()
