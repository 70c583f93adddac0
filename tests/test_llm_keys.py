"""A key goes to its endpoint and nowhere else: not into the log, errors, blobs, other hosts, or a sandbox."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sandbox_backends
from model_workspaces import RIGHT, desk, document, question, write
from scripted_endpoint import Step, completion, serving

from agent.llm.contract import EndpointDown, NoReply, Turn
from agent.llm.keys import Redaction, find_key
from registry.errors import BadInput
from registry.model_config import KeySource
from registry.workspace import Workspace

KEY = 'sk-Zq7/9fKe+aVeryPrivate"Key'
FORMS = (KEY, quote(KEY, safe=""), json.dumps(KEY)[1:-1], base64.b64encode(KEY.encode()).decode().rstrip("="))


def with_key(base_url: str, **endpoint: Any) -> dict[str, Any]:
    models = document(base_url)
    models["endpoints"]["main"] |= {"key": {"env": "MODEL_KEY"}, **endpoint}
    return models


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


@pytest.mark.parametrize(
    "step",
    [
        Step(status=401, body=json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}).encode()),
        Step(status=400, body=json.dumps({"error": {"message": f"header Authorization: Bearer {KEY}"}}).encode()),
        Step(body=f"<html>you sent {KEY} and {quote(KEY, safe='')}</html>".encode()),
        Step(json.dumps({"word": "x", "sum": KEY})),
        Step(json.dumps({"word": KEY, "sum": 5})),
        Step(refusal=f"I will not, {KEY}"),
        Step(body=('{"error": {"message": "' + escaped(KEY) + '"}}').encode(), status=400),
        Step('{"word": "' + escaped(KEY) + '", "sum": 5}'),
        Step(tool_arguments='{"word": "' + escaped(KEY) + '", "sum": 5}'),
        Step(body=completion(Step(json.dumps({"word": "x", "sum": KEY})), "m").decode().encode("utf-16")),
        Step(RIGHT, finish_reason=KEY),
        Step(status=302, headers={"Location": f"http://127.0.0.1:9/{quote(KEY, safe='')}"}),
    ],
)
def test_a_key_that_the_server_sends_back_is_kept_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    monkeypatch.setenv("MODEL_KEY", KEY)
    with serving([step] * 9) as server, desk(tmp_path, with_key(server.base_url, retries=0)) as at:
        said = ""
        try:
            at.model().ask(question(earlier=(Turn("agent", f"the log says {KEY}"),)))
        except (NoReply, EndpointDown) as error:
            said, context = str(error), error.__context__
            while context is not None:
                said, context = said + repr(context) + repr(vars(context)), context.__context__
        kept = at.kept()
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in server.asked[0].said
    for form in (*FORMS, escaped(KEY)):
        assert form not in said
        assert form.encode() not in kept
    assert b"[key]" in kept


def test_a_key_is_taken_out_in_every_spelling() -> None:
    redaction = Redaction([KEY])
    for form in FORMS:
        assert redaction.text(f"a {form} b") == "a [key] b"
    assert json.loads(redaction.body(('{"a": ["' + escaped(KEY) + '"]}').encode())) == {"a": ["[key]"]}
    assert redaction.body(b"\\ no JSON") == b"\\ no JSON"
    within = json.dumps({"a": '{"b": "' + escaped(KEY) + '"}'})
    assert redaction.body(within.encode()) == json.dumps({"a": '{"b": "[key]"}'}).encode()
    assert redaction.body(json.dumps({"a": KEY}).encode("utf-16")) == b'{"a": "[key]"}'


def test_an_answer_of_backslashes_takes_no_longer_than_another() -> None:
    start = time.monotonic()
    Redaction([KEY]).body(b"\\" * 2_000_000)
    assert time.monotonic() - start < 5


def test_only_what_the_protocol_needs_is_sent_and_nothing_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_KEY", KEY)
    with serving([RIGHT]) as server, serving(lambda _: RIGHT) as elsewhere:
        proxy = elsewhere.base_url.removesuffix("/v1")
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
            monkeypatch.setenv(name, elsewhere.base_url)
        for name in ("OPENAI_API_KEY", "LANGSMITH_API_KEY", "LANGCHAIN_API_KEY", "OPENAI_ADMIN_KEY"):
            monkeypatch.setenv(name, "lsv2_another-key")
        monkeypatch.setenv("LANGSMITH_GATEWAY", "true")
        for name in ("OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_PROJECT_ID"):
            monkeypatch.setenv(name, "somebody")
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Custom: somebody")
        monkeypatch.setenv("OPENAI_LOG", "debug")
        with desk(tmp_path, with_key(server.base_url)) as at:
            assert at.model().ask(question()).record.sum == 5
        assert elsewhere.asked == []
    (asked,) = server.asked
    assert set(asked.headers) == {
        "host", "content-length", "content-type", "accept", "accept-encoding", "user-agent", "authorization",
        "connection",
    }  # fmt: skip
    assert asked.headers["authorization"] == f"Bearer {KEY}"


def test_a_server_without_a_key_is_sent_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving([RIGHT]) as server, desk(tmp_path, document(server.base_url)) as at:
        at.model().ask(question())
    assert "authorization" not in server.asked[0].headers


def test_a_key_from_a_file_is_used_and_its_line_end_is_not(tmp_path: Path) -> None:
    with serving([RIGHT]) as server:
        write(tmp_path, with_key(server.base_url, key={"file": "model.key"}))
        (tmp_path / "model.key").write_text(f"{KEY}\n", encoding="utf-8")
        with desk(tmp_path) as at:
            at.model().ask(question())
            assert KEY.encode() not in at.kept()
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("content", ["'sk-in-quotes-0123'", '"sk-in-quotes-0123"', "MODEL_KEY=sk-behind-a-name-0123"])
def test_a_key_with_something_around_it_is_bad_input(tmp_path: Path, content: str) -> None:
    (tmp_path / "model.key").write_text(content, encoding="utf-8")
    with pytest.raises(BadInput, match="the key and nothing around it") as caught:
        find_key(Workspace(tmp_path), "main", KeySource(file="model.key"))
    assert "0123" not in str(caught.value)


@pytest.mark.parametrize("content", [None, "", "short", "two words and more", "schlüssel-schlüssel", "x" * 5000])
def test_a_key_that_is_not_there_or_is_none_is_bad_input_and_is_not_shown(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "model.key"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        find_key(Workspace(tmp_path), "main", KeySource(file="model.key"))
    assert "endpoints.main.key" in str(caught.value)
    assert not content or content not in str(caught.value)


def test_a_variable_that_is_not_set_is_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL_KEY", raising=False)
    with pytest.raises(BadInput, match="MODEL_KEY not set"):
        find_key(Workspace(tmp_path), "main", KeySource(env="MODEL_KEY"))


def test_a_key_of_an_endpoint_that_no_role_uses_is_not_asked_for(tmp_path: Path) -> None:
    with serving([RIGHT]) as server:
        models = document(server.base_url)
        models["endpoints"]["other"] = {"base_url": "https://example.org/v1", "key": {"env": "NOT_SET_ANYWHERE"}}
        with desk(tmp_path, models) as at:
            assert at.model().ask(question()).record.sum == 5


TRACED = """
import sys
import time
from pathlib import Path
from model_workspaces import desk, question
from langchain_core.tracers.langchain import wait_for_all_tracers
with desk(Path(sys.argv[1])) as at:
    print(at.model().ask(question()).record.sum)
