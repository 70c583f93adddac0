"""Folders that a stranger's program has filled: what is in them, and how to be rid of them.

Both go through folder descriptors and follow no link, so nothing outside the folder is ever touched. Called by
`sandbox.supervised` for the manifest, and by whoever deletes a run's folders. Not for a running sandbox.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from registry.errors import BadInput, Problem
from sandbox.contract import OutputFile

MAX_DEPTH = 64
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
_LINK = "a symbolic link"


@dataclass(slots=True)
class Collected:
    """Regular files found, and one line for each kind of thing that was left out."""

    files: list[OutputFile] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    bytes: int = 0
    complete: bool = True
    """Nothing was left out because it was too much."""
    unwanted: Callable[[], bool] | None = None

    def ignore(self, path: str, why: str) -> None:
        """Remember the first few; the rest only count."""
        if len(self.ignored) < 10:
            self.ignored.append(f"ignored {ascii(path)[1:-1]}: {why}")


def collect(
    out: Path,
    max_files: int,
    max_bytes: int,
    onward: int | None = None,
    unwanted: Callable[[], bool] | None = None,
) -> Collected:
    """Every regular file with one link, with size and sha256, within the bounds.

    What was found is made ours and readable on the way: another run, under another user id, may be given it. With
    `onward`, the descriptor of an empty folder of our own, what was found is written there too, and nothing else but
    symbolic links, which are in no manifest but which a later phase of the same code may go by (`last -> epoch-3`).
    InterruptedError as soon as `unwanted` says that nobody waits for it any more.
    """
    found = Collected(unwanted=unwanted)
    handle = os.open(out, _HANDLE | os.O_DIRECTORY)
    try:
        _make_ours(handle, 0o755)
    finally:
        os.close(handle)
    top = os.open(out, _FOLDER)
    try:
        _collect_folder(top, "", 0, found, (max_files, max_bytes), onward)
    finally:
        os.close(top)
    found.files.sort(key=lambda file: file.path)
    return found


def give(out: Path, uid: int) -> None:
    """Make `out`, and what a run before may have left in it, the property of `uid`."""
    top = os.open(out, _FOLDER)
    try:
        _give_folder(top, uid, 0)
    finally:
        os.close(top)


def _give_folder(folder: int, uid: int, depth: int) -> None:
    os.chown(folder, uid, uid)
    with os.scandir(folder) as entries:
        for entry in entries:
            os.chown(entry.name, uid, uid, dir_fd=folder, follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False) and depth < MAX_DEPTH:
                child = os.open(entry.name, _FOLDER, dir_fd=folder)
                try:
                    _give_folder(child, uid, depth + 1)
                finally:
                    os.close(child)


def _collect_folder(
    folder: int, path: str, depth: int, found: Collected, bounds: tuple[int, int], onward: int | None
) -> None:
    for name in sorted(os.listdir(folder)):
        inner = f"{path}/{name}" if path else name
        if len(found.files) >= bounds[0] or found.bytes > bounds[1]:
            found.ignore(inner, "beyond the limits of the run")
            found.complete = False
            return
        handle = os.open(name, _HANDLE, dir_fd=folder)
        try:
            state = os.fstat(handle)
            if why := _why_not(state, name, depth):
                found.ignore(inner, why)
                if onward is not None and why == _LINK:
                    os.symlink(os.readlink(name, dir_fd=folder), name, dir_fd=onward)
                continue
            if stat.S_ISDIR(state.st_mode):
                _make_ours(handle, 0o755)
                child = os.open(name, _FOLDER, dir_fd=folder)
                copy = _new_folder(name, onward) if onward is not None else None
                try:
                    _collect_folder(child, inner, depth + 1, found, bounds, copy)
                finally:
                    os.close(child)
                    if copy is not None:
                        os.close(copy)
            else:
                mode = 0o755 if state.st_mode & 0o100 else 0o644
                _make_ours(handle, mode)
                _collect_file(folder, name, inner, found, bounds[1], onward, mode)
        finally:
            os.close(handle)


def _new_folder(name: str, onward: int) -> int:
    os.mkdir(name, 0o755, dir_fd=onward)
    return os.open(name, _FOLDER, dir_fd=onward)


def _collect_file(
    folder: int, name: str, path: str, found: Collected, max_bytes: int, onward: int | None, mode: int
) -> None:
    descriptor = os.open(name, _FILE, dir_fd=folder)
    copy = -1
    try:
        size = os.fstat(descriptor).st_size
        if found.bytes + size > max_bytes:
            found.ignore(path, "beyond the limits of the run")
            found.complete = False
            return
        if onward is not None:
            copy = os.open(name, _NEW_FILE, mode, dir_fd=onward)
        digest = hashlib.sha256()
        while chunk := os.read(descriptor, _CHUNK):
            if found.unwanted is not None and found.unwanted():
                raise InterruptedError
            digest.update(chunk)
            _write(copy, chunk)
    finally:
        os.close(descriptor)
        if copy >= 0:
            os.close(copy)
    found.bytes += size
    found.files.append(OutputFile(path, size, digest.hexdigest()))


def _write(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk) if descriptor >= 0 else b""
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _why_not(state: os.stat_result, name: str, depth: int) -> str:
    if not name.isprintable() or "\\" in name or not _is_unicode(name):
        return "a name with odd characters"
    if stat.S_ISDIR(state.st_mode):
        return "" if depth < MAX_DEPTH else "folders nested too deeply"
    if stat.S_ISLNK(state.st_mode):
        return _LINK
    if not stat.S_ISREG(state.st_mode):
        return "no regular file"
    return "" if state.st_nlink == 1 else "a file with several links"


def _is_unicode(name: str) -> bool:
    """File names are bytes; those that are no UTF-8 come with lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def remove_tree(path: Path) -> None:
    """Delete `path` and everything below: any depth, any mode, any number of entries, any owner we may act for.

    Folders inside folders are moved up to the top before their parent goes, so depth costs neither descriptors nor
    path length. BadInput where the system will not let us.
    """
    try:
        top = os.open(path, _HANDLE)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(top).st_mode):
            raise BadInput(Problem(str(path), "no folder", "a folder to delete"))
        _open_up(top)
        top_folder = os.open(path, _FOLDER)
        try:
            _empty(top_folder)
        finally:
            os.close(top_folder)
        path.rmdir()
    except OSError as error:
        found = f"{error.strerror or error} at {error.filename!a}"
        raise BadInput(
            Problem(str(path), found, "a folder that can be deleted", fix=f"sudo rm -rf '{path}'")
        ) from error
    finally:
        os.close(top)


