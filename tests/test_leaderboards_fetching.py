"""Fetching over real HTTP on loopback: validators, patience, robots.txt, bounds and redirects."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from registry.errors import BadInput, Retryable
from tools.leaderboards.fetching import fetch, obtain
from tools.leaderboards.reading import read_board
from tools.leaderboards.sources import BoardSpec, Columns
from tools.web.fetch_cache import FetchCache
from tools.web.fetching import Fetched, Patience
from tools.web.robots import Robots
from tools.web.transfer import retry_after


@dataclass
class Site:
    """A web server whose answers a test writes; it remembers what it was asked."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    routes: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)

    def asked_for(self, path: str) -> int:
        return self.asked.count(path)


def answer(status: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return send


@pytest.fixture
def site() -> Iterator[Site]:
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path
            state.asked.append(path)
            state.headers.append({key.lower(): value for key, value in self.headers.items()})
            try:
                state.routes.get(path, answer(404))(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Errands:
    """`fetch` with a store, a cache and a clock of its own."""

    folder: Path
    store: dict[str, bytes] = field(default_factory=dict)
    slept: list[float] = field(default_factory=list)
    now: float = 1_700_000_000.0

    def put(self, body: bytes) -> str:
        digest = hashlib.sha256(body).hexdigest()
        self.store[digest] = body
        return digest

    def patience(self) -> Patience:
        return Patience(sleep=self.slept.append, jitter=lambda: 0.5, clock=lambda: self.now)

    def fetch(self, url: str, *, timeout: float = 5.0, max_bytes: int = 1 << 20) -> Fetched:
        cache = FetchCache(self.folder / "cache")
        return fetch(
            url,
            cache,
            put=self.put,
            base=self.folder,
            timeout=timeout,
            max_bytes=max_bytes,
            patience=self.patience(),
        )

    def obtain(self, spec: BoardSpec) -> Fetched:
        return obtain(spec, FetchCache(self.folder / "cache"), put=self.put, base=self.folder, patience=self.patience())


@pytest.fixture
def errands(tmp_path: Path) -> Errands:
    return Errands(tmp_path)


def test_a_body_is_kept_content_addressed_before_anyone_reads_it(site: Site, errands: Errands) -> None:
    site.routes["/board"] = answer(200, b"a,b\n", Content_Type="text/csv", ETag='"v1"')
    fetched = errands.fetch(site.url + "/board")
    assert (fetched.status, fetched.body, fetched.content_type, fetched.etag) == ("new", b"a,b\n", "text/csv", '"v1"')
    assert errands.store == {fetched.sha256: b"a,b\n"}
    assert fetched.sha256 == hashlib.sha256(b"a,b\n").hexdigest()


def test_our_name_is_said_and_no_cookie_or_secret_is(site: Site, errands: Errands) -> None:
    site.routes["/board"] = answer(200, b"x")
    errands.fetch(site.url + "/board")
    assert site.asked == ["/robots.txt", "/board"]
    for sent in site.headers:
        assert sent["user-agent"].startswith("auto-benchmark/")
        assert "cookie" not in sent
        assert "authorization" not in sent


def test_an_unchanged_page_is_not_modified_and_its_body_comes_from_the_cache(site: Site, errands: Errands) -> None:
    stamp = "Mon, 02 Feb 2026 06:00:00 GMT"

    def conditional(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers["If-None-Match"] == '"v1"' and handler.headers["If-Modified-Since"] == stamp:
            answer(304)(handler)
        else:
            answer(200, b"body", ETag='"v1"', Last_Modified=stamp)(handler)

    site.routes["/board"] = conditional
    first = errands.fetch(site.url + "/board")
    second = errands.fetch(site.url + "/board")
    assert (first.status, second.status) == ("new", "not_modified")
    assert second.body == b"body"
    assert second.sha256 == first.sha256


def test_a_page_that_came_again_with_the_same_bytes_is_not_modified(site: Site, errands: Errands) -> None:
    site.routes["/board"] = answer(200, b"same", ETag='"é"')
    assert [errands.fetch(site.url + "/board").status for _ in range(2)] == ["new", "not_modified"]
    assert "if-none-match" not in site.headers[-1]


def test_a_damaged_cache_is_forgotten_and_the_page_fetched_whole(site: Site, errands: Errands) -> None:
    site.routes["/board"] = lambda handler: answer(304 if handler.headers["If-None-Match"] else 200, b"", ETag='"v1"')(
        handler
    )
    errands.fetch(site.url + "/board")
    (kept,) = (errands.folder / "cache").glob("*.body")
    kept.write_bytes(b"something else")
    assert errands.fetch(site.url + "/board").status == "new"
    assert "if-none-match" not in site.headers[-1]


def test_too_many_requests_is_a_soft_status_that_is_remembered(site: Site, errands: Errands) -> None:
    site.routes["/board"] = answer(429, Retry_After="120")
    fetched = errands.fetch(site.url + "/board")
    assert (fetched.status, fetched.retry_after_s, fetched.body) == ("rate_limited", 120.0, b"")
    assert site.asked_for("/board") == 1
    errands.now += 60
    again = errands.fetch(site.url + "/board")
    assert (again.status, again.retry_after_s) == ("rate_limited", 60.0)
    assert site.asked_for("/board") == 1, "asked again although told to wait"
    errands.now += 61
    site.routes["/board"] = answer(200, b"back")
    assert errands.fetch(site.url + "/board").body == b"back"


def test_unavailable_with_a_retry_after_is_soft_too(site: Site, errands: Errands) -> None:
    site.routes["/board"] = answer(503, Retry_After="soon")
    fetched = errands.fetch(site.url + "/board")
    assert (fetched.status, fetched.retry_after_s) == ("rate_limited", None)


def test_a_clock_that_jumped_back_does_not_lock_a_board_for_ever(site: Site, errands: Errands) -> None:
    site.routes["/board"] = answer(429, Retry_After="60")
    errands.fetch(site.url + "/board")
    errands.now -= 365 * 24 * 3600
    site.routes["/board"] = answer(200, b"back")
    assert errands.fetch(site.url + "/board").status == "new"


def test_retry_after_reads_seconds_and_dates_and_is_bounded() -> None:
    assert retry_after({"retry-after": "5"}, 0) == 5
    assert retry_after({"retry-after": "Thu, 01 Jan 1970 00:02:00 GMT"}, 60) == 60
    assert retry_after({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 60) == 0
    assert retry_after({"retry-after": "9" * 400}, 0) == 7 * 24 * 3600
    assert retry_after({"retry-after": "²"}, 0) is None
    assert retry_after({}, 0) is None


def test_a_server_error_that_passes_is_tried_again_with_growing_pauses(site: Site, errands: Errands) -> None:
    statuses = iter([500, 502, 200])

    def moody(handler: BaseHTTPRequestHandler) -> None:
        answer(next(statuses), b"at last")(handler)

    site.routes["/board"] = moody
    assert errands.fetch(site.url + "/board").body == b"at last"
    assert errands.slept == [1.0, 2.0]


def test_a_server_error_that_stays_is_retryable_after_a_bounded_number_of_requests(
    site: Site, errands: Errands
) -> None:
    site.routes["/board"] = answer(503)
    with pytest.raises(Retryable, match=r"HTTP 503 \(after 3 attempts\)"):
        errands.fetch(site.url + "/board")
    assert site.asked_for("/board") == 3


def test_an_address_where_nobody_listens_is_retryable(errands: Errands) -> None:
    with pytest.raises(Retryable, match="after 3 attempts"):
        errands.fetch("http://127.0.0.1:1/board")


@pytest.mark.parametrize(("status", "fix"), [(401, "login"), (403, "refuses programs"), (404, "new address")])
def test_a_page_that_is_refused_or_gone_says_what_to_do(site: Site, errands: Errands, status: int, fix: str) -> None:
    site.routes["/board"] = answer(status)
    with pytest.raises(BadInput, match=f"HTTP {status}.*{fix}"):
        errands.fetch(site.url + "/board")
    assert site.asked_for("/board") == 1


def test_a_server_that_drips_is_cut_off_at_the_deadline(site: Site, errands: Errands) -> None:
    done = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not done.wait(0.05):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    site.routes["/board"] = drip
    start = time.monotonic()
    with pytest.raises(Retryable, match=r"within 0\.4 s"):
        errands.fetch(site.url + "/board", timeout=0.4)
    done.set()
    assert time.monotonic() - start < 5


def test_a_server_that_drips_headers_is_cut_off_too(site: Site, errands: Errands) -> None:
    done = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not done.wait(0.05):
            handler.wfile.write(b"X-Wait: 1\r\n")
            handler.wfile.flush()

    site.routes["/board"] = drip
    start = time.monotonic()
    with pytest.raises(Retryable, match=r"within 0\.4 s"):
        errands.fetch(site.url + "/board", timeout=0.4)
    done.set()
    assert time.monotonic() - start < 5


def test_a_body_above_the_limit_is_refused_also_when_compressed(site: Site, errands: Errands) -> None:
    site.routes["/plain"] = answer(200, b"x" * 5000)
    site.routes["/packed"] = answer(200, gzip.compress(b"x" * 5_000_000), Content_Encoding="gzip")
    site.routes["/small"] = answer(200, gzip.compress(b"x" * 999), Content_Encoding="gzip")
    for path in ("/plain", "/packed"):
        with pytest.raises(BadInput, match="more than 1000 bytes"):
            errands.fetch(site.url + path, max_bytes=1000)
    assert errands.fetch(site.url + "/small", max_bytes=1000).body == b"x" * 999
    assert len(errands.store) == 1


def test_an_answer_that_ends_early_is_no_answer(site: Site, errands: Errands) -> None:
    def short(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"only this")
        handler.close_connection = True

    site.routes["/board"] = short
    with pytest.raises(Retryable, match="after 3 attempts"):
        errands.fetch(site.url + "/board")
    assert errands.store == {}


def test_robots_txt_is_obeyed_and_asked_once_a_pass(site: Site, errands: Errands) -> None:
    site.routes["/robots.txt"] = answer(
        200,
        "\ufeffUser-agent: *\nCrawl-delay: ²\nDisallow: /c\nUser-agent: auto-benchmark\nDisallow: /b".encode(),
    )
    site.routes["/a"] = answer(200, b"a")
    robots = Robots()
    for _ in range(2):
        fetch(site.url + "/a", FetchCache(errands.folder), put=errands.put, base=errands.folder, robots=robots)
    assert site.asked_for("/robots.txt") == 1
    with pytest.raises(BadInput, match=r"robots.txt .* disallows"):
        fetch(site.url + "/b", FetchCache(errands.folder), put=errands.put, base=errands.folder, robots=robots)
    assert site.asked_for("/b") == 0


def test_a_site_whose_robots_txt_fails_is_not_read_for_now(site: Site, errands: Errands) -> None:
    site.routes["/robots.txt"] = answer(500)
    site.routes["/board"] = answer(200, b"x")
    with pytest.raises(Retryable, match=r"robots\.txt: HTTP 500"):
        errands.fetch(site.url + "/board")
    site.routes["/robots.txt"] = answer(429, Retry_After="30")
    assert errands.fetch(site.url + "/board").retry_after_s == 30
    assert site.asked_for("/board") == 0


def test_redirects_are_followed_on_the_web_and_checked_against_robots(site: Site, errands: Errands) -> None:
    site.routes["/old"] = answer(301, Location="/new")
    site.routes["/new"] = answer(200, b"moved")
    fetched = errands.fetch(site.url + "/old")
    assert (fetched.body, fetched.url, fetched.final_url) == (b"moved", site.url + "/old", site.url + "/new")
    site.routes["/robots.txt"] = answer(200, b"User-agent: *\nDisallow: /new")
    with pytest.raises(BadInput, match="disallows"):
        errands.fetch(site.url + "/old")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://[", "javascript:alert(1)"])
def test_a_redirect_that_leaves_the_web_is_refused(site: Site, errands: Errands, target: str) -> None:
    site.routes["/board"] = answer(302, Location=target)
    with pytest.raises(BadInput, match="a redirect to"):
        errands.fetch(site.url + "/board")


def test_a_ring_of_redirects_ends(site: Site, errands: Errands) -> None:
    site.routes["/board"] = answer(302, Location="/board")
    with pytest.raises(BadInput, match="more than 5 redirects"):
        errands.fetch(site.url + "/board")
    assert site.asked_for("/board") == 6


@pytest.mark.parametrize("url", ["ftp://example.org/x", "data:text/csv,a", "http://", "http://[::1", "http://a b/\n"])
def test_an_address_that_is_none_is_bad_input(errands: Errands, url: str) -> None:
    with pytest.raises((BadInput, Retryable)):
        errands.fetch(url)


def test_a_password_in_an_address_is_refused_and_not_shown(errands: Errands) -> None:
    with pytest.raises(BadInput, match="user name or password") as raised:
        errands.fetch("http://me:secret@127.0.0.1:1/board")
    assert "secret" not in str(raised.value)


def test_a_local_file_is_new_once_and_then_not_modified(errands: Errands) -> None:
    (errands.folder / "board of us.csv").write_text("name,acc\na,1\n")
    assert errands.fetch("board of us.csv").status == "new"
    again = errands.fetch("board of us.csv")
    assert (again.status, again.content_type) == ("not_modified", "text/csv")
    (errands.folder / "board of us.csv").write_text("name,acc\na,2\n")
    assert errands.fetch("board of us.csv").status == "new"
    assert errands.fetch((errands.folder / "board of us.csv").as_uri()).body == b"name,acc\na,2\n"


def test_a_pipe_a_folder_or_nothing_is_no_board(errands: Errands) -> None:
    import os

    os.mkfifo(errands.folder / "pipe")
    for name in ("pipe", ".", "missing.csv", "nul\0"):
        with pytest.raises(BadInput):
            errands.fetch(name)


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_board_in_a_git_repository_is_read_at_its_ref_and_runs_nothing(errands: Errands) -> None:
    repository = errands.folder / "results repo"
    repository.mkdir()
    git(repository, "init")
    (repository / "board.csv").write_text("model,acc\nA,0.9\n")
    (repository / ".gitattributes").write_text("*.csv filter=evil diff=evil\n")
    git(repository, "add", ".")
    git(repository, "commit", "-m", "scores")
    marker = errands.folder / "ran"
    for key in ("filter.evil.smudge", "diff.evil.textconv", "core.fsmonitor", "core.pager", "core.sshCommand"):
        git(repository, "config", key, f"touch '{marker}'; cat")
    (repository / "board.csv").write_text("model,acc\nA,0.1\n")
    spec = BoardSpec("Ours", "results repo#main:board.csv", "git_file", "acc")
    fetched = errands.obtain(spec)
    board = read_board(spec, fetched.body, fetched.content_type, "2026-02-01", fetched.sha256)
    assert [(e.name, e.scores) for e in board.entries] == [("A", {"acc": 0.9})]
    assert not marker.exists()
    assert errands.obtain(spec).status == "not_modified"


@pytest.mark.parametrize(
    "url",
    ["repo#main:absent.csv", "repo#absent:f", "repo#--help:x", "repo#main:", "absent#main:x", "repo#main:d"],
)
def test_a_ref_or_file_that_a_repository_lacks_is_named(errands: Errands, url: str) -> None:
    repository = errands.folder / "repo"
    (repository / "d").mkdir(parents=True)
    (repository / "d" / "f").write_text("x")
    git(repository, "init")
    git(repository, "add", ".")
    git(repository, "commit", "-m", "x")
    with pytest.raises(BadInput, match=r"repo|absent"):
        errands.obtain(BoardSpec("Ours", url, "git_file", "acc"))


def test_values_typed_into_the_registry_are_a_board(errands: Errands) -> None:
    spec = BoardSpec("Ours", "", "manual", "acc", values={"CompetitorA": 0.847, "CompetitorB": 0.831})
    fetched = errands.obtain(spec)
    board = read_board(spec, fetched.body, fetched.content_type, "2026-02-01", fetched.sha256)
    assert {entry.name: entry.scores["acc"] for entry in board.entries} == {"CompetitorA": 0.847, "CompetitorB": 0.831}


def test_a_page_is_fetched_and_read_over_http(site: Site, errands: Errands) -> None:
    site.routes["/board"] = answer(
        200,
        "<table><tr><th>Model<th>Acc<tr><td>🥇 A<td>0,9</table>".encode("utf-16"),
        Content_Type="text/html; charset=utf-16",
    )
    spec = BoardSpec("Web", site.url + "/board", "html_table", "accuracy", columns=Columns(score="Acc"))
    fetched = errands.obtain(spec)
    board = read_board(spec, fetched.body, fetched.content_type, "2026-02-01", fetched.sha256)
    assert [(entry.name, entry.scores["accuracy"]) for entry in board.entries] == [("A", 0.9)]
