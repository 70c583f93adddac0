"""Where bubblewrap is missing: no night without a person's word, and with it a night that promotes nothing.

Real processes on a PATH that has everything but bubblewrap.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import night_processes as nights
import pytest
import tiny_target
from sandbox_backends import make
from tiny_target import TinyTarget

WEAK = "--allow-weak-sandbox"


@dataclass(frozen=True)
class Ended:
    """A night in a weak sandbox."""

    target: TinyTarget
    said: subprocess.CompletedProcess[str]
    log: list[nights.Event]


@pytest.fixture(scope="module", autouse=True)
def without_bubblewrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A PATH with a link to every program but one."""
    make("namespaces", tmp_path_factory.mktemp("state"))
    folder = tmp_path_factory.mktemp("programs")
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).iterdir() if os.access(place, os.R_OK | os.X_OK) else ():
            if program.name != "bwrap" and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(folder))
        yield


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_target.make_environment(tmp_path_factory.mktemp("environment") / "python")


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, environment: Path) -> Ended:
    target = tiny_target.make(tmp_path_factory.mktemp("a night") / "a", environment=environment)
    said = nights.agent(target.workspace, "run", WEAK, "--cycles", "1")
    return Ended(target, said, nights.events(target.workspace))


def test_without_a_persons_word_nothing_is_run_and_the_way_out_is_named(tmp_path: Path, environment: Path) -> None:
    target = tiny_target.make(tmp_path / "a", environment=environment)
    done = nights.agent(target.workspace, "run")
    assert done.returncode == 2
    assert "apt-get install bubblewrap" in done.stderr
    assert WEAK in done.stderr
    assert nights.events(target.workspace) == []


def test_a_weak_night_says_first_and_last_that_nothing_is_promoted(ended: Ended) -> None:
    assert ended.said.returncode == 0, ended.said.stderr
    first, *_, last = ended.said.stdout.splitlines()
    assert "weak sandbox: nothing will be promoted" in first
    assert last == "Weak sandbox: nothing could be promoted."


def test_every_run_of_a_weak_night_is_marked_and_every_verdict_names_it(ended: Ended) -> None:
    runs = [event["data"] for event in ended.log if event["kind"] == "run_finished"]
    assert {(run["backend"], run["isolation"], run["status"]) for run in runs} == {("namespaces", "weak", "ok")}
    verdicts = [event["data"] for event in ended.log if event["kind"] == "verdict"]
    assert [verdict["reason"] for verdict in verdicts] == ["weak_sandbox"]
    assert not any(event["kind"] == "promoted" for event in ended.log)
    assert ended.target.git("branch", "--list", "agent/production", "--format", "%(objectname)") in (
        "",
        ended.target.git("rev-parse", "main"),
    )


def test_the_log_of_a_weak_night_verifies_and_its_reports_say_what_it_was(ended: Ended) -> None:
    checked = nights.agent(ended.target.workspace, "audit", "verify")
    assert checked.returncode == 0, checked.stdout
    runs = sum(event["kind"] == "run_finished" for event in nights.events(ended.target.workspace))
    digest = nights.agent(ended.target.workspace, "report", "digest").stdout
    assert f"{runs} runs in a weak sandbox: the gate promotes nothing on them" in digest
    technical = nights.agent(ended.target.workspace, "report", "technical").stdout
    assert f"{runs} in a weak sandbox" in technical


def test_doctor_offers_the_weak_sandbox_and_shows_it_as_what_it_is(ended: Ended) -> None:
    def findings(*words: str) -> list[tuple[str, str, str]]:
        done = nights.agent(ended.target.workspace, "doctor", "--no-baseline", "--json", *words)
        rows = json.loads(done.stdout)["findings"]
        return [(row["check"], row["status"], f"{row['found']} -> {row['fix']}") for row in rows]

    refused = [row for row in findings() if row[0] == "sandbox"]
    assert [status for _, status, _ in refused] == ["fail", "warn"]
    assert refused[0][2].endswith("apt-get install bubblewrap")
    assert WEAK in refused[1][2]
    allowed = {check: (status, text) for check, status, text in findings(WEAK) if check.startswith("sandbox")}
    assert allowed["sandbox"][0] == "warn"
    assert "namespaces, isolation weak: nothing will be promoted" in allowed["sandbox"][1]
    for measured in ("network", "environment", "filesystem", "pid namespace", "system calls", "memory"):
        assert allowed[f"sandbox: {measured}"][0] == "ok"


def test_one_hypothesis_and_one_document_say_it_too(ended: Ended) -> None:
    waiting = nights.agent(ended.target.workspace, "queue", "list", "--json")
    name = json.loads(waiting.stdout)[0]["id"]
    done = nights.agent(ended.target.workspace, "experiment", name, WEAK, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["isolation"] == "weak"
    assert "weak sandbox: nothing will be promoted" in done.stderr
