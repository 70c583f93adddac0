"""Programs of this host that a container starts its command with, whatever its image holds.

`timeout` ends the command where nobody else is left to do so, `env` gives it exactly the variables it is to have,
and `sh` makes its two outputs one. They run on this host's own loader and libraries, shown read-only in a folder of
their own, so an image needs none of them. Where the engine is not beside us (its kernel is not ours), there are
none. Called by `sandbox.docker_arguments`.
"""

from __future__ import annotations

import functools
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

INSIDE = "/.sandbox"
_PROGRAMS = ("/bin/sh", "/usr/bin/timeout", "/usr/bin/env")
_LOADERS = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")
_LIBRARY = re.compile(r"^\s*(\S+) => (/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Tools:
    """(host path, name below `INSIDE`) of every file; `start` is what stands before a program's name there."""

    files: tuple[tuple[str, str], ...]

    def words(self, program: str) -> list[str]:
        """The beginning of a command line that starts one of the programs."""
        return [f"{INSIDE}/loader", "--library-path", INSIDE, f"{INSIDE}/{program}"]


@functools.cache
def find() -> Tools | None:
    """The tools of this host; None where it has no usual loader or lacks one of the programs."""
    loader = next((path for path in _LOADERS if Path(path).exists()), None)
    if loader is None or not all(Path(program).exists() for program in _PROGRAMS):
        return None
    files = {"loader": _real(loader)}
    for program in _PROGRAMS:
        files[Path(program).name] = _real(program)
        listed = subprocess.run(
            [loader, "--list", program], capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
        if listed.returncode != 0 or "not found" in listed.stdout:
            return None
        files |= {name: _real(path) for name, path in _LIBRARY.findall(listed.stdout)}
    return Tools(tuple((path, name) for name, path in sorted(files.items())))


def _real(path: str) -> str:
    return str(Path(path).resolve())
