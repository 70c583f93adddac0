"""What a candidate left in a folder: whether all of it is plain files, and one hash over them.

Called by `experiments.phases` before an evaluator sees the folder.
"""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path


def no_plain_file(folder: Path) -> str:
    """The first thing in a candidate's output that could show the evaluator another file, such as the labels."""
    for path in sorted(folder.rglob("*")):
        mode = path.lstat()
        if not (stat.S_ISDIR(mode.st_mode) or (stat.S_ISREG(mode.st_mode) and mode.st_nlink == 1)):
            return ascii(path.relative_to(folder).as_posix())
    return ""


def folder_digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            total.update(path.relative_to(folder).as_posix().encode() + b"\0")
            with path.open("rb") as stream:
                total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()
