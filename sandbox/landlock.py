"""A second layer on file access for the backend without bubblewrap: Landlock, where the kernel has it.

The mounts already show nothing else; should a hole in our set-up leave something of the host within reach, Landlock
still refuses it, because rights follow the folders of the new root and nothing above them. Called by
`sandbox.launcher` in the process that becomes the command. Built-in modules only.
"""

# Here os is right: pathlib takes longer to import than everything else that happens before the command starts.
# ruff: noqa: PTH112
from __future__ import annotations

import os
import struct

from sandbox import kernel_calls as kernel

OLDEST = 2
"""Version 1 refuses to rename from one folder into another, which training code does."""
WRITABLE = ("/work", "/tmp", "/dev/shm")  # noqa: S108 - inside
_READ = 0b1101
"""Execute, read a file, list a folder."""
_WRITE_FILE, _TRUNCATE, _DEVICE_CONTROL = 1 << 1, 1 << 14, 1 << 15
_ALL_OF_VERSION = {2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_NEWEST = 5
_SCOPED_SINCE = 6
_SCOPES = 0b11
"""Abstract unix sockets and signals: neither leads to a process outside."""


def usable_version() -> int:
    """The version that is enforced here; 0 where there is none or one that is too old."""
    version = kernel.landlock_version()
    return version if version >= OLDEST else 0


def enforce() -> None:
    """Restrict this process for good, as far as this kernel can; nothing where it cannot at all."""
    version = usable_version()
    if not version:
        return
    handled = _ALL_OF_VERSION[min(version, _NEWEST)]
    wanted = struct.pack("=QQQ", handled, 0, _SCOPES) if version >= _SCOPED_SINCE else struct.pack("=Q", handled)
    rules = kernel.landlock_rules(wanted)
    _allow(rules, "/", _READ)
    _allow(rules, "/dev", handled & (_READ | _WRITE_FILE | _TRUNCATE | _DEVICE_CONTROL))
    for folder in WRITABLE:
        if os.path.isdir(folder):
            _allow(rules, folder, handled)
    kernel.landlock_enforce(rules)
    os.close(rules)


def _allow(rules: int, folder: str, access: int) -> None:
    place = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    kernel.landlock_allow(rules, access, place)
    os.close(place)
