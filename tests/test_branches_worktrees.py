"""A patch is made in a linked worktree of its own, which git knows of while it exists and not a moment longer."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from git_repositories import DATE, git, make

from registry.errors import BadInput
from tools import branches, worktrees
from tools.repository import SolutionRepository
from tools.repository_checks import open_repository


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "solution")


@pytest.fixture
def repository(root: Path) -> SolutionRepository:
    return open_repository(root, "main")


def candidate(repository: SolutionRepository, folder: Path, edits: dict[str, bytes | None]) -> branches.Candidate:
    start = branches.ensure_production(repository, "main").commit
    return branches.create_candidate(repository, folder, "H-042", "wide", start, edits, "wide", {}, DATE)


def test_git_lists_the_worktree_at_production_while_a_patch_is_made(
    repository: SolutionRepository, root: Path, tmp_path: Path
) -> None:
    head = git(root, "rev-parse", "main")
    with worktrees.opened(repository, tmp_path / "worktrees", "H-042-wide", head) as worktree:
        worktree.write("src/a.py", b"A = 1\n", executable=False)
        listed = git(root, "worktree", "list", "--porcelain")
        assert f"worktree {worktree.folder}\nHEAD {head}\ndetached" in listed
        assert worktree.folder == tmp_path / "worktrees" / "agent-H-042-wide"
        assert sorted(path.name for path in worktree.folder.rglob("*")) == [".git", "a.py", "src"]
    assert git(root, "worktree", "list").count("\n") == 0
    assert not (root / ".git" / "worktrees").exists()
    assert list((tmp_path / "worktrees").iterdir()) == []


def test_no_filter_and_no_hook_of_the_repository_runs(
    repository: SolutionRepository, root: Path, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    (root / ".gitattributes").write_text("* filter=loud text eol=crlf\n")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "attributes")
    for kind in ("clean", "smudge"):
        git(root, "config", f"filter.loud.{kind}", f"touch '{ran}'; cat")
    for name in ("post-checkout", "reference-transaction", "post-index-change"):
        hook = root / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch '{ran}'\n")
        hook.chmod(0o755)
    made = candidate(repository, tmp_path / "worktrees", {"train.py": b"LEARNING_RATE = 0.5\n"})
    assert not ran.exists()
    shown = subprocess.run(["git", "-C", str(root), "show", f"{made.commit}:train.py"], capture_output=True, check=True)
    assert shown.stdout == b"LEARNING_RATE = 0.5\n"


@pytest.mark.parametrize("known", ["", "unfinished", "whole"])
def test_what_a_killed_process_left_goes_and_the_users_own_worktrees_stay(
    repository: SolutionRepository, root: Path, tmp_path: Path, known: str
) -> None:
    git(root, "worktree", "add", "--quiet", "--detach", str(tmp_path / "agent-H-042-wide"))
    folder = tmp_path / "worktrees"
    if known == "whole":
        git(root, "worktree", "add", "--quiet", "--detach", str(folder / "agent-H-042-wide"))
    else:
        (folder / "agent-H-042-wide").mkdir(parents=True)
    if known == "unfinished":
        entry = root / ".git" / "worktrees" / "agent-H-0421"
        entry.mkdir()
        (entry / "locked").write_text("initializing\n")
        os.utime(entry, (0, 0))
        (root / ".git" / "worktrees" / "agent-being-made").mkdir()
    assert "worktree agent-H-042-wide" in branches.cleanup_worktrees(repository, folder)
    assert branches.cleanup_worktrees(repository, folder) == ()
    assert list(folder.iterdir()) == []
    listed = git(root, "worktree", "list").splitlines()
    assert [Path(line.split()[0]) for line in listed] == [root, tmp_path / "agent-H-042-wide"]
    assert candidate(repository, folder, {"train.py": b"X = 1\n"}).commit
    assert git(root, "worktree", "list").splitlines() == listed


def test_a_path_that_no_file_can_have_is_refused_and_leaves_nothing(
    repository: SolutionRepository, root: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="File name too long"):
        candidate(repository, tmp_path / "worktrees", {"a" * 300 + ".py": b"x"})
    assert list((tmp_path / "worktrees").iterdir()) == []
    assert git(root, "worktree", "list").count("\n") == 0
