"""Locks between processes: one loop per workspace, one appender at a time per log.

`run` and `experiment` hold the workspace's lock for as long as they work; writers of the audit log hold an append
lock for one write. Both are the kernel's (`flock`), so they end with their process however it dies, and file
descriptors are close-on-exec, so a child that outlives us holds nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from registry.durable import open_to_write
from registry.errors import AgentError, Retryable

Clock = Callable[[], datetime]
"""Says what time it is, with a time zone."""

HOLDER_BYTES = 4096
HOLDER_WRITES_WITHIN_S = 0.5
COMMAND_SHOWN = 300
_FIRST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a workspace's lock, as they wrote it themselves."""

    pid: int
    command: str
    since: str


class Busy(AgentError):
    """The workspace is in use; `holder` is None where the other process has not yet said who it is."""

    def __init__(self, path: Path, holder: Holder | None) -> None:
        self.holder = holder
        if holder is None:
            who = "another process"
            remedy = "try again in a moment"
        else:
            who = f"process {holder.pid} ({holder.command}) since {holder.since}"
            remedy = f"wait for it, or end it with: kill {holder.pid}"
        super().__init__(f"{path}: this workspace is in use by {who}; {remedy}")


def system_clock() -> datetime:
    """The machine's time in UTC."""
    return datetime.now(UTC)


def timestamp(clock: Clock) -> str:
    """ISO-8601 in UTC with milliseconds, as every record writes its times."""
    moment = clock()
    if moment.tzinfo is None:
        raise ValueError("the clock gave a time without a time zone")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@contextmanager
def workspace_lock(path: Path, command: str, clock: Clock = system_clock) -> Iterator[None]:
    """Hold the workspace for this process, or raise Busy naming who holds it. The file stays; its lock does not."""
    handle = open_to_write(path, os.O_RDWR)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(path, _holder(handle)) from None
        record = {"command": _printable(command), "pid": os.getpid(), "since": timestamp(clock)}
        os.ftruncate(handle, 0)
        with suppress(OSError):  # a full disk: the lock holds all the same, only without a name
            os.pwrite(handle, json.dumps(record).encode() + b"\n", 0)
        try:
            yield
        finally:
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


@contextmanager
def exclusive(handle: int, path: Path, wait_s: float = 30.0) -> Iterator[None]:
    """Hold the open file's lock for a short moment; raises Retryable where another keeps it longer than `wait_s`."""
    deadline = time.monotonic() + wait_s
    pause = _FIRST_PAUSE_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Retryable(f"{path}: another process has kept this file locked for {wait_s:g} s") from None
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)


def _holder(handle: int) -> Holder | None:
    # The one who just took the lock may not have written yet, and what stands there may be a dead predecessor's.
    deadline = time.monotonic() + HOLDER_WRITES_WITHIN_S
    while True:
        holder = _read_holder(handle)
        if (holder is not None and _alive(holder.pid)) or time.monotonic() >= deadline:
            return holder
        time.sleep(_LONGEST_PAUSE_S)


def _read_holder(handle: int) -> Holder | None:
    try:
        record = json.loads(os.pread(handle, HOLDER_BYTES, 0))
        pid, command, since = record["pid"], record["command"], record["since"]
    except (ValueError, KeyError, TypeError):
        return None
    if not (isinstance(pid, int) and pid > 0 and isinstance(command, str) and isinstance(since, str)):
        return None
    return Holder(pid, _printable(command), _printable(since))


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)[:COMMAND_SHOWN]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
