"""Ctrl-C in a terminal reaches every process of its session: only the night is to heed it, not what it waits for.

A git that it ends would stop the night with a fault, and a reader that it ends would make a good paper a bad one.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from git_repositories import make

from tools.leaderboards import git_file
from tools.pdf import text as pdf_text
from tools.repository_checks import open_repository

SESSION = "cut -d ' ' -f 6 /proc/$$/stat"


def _program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_git_of_the_solution_has_a_session_of_its_own(tmp_path: Path) -> None:
    repository = open_repository(make(tmp_path / "solution"), "main")
    assert int(repository.text("-c", f"alias.session=!{SESSION}", "session")) != os.getsid(0)


def test_a_git_of_a_board_has_a_session_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "programs"
    folder.mkdir()
    _program(folder / "git", f'case "$*" in *" -s "*) echo 1;; *" -t "*) echo blob;; *) {SESSION};; esac')
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    assert int(git_file.read(f"{folder}#main:board.csv", tmp_path, max_bytes=9)) != os.getsid(0)


def test_the_reader_of_a_paper_has_a_session_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = _program(
        tmp_path / "python", f'echo "{{\\"title\\": $({SESSION}), \\"pages\\": [\\"text\\"], \\"hidden\\": []}}"'
    )
    monkeypatch.setattr("sys.executable", str(reader))
    assert int(pdf_text.pages(b"%PDF-1.4\n%%EOF\n").title) != os.getsid(0)
