"""What runs leave behind when their supervisor is killed too, and how it is found and removed.

Each run has a marker file in the state folder, written and locked by its supervisor and removed by it at the end.
A marker that nobody locks belongs to a dead supervisor. Called by `sandbox.supervised`.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import cgroups, processes

_PATIENCE_S = 3.0


@dataclass(slots=True)
class Marker:
    """One marker's content; a process is (pid, start time), which names it even if the pid is used again."""

    who: dict[str, tuple[int, int]] = field(default_factory=dict)
    cgroups: list[str] = field(default_factory=list)


def clear_dead(folder: Path) -> Iterator[str]:
    """Remove what runs of dead orchestrators left; yields a line for each thing removed."""
    for path in sorted(folder.glob("*.run")) if folder.is_dir() else []:
        marker = _read(path)
        if _alive(marker, "orchestrator"):
            continue
        if not _wait_until_free(path) and _alive(marker, "supervisor"):
            os.kill(marker.who["supervisor"][0], signal.SIGKILL)
            yield f"supervisor {marker.who['supervisor'][0]}"
            _wait_until_free(path)
        yield from clear_run(path)


def clear_run(path: Path) -> Iterator[str]:
    """Remove one run whose supervisor is dead: its processes, its control groups and its marker."""
    with _lock(path) as locked:
        if not locked:
            return
        marker = _read(path)
        if _alive(marker, "init"):
            yield f"process {marker.who['init'][0]}"
        _end_processes(marker)
        groups = cgroups.recorded(marker.cgroups)
        for folder in groups.folders:
            if Path(folder).is_dir():
                yield f"control group {folder}"
        if not groups.remove():
            path.unlink(missing_ok=True)
            yield f"marker {path.name}"


def _end_processes(marker: Marker) -> None:
    groups = cgroups.recorded(marker.cgroups)
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        pids = groups.members()
        if _alive(marker, "init"):
            pids.append(marker.who["init"][0])
        if not pids:
            return
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _read(path: Path) -> Marker:
    marker = Marker()
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return marker
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == "cgroup":
            marker.cgroups.append(value)
            continue
        pid, _, start = value.partition(" ")
        if pid.isdigit() and start.isdigit():
            marker.who[name] = (int(pid), int(start))
    return marker


def _alive(marker: Marker, name: str) -> bool:
    pid, start = marker.who.get(name, (0, 0))
    return pid > 1 and start > 0 and processes.start_time(pid) == start


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Whether the marker could be locked, which a living supervisor prevents."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _wait_until_free(path: Path) -> bool:
    """A supervisor whose orchestrator has just died is clearing up; give it the time."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        with _lock(path) as locked:
            if locked or not path.exists():
                return True
        time.sleep(0.02)
    return False
