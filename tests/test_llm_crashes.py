"""A process killed while a model is asked: the call in flight is asked once more, and both are charged."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_workspaces import RIGHT, desk, document, question, write
from scripted_endpoint import Asked, ScriptedEndpoint, Step, serving

ASK = """
import sys
from pathlib import Path
from model_workspaces import desk, question
with desk(Path(sys.argv[1])) as at:
    at.night() if not at.history.nights else None
    for attempt in range(1, 1 + int(sys.argv[2])):
        at.model().ask(question(attempt=attempt))
    print("done", flush=True)
    sys.stdin.read()
"""


@contextmanager
def asking(folder: Path, questions: int) -> Iterator[subprocess.Popen[str]]:
    """A process that asks so many questions and then waits; killed at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", ASK, str(folder), str(questions)],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until_asked(server: ScriptedEndpoint, count: int) -> None:
    end = time.monotonic() + 60
    while len(server.asked) < count:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_call_in_flight_at_the_kill_is_asked_again_and_both_are_charged(tmp_path: Path) -> None:
    def script(_: Asked) -> Step:
        return Step(RIGHT, stall_s=30 if len(server.asked) == 2 else 0)

    with serving(script) as server:
        write(tmp_path, document(server.base_url))
        with asking(tmp_path, 2):
            until_asked(server, 2)  # the first is answered, the second is never
        with desk(tmp_path) as at:
            spent = at.history.models.of_night("night-1")
            (_, intent), (answer,) = at.events("model_asked"), at.events("model_answered")
            most = intent.data["estimate"]
            assert spent.tokens == 120 + most["input_tokens"] + most["output_tokens"]
            assert spent.calls == 2
            assert answer.data["call"] != intent.data["call"]
            assert at.model().ask(question()).record.sum == 5
            assert at.model().ask(question(attempt=2)).record.sum == 5
            after = at.history.models.of_night("night-1")
            assert (after - spent).tokens == 120
            assert len(at.history.models.in_flight) == 1
        assert len(server.asked) == 3


def test_a_call_that_was_answered_before_the_kill_is_neither_asked_nor_charged_again(tmp_path: Path) -> None:
    with serving(lambda _: RIGHT) as server:
        write(tmp_path, document(server.base_url))
        with asking(tmp_path, 2) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "done\n"
        with desk(tmp_path) as at:
            spent = at.history.models.of_night("night-1")
            assert at.model().ask(question(attempt=2)).record.sum == 5
            assert at.history.models.of_night("night-1") == spent
        assert len(server.asked) == 2


def test_a_reply_whose_text_is_gone_is_asked_for_again(tmp_path: Path) -> None:
    with serving(lambda _: RIGHT) as server, desk(tmp_path, document(server.base_url)) as at:
        at.model().ask(question())
        at.blobs.path(at.events("model_answered")[0].data["reply"]).unlink()
        assert at.model().ask(question()).record.sum == 5
        assert len(server.asked) == 2
        assert at.model().ask(question()).record.sum == 5
        assert len(server.asked) == 2
        assert at.history.models.of_hypothesis("H-001").tokens == 240


def test_the_rung_is_remembered_from_the_log_and_changes_no_identity(tmp_path: Path) -> None:
    def no_schemas(asked: Asked) -> Step:
        return (
            Step(status=400) if "json_schema" in str(asked.document) and "tools" not in asked.document else Step(RIGHT)
        )

    with serving(no_schemas) as server:
        with desk(tmp_path, document(server.base_url)) as at:
            first = at.model().ask(question())
        with desk(tmp_path) as at:
            at.model().ask(question(attempt=2))
            assert len(server.asked) == 4
            assert at.model().ask(question()).call == first.call
    with serving(lambda _: RIGHT) as other, desk(tmp_path / "other", document(other.base_url)) as at:
        assert at.model().ask(question()).call == first.call
        assert at.events("model_asked")[0].data["rung"] != "json_object"
