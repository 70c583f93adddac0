"""Nights that hand their promotion to a board: the command accepts, refuses, or the agent is killed while it runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from git_repositories import ENVIRONMENT
from tiny_solution import ROOT, SPACE, Recorded, Tiny, build

from agent import night
from agent.ask import answer
from agent.night import Goal
from agent.readers import Reader
from agent.verification import verify
from experiments.plans import Interrupted


def handing_in(tmp_path: Path, script: str) -> Tiny:
    tiny = build(tmp_path)
    tiny.target["search_space"] = {"width": SPACE["width"]}
    tiny.target["submission"] = {"command": ["/bin/sh", "-c", script]}
    tiny.write_target()
    return tiny


def digest_of(tiny: Tiny) -> str:
    (path,) = tiny.workspace.reports.glob("digest-*.md")
    return path.read_text()


def told(tiny: Tiny, name: str) -> tuple[str, str, str]:
    """(digest, ask, pull request)."""
    pull_request = (tiny.workspace.reports / "pull-requests" / f"{name}.md").read_text()
    return digest_of(tiny), answer(Reader(tiny.workspace), f"why was {name} promoted?").text, pull_request


def needs_a_person(digest: str) -> str:
    return digest.split("## Needs a Person", 1)[1]


def test_an_accepted_submission_is_told_and_asks_for_nobody(tmp_path: Path) -> None:
    tiny = handing_in(tmp_path, "echo hi")
    result = tiny.night(Goal(cycles=1))
    assert (result.promoted, result.failed) == (("H-001",), False)
    assert tiny.events("submission")[0].data["status"] == "submitted"
    digest, said, pull_request = told(tiny, "H-001")
    for text in (digest, said, pull_request):
        assert "handed in; the command accepted it (it said: hi)" in text
    assert "Submission" not in needs_a_person(digest)
    assert verify(tiny.workspace).ok


def test_a_stop_that_comes_before_the_command_is_started_leaves_it_to_the_next_start(tmp_path: Path) -> None:
    tiny = handing_in(tmp_path, "echo once >> submitted.txt")
    with tiny.services() as services:
        say = tiny.progress.say

        def stopping(line: str) -> None:
            say(line)
            if line.startswith("PROMOTED"):
                services.cancel.set()

        services.progress = Recorded()
        services.progress.say = stopping  # type: ignore[method-assign]
        with pytest.raises(Interrupted):
            night.run(services, Goal(cycles=1))
    assert not tiny.events("submission_started")
    tiny.night(Goal(cycles=1))
    assert [event.data["status"] for event in tiny.events("submission")] == ["submitted"]
    assert (tiny.workspace.root / "submitted.txt").read_text() == "once\n"
    assert tiny.tip("agent/production") == tiny.events("promoted")[-1].data["commit"]


def test_a_refused_submission_needs_a_person_and_keeps_the_promotion(tmp_path: Path) -> None:
    tiny = handing_in(tmp_path, "echo no room on the board; exit 3")
    assert tiny.night(Goal(cycles=1)).promoted == ("H-001",)
    digest, said, pull_request = told(tiny, "H-001")
    for text in (needs_a_person(digest), said, pull_request):
        assert "refused: the command ended with status 3 (it said: no room on the board)" in text
    assert tiny.agent("report", "digest").returncode == 0


NIGHT = """
import pathlib, sys
from tiny_solution import Tiny
from agent.night import Goal
import json
root, target = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
Tiny(root, target).night(Goal(cycles=1))
"""


def test_a_night_killed_while_it_hands_in_says_that_nobody_knows_and_hands_in_once(tmp_path: Path) -> None:
    ours = tmp_path / "tiny"
    tiny = handing_in(ours, f"echo once >> {tmp_path}/handed-in; kill -9 $PPID")
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    command = [sys.executable, "-c", NIGHT, str(ours), json.dumps(tiny.target)]
    killed = subprocess.run(command, env={**os.environ, **ENVIRONMENT, "PYTHONPATH": paths}, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not tiny.events("submission")
    tiny.night(Goal(cycles=1))
    (event,) = tiny.events("submission")
    assert event.data["status"] == "unknown"
    assert (tmp_path / "handed-in").read_text() == "once\n"
    digest, said, pull_request = told(tiny, "H-001")
    for text in (needs_a_person(digest), said, pull_request):
        assert "it is not known whether it arrived: the agent was killed while it was handed in" in text
    assert verify(tiny.workspace).ok


@pytest.mark.parametrize("report", ["digest", "technical"])
def test_reports_are_written_by_hand_too(tmp_path: Path, report: str) -> None:
    tiny = handing_in(tmp_path, "exit 75")
    tiny.night(Goal(cycles=1))
    done = tiny.agent("report", report)
    assert done.returncode == 0, done.stderr
