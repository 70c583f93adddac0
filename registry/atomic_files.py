"""Replaces a file so that a reader or a crash sees the old content or the new, never a part.

Called for every document of the workspace that is rewritten.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path

from registry.errors import BadInput, Problem, Retryable

_PASSING = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_NEW_FILE_MODE = 0o644


def write_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text through a synced temporary file in the same folder; an existing file keeps its mode.

    A symbolic link stays one: what it points to is replaced. Raises Retryable where the disk is full or failing,
    BadInput where the place cannot be written at all; the old content stands in both cases.
    """
    content = text.encode("utf-8")
    try:
        _replace(path.resolve(), content)
    except RuntimeError as error:
        raise BadInput(Problem(str(path), "a symbolic link that leads to itself", "a file")) from error
    except OSError as error:
        reason = error.strerror or "an error of the system"
        if error.errno in _PASSING:
            raise Retryable(f"{path}: cannot be written now ({reason}); the old content is untouched") from error
        raise BadInput(Problem(str(path), reason, "a place that can be written")) from error


def _replace(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123  (a descriptor is no path)
            os.fchmod(descriptor, stat.S_IMODE(path.stat().st_mode) if path.exists() else _NEW_FILE_MODE)
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
