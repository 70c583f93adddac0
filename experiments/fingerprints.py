"""SHA-256 of files and folders, read again only where a file's state on disk has changed.

Called by `experiments.trees` for what a run is shown and by `experiments.installed` for what an interpreter has. The
state is mode, inode, size and both times, so that a file put in another's place with its size and its time is noticed.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

State = tuple[int, int, int, int, int]
"""Mode, inode, size, time of change of the content and of the entry, both in nanoseconds."""
SETTLES_NS = 50_000_000
"""A file younger than this is read again: within one tick of the file system's clock it could change unnoticed."""


class Fingerprints:
    """Hashes by path; safe for several threads."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[State, str]] = {}
        self._lock = threading.Lock()

    def file(self, path: str, state: State | None = None) -> str:
        """SHA-256 of one file's content, or of where a link leads whose own state is given; OSError where it cannot be
        read."""
        found = state or state_of(os.stat(path))  # noqa: PTH116 - one call for each of many files
        known = self._known.get(path)
        if known is not None and known[0] == found:
            return known[1]
        if stat.S_ISLNK(found[0]):
            sha256 = hashlib.sha256(b"-> " + os.fsencode(os.readlink(path))).hexdigest()  # noqa: PTH115
        else:
            with open(path, "rb") as stream:  # noqa: PTH123
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        with self._lock:
            if time.time_ns() - max(found[3], found[4]) > SETTLES_NS:
                self._known[path] = (found, sha256)
            else:
                self._known.pop(path, None)
        return sha256

    def folder(self, folder: Path) -> dict[str, str]:
        """SHA-256 of every file below a folder by its relative path, in the order of the paths' parts."""
        top = str(folder)
        files = sorted(walk(top), key=lambda found: found[0].split("/"))
        return {name: self.file(f"{top}/{name}", state) for name, state in files}


def state_of(found: os.stat_result) -> State:
    """What of a file's state tells that it is another, or has another content."""
    return found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def walk(top: str, skip: str = "", follow: bool = True) -> Iterator[tuple[str, State]]:
    """Every file below a folder with its state; links to files count as what they lead to, links to folders not at all.

    `skip` is a folder's name that is left out wherever it is. Without `follow` every link counts as a link: for what a
    stranger has filled, whose links may lead anywhere.
    """
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        with os.scandir(f"{top}/{prefix}") as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != skip:
                        waiting.append(f"{prefix}{entry.name}/")
                    continue
                try:
                    found = entry.stat(follow_symlinks=follow)
                except FileNotFoundError:
                    continue  # a link that leads nowhere
                if stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode):
                    yield f"{prefix}{entry.name}", state_of(found)


def total(files: dict[str, str]) -> str:
    """One hash over names and hashes."""
    digest = hashlib.sha256()
    for name, sha256 in files.items():
        digest.update(os.fsencode(name) + b"\0" + bytes.fromhex(sha256))
    return digest.hexdigest()
