"""A linked worktree of its own for each patch, in the workspace: its files, its index, its HEAD; gone when it is done.

Called by `tools.commits` while a patch becomes a tree, and by `tools.branches` to remove what a killed process left.
Nothing of the commit is checked out, so that none of the repository's filters and hooks runs: the edited files alone
are written, byte for byte. In the user's `.git` a worktree is a folder below `worktrees/` for as long as it exists.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tools.repository import GitFailed, SolutionRepository

PREFIX = "agent-"
"""Of the names of our worktrees, which git uses for their folders in `.git/worktrees` too."""
PAUSES_S = (0.05, 0.2, 0.5)
"""Before a worktree is made once more."""
IN_THE_MAKING_S = 60.0
"""Git writes where a worktree is within milliseconds of making its entry."""


@dataclass(frozen=True, slots=True)
class Worktree:
    """One that exists. Its git commands have its own HEAD and index, and the repository's objects and branches."""

    repository: SolutionRepository
    folder: Path
    git_dir: Path

    def run(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        """Standard output of `git <arguments>` in this worktree."""
        own = {
            "GIT_DIR": str(self.git_dir),
            "GIT_WORK_TREE": str(self.folder),
            "GIT_INDEX_FILE": str(self.git_dir / "index"),
        }
        return self.repository.run(*arguments, stdin=stdin, environment=own)

    def write(self, path: str, content: bytes, executable: bool) -> Path:
        """Write one file below the folder, which holds no link that could lead out of it."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o755 if executable else 0o644)
        return file


@contextmanager
def opened(repository: SolutionRepository, worktrees: Path, name: str, commit: str) -> Iterator[Worktree]:
    """A worktree at a commit, with an empty folder. One of this name that a killed process left is removed first."""
    worktrees.mkdir(parents=True, exist_ok=True)
    folder = worktrees.resolve() / f"{PREFIX}{name}"
    try:
        yield _made(repository, folder, commit)
    finally:
        _remove(repository, folder)


def _made(repository: SolutionRepository, folder: Path, commit: str) -> Worktree:
    """A new worktree. The git of a process killed a moment ago may still be at the same one: then once more."""
    for pause_s in (*PAUSES_S, None):
        _remove(repository, folder)
        try:
            repository.run("worktree", "add", "--quiet", "--detach", "--no-checkout", str(folder), commit)
            git_dir = Path((folder / ".git").read_text().removeprefix("gitdir:").strip())
            worktree = Worktree(repository, folder, git_dir)
            worktree.run("read-tree", commit)
        except (FileNotFoundError, GitFailed):
            if pause_s is None:
                raise
            time.sleep(pause_s)
        else:
            break
    return worktree


def clean_up(repository: SolutionRepository, worktrees: Path) -> list[str]:
    """Remove every worktree of this workspace; one line for each. The user's own worktrees are left alone."""
    left = {path.name for path in (worktrees.iterdir() if worktrees.is_dir() else ())} | {
        entry.name for entry in _entries(repository) if _belongs(entry, worktrees.resolve())
    }
    for name in sorted(left):
        _remove(repository, worktrees.resolve() / name)
    return [f"worktree {name}" for name in sorted(left)]


def _remove(repository: SolutionRepository, folder: Path) -> None:
    """Remove a worktree's folder and what `.git` knows of it, also where `worktree add` was killed half-way."""
    for entry in _entries(repository):
        place = _place(entry)
        if place == folder or (place is None and entry.name == folder.name):
            shutil.rmtree(entry, ignore_errors=True)
            with suppress(OSError):  # git removes the folder of all worktrees with the last one
                entry.parent.rmdir()
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder, ignore_errors=True)
    else:
        folder.unlink(missing_ok=True)


def _entries(repository: SolutionRepository) -> list[Path]:
    """What `.git` knows of linked worktrees that have a name of ours."""
    return [path for path in (repository.common_dir / "worktrees").glob(f"{PREFIX}*") if path.is_dir()]


def _belongs(entry: Path, worktrees: Path) -> bool:
    place = _place(entry)
    if place is None:  # a user's own, of such a name, may be in the making at this moment
        return time.time() - entry.stat().st_mtime > IN_THE_MAKING_S
    return place.parent == worktrees


def _place(entry: Path) -> Path | None:
    """The worktree's folder as its entry has it; None where git was killed before it wrote that."""
    try:
        content = (entry / "gitdir").read_bytes().strip()
    except FileNotFoundError:
        return None
    return Path(os.fsdecode(content)).parent if content else None
