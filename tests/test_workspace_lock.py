"""One loop per workspace: refused with the holder's name, free again however the holder ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry.errors import AgentError, BadInput
from registry.locks import Busy, workspace_lock

ROOT = Path(__file__).resolve().parent.parent
NOON = datetime(2026, 2, 1, 12, 0, tzinfo=UTC)
HOLD = """
import subprocess, sys, time
from pathlib import Path
from registry.locks import workspace_lock
with workspace_lock(Path(sys.argv[1]), "agent run --forever"):
    child = subprocess.Popen(["sleep", "60"]) if len(sys.argv) > 2 else None
    print(child.pid if child else "held", flush=True)
    time.sleep(60)
"""


def hold(path: Path, *arguments: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_second_holder_is_refused_with_the_first_ones_pid_command_and_start(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process, _ = hold(path)
    try:
        with pytest.raises(Busy) as caught, workspace_lock(path, "agent run"):
            pass
    finally:
        end(process)
    holder = caught.value.holder
    assert holder is not None
    assert (holder.pid, holder.command) == (process.pid, "agent run --forever")
    assert datetime.fromisoformat(holder.since).tzinfo is not None
    for part in (str(path), str(process.pid), "agent run --forever", holder.since):
        assert part in str(caught.value)
    assert isinstance(caught.value, AgentError)
    assert caught.value.exit_status == 2


def test_kill_9_frees_the_lock_and_the_next_holder_is_the_one_named(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process, _ = hold(path)
    end(process)
    with workspace_lock(path, "agent run", lambda: NOON):
        assert json.loads(path.read_text()) == {
            "command": "agent run",
            "pid": os.getpid(),
            "since": "2026-02-01T12:00:00.000Z",
        }
        with pytest.raises(Busy) as caught, workspace_lock(path, "agent experiment H-001"):
            pass
        assert caught.value.holder is not None
        assert caught.value.holder.pid == os.getpid()


def test_a_child_that_outlives_the_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process, child = hold(path, "with a child")
    process.send_signal(signal.SIGKILL)
    process.wait()
    try:
        os.kill(int(child), 0)
        with workspace_lock(path, "agent run"):
            pass
    finally:
        os.kill(int(child), signal.SIGKILL)
        process.communicate()


def test_the_lock_is_free_after_an_error_and_its_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(InterruptedError), workspace_lock(path, "agent run"):
        raise InterruptedError
    assert path.read_text() == ""
    with workspace_lock(path, "agent run"):
        pass


def test_a_place_that_cannot_be_locked_is_bad_input(tmp_path: Path) -> None:
    for path in (tmp_path / "absent" / "lock", tmp_path):
        with pytest.raises(BadInput) as caught, workspace_lock(path, "agent run"):
            pass
        assert caught.value.problems[0].where == str(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b'{"pid": "x", "command": "", "since": ""}'])
def test_an_unreadable_holder_is_another_process(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lock"
    with workspace_lock(path, "agent run"):
        path.write_bytes(content)
        with pytest.raises(Busy, match="another process") as caught, workspace_lock(path, "agent run"):
            pass
        assert caught.value.holder is None


def test_control_characters_in_the_holders_command_are_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with workspace_lock(path, "agent \x1b[2Jrun\n" + "x" * 1000):
        with pytest.raises(Busy) as caught, workspace_lock(path, "agent run"):
            pass
        assert "\x1b" not in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 1000
