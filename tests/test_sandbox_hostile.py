"""Hostile programs are contained, looked at from inside and outside, as root and as an ordinary user."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import containment_table
import pytest
import sandbox_programs as programs
from sandbox_backends import BACKENDS, NOBODY, SUPERVISED, make, played_by_an_ordinary_user

from sandbox.contract import Sandbox


@pytest.fixture(scope="module", params=sorted(BACKENDS))
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return make(request.param, tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module", params=SUPERVISED)
def as_nobody(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the same programs came to when started by an ordinary user."""
    make(request.param, tmp_path_factory.mktemp("state"))
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    played = shared / f"played-by-an-ordinary-user-{request.param}.json"
    with (shared / f"{played.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the workers of one test run share what took seconds to find out
        if not played.exists():
            played.write_text(json.dumps(played_by_an_ordinary_user(request.param)))
    return {"backend": request.param, **json.loads(played.read_text())}


def judge(program: programs.Program, evidence: programs.Evidence, column: str) -> None:
    """Contained, and what the document's table says of it is what was found."""
    program.check(evidence)
    assert evidence["touched"] == []
    assert evidence["alive"] == []
    assert containment_table.written()[program.name][column] == containment_table.described(program.name, evidence)


@pytest.mark.parametrize("program", programs.PROGRAMS, ids=lambda program: program.name)
def test_a_hostile_program_is_contained(
    program: programs.Program, own: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED", programs.PLANTED)
    column = containment_table.column(own.name, as_root=os.geteuid() == 0)
    judge(program, programs.play(program, own, tmp_path / "a run"), column)


@pytest.mark.parametrize("program", programs.PROGRAMS, ids=lambda program: program.name)
def test_a_hostile_program_is_contained_for_an_ordinary_user(
    program: programs.Program, as_nobody: dict[str, Any]
) -> None:
    assert as_nobody["uid"] == NOBODY
    column = containment_table.column(as_nobody["backend"], as_root=False)
    judge(program, as_nobody["evidence"][program.name], column)


def test_every_program_stands_once_in_the_table() -> None:
    told = [name for programs_of in containment_table.ROWS.values() for name in programs_of]
    assert sorted(told) == sorted(program.name for program in programs.PROGRAMS)
    assert set(containment_table.written()) == set(told)


def test_an_ordinary_user_is_told_that_memory_rests_on_the_watchdog(as_nobody: dict[str, Any]) -> None:
    levels = dict(as_nobody["capabilities"])
    assert levels["memory"] in ("watchdog", "cgroup")
    assert levels["network"] == "yes"
    assert levels["filesystem"] == "yes"


def test_the_watchdog_ends_a_memory_hog_before_it_has_twice_its_limit(as_nobody: dict[str, Any]) -> None:
    evidence = as_nobody["evidence"]["takes_memory"]
    assert evidence["peak"] < 2 * 96 * programs.MIB


def test_the_checks_of_containment_can_fail(tmp_path: Path) -> None:
    """The programs do reach what they look for when nothing contains them."""
    leaky = next(program for program in programs.PROGRAMS if program.name == "reads_secrets")
    secret = tmp_path / "secret"
    secret.write_text(programs.PLANTED)
    host = json.dumps({"secret": str(secret), "planted": programs.PLANTED, "interpreter": programs.INTERPRETER})
    bare = subprocess.run([sys.executable, "-c", programs.PRELUDE + leaky.source, host], capture_output=True, text=True)
    evidence: programs.Evidence = {"reason": "exit", "tail": bare.stdout}
    assert str(secret) in str(programs.said(evidence))
    with pytest.raises(AssertionError):
        leaky.check(evidence)
