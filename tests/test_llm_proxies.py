"""Endpoints behind a company's proxy or with its certificates: what reaches whom, who is trusted, what is told."""

from __future__ import annotations

import base64
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from company_network import Authority, openssl, proxying
from model_workspaces import RIGHT, Desk, desk, document, question, write
from scripted_endpoint import Step, serving

from agent.doctor import models as doctor
from agent.doctor.findings import Finding
from agent.llm.contract import EndpointDown
from agent.llm.keys import find_login
from agent.replay.following import Follower
from agent.replay.models import recorded_model
from registry.documents import load_models
from registry.errors import BadInput
from registry.model_config import KeySource
from registry.workspace import Workspace

KEY = "sk-ABCDEFGH12345678"
PASSWORD = "pass:word/9+x"
LOGIN = f"walker:{PASSWORD}"
BASIC = "Basic " + base64.b64encode(LOGIN.encode()).decode()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authorities") / "company")


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_KEY", KEY)
    monkeypatch.setenv("PROXY_LOGIN", LOGIN)


def reached(base_url: str, **endpoint: Any) -> dict[str, Any]:
    """A `models.yaml` with a key and with this beside it."""
    models = document(base_url)
    given = {name: str(value) if isinstance(value, Path) else value for name, value in endpoint.items()}
    models["endpoints"]["main"] |= {"key": {"env": "MODEL_KEY"}, **given}
    return models


WITH_LOGIN = {"proxy_login": {"env": "PROXY_LOGIN"}}


def down(at: Desk) -> EndpointDown:
    """How a question ends that cannot be asked; no secret is told or kept, and nothing is charged."""
    with pytest.raises(EndpointDown) as caught:
        at.model().ask(question())
    for secret in (KEY, PASSWORD, BASIC.removeprefix("Basic ")):
        assert secret not in str(caught.value)
        assert secret.encode() not in at.kept()
    assert at.history.models.of_hypothesis("H-001").nanos == 0
    return caught.value


# -- certificates -----------------------------------------------------------------------------------------------


def test_a_server_of_the_companys_authority_is_trusted_by_its_file_and_nothing_is_inherited(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "session-keys"))
    (tmp_path / "ca.pem").write_bytes(authority.pem.read_bytes())
    with (
        serving([RIGHT], authority.server()) as server,
        desk(tmp_path, reached(server.base_url, ca_file="ca.pem")) as at,
    ):
        assert at.model().ask(question()).record.sum == 5
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert not (tmp_path / "session-keys").exists()


def test_without_the_file_the_server_is_refused_at_once_whatever_the_environment_says(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(authority.pem))
    with serving([RIGHT], authority.server()) as server, desk(tmp_path, reached(server.base_url)) as at:
        error = down(at)
        assert len(at.events("model_asked")) == 1
    assert server.asked == []
    assert error.code == "untrusted"
    assert f"the certificate of {server.base_url} is not trusted (" in str(error)
    assert "ca_file in models.yaml" in str(error)


def test_another_companys_authority_is_no_help(tmp_path: Path, authority: Authority) -> None:
    other = Authority(tmp_path / "other", "Another CA")
    with (
        serving([RIGHT], authority.server()) as server,
        desk(tmp_path, reached(server.base_url, ca_file=other.pem)) as at,
    ):
        assert down(at).code == "untrusted"


def test_a_certificate_for_another_name_is_told_as_one(tmp_path: Path, authority: Authority) -> None:
    tls = authority.server("DNS:elsewhere.example.org")
    with serving([RIGHT], tls) as server, desk(tmp_path, reached(server.base_url, ca_file=authority.pem)) as at:
        error = down(at)
    assert error.code == "certificate"
    assert "IP address mismatch" in str(error)
    assert "ca_file" not in str(error)


def test_the_servers_own_certificate_may_be_the_one_that_is_trusted(tmp_path: Path, authority: Authority) -> None:
    tls = authority.server()
    with (
        serving([RIGHT], tls) as server,
        desk(tmp_path, reached(server.base_url, ca_file=authority.folder / "server.pem")) as at,
    ):
        assert at.model().ask(question()).record.sum == 5


def refused(folder: Path, content: bytes | None) -> str:
    path = folder / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with desk(folder, reached("https://127.0.0.1:9/v1", ca_file="ca.pem")) as at, pytest.raises(BadInput) as caught:
        at.model()
    said = str(caught.value)
    assert str(path) in said
    assert "models.yaml: endpoints.main.ca_file: found the file" in said
    return said


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read (No such file"),
        (b"", "no certificate in PEM form"),
        ("schlüssel".encode(), "no certificate in PEM form"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n", "no certificate in PEM form"),
        (b"-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n", "a broken certificate"),
        (b"-----BEGIN CERTIFICATE-----\n\xff\xfe\n-----END CERTIFICATE-----\n", "a broken certificate"),
        (b"x" * (5 << 20), "more than 4194304 bytes"),
    ],
)
def test_a_file_without_certificates_is_bad_input(tmp_path: Path, content: bytes | None, why: str) -> None:
    assert why in refused(tmp_path, content)


