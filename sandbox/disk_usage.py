"""How much a folder holds right now, while a stranger's program may be changing it under our feet.

Used by the supervisor every tenth of a second and once after the end. Walks through folder descriptors, follows
no symbolic link, and stops as soon as the answer is "too much". Standard library only, for the supervisor.
"""

# Plain os calls throughout: this runs twenty times a second beside somebody's training.
# ruff: noqa: PTH101
from __future__ import annotations

import os

MAX_DEPTH = 64
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Usage:
    """Bytes allocated (folders included), entries, and whether folders are nested beyond `MAX_DEPTH`."""

    __slots__ = ("bytes", "files", "too_deep")

    def __init__(self) -> None:
        self.bytes = 0
        self.files = 0
        self.too_deep = False


def measure(folder: str, max_bytes: int, max_files: int) -> Usage:
    """Count until the whole folder is counted or one of the bounds is passed."""
    usage = Usage()
    first = os.open(folder, _FOLDER)
    open_folders = [first]
    waiting = [_count(first, usage, max_files)]
    try:
        while open_folders and usage.bytes <= max_bytes and usage.files <= max_files:
            if not waiting[-1]:
                os.close(open_folders.pop())
                waiting.pop()
            elif len(open_folders) > MAX_DEPTH:
                usage.too_deep = True
                waiting[-1].clear()
            else:
                child = _open_folder(waiting[-1].pop(), open_folders[-1])
                if child is not None:
                    open_folders.append(child)
                    waiting.append(_count(child, usage, max_files))
    finally:
        for descriptor in open_folders:
            os.close(descriptor)
    return usage


def _count(descriptor: int, usage: Usage, max_files: int) -> list[str]:
    """Add one folder's entries to `usage`; returns the names of its folders."""
    folders = []
    with os.scandir(descriptor) as entries:
        for entry in entries:
            try:
                state = entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
            except OSError:
                continue
            usage.files += 1
            usage.bytes += state.st_blocks * 512
            if usage.files > max_files:
                break
    return folders


def _open_folder(name: str, parent: int) -> int | None:
    """The folder `name`, made readable where its owner (the run) has taken our right to look away."""
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except PermissionError:
        pass
    except OSError:
        return None
    try:
        handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
        try:
            os.chmod(f"/proc/self/fd/{handle}", 0o700)
        finally:
            os.close(handle)
        return os.open(name, _FOLDER, dir_fd=parent)
    except OSError:
        return None
