"""A container's file system of its own for its output, so that the kernel stops it at its disk limit.

A container engine sees only what is mounted in its own mount namespace, so the file system of `sandbox.hard_disk` is
mounted for all, over the run's output folder, and taken down again after the run. Which folder that is stands in a
note from before the mount, so that the mounts of killed orchestrators are found; only what a note names is ever taken
down. Needs root and an engine beside us; elsewhere the folder is watched. Called by `sandbox.docker_engine` for each
run, and by `sandbox.docker_leftovers`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sandbox import hard_disk
from sandbox.hard_disk import Disk
from sandbox.watching import Job

_NOTE = "mounted-over"
_ENGINES = ("dockerd", "containerd")
_MOUNTS = Path("/proc/self/mountinfo")


def engine_sees_mounts() -> bool:
    """Whether an engine runs here that sees what we mount: with one that does not, outputs would be lost."""
    ours = Path("/proc/self/ns/mnt").readlink()
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        name = ""
        with suppress(OSError):
            name = (folder / "comm").read_text(errors="replace").strip()
        if name not in _ENGINES:
            continue
        try:
            # Any program may take this name, but candidates are never root.
            if not re.search(r"^Uid:\s+0\s+0\s", (folder / "status").read_text(errors="replace"), re.MULTILINE):
                continue
            if (folder / "ns" / "mnt").readlink() != ours:
                return False
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError:
            return False
        found.add(name)
    return "dockerd" in found


@contextmanager
def mounted(job: Job, scratch: Path, orchestrator: str) -> Iterator[Disk | None]:
    """For the length of one run, a file system over its output folder; None where none is wanted or can be had.

    `scratch` is the run's folder for small files, where the note goes. OSError where it cannot be taken down.
    """
    disk = _mount(job, scratch / _NOTE, orchestrator) if job.disk_template else None
    try:
        yield disk
    finally:
        if disk is not None:
            disk.close()


def _mount(job: Job, note: Path, orchestrator: str) -> Disk | None:
    out = os.path.realpath(job.out)
    note.write_bytes(orchestrator.encode() + b"\n" + os.fsencode(out))
    try:
        return Disk(job.disk_template, out, job.uid, for_all=True)
    except OSError:
        note.unlink()
        return None


def orchestrator_of(scratch: Path) -> str | None:
    """Whose mount the note in this folder tells of; None where there is no note."""
    noted = _noted(scratch)
    return noted[0] if noted is not None else None


def clear(scratch: Path) -> Iterator[str]:
    """Take down the mount that the note in this folder names, if it is one of ours; yields a line where it was."""
    noted = _noted(scratch)
    if noted is None or not _is_ours(noted[1]):
        return
    with suppress(OSError):  # somebody else may be taking it down in this moment
        hard_disk.unmount(noted[1])
        yield f"mount {noted[1]}"


def is_mounted(scratch: Path) -> bool:
    """Whether what the note in this folder tells of is still there."""
    noted = _noted(scratch)
    return noted is not None and _is_ours(noted[1])


def _noted(scratch: Path) -> tuple[str, str] | None:
    try:
        orchestrator, _, out = (scratch / _NOTE).read_bytes().partition(b"\n")
    except OSError:
        return None
    return orchestrator.decode(errors="replace"), os.fsdecode(out)


def _is_ours(out: str) -> bool:
    """Whether exactly this folder is the place of a file system on a loop device."""
    for line in _MOUNTS.read_bytes().splitlines():
        before, _, after = line.partition(b" - ")
        place = re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), before.split(b" ")[4])
        if place == os.fsencode(out) and re.match(rb"ext4 /dev/loop[0-9]+ ", after):
            return True
    return False
