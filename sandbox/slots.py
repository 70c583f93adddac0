"""What one run has to itself on this host: a user id where the orchestrator is root, and GPUs or shares of one.

A user id of its own keeps one run's process count and files apart from another's. A slot is a lock on a file, so
it frees itself when its holder dies; the supervisor inherits the lock and holds it to the end of its run. The same
locks keep two runs off one GPU, for memory groups do not bound GPU memory. Called by the backends; GPUs are lent for
a run of several sandboxes by `experiments.gpu_pool`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from sandbox.contract import SandboxUnavailable

_FIRST_UID = 1_900_000_000
"""Above every range that distributions, systemd and container engines hand out."""
_SLOTS = 1024
_LOCKS = Path("/run/auto-benchmark-sandbox")
GPU_PARTS = 12
"""Parts of a GPU that shares are counted in, so that halves, thirds and quarters of several nights add up."""
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Slot:
    """A user id nobody else uses now; `lock` is the descriptor that says so."""

    uid: int
    lock: int


@dataclass(frozen=True, slots=True)
class _Lease:
    """GPUs that this thread's run holds, and the descriptors that say so."""

    minors: tuple[int, ...]
    locks: tuple[int, ...]


_LENT: ContextVar[_Lease | None] = ContextVar("gpus lent to the run of this thread", default=None)


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
def lend_gpus(
    among: Sequence[int], count: int, cancel: threading.Event, parts: int = GPU_PARTS
) -> Iterator[tuple[int, ...]]:
    """Wait until `count` of these GPUs are free, and lend them to what this thread runs; yields their minors.

    `parts` below `GPU_PARTS` takes only that share of one GPU, beside the shares of others; all of them excludes
    every share. Yields nothing where `cancel` ended the wait. Every sandbox that this thread starts meanwhile for
    these GPUs finds them lent (`hold_gpus`). No order is kept among those who wait.
    """
    if not 0 < count <= len(among) or not 0 < parts <= GPU_PARTS or (parts < GPU_PARTS and count > 1):
        raise ValueError(f"{count} times {parts} of {GPU_PARTS} parts cannot be had of {len(among)} GPUs")
    while (taken := _take(among, count, parts)) is None:
        if cancel.wait(_POLL_S):
            yield ()
            return
    token = _LENT.set(taken)
    try:
        yield taken.minors
    finally:
        _LENT.reset(token)
        _let_go(taken.locks)


@contextlib.contextmanager
def hold_gpus(minors: tuple[int, ...], cancel: threading.Event) -> Iterator[tuple[int, ...]]:
    """The locks of GPUs that are lent to this thread's run; else wait until these are free, or until `cancel`.

    Locks are taken in ascending order, so that two runs that want the same pair never wait for each other.
    """
    lease = _LENT.get()
    if lease is not None and set(minors) <= set(lease.minors):
        yield lease.locks
        return
    locks: list[int] = []
    try:
        for minor in sorted(set(minors)):
            while (lock := _try_lock(f"gpu-{minor}")) is None and not cancel.is_set():
                time.sleep(_POLL_S)
            if lock is not None:
                locks.append(lock)
        yield tuple(locks)
    finally:
        _let_go(locks)


def _take(among: Sequence[int], count: int, parts: int) -> _Lease | None:
    """The first that are free: whole ones, or a share, of a GPU without another share where there is one."""
    if parts < GPU_PARTS:
        places = ((minor, start) for start in range(0, GPU_PARTS - parts + 1, parts) for minor in among)
        shares = (_take_share(minor, start, parts) for minor, start in places)
        return next((share for share in shares if share is not None), None)
    minors: list[int] = []
    locks: list[int] = []
    for minor in among:
        if len(minors) < count and (lock := _try_lock(f"gpu-{minor}")) is not None:
            minors.append(minor)
            locks.append(lock)
    if len(minors) == count:
        return _Lease(tuple(minors), tuple(locks))
    _let_go(locks)
    return None


def _take_share(minor: int, start: int, parts: int) -> _Lease | None:
    """Some parts of one GPU; the GPU's own lock is shared by all who hold parts, and whole GPUs need it alone."""
    locks: list[int] = []
    names = [f"gpu-{minor}", *(f"gpu-{minor}-{part}" for part in range(start, start + parts))]
    for name in names:
        lock = _try_lock(name, shared=name is names[0])
        if lock is None:
            _let_go(locks)
            return None
        locks.append(lock)
    return _Lease((minor,), tuple(locks))


def _let_go(locks: Sequence[int]) -> None:
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


def _try_lock(name: str, shared: bool = False) -> int | None:
    folder = _LOCKS if os.geteuid() == 0 else Path(f"/tmp/auto-benchmark-sandbox-{os.geteuid()}")  # noqa: S108 - own, 0700
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SandboxUnavailable(f"locks cannot be kept in {folder}: {error.strerror}") from error
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        raise SandboxUnavailable(f"{folder} belongs to somebody else; remove it")
    descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
