"""The control groups of a container on this host: where they are, and what they say of the run.

A container's own groups vanish with its last process, and with them the account of a run that took a moment. So
the engine is asked to put each container below a group of its own, whose figures stay until we remove it. That
takes root, an engine that makes plain groups, and the hierarchies mounted whole; otherwise the container's groups
are read while they are there. Called by `sandbox.docker_runs` and, for clearing up, by the guard and `reap`.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from sandbox import cgroups

_REMOVAL_S = 2.0


def parent_name(name: str) -> str:
    """The group, absolute in every hierarchy, below which the engine makes the container's."""
    return f"/{cgroups.PREFIX}{name}"


def may_have_parents(driver: str) -> bool:
    """Whether a group of ours can be above the container's, and removed again by us."""
    folders = hierarchies()
    return driver == "cgroupfs" and os.geteuid() == 0 and bool(folders) and all(os.access(f, os.W_OK) for f in folders)


def hierarchies(mounts: str | None = None) -> list[str]:
    """Where control groups are mounted whole, from the text of /proc/self/mountinfo."""
    text = Path("/proc/self/mountinfo").read_text(errors="replace") if mounts is None else mounts
    found = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        if after.split(" ")[0] in ("cgroup", "cgroup2") and before.split(" ")[3] == "/":
            found.append(before.split(" ")[4])
    return found


def of_process(pid: int, container: str) -> cgroups.Groups | None:
    """The container's groups, by its first process; None where that is not (or no more) a process of this host."""
    try:
        membership = Path(f"/proc/{pid}/cgroup").read_text(errors="replace")
        mounts = Path("/proc/self/mountinfo").read_text(errors="replace")
    except OSError:
        return None
    if container not in membership:
        return None
    found = cgroups.own_groups(membership, mounts)
    return found if found is not None and Path(found.memory, "cgroup.procs").exists() else None


class Parent:
    """The group of ours above one container's."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._folders = [folder + name for folder in hierarchies()]

    def cpu_seconds(self) -> float:
        """CPU time of everything that ever ran in it."""
        for folder in self._folders:
            if text := _read(f"{folder}/cpuacct.usage"):
                return int(text) / 1e9
            for line in _read(f"{folder}/cpu.stat").splitlines():
                if line.startswith("usage_usec "):
                    return int(line.split()[1]) / 1e6
        return 0.0

    def most_memory(self) -> int:
        """Most bytes held at once, without the files that were read and are still in memory.

        Files that were read and have gone from memory since count as held, so this serves runs of a moment only.
        """
        for folder in self._folders:
            peak = _read(f"{folder}/memory.max_usage_in_bytes") or _read(f"{folder}/memory.peak")
            if peak:
                fields = dict(line.partition(" ")[::2] for line in _read(f"{folder}/memory.stat").splitlines())
                cached = int(fields.get("total_cache") or fields.get("file") or 0)
                shared = int(fields.get("total_shmem") or fields.get("shmem") or 0)
                return max(0, int(peak) - cached + shared)
        return 0

    def remove(self) -> list[str]:
        """Remove it in every hierarchy, waiting a little for the engine to be done; returns what would not go."""
        deadline = time.monotonic() + _REMOVAL_S
        left = [folder for folder in self._folders if Path(folder).is_dir()]
        while left:
            left = [folder for folder in left if not _removed(Path(folder))]
            if not left or time.monotonic() > deadline:
                break
            time.sleep(0.01)
        return left


def remove_parent(name: str) -> list[str]:
    """Clear the group of a dead orchestrator's container; a name that is not ours is left alone."""
    if os.path.basename(name).startswith(cgroups.PREFIX) and name.count("/") == 1:  # noqa: PTH119 - no file
        return Parent(name).remove()
    return []


def is_there(name: str) -> bool:
    """Whether the group of this name is left in any hierarchy."""
    return any(Path(folder + name).is_dir() for folder in hierarchies())


def _removed(folder: Path) -> bool:
    try:
        # An engine that was killed with the container leaves the container's own group behind.
        for child in folder.iterdir():
            if child.is_dir():
                child.rmdir()
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
