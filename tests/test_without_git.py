"""A machine without git: every command that needs it says so and what to do, and makes nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_solution import Tiny, build

PROGRAM = "from agent.cli.main import main; main()"


def _without_git(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "env", "bwrap"):
        if (found := shutil.which(name)) is not None:
            (programs / name).symlink_to(found)
    variables = {**os.environ, "PATH": str(programs), "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    command = [sys.executable, "-P", "-c", PROGRAM, *words]
    return subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=60)


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return build(tmp_path)


@pytest.mark.parametrize("words", [["run", "--cycles", "1"], ["monitor"], ["papers", "ingest"], ["init"], ["demo"]])
def test_a_command_that_needs_git_says_how_to_get_it(tiny: Tiny, tmp_path: Path, words: list[str]) -> None:
    place = {"init": [str(tiny.repository), "--workspace", str(tmp_path / "new")], "demo": ["--folder", "place"]}
    more = place.get(words[0], ["--workspace", str(tiny.workspace.root)])
    said = _without_git(tmp_path, *words, *more)
    assert said.returncode == 2
    assert said.stderr == "agent: PATH: found no git on PATH, expected git 2.38 or newer (apt-get install git)\n"
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "place").exists()


def test_what_only_reads_the_record_needs_no_git(tiny: Tiny, tmp_path: Path) -> None:
    said = _without_git(tmp_path, "queue", "list", "--workspace", str(tiny.workspace.root))
    assert (said.returncode, said.stderr) == (0, "")
