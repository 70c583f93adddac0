"""What a tree of processes uses, read from /proc: its members, memory, CPU time and unlinked files.

The supervisor's eyes where no control group may be made, and its CPU clock everywhere. A process may vanish
between two reads; then it counts as using nothing. Standard library only, for the supervisor.
"""

# Plain os calls throughout: this runs twenty times a second beside somebody's training.
# ruff: noqa: PTH110,PTH115,PTH116,PTH123,PTH208
from __future__ import annotations

import os

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def descendants(root: int) -> list[int]:
    """`root` and every process below it."""
    found = [root]
    for pid in found:
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        for thread in threads:
            found.extend(int(child) for child in _read(f"/proc/{pid}/task/{thread}/children").split())
    return found


def start_time(pid: int) -> int:
    """When the process started, in ticks since boot; 0 where it is gone. With the pid it names one process."""
    fields = _stat_fields(pid)
    return int(fields[19]) if len(fields) > 19 else 0


def cpu_seconds(pids: list[int]) -> float:
    """CPU time of these processes and of the children they have already waited for."""
    ticks = 0
    for pid in pids:
        fields = _stat_fields(pid)
        if len(fields) > 14:
            ticks += sum(int(value) for value in fields[11:15])
    return ticks / TICKS_PER_SECOND


def is_namespace_init(pid: int) -> bool:
    """Whether the process is the first of a pid namespace: ending it ends everything inside."""
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith("NSpid:"):
            numbers = line.split()[1:]
            return len(numbers) > 1 and numbers[-1] == "1"
    return False


def memory(pids: list[int], filesystems: int) -> int:
    """Bytes of anonymous and shared memory the processes hold, with `filesystems` bytes in their tmpfs mounts.

    Resident sizes are exact for one process and cheap. Forked processes share pages and would be counted
    double, so where more than one holds much, the proportional sizes are read instead.
    """
    anonymous: list[int] = []
    shared = 0
    for pid in pids:
        private, common = _resident(pid)
        anonymous.append(private)
        shared += common
    if len(pids) > 1 and sum(anonymous) + shared - max(anonymous) > 32 << 20:
        proportional = [_proportional(pid) for pid in pids]
        return sum(private for private, _ in proportional) + max(sum(common for _, common in proportional), filesystems)
    # A file in /dev/shm that is mapped shows up in both figures, so the larger one stands for both.
    return sum(anonymous) + max(shared, filesystems)


def tmpfs_use(init: int, folders: tuple[str, ...] = ("/tmp", "/dev/shm")) -> tuple[int, int]:  # noqa: S108 - inside
    """Bytes and files in the memory-backed folders of the sandbox whose first process is `init`.

    Until bubblewrap has changed its root that process still sees the host's folders, which are not the run's.
    """
    used = files = 0
    for folder in folders:
        inside = f"/proc/{init}/root{folder}"
        try:
            if _is_the_hosts(folder, inside):
                continue
            state = os.statvfs(inside)
        except OSError:
            continue
        used += (state.f_blocks - state.f_bfree) * state.f_frsize
        files += max(0, state.f_files - state.f_ffree - 1)
    return used, files


def _is_the_hosts(folder: str, inside: str) -> bool:
    return os.path.exists(folder) and os.path.samestat(os.stat(folder), os.stat(inside))


def unlinked_bytes(pids: list[int], device: int) -> int:
    """Bytes on `device` in files that have no name any more but are still held open."""
    seen: dict[int, int] = {}
    for pid in pids:
        folder = f"/proc/{pid}/fd"
        try:
            descriptors = os.listdir(folder)
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                if os.readlink(f"{folder}/{descriptor}").endswith(" (deleted)"):
                    state = os.stat(f"{folder}/{descriptor}")
                    if state.st_dev == device:
                        seen[state.st_ino] = state.st_blocks * 512
            except OSError:
                continue
    return sum(seen.values())


def _resident(pid: int) -> tuple[int, int]:
    sizes = _sizes(f"/proc/{pid}/status", ("RssAnon:", "VmSwap:", "RssShmem:"))
    return sizes[0] + sizes[1], sizes[2]


def _proportional(pid: int) -> tuple[int, int]:
    sizes = _sizes(f"/proc/{pid}/smaps_rollup", ("Pss_Anon:", "SwapPss:", "Pss_Shmem:"))
    return (sizes[0] + sizes[1], sizes[2]) if any(sizes) else _resident(pid)


def _sizes(path: str, names: tuple[str, ...]) -> list[int]:
    sizes = dict.fromkeys(names, 0)
    for line in _read(path).splitlines():
        words = line.split()
        if len(words) > 1 and words[0] in sizes and words[1].isdigit():
            sizes[words[0]] = int(words[1]) << 10
    return list(sizes.values())


def _stat_fields(pid: int) -> list[str]:
    """Fields of /proc/PID/stat after the name, which may itself hold spaces and brackets."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
