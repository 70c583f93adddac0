"""Real git repositories for the tests of branches, trees and checks: how one is made and what stands in it."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "A User",
    "GIT_AUTHOR_EMAIL": "user@example.org",
    "GIT_COMMITTER_NAME": "A User",
    "GIT_COMMITTER_EMAIL": "user@example.org",
    "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
    "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
}
FILES = {
    "train.py": "LEARNING_RATE = 0.1\n",
    "evaluate.py": "print('scores')\n",
    "configs/production.yaml": "train:\n  epochs: 3\n",
    "data/dev/labels": "1\n2\n",
}
DATE = "2026-03-04T05:06:07+00:00"


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise AssertionError(f"git {arguments}: {done.stderr}")
    return done.stdout.strip()


def write(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def commit(root: Path, files: dict[str, str], message: str = "change") -> str:
    write(root, files)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", message)
    return git(root, "rev-parse", "HEAD")


def make(root: Path, files: dict[str, str] | None = None) -> Path:
    root.mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root, files or FILES, "start")
    return root


def picture(root: Path, *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Every file, link and folder under root with its mode, time and content, but for the prefixes named."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.startswith(without):
            continue
        status = path.lstat()
        content = b"" if path.is_dir() or path.is_symlink() else path.read_bytes()
        time = 0 if path.is_dir() else status.st_mtime_ns
        found[name] = f"{status.st_mode:o} {time} {hashlib.sha256(content).hexdigest()}"
    return found
