"""Memory and process accounting by control groups, version 1 or 2: found, made, joined, read and removed.

Used by the supervisor for each run and by `sandbox.supervised` once, to find out whether control groups may be
made here at all. Knows nothing of namespaces or bwrap. Standard library only, for the supervisor.
"""

# Plain os calls throughout: this runs twenty times a second beside somebody's training.
# ruff: noqa: PTH102,PTH106,PTH110,PTH119,PTH120,PTH123
from __future__ import annotations

import os
import pathlib
import time

PREFIX = "auto-benchmark-"
_TRIAL = f"{PREFIX}trial-"


class Parents:
    """Folders below which a run's groups are made; `pids` is empty where only memory can be bounded."""

    __slots__ = ("memory", "pids", "version")

    def __init__(self, version: int, memory: str, pids: str) -> None:
        self.version = version
        self.memory = memory
        self.pids = pids


class Groups:
    """The groups of one run."""

    __slots__ = ("folders", "memory", "version")

    def __init__(self, version: int, memory: str, folders: list[str]) -> None:
        self.version = version
        self.memory = memory
        self.folders = folders

    def join(self) -> None:
        """Put the calling process in; called between fork and exec, so nothing of the run is ever outside."""
        for folder in self.folders:
            _write(f"{folder}/cgroup.procs", "0")

    def memory_used(self) -> int:
        """Bytes the run holds and cannot give back: anonymous and shared memory, without the page cache."""
        wanted = ("total_rss", "total_shmem") if self.version == 1 else ("anon", "shmem")
        values = _fields(f"{self.memory}/memory.stat")
        return sum(values.get(name, 0) for name in wanted)

    def oom_kills(self) -> int:
        """How many processes the kernel ended because the group was at its limit."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        return _fields(f"{self.memory}/{name}").get("oom_kill", 0)

    def members(self) -> list[int]:
        """Process ids in any of the groups."""
        found: set[int] = set()
        for folder in self.folders:
            found.update(int(word) for word in _read(f"{folder}/cgroup.procs").split())
        return sorted(found)

    def remove(self, patience_s: float = 1.0) -> list[str]:
        """Remove the groups, waiting a little for the kernel to let go; returns those that would not go."""
        deadline = time.monotonic() + patience_s
        left = list(self.folders)
        while left:
            left = [folder for folder in left if not _removed(folder)]
            if not left or time.monotonic() > deadline:
                break
            time.sleep(0.005)
        return left


def create(parents: Parents, name: str, memory_bytes: int, processes: int) -> Groups:
    """Make one run's groups with their limits; OSError where the kernel refuses."""
    memory = f"{parents.memory}/{PREFIX}{name}"
    folders = [memory]
    os.mkdir(memory)
    try:
        if parents.version == 2:
            _write(f"{memory}/memory.max", str(memory_bytes))
            _write_if_there(f"{memory}/memory.swap.max", "0")
            _write_if_there(f"{memory}/memory.oom.group", "1")
        else:
            _write(f"{memory}/memory.limit_in_bytes", str(memory_bytes))
            _write_if_there(f"{memory}/memory.memsw.limit_in_bytes", str(memory_bytes))
        pids = memory if parents.version == 2 else f"{parents.pids}/{PREFIX}{name}"
        if parents.pids:
            if pids != memory:
                os.mkdir(pids)
                folders.append(pids)
            _write(f"{pids}/pids.max", str(processes))
    except OSError:
        Groups(parents.version, memory, folders).remove(0.0)
        raise
    return Groups(parents.version, memory, folders)


def planned(parents: Parents, name: str) -> list[str]:
    """The folders that `create` will make, to be noted before they are there."""
    tops = [parents.memory, parents.pids] if parents.pids and parents.version == 1 else [parents.memory]
    return [f"{top}/{PREFIX}{name}" for top in tops]


