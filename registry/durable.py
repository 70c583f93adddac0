"""Writing that is there entirely or not at all, and stays after a power cut.

Called by everything in this package that writes a file. Where there is no room the old content stays untouched and
DiskFull is raised; a place that cannot be written is BadInput; other errors pass through after the same clean-up.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from registry.errors import BadInput, DiskFull, Problem

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NOT_HERE = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ENAMETOOLONG,
    }
)
NEW_FILE_MODE = 0o666
"""Narrowed by the process's umask, as for any file a program creates."""


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace `path` by `content`: readers see the old file or the new one, never a part. Keeps the file's mode.

    A symbolic link stays one; the file it names is replaced.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.tmp")
    with writing(target):
        mode = _mode_of(target)
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, NEW_FILE_MODE)
            try:
                if mode is not None:
                    os.fchmod(handle, mode)
                _write_all(handle, data)
                os.fsync(handle)
            finally:
                os.close(handle)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_folder(target.parent)


def append_line(path: Path, line: str) -> None:
    """Add one line to a text file, made if absent; a last line without its end is ended first."""
    if "\n" in line.removesuffix("\n"):
        raise ValueError("append_line takes one line")
    data = line.removesuffix("\n").encode("utf-8") + b"\n"
    existed = path.exists()
    handle = open_to_write(path, os.O_RDWR | os.O_APPEND)
    try:
        end = os.fstat(handle).st_size
        if end and os.pread(handle, 1, end - 1) != b"\n":
            data = b"\n" + data
        append_whole(handle, data, path)
    finally:
        os.close(handle)
    if not existed:
        fsync_folder(path.parent)


def append_whole(handle: int, data: bytes, path: Path) -> None:
    """Append `data` to an open file and flush it to the device, or leave the file as it was and raise."""
    end = os.fstat(handle).st_size
    with writing(path):
        try:
            _write_all(handle, data)
            os.fsync(handle)
        except BaseException:
            # Cutting back needs no room; if even that fails, the first error is the one worth telling.
            with suppress(OSError):
                os.ftruncate(handle, end)
                os.fsync(handle)
            raise


def open_to_write(path: Path, flags: int) -> int:
    """`os.open` for a file of the workspace, made if absent."""
    with writing(path):
        return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, NEW_FILE_MODE)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, where they are not there yet."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what an operating system says of a place into what a person can act on: DiskFull or BadInput."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise DiskFull(f"{path}: no room to write ({error.strerror}); free some space and repeat") from error
        if error.errno in NOT_HERE:
            found = f"a place that cannot be written ({error.strerror})"
            fix = "check the folder's owner and permissions, or name another workspace"
            raise BadInput(Problem(str(path), found, "a place this user may write", fix=fix)) from error
        raise


def fsync_folder(folder: Path) -> None:
    """Make names created or replaced in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _mode_of(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None
