"""`kill -9` while a candidate is being made: the next call gives the same commit, and nothing is left over."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from git_repositories import DATE, git, make
from sandbox_programs import tagged_processes
from test_sandbox_lifecycle import eventually

from tools import branches
from tools.repository_checks import open_repository

SCRIPT = """
import sys
from pathlib import Path
from tools import branches
from tools.repository_checks import open_repository

root, worktrees, production, date = sys.argv[1:]
repository = open_repository(Path(root), "main")
print("ready", flush=True)
branches.create_candidate(
    repository, Path(worktrees), "H-042", "wide", production,
    {f"src/part_{i}.py": b"VALUE = %d\\n" % i for i in range(8)}, "wide", {"Audit-Head": "00"}, date,
)
print("done", flush=True)
"""
EDITS: dict[str, bytes | None] = {f"src/part_{i}.py": b"VALUE = %d\n" % i for i in range(8)}


def _killed_after(delay: float, *arguments: str) -> bool:
    """Start the script in a process group, kill all of it after the delay, say whether it had finished."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        return process.stdout.read() == "done\n"


def test_a_candidate_killed_at_random_moments_is_the_same_commit_afterwards(tmp_path: Path) -> None:
    root, worktrees = make(tmp_path / "solution"), tmp_path / "worktrees"
    repository = open_repository(root, "main")
    production = branches.ensure_production(repository, "main").commit
    # The whole call, timed, is what the moments of death are spread over.
    started = time.monotonic()
    arguments = (repository, worktrees, "H-042", "wide", production, EDITS, "wide", {"Audit-Head": "00"}, DATE)
    expected = branches.create_candidate(*arguments)
    length = time.monotonic() - started
    moments = random.Random(7)
    unfinished = 0
    for _ in range(8):
        git(root, "update-ref", "-d", f"refs/heads/{expected.branch}")
        unfinished += not _killed_after(moments.uniform(0, length), str(root), str(worktrees), production, DATE)
        # Nobody starts again before a git that outlives its caller by milliseconds is done.
        assert eventually(lambda: not tagged_processes(str(worktrees)), 10)
        assert branches.create_candidate(*arguments) == expected
        assert list(worktrees.iterdir()) == []
    assert unfinished > 0, "no call was killed before its end, so nothing was tried"
    assert git(root, "fsck", "--full", "--strict", "--no-dangling") == ""
    assert git(root, "worktree", "list").count("\n") == 0
    assert list((root / ".git").rglob("*.lock")) == []


def test_a_worktree_that_the_git_of_a_killed_process_takes_away_is_made_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, worktrees = make(tmp_path / "solution"), tmp_path / "worktrees"
    repository = open_repository(root, "main")
    production = branches.ensure_production(repository, "main").commit
    programs, taken = tmp_path / "programs", tmp_path / "taken"
    programs.mkdir()
    wrapper = programs / "git"
    place = worktrees / "agent-H-042-wide" / ".git"
    wrapper.write_text(
        f"""#!/bin/sh
{shutil.which("git")} "$@" || exit
if [ "$1 $2" = "worktree add" ] && [ ! -e '{taken}' ]; then touch '{taken}'; rm '{place}'; fi
"""
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    made = branches.create_candidate(
        repository, worktrees, "H-042", "wide", production, EDITS, "wide", {"Audit-Head": "00"}, DATE
    )
    assert taken.exists()
    assert repository.branch_tip(made.branch) == made.commit
    assert list(worktrees.iterdir()) == []


def test_locks_of_a_killed_git_are_removed_and_those_of_the_user_are_not(tmp_path: Path) -> None:
    root, worktrees = make(tmp_path / "solution"), tmp_path / "worktrees"
    repository = open_repository(root, "main")
    production = branches.ensure_production(repository, "main").commit
    own = root / ".git" / "refs" / "heads" / "agent" / "H-042-wide.lock"
    own.write_text("")
    users = [root / ".git" / "index.lock", root / ".git" / "refs" / "heads" / "main.lock"]
    for lock in users:
        lock.write_text("")
    made = branches.create_candidate(
        repository, worktrees, "H-042", "wide", production, EDITS, "wide", {"Audit-Head": "00"}, DATE
    )
    assert repository.branch_tip(made.branch) == made.commit
    assert not own.exists()
    assert all(lock.exists() for lock in users)


def test_cleaning_up_removes_what_was_left_and_says_so(tmp_path: Path) -> None:
    root, worktrees = make(tmp_path / "solution"), tmp_path / "worktrees"
    repository = open_repository(root, "main")
    branches.ensure_production(repository, "main")
    (worktrees / "H-001-x.abcd").mkdir(parents=True)
    (worktrees / "H-001-x.abcd" / "index.lock").write_text("")
    (root / ".git" / "refs" / "heads" / "agent" / "production.lock").write_text("")
    gone = branches.cleanup_worktrees(repository, worktrees)
    assert gone == ("lock refs/heads/agent/production.lock", "worktree H-001-x.abcd")
    assert branches.cleanup_worktrees(repository, worktrees) == ()