def remove_dead_trials() -> list[str]:
    """Remove the groups that a process made to see whether it may, and was killed before it took them away."""
    removed = []
    for parents in candidates(_read("/proc/self/cgroup"), _read("/proc/self/mountinfo")):
        for top in {parents.memory, parents.pids} - {""}:
            for group in pathlib.Path(top).glob(f"{_TRIAL}*"):
                maker = group.name.removeprefix(_TRIAL).partition("-")[0]
                if maker.isdigit() and not os.path.exists(f"/proc/{maker}") and _removed(str(group)):
                    removed.append(f"control group {group}")
    return removed


def recorded(folders: list[str]) -> Groups:
    """The groups a run's marker names, for clearing up; anything that is not ours is left out."""
    ours = [folder for folder in folders if os.path.basename(folder).startswith(PREFIX) and "/cgroup/" in folder]
    return Groups(1, ours[0] if ours else "", ours)


def own_groups(membership: str, mounts: str) -> Groups | None:
    """The groups that a process is in, from the texts of its /proc/PID/cgroup and of our mountinfo."""
    memory = _own_folder(membership, mounts, "memory")
    if memory:
        return Groups(1, memory, [memory])
    own = _own_folder(membership, mounts, "")
    return Groups(2, own, [own]) if own else None


def candidates(membership: str, mounts: str) -> list[Parents]:
    """Where groups might be made, best first, from the texts of /proc/self/cgroup and /proc/self/mountinfo."""
    found: list[Parents] = []
    memory, pids = (_own_folder(membership, mounts, name) for name in ("memory", "pids"))
    if memory:
        found.append(Parents(1, memory, pids))
        if pids:
            found.append(Parents(1, memory, ""))
    own = _own_folder(membership, mounts, "")
    # A group that holds processes cannot hand out controllers, so the nearest ancestor that does is the parent.
    while own and not memory:
        controllers = _read(f"{own}/cgroup.subtree_control").split()
        if "memory" in controllers:
            found.append(Parents(2, own, own if "pids" in controllers else ""))
        parent = os.path.dirname(own)
        own = parent if os.path.exists(f"{parent}/cgroup.procs") else ""
    return found


def find() -> Parents | None:
    """The first place where a group can really be made, limited and joined; found out by doing it."""
    for parents in candidates(_read("/proc/self/cgroup"), _read("/proc/self/mountinfo")):
        try:
            name = f"{_TRIAL}{os.getpid()}-{time.monotonic_ns()}"
            groups = create(parents, name.removeprefix(PREFIX), 64 << 20, 8)
        except OSError:
            continue
        joined = _child_joins(groups)
        groups.remove()
        if joined:
            return parents
    return None


def _child_joins(groups: Groups) -> bool:
    """Whether a child may enter: it tries, and leaves again by ending."""
    child = os.posix_spawn(
        "/bin/sh",
        [
            "sh",
            "-c",
            'for folder; do echo 0 2>/dev/null >"$folder/cgroup.procs" || exit 1; done',
            "sh",
            *groups.folders,
        ],
        {},
    )
    return os.waitpid(child, 0)[1] == 0


def _own_folder(membership: str, mounts: str, controller: str) -> str:
    """Our own folder in the hierarchy of a version-1 controller, or of version 2 for an empty name."""
    path = ""
    for line in membership.splitlines():
        number, _, rest = line.partition(":")
        names, _, place = rest.partition(":")
        if (controller and controller in names.split(",")) or (not controller and number == "0" and not names):
            path = place
    if not path:
        return ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        kind, *details = after.split(" ")
        if kind != ("cgroup" if controller else "cgroup2"):
            continue
        if controller and controller not in details[-1].split(","):
            continue
        root, mountpoint = before.split(" ")[3:5]
        inner = path[len(root) :] if root != "/" and path.startswith(root) else path
        return (mountpoint + "/" + inner.strip("/")).rstrip("/")
    return ""


def _removed(folder: str) -> bool:
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _fields(path: str) -> dict[str, int]:
    values = {}
    for line in _read(path).splitlines():
        name, _, value = line.partition(" ")
        if value.isdigit():
            values[name] = int(value)
    return values


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _write_if_there(path: str, text: str) -> None:
    """For settings that some kernels lack, swap accounting above all."""
    try:
        _write(path, text)
    except OSError:
        return