wait_for_all_tracers()
"""


def test_what_is_asked_is_traced_nowhere(tmp_path: Path) -> None:
    with serving([RIGHT]) as server, socket.create_server(("127.0.0.1", 0)) as collector:
        write(tmp_path, document(server.base_url))
        collector.settimeout(0.5)
        place = f"http://127.0.0.1:{collector.getsockname()[1]}"
        names = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2")
        traced = dict.fromkeys(names, "true") | dict.fromkeys(("LANGSMITH_ENDPOINT", "LANGCHAIN_ENDPOINT"), place)
        done = subprocess.run(
            [sys.executable, "-c", TRACED, str(tmp_path)],
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(sys.path), "LANGSMITH_API_KEY": "k", **traced},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stdout == "5\n", done.stderr
        with pytest.raises(TimeoutError):
            collector.accept()


RUN = """
import sys, threading
from pathlib import Path
from sandbox.contract import Limits, RunSpec
from tiny_solution import real_sandbox
out = Path(sys.argv[2]) / "out"
out.mkdir()
spec = RunSpec("r1", ("python", "-c", sys.argv[1]), out, Limits(wall_s=20), python=Path(sys.executable))
outcome = real_sandbox(Path(sys.argv[2]) / "state").run(spec, threading.Event())
print(outcome.reason, outcome.status, outcome.tail)
"""
CANDIDATE = """
import os
from pathlib import Path
found = [str(dict(os.environ))]
for place in [*Path("/proc").glob("[0-9]*/environ"), *Path("/proc").glob("[0-9]*/cmdline")]:
    try: found.append(place.read_bytes().decode("utf-8", "replace"))
    except OSError: pass
print(len(found) > 1, "MODEL" + "_KEY" in str(found), "Private" + "Key" in str(found))
"""


def test_a_run_sees_nothing_of_the_key(tmp_path: Path) -> None:
    sandbox_backends.make("bwrap", tmp_path / "look")
    done = subprocess.run(
        [sys.executable, "-c", RUN, CANDIDATE, str(tmp_path)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "MODEL_KEY": "sk-PrivateKey"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.split() == ["exit", "0", "True", "False", "False"], done.stdout + done.stderr
