"""The end of one run: everything it started is ended, its last words are taken, and how it ended gets its name.

Used by `sandbox.supervisor`, inside its process, and `judge_the_end` for containers too. Standard library only.
"""

from __future__ import annotations

import errno
import os
import select
import time

from sandbox.watching import OOM, judge_disk, judge_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sandbox.watching import Watch

GONE_PATIENCE_S = 5.0
_SIGKILL = 9
_KILLED_BY_CPU_LIMIT = (128 + 24, 128 + 9)
_FULL = os.strerror(errno.ENOSPC).encode()


def end_everything(watch: Watch) -> bool:
    """End whatever is left of the run and take its last words; whether all of it is gone.

    The kernel lets the first process of a pid namespace go only after every other one, so its end is the end of
    daemons, sessions and all.
    """
    watch.read_status()
    deadline = time.monotonic() + GONE_PATIENCE_S
    if not watch.init:
        _kill(watch.bwrap)
    elif not _ended(watch.init_fd, 0.0):
        _kill(watch.init)
    gone = watch.init_fd < 0 or _drain_until_ended(watch, watch.init_fd, deadline)
    watch.bwrap_gone = _ended(watch.bwrap_fd, 1.0)
    if not watch.bwrap_gone:
        _kill(watch.bwrap)
        watch.bwrap_gone = _ended(watch.bwrap_fd, 1.0)
    while watch.groups is not None and (members := watch.groups.members()):
        for pid in members:
            _kill(pid)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    watch.read_status()
    while watch.read_output():
        pass
    return gone and watch.bwrap_gone


def judge_the_end(watch: Watch) -> None:
    """Limits that show only afterwards, and what a run that ended by itself is called."""
    job = watch.job
    if watch.groups is not None and watch.groups.oom_kills():
        watch.end("oom", OOM.format(job.memory_bytes))
    if job.cpu_s > 0 and watch.exit_status in _KILLED_BY_CPU_LIMIT and watch.cpu_s > job.cpu_s - 1:
        watch.end("timeout", f"CPU time {job.cpu_s:g} s")
    judge_disk(watch, 0, 0)
    judge_output(watch)
    if watch.exit_status not in (0, None) and watch.disk is not None and _FULL in watch.log.tail:
        # Only the program itself knows that a write failed. Whoever prints this falsely fails all the same.
        watch.end("disk", f"a write beyond {job.disk_bytes} bytes was refused")
    if watch.exit_status is None:
        watch.end("infra", "the command was not started")
    watch.end("exit", "")
    if watch.reason != "exit":
        watch.exit_status = None


def _drain_until_ended(watch: Watch, pidfd: int, deadline: float) -> bool:
    while not _ended(pidfd, 0.02):
        watch.read_output()
        if time.monotonic() > deadline:
            return False
    return True


def _ended(pidfd: int, patience_s: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(patience_s * 1000))


def _kill(pid: int) -> None:
    try:
        os.kill(pid, _SIGKILL)
    except ProcessLookupError:
        return