def test_a_folder_a_key_and_the_other_form_are_told_for_what_they_are(tmp_path: Path, authority: Authority) -> None:
    secret = authority.key.read_text().splitlines()[1]
    said = refused(tmp_path, authority.key.read_bytes())
    assert "a private key and no certificate" in said
    assert secret not in said
    openssl("x509", "-in", authority.pem, "-outform", "der", "-out", tmp_path / "ca.der")
    assert "openssl x509 -inform der" in refused(tmp_path, (tmp_path / "ca.der").read_bytes())
    (tmp_path / "ca.pem").unlink()
    (tmp_path / "ca.pem").mkdir()
    assert "Is a directory" in refused(tmp_path, None)


def test_a_file_whose_certificates_have_all_run_out_is_bad_input(tmp_path: Path) -> None:
    assert "whose last certificate ran out on 2" in refused(tmp_path, expired(tmp_path))


def expired(folder: Path) -> bytes:
    made = Authority(folder / "expired")
    request = folder / "expired" / "ca.csr"
    openssl("req", "-new", "-key", made.key, "-subj", "/CN=Example Company CA", "-out", request)
    (folder / "expired" / "ext").write_text("basicConstraints=critical,CA:TRUE\n")
    openssl(
        "x509", "-req", "-in", request, "-signkey", made.key, "-days", "-1", "-extfile", folder / "expired" / "ext",
        "-out", made.pem,
    )  # fmt: skip
    return made.pem.read_bytes()


def test_a_bundle_with_remarks_is_read_and_its_certificates_are_counted(tmp_path: Path, authority: Authority) -> None:
    other = Authority(tmp_path / "other", "Another CA")
    bundle = (
        "# Főtanúsítvány\n".encode() + other.pem.read_bytes() + authority.key.read_bytes() + authority.pem.read_bytes()
    )
    (tmp_path / "bundle.pem").write_bytes(bundle)
    with serving([RIGHT], authority.server()) as server:
        workspace = write(tmp_path, reached(server.base_url, ca_file="bundle.pem"))
        finding = found(workspace)["ca_file of main"]
    assert finding.status == "ok"
    assert "2 certificate(s) (Another CA, Example Company CA)" in finding.found


# -- proxies ----------------------------------------------------------------------------------------------------


def test_a_request_goes_through_the_named_proxy_in_a_tunnel_that_shows_it_nothing(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxying() as other, proxying(login=BASIC) as proxy, serving([RIGHT], authority.server()) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, other.url)
        monkeypatch.setenv("NO_PROXY", "*")
        models = reached(server.base_url, proxy=proxy.url, ca_file=authority.pem, **WITH_LOGIN)
        with desk(tmp_path, models) as at:
            assert at.model().ask(question()).record.sum == 5
            for secret in (KEY, PASSWORD, BASIC.removeprefix("Basic ")):
                assert secret.encode() not in at.kept()
    (first, headers), *more = proxy.seen
    place = server.base_url.removeprefix("https://").removesuffix("/v1")
    assert (first, more, other.seen) == (f"CONNECT {place} HTTP/1.1", [], [])
    assert set(headers) == {"host", "accept", "proxy-authorization"}
    assert len(proxy.passed) > 500
    for readable in (KEY.encode(), b"authorization", b"heron"):
        assert readable not in proxy.passed
    assert "proxy-authorization" not in server.asked[0].headers


def test_a_proxy_that_is_not_named_is_not_used(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxying() as proxy, serving([RIGHT], authority.server()) as server:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with desk(tmp_path, reached(server.base_url, ca_file=authority.pem)) as at:
            assert at.model().ask(question()).record.sum == 5
    assert proxy.seen == []


def test_an_https_proxy_is_trusted_by_the_file_alone(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.pem))
    tls = authority.server()
    with proxying(login=BASIC, tls=tls) as proxy, serving([RIGHT, RIGHT], tls) as server:
        models = reached(server.base_url, proxy=proxy.url, **WITH_LOGIN)
        with desk(tmp_path / "without", models) as at:
            error = down(at)
        assert (error.code, proxy.seen) == ("untrusted", [])
        assert f"the certificate of the proxy {proxy.url} is not trusted" in str(error)
        models["endpoints"]["main"]["ca_file"] = str(authority.pem)
        with desk(tmp_path / "with", models) as at:
            assert at.model().ask(question()).record.sum == 5
    assert len(proxy.seen) == 1


