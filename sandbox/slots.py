"""User ids for candidates where the orchestrator is root: one per concurrent run on this host.

A user id of its own keeps one run's process count and files apart from another's. A slot is a lock on a file, so
it frees itself when its holder dies; the supervisor inherits the lock and holds it to the end of its run. The same
locks keep two runs off one GPU, for memory groups do not bound GPU memory. Called by `sandbox.supervised`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox.contract import SandboxUnavailable

_FIRST_UID = 1_900_000_000
"""Above every range that distributions, systemd and container engines hand out."""
_SLOTS = 1024
_LOCKS = Path("/run/auto-benchmark-sandbox")


@dataclass(frozen=True, slots=True)
class Slot:
    """A user id nobody else uses now; `lock` is the descriptor that says so."""

    uid: int
    lock: int


@contextlib.contextmanager
def hold_slot() -> Iterator[Slot]:
    """Take the first free slot of the host; for root only."""
    first = _first_uid(Path("/proc/self/uid_map").read_text(encoding="ascii"))
    for number in range(_SLOTS):
        lock = _try_lock(f"slot-{number}")
        if lock is None:
            continue
        try:
            yield Slot(first + number, lock)
        finally:
            os.close(lock)
        return
    raise SandboxUnavailable(f"all {_SLOTS} sandbox slots of this host are taken (locks in {_LOCKS})")


@contextlib.contextmanager
def hold_gpus(minors: tuple[int, ...], cancel: threading.Event) -> Iterator[tuple[int, ...]]:
    """Wait until these GPUs are free of other sandboxes, or until `cancel`; yields the locks held.

    Locks are taken in ascending order, so that two runs that want the same pair never wait for each other.
    """
    locks: list[int] = []
    try:
        for minor in sorted(set(minors)):
            while (lock := _try_lock(f"gpu-{minor}")) is None and not cancel.is_set():
                time.sleep(0.1)
            if lock is not None:
                locks.append(lock)
        yield tuple(locks)
    finally:
        for lock in locks:
            os.close(lock)


def _first_uid(uid_map: str) -> int:
    """The usual first id, or near the end of what this user namespace maps (a container's root)."""
    ranges = [(int(inside), int(length)) for inside, _, length in (line.split() for line in uid_map.splitlines())]
    if any(inside <= _FIRST_UID and inside + length >= _FIRST_UID + _SLOTS for inside, length in ranges):
        return _FIRST_UID
    inside, length = max(ranges, key=lambda pair: pair[0] + pair[1])
    if length <= _SLOTS:
        raise SandboxUnavailable("too few user ids are mapped into this container to give candidates their own")
    return inside + length - _SLOTS - 2


def _try_lock(name: str) -> int | None:
    folder = _LOCKS if os.geteuid() == 0 else Path(f"/tmp/auto-benchmark-sandbox-{os.geteuid()}")  # noqa: S108 - own, 0700
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SandboxUnavailable(f"locks cannot be kept in {folder}: {error.strerror}") from error
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        raise SandboxUnavailable(f"{folder} belongs to somebody else; remove it")
    descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
