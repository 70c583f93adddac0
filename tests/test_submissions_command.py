"""The submission command: off by default, run without a shell, ended in time, and never an exception."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import pytest

from tools.submissions import GRACE_S, MAX_OUTPUT_BYTES, Promotion, SubmissionResult, submit


@pytest.fixture
def promotion(tmp_path: Path) -> Promotion:
    return Promotion("H-042", "agent/H-042-wide", "ab" * 20, tmp_path / "code", tmp_path / "results")


def python(script: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", script, *arguments]


def run(
    command: list[str], promotion: Promotion, folder: Path, timeout_s: float = 20.0, **environment: str
) -> SubmissionResult:
    return submit(command, promotion, timeout_s, folder, environment)


@pytest.mark.parametrize("command", [None, []])
def test_without_a_command_nothing_is_run(command: list[str] | None, promotion: Promotion, tmp_path: Path) -> None:
    assert submit(command, promotion, 1.0, tmp_path).status == "off"


def test_a_stop_leaves_the_command_a_few_seconds_and_then_nobody_knows(promotion: Promotion, tmp_path: Path) -> None:
    cancel = threading.Event()
    started = time.monotonic()
    threading.Timer(0.3, cancel.set).start()
    result = submit(python("import time; time.sleep(60)"), promotion, 90.0, tmp_path, cancel=cancel)
    assert 0.3 + GRACE_S <= time.monotonic() - started < 10
    assert (result.status, result.exit_status) == ("unknown", None)
    assert "look at the board" in result.why


def test_a_command_that_ends_in_the_time_left_has_handed_in(promotion: Promotion, tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    assert (
        submit(python("import time; time.sleep(0.5)"), promotion, 90.0, tmp_path, cancel=cancel).status == "submitted"
    )


def test_placeholders_are_filled_in_and_no_shell_reads_the_words(promotion: Promotion, tmp_path: Path) -> None:
    script = "import json, sys; print(json.dumps(sys.argv[1:]))"
    words = ["{hypothesis}:{branch}", "{commit}", "{code}", "{results}", "; touch hacked $(id) *", "{}", "{ x }"]
    result = run(python(script, *words), promotion, tmp_path)
    assert (result.status, result.exit_status) == ("submitted", 0)
    assert json.loads(result.output) == [
        "H-042:agent/H-042-wide",
        "ab" * 20,
        str(tmp_path / "code"),
        str(tmp_path / "results"),
        "; touch hacked $(id) *",
        "{}",
        "{ x }",
    ]
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_placeholder_is_a_refusal_and_nothing_is_run(promotion: Promotion, tmp_path: Path) -> None:
    result = run(python("open('ran', 'w')", "{secret}"), promotion, tmp_path)
    assert (result.status, "{secret}" in result.why) == ("refused", True)
    assert list(tmp_path.iterdir()) == []


def test_the_environment_is_what_was_declared_and_no_more(
    promotion: Promotion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    result = run(python("import os, json; print(json.dumps(dict(os.environ)))"), promotion, tmp_path, BOARD="digits")
    seen = json.loads(result.output)
    assert seen["BOARD"] == "digits"
    assert "PATH" in seen
    assert "OPENAI_API_KEY" not in seen


@pytest.mark.parametrize(("status", "expected"), [(1, "refused"), (75, "retry")])
def test_a_failure_is_a_record(status: int, expected: str, promotion: Promotion, tmp_path: Path) -> None:
    result = run(python(f"print('no quota'); raise SystemExit({status})"), promotion, tmp_path)
    assert (result.status, result.exit_status, result.output) == (expected, status, "no quota\n")
    assert str(status) in result.why


@pytest.mark.parametrize("command", [["no-such-command-anywhere"], ["/"], ["a\0b"], [""]])
def test_a_command_that_cannot_start_is_a_refusal(command: list[str], promotion: Promotion, tmp_path: Path) -> None:
    result = run(command, promotion, tmp_path)
    assert result.status == "refused"
    assert "could not be started" in result.why


def test_a_folder_that_is_gone_is_a_refusal(promotion: Promotion, tmp_path: Path) -> None:
    assert run(python("pass"), promotion, tmp_path / "absent").status == "refused"


def test_a_command_that_does_not_end_is_killed_with_its_children(promotion: Promotion, tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "open('child', 'w').write(str(p.pid)); print('waiting', flush=True); time.sleep(60)"
    )
    started = time.monotonic()
    result = run(python(script), promotion, tmp_path, timeout_s=1.5)
    assert time.monotonic() - started < 10
    assert (result.status, result.exit_status, result.output) == ("retry", None, "waiting\n")
    assert _gone(int((tmp_path / "child").read_text()))


def test_a_child_that_holds_the_output_open_does_not_hold_us_up(promotion: Promotion, tmp_path: Path) -> None:
    script = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "open('child', 'w').write(str(p.pid)); print('sent')"
    )
    started = time.monotonic()
    result = run(python(script), promotion, tmp_path)
    assert time.monotonic() - started < 10
    assert (result.status, result.output) == ("submitted", "sent\n")
    assert _gone(int((tmp_path / "child").read_text()))


def test_output_is_capped_to_its_end_and_cleaned(promotion: Promotion, tmp_path: Path) -> None:
    script = "import sys; sys.stdout.buffer.write(b'x' * 3_000_000 + b'\\x1b[31m' + b'\\r\\nlast\\n' + b'\\xff')"
    result = run(python(script), promotion, tmp_path)
    assert result.status == "submitted"
    assert len(result.output) <= MAX_OUTPUT_BYTES
    assert "\x1b" not in result.output
    assert result.output.endswith("x\ufffd[31m\nlast\n\ufffd")


def test_a_command_that_closes_its_output_and_works_on_is_waited_for(promotion: Promotion, tmp_path: Path) -> None:
    script = "import os, time; os.close(1); os.close(2); time.sleep(0.4); open('end', 'w').close(); os._exit(0)"
    assert run(python(script), promotion, tmp_path).status == "submitted"
    assert (tmp_path / "end").exists()


def _gone(pid: int) -> bool:
    """Whether the process is no more, or a zombie that nobody has collected yet."""
    for _ in range(100):
        status = Path(f"/proc/{pid}/stat")
        try:
            if status.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False