def test_the_servers_certificate_is_the_one_that_is_told_where_the_proxy_is_in_the_open(
    tmp_path: Path, authority: Authority
) -> None:
    with (
        proxying() as proxy,
        serving([RIGHT], authority.server()) as server,
        desk(tmp_path, reached(server.base_url, proxy=proxy.url)) as at,
    ):
        error = down(at)
    assert error.code == "untrusted"
    assert f"the certificate of {server.base_url} is not trusted" in str(error)
    assert KEY.encode() not in proxy.passed


@pytest.mark.parametrize(
    ("answer", "tries"),
    [
        ("407 Proxy Authentication Required", 1),
        (f"403 not for {PASSWORD}", 1),
        ("302 Found", 1),
        ("503 Service Unavailable", 3),
        ("nonsense", 3),
    ],
)
def test_a_proxy_that_makes_no_connection_is_told_and_costs_nothing(tmp_path: Path, answer: str, tries: int) -> None:
    with proxying(answer) as proxy, serving([RIGHT]) as server:
        address = server.base_url.replace("http:", "https:")
        with desk(tmp_path, reached(address, proxy=proxy.url, **WITH_LOGIN)) as at:
            error = down(at)
    assert (error.code, len(proxy.seen), server.asked) == ("proxy", tries, [])
    assert f"the proxy {proxy.url} made no connection (" in str(error)


