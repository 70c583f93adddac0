"""Nights of `agent run` as processes: started, killed at an event, and what they left to compare.

For tests and benchmarks of crash safety. A night is watched through its audit log, as anybody else could.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tiny_target import TinyTarget

from registry.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = "from agent.cli.main import main; main()"
PATIENCE_S = 900.0

Event = dict[str, Any]


def command(workspace: Workspace, *words: str, program: str = PROGRAM) -> list[str]:
    """The command line of `agent <words>` in this checkout."""
    return [sys.executable, "-P", "-c", program, *words, "--workspace", str(workspace.root)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def agent(workspace: Workspace, *words: str, program: str = PROGRAM) -> subprocess.CompletedProcess[str]:
    """Run a command of the program to its end."""
    line = command(workspace, *words, program=program)
    return subprocess.run(line, env=environment(), capture_output=True, text=True, timeout=PATIENCE_S)


@contextmanager
def started(workspace: Workspace, *words: str, program: str = PROGRAM) -> Iterator[subprocess.Popen[str]]:
    """A command of the program while it runs; killed at the end of the block if it still does."""
    process = subprocess.Popen(
        command(workspace, *words, program=program),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def events(workspace: Workspace) -> list[Event]:
    """Whole lines of the log, parsed."""
    if not workspace.audit.exists():
        return []
    return [json.loads(line) for line in workspace.audit.read_bytes().split(b"\n")[:-1]]


def wait_for(workspace: Workspace, process: subprocess.Popen[str], kind: str, count: int = 1) -> bool:
    """Until the log holds `count` events of a kind; False where the process ended before."""
    mark = f'"kind":"{kind}"'.encode()
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if workspace.audit.exists() and workspace.audit.read_bytes().count(mark) >= count:
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.002)
    raise AssertionError(f"no {kind} number {count} within {PATIENCE_S:g} s")


def killed_at(target: TinyTarget, kind: str, count: int = 1, program: str = PROGRAM) -> list[str]:
    """`agent run`, killed with SIGKILL at an event; gives the control groups its runs had at that moment."""
    with started(target.workspace, "run", program=program) as process:
        if not wait_for(target.workspace, process, kind, count):
            raise AssertionError(f"the night ended before {kind} number {count}: {process.communicate()}")
        process.send_signal(signal.SIGKILL)
        process.wait()
    return control_groups(target.workspace)


def control_groups(workspace: Workspace) -> list[str]:
    """Control groups that markers of unfinished runs name."""
    found = []
    for marker in (workspace.agent / "sandbox" / "runs").glob("*.run"):
        try:
            text = marker.read_text()
        except FileNotFoundError:
            continue
        found += [line.removeprefix("cgroup ") for line in text.splitlines() if line.startswith("cgroup ")]
    return found


def decisions(log: list[Event]) -> list[tuple[object, ...]]:
    """What a night decided, without ids of commits, times and costs: equal for equal seeds and inputs."""
    found: list[tuple[object, ...]] = []
    values: dict[str, list[tuple[object, ...]]] = {}
    for event in log:
        kind, subject, data = event["kind"], event["subject"], event["data"]
        if kind == "run_finished":
            run = (data["arm"], data["purpose"], data["key"]["seed"], data["status"], data["metrics"])
            values.setdefault(subject, []).append(run)
        elif kind == "gate_entered":
            found.append((kind, subject, data["season"], data["t"], data["promotions"]))
        elif kind == "hypotheses_proposed":
            found.append((kind, *((item["id"], item["title"], item["priority_score"]) for item in data["hypotheses"])))
        elif kind == "verdict":
            numbers = (data["gain"], data["log_e"], data["mean"], data["n"])
            runs = sorted(values.get(subject, []), key=repr)
            found.append((kind, subject, data["outcome"], data["reason"], numbers, runs))
        elif kind in {"promoted", "hypothesis_archived", "hypothesis_requeued"}:
            found.append((kind, subject, data.get("code"), data.get("gain"), data.get("test_score")))
        elif kind == "standing":
            found.append((kind, subject, data["rank"], data["gap"], data["trigger"]))
        elif kind == "night_ended":
            found.append((kind, event["reason"]))
    return found


def begins_as(part: list[Event], whole: list[Event]) -> bool:
    """Whether a shorter night decided what the beginning of a longer one did."""
    shorter = [line for line in decisions(part) if line[0] != "night_ended"]
    return bool(shorter) and decisions(whole)[: len(shorter)] == shorter


def paid_twice(log: list[Event]) -> list[str]:
    """Runs with two outcomes for one attempt, or started again after their outcome was recorded."""
    finished: set[tuple[str, int]] = set()
    found = []
    for event in log:
        if event["kind"] in {"run_started", "run_finished"}:
            attempt = (event["data"]["run_id"], event["data"]["attempt"])
            if attempt in finished:
                found.append(f"event {event['seq']}: {event['kind']} of {attempt}")
            if event["kind"] == "run_finished":
                finished.add(attempt)
    return found


def leftovers(target: TinyTarget, groups: list[str]) -> list[str]:
    """Whatever stands about that a finished night would not leave: processes, locks, folders, half-written files."""
    workspace, git = target.workspace, target.solution / ".git"
    found = [f"process {pid}" for pid in _processes_in(target.root)]
    found += [f"control group {group}" for group in groups if Path(group).exists()]
    found += [str(path) for path in (workspace.agent / "sandbox" / "runs").glob("*")]
    found += [str(path) for folder in ("running", "worktrees") for path in (workspace.cache / folder).glob("*")]
    found += [str(path) for path in (workspace.cache / "trees").glob(".*")]
    found += [str(path) for path in workspace.root.rglob(".*.tmp")]
    found += [str(path) for path in git.rglob("*.lock")]
    found += [str(path) for path in (git / "worktrees").glob("*")]
    return found


def _processes_in(folder: Path) -> Iterator[int]:
    """Processes that were started with, or work in, something below the folder."""
    own: Callable[[Path], bool] = lambda path: int(path.name) != os.getpid()  # noqa: E731
    for process in filter(own, Path("/proc").glob("[0-9]*")):
        try:
            words = (process / "cmdline").read_bytes()
            place = str((process / "cwd").readlink())
        except OSError:
            continue
        if str(folder).encode() in words or place.startswith(str(folder)):
            yield int(process.name)
