"""Hostile programs are contained, looked at from inside and outside, as root and as an ordinary user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sandbox_programs as programs
from sandbox_backends import absent, make

from sandbox.contract import Sandbox

ROOT = Path(__file__).resolve().parent.parent
NOBODY = 65534


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return make("bwrap", tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def as_nobody(own: Sandbox) -> Iterator[dict[str, Any]]:
    """What the same programs came to when started by an ordinary user."""
    if os.geteuid() != 0:
        pytest.skip("these tests already run as an ordinary user")
    python = Path("/usr/bin/python3")
    version = subprocess.run(
        [python, "-c", "import sys; print(sys.version_info >= (3, 11))"], capture_output=True, text=True
    )
    if version.stdout.strip() != "True":
        absent("no Python 3.11 in /usr/bin that another user may start")
    with tempfile.TemporaryDirectory(prefix="as nobody ") as folder:
        home = Path(folder)
        for name in ("sandbox", "registry"):
            shutil.copytree(ROOT / name, home / "program" / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(programs.__file__, home / "program")
        (home / "play").mkdir()
        for path in (home, *home.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        if not namespaces_for_nobody():
            absent("user namespaces are closed to ordinary users here")
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", python]
        done = subprocess.run(
            [*command, home / "program" / "sandbox_programs.py", home / "play"],
            capture_output=True,
            text=True,
            timeout=120,
            cwd="/",
            env={"PATH": os.environ["PATH"], "HOME": folder, "TMPDIR": folder, "PYTHONPATH": str(home / "program")},
        )
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout)


def namespaces_for_nobody() -> bool:
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    bwrap = ["bwrap", "--unshare-user", "--ro-bind", "/", "/", "true"]
    return subprocess.run([*command, *bwrap], capture_output=True).returncode == 0


def judge(program: programs.Program, evidence: programs.Evidence) -> None:
    program.check(evidence)
    assert evidence["touched"] == []
    assert evidence["alive"] == []


@pytest.mark.parametrize("program", programs.PROGRAMS, ids=lambda program: program.name)
def test_a_hostile_program_is_contained(
    program: programs.Program, own: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED", programs.PLANTED)
    judge(program, programs.play(program, own, tmp_path / "a run"))


@pytest.mark.parametrize("program", programs.PROGRAMS, ids=lambda program: program.name)
def test_a_hostile_program_is_contained_for_an_ordinary_user(
    program: programs.Program, as_nobody: dict[str, Any]
) -> None:
    assert as_nobody["uid"] == NOBODY
    judge(program, as_nobody["evidence"][program.name])


def test_an_ordinary_user_is_told_that_memory_rests_on_the_watchdog(as_nobody: dict[str, Any]) -> None:
    levels = dict(as_nobody["capabilities"])
    assert levels["memory"] in ("watchdog", "cgroup")
    assert levels["network"] == "yes"
    assert levels["filesystem"] == "yes"


def test_the_watchdog_ends_a_memory_hog_before_it_has_three_times_its_limit(as_nobody: dict[str, Any]) -> None:
    evidence = as_nobody["evidence"]["takes_memory"]
    assert evidence["peak"] < 3 * 96 * programs.MIB


def test_the_checks_of_containment_can_fail(tmp_path: Path) -> None:
    """The programs do reach what they look for when nothing contains them."""
    leaky = next(program for program in programs.PROGRAMS if program.name == "reads_secrets")
    secret = tmp_path / "secret"
    secret.write_text(programs.PLANTED)
    host = json.dumps({"secret": str(secret), "planted": programs.PLANTED})
    bare = subprocess.run([sys.executable, "-c", programs.PRELUDE + leaky.source, host], capture_output=True, text=True)
    evidence: programs.Evidence = {"reason": "exit", "tail": bare.stdout}
    assert str(secret) in str(programs.said(evidence))
    with pytest.raises(AssertionError):
        leaky.check(evidence)