def _empty(top: int) -> None:
    moved = 0
    waiting = _unlink_files(top)
    while waiting:
        name = waiting.pop()
        child = _open_child(top, name)
        try:
            for inner in _unlink_files(child):
                # Moving a folder rewrites its `..`, which needs the right to write in it.
                _open_up_named(child, inner)
                while _exists(top, place := f".gone-{moved}"):
                    moved += 1
                os.rename(inner, place, src_dir_fd=child, dst_dir_fd=top)
                waiting.append(place)
        finally:
            os.close(child)
        os.rmdir(name, dir_fd=top)


def _unlink_files(folder: int) -> list[str]:
    """Delete what is no folder; returns the names of the folders."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=folder)
    return folders


def _open_child(folder: int, name: str) -> int:
    _open_up_named(folder, name)
    return os.open(name, _FOLDER, dir_fd=folder)


def _open_up_named(folder: int, name: str) -> None:
    handle = os.open(name, _HANDLE | os.O_DIRECTORY, dir_fd=folder)
    try:
        _open_up(handle)
    finally:
        os.close(handle)


def _open_up(handle: int) -> None:
    """Give the owner every right on a folder, without which its entries cannot be listed or removed."""
    state = os.fstat(handle)
    if state.st_mode & 0o700 != 0o700 and state.st_uid == os.geteuid():
        Path(f"/proc/self/fd/{handle}").chmod(0o700)


def _make_ours(handle: int, mode: int) -> None:
    """Owner and mode of a file or folder as if we had written it; the sandbox is gone, nothing can interfere."""
    state = os.fstat(handle)
    place = Path(f"/proc/self/fd/{handle}")
    if os.geteuid() == 0 and (state.st_uid, state.st_gid) != (0, 0):
        os.chown(place, 0, 0)
    if stat.S_IMODE(state.st_mode) != mode:
        place.chmod(mode)


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