def test_a_proxy_where_nobody_listens_is_told_and_costs_nothing(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        models = reached("https://127.0.0.1:9/v1", proxy=f"http://127.0.0.1:{free.getsockname()[1]}")
    with desk(tmp_path, models) as at:
        assert down(at).code == "proxy"


def test_what_is_not_encrypted_goes_through_a_proxy_only_where_that_is_said(tmp_path: Path) -> None:
    with proxying(login=BASIC) as proxy, serving([RIGHT]) as server:
        models = reached(server.base_url, proxy=proxy.url, **WITH_LOGIN)
        with pytest.raises(BadInput, match="which a proxy reads, key and all; use https, or say allow_http: true"):
            load_models(write(tmp_path, models).models)
        models["endpoints"]["main"]["allow_http"] = True
        with desk(tmp_path, models) as at:
            assert at.model().ask(question()).record.sum == 5
    assert proxy.seen[0][0] == f"POST {server.base_url}/chat/completions HTTP/1.1"
    assert "proxy-authorization" not in server.asked[0].headers


def test_a_login_that_an_unencrypted_request_lacks_is_told_once(tmp_path: Path) -> None:
    with (
        proxying(login=BASIC) as proxy,
        serving([RIGHT]) as server,
        desk(tmp_path, reached(server.base_url, proxy=proxy.url, allow_http=True)) as at,
    ):
        error = down(at)
    assert (error.code, len(proxy.seen), server.asked) == ("proxy", 1, [])


def test_a_redirect_is_not_followed_through_a_proxy(tmp_path: Path, authority: Authority) -> None:
    with proxying() as proxy, serving([RIGHT], authority.server()) as other:
        step = Step(status=307, headers={"Location": f"{other.base_url}/chat/completions"})
        with serving([step], authority.server()) as server:
            models = reached(server.base_url, proxy=proxy.url, ca_file=authority.pem)
            with desk(tmp_path, models) as at, pytest.raises(EndpointDown, match="HTTP 307"):
                at.model().ask(question())
    assert (len(proxy.seen), other.asked) == (1, [])


# -- what may stand in the file ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "endpoint",
    [
        {"proxy": f"http://walker:{PASSWORD}@proxy.example.org:3128"},
        {"proxy": f"walker:{PASSWORD}@proxy.example.org:3128"},
        {"proxy": f"socks5://walker:{PASSWORD}@proxy.example.org"},
        {"proxy": f"http://proxy.example.org?login={PASSWORD}"},
        {"proxy": "http://proxy.example.org", "proxy_login": LOGIN},
        {"proxy": "http://proxy.example.org", "proxy_login": {"env": LOGIN}},
        {"proxy": "http://proxy.example.org", "proxy_login": {"user": "walker", "password": PASSWORD}},
    ],
)
def test_a_password_in_the_file_is_refused_and_not_shown(tmp_path: Path, endpoint: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as caught:
        load_models(write(tmp_path, reached("https://models.example.org/v1", **endpoint)).models)
    (problem,) = caught.value.problems
    assert PASSWORD not in str(problem)
    assert problem.place == f"endpoints.main.{list(endpoint)[-1]}"
    assert "proxy_login: {env: NAME}" in problem.fix


@pytest.mark.parametrize(
    "endpoint",
    [
        {"proxy": "proxy.example.org:3128"},
        {"proxy": "socks5://proxy.example.org"},
        {"proxy": "http://proxy.example.org/path"},
        {"proxy": "http://proxy.example.org:port"},
        {"proxy": "http://proxy.example.org:99999"},
        {"proxy": "http://:3128"},
        {"proxy_login": {"env": "PROXY_LOGIN"}},
        {"ca_file": ["ca.pem"]},
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, endpoint: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"endpoints\.main"):
        load_models(write(tmp_path, reached("https://models.example.org/v1", **endpoint)).models)


@pytest.mark.parametrize(
    "content", ["", "walker", "walker:", ":secret-word", "walker:short", "walker:two words and more"]
)
def test_a_login_that_is_none_is_bad_input_and_is_not_shown(tmp_path: Path, content: str) -> None:
    (tmp_path / "login").write_text(content)
    with pytest.raises(BadInput) as caught:
        find_login(Workspace(tmp_path), "main", KeySource(file="login"))
    assert "endpoints.main.proxy_login" in str(caught.value)
    assert not content or f"{content} " not in str(caught.value)


# -- what does not depend on it ---------------------------------------------------------------------------------


def test_what_was_answered_straight_is_known_through_a_proxy(tmp_path: Path) -> None:
    with serving([RIGHT]) as server, proxying() as proxy:
        with desk(tmp_path, document(server.base_url)) as at:
            first = at.model().ask(question())
        changed = reached(server.base_url, proxy=proxy.url, allow_http=True)
        with desk(tmp_path, changed) as at:
            again = at.model().ask(question())
    assert (again.call, len(server.asked), proxy.seen) == (first.call, 1, [])


def test_a_replay_needs_neither_login_nor_authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROXY_LOGIN")
    models = reached("https://127.0.0.1:9/v1", proxy="http://127.0.0.1:9", ca_file="gone.pem", **WITH_LOGIN)
    with desk(tmp_path, models) as at:
        config = load_models(at.workspace.models)
        with pytest.raises(BadInput):
            at.model()
        assert recorded_model(at, config, object.__new__(Follower)).name("propose") == "small at main"


# -- doctor -----------------------------------------------------------------------------------------------------


def found(workspace: Workspace) -> dict[str, Finding]:
    return {one.check: one for one in doctor.check(workspace, None, threading.Event())}


def test_doctor_shows_what_is_in_use_and_no_secret(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "login").write_text(LOGIN)
    (tmp_path / "login").chmod(0o600)
    with proxying(login=BASIC) as proxy, serving([RIGHT], authority.server()) as server:
        login = {"file": "login"}
        said = found(
            write(tmp_path, reached(server.base_url, proxy=proxy.url, ca_file=authority.pem, proxy_login=login))
        )
    assert {one.status for name, one in said.items() if name != "models.yaml"} == {"ok"}
    assert said["proxy of main"].found == f"{proxy.url}, to which its login goes unencrypted"
    assert said["proxy_login of main"].found == f"in {tmp_path / 'login'}"
    assert f"{authority.pem}: 1 certificate(s) (Example Company CA)" in said["ca_file of main"].found
    assert PASSWORD not in str(said)
    assert KEY not in str(said)


def test_doctor_names_the_certificate_that_is_not_trusted_and_the_remedy(tmp_path: Path, authority: Authority) -> None:
    with serving([RIGHT], authority.server()) as server:
        finding = found(write(tmp_path, reached(server.base_url)))["model small"]
    assert finding.status == "fail"
    assert f"the certificate of {server.base_url} is not trusted" in finding.found
    assert "endpoints.main.ca_file" in finding.fix
    assert "base_url" not in finding.fix


def test_doctor_names_the_proxy_that_wants_a_login(tmp_path: Path) -> None:
    with proxying(login=BASIC) as proxy:
        finding = found(write(tmp_path, reached("https://127.0.0.1:9/v1", proxy=proxy.url)))["model small"]
    assert "407 Proxy Authentication Required" in finding.found
    assert "endpoints.main.proxy_login" in finding.fix


def test_doctor_asks_nothing_while_a_file_is_wrong(tmp_path: Path) -> None:
    with proxying() as proxy:
        said = found(write(tmp_path, reached("https://127.0.0.1:9/v1", proxy=proxy.url, ca_file="gone.pem")))
    finding = said["ca_file of main"]
    assert (finding.status, finding.configuration, proxy.seen) == ("fail", True, [])
    assert "model small" not in said
