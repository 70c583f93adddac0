"""Watching one run: its limits from the outside, its output, and the end of everything it started.

Used by `sandbox.supervisor`, inside its process. Every limit has a reason of its own, and the first one passed is
the one that stands.
"""

# Plain os calls throughout: this runs twenty times a second beside somebody's training.
# ruff: noqa: PTH116
from __future__ import annotations

import os
import select
import time

from sandbox import cgroups, processes
from sandbox.capped_log import CappedLog
from sandbox.disk_usage import MAX_DEPTH, measure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.hard_disk import Disk

TICK_S = 0.05
CLOSE_TICK_S = 0.01
"""Between looks while the watchdog sees more than half of the memory limit taken."""
DISK_TICK_S = 0.1
FLOOD = 512
"""A program that prints more than this many times what is kept is ended (reason `output`)."""
RESERVE_BYTES = 256 << 20
"""Free space of the output's file system below which a run that grew is ended, however it hides the growth."""
_CHUNK = 1 << 20


class Job:
    """What the orchestrator asks for; the attributes are the keys of the marshalled dictionary."""

    program: str
    """Path of bwrap; empty where `sandbox.launcher` takes its place."""
    arguments: list[str]
    command: list[str]
    passwd: str
    group: str
    seccomp: bytes
    out: str
    log: str
    marker: str
    name: str
    parent: int
    parent_start: int
    uid: int
    disk_template: str
    wall_s: float
    cpu_s: float
    memory_bytes: int
    processes: int
    disk_bytes: int
    files: int
    output_bytes: int
    nproc: int
    cgroup_version: int
    cgroup_memory: str
    cgroup_pids: str

    def __init__(self, values: dict[str, object]) -> None:
        self.__dict__.update(values)


class Watch:
    """One run being watched: its descriptors, what was seen so far, and why it was ended."""

    def __init__(self, job: Job, groups: cgroups.Groups | None, disk: Disk | None) -> None:
        self.job = job
        self.groups = groups
        self.disk = disk
        self.supervisor = os.getpid()
        self.started = time.monotonic()
        self.reason = ""
        self.detail = ""
        self.exit_status: int | None = None
        self.bwrap = self.init = 0
        self.bwrap_fd = self.init_fd = self.output = self.status = -1
        self.bwrap_gone = False
        self.status_text = b""
        self.cpu_s = 0.0
        self.peak = self.peak_disk = self.peak_files = self.peak_processes = 0
        self.pause_s = TICK_S
        self.tmpfs_files = 0
        self.log = CappedLog(job.log, job.output_bytes)
        self.disk_due = 0.0
        self.free_at_start = _free_bytes(self)
        self.device = os.stat(job.out).st_dev

    def attach(self, bwrap: int, output: int, status: int) -> None:
        """Take over the started process and the reading ends of its pipes."""
        self.bwrap, self.output, self.status = bwrap, output, status
        self.bwrap_fd = os.pidfd_open(bwrap)

    def end(self, reason: str, detail: str) -> None:
        """Note why the run is ended; the first reason stands."""
        if not self.reason:
            self.reason, self.detail = reason, detail

    def read_output(self) -> bool:
        """Take one piece of output; False where there is none now, or none any more."""
        try:
            chunk = os.read(self.output, _CHUNK)
        except BlockingIOError:
            return False
        self.log.add(chunk)
        return bool(chunk)

    def read_status(self) -> bool:
        """Take bwrap's word on the first process inside and on the exit status; False at its end."""
        try:
            chunk = os.read(self.status, 4096)
        except BlockingIOError:
            return True
        self.status_text += chunk
        if not self.init and (init := _number_after(self.status_text, b'"child-pid":')) is not None:
            self._meet_init(init)
        self.exit_status = _number_after(self.status_text, b'"exit-code":')
        return bool(chunk)

    def _meet_init(self, pid: int) -> None:
        try:
            self.init_fd = os.pidfd_open(pid)
        except OSError:
            return
        # The number comes from our own bwrap; the check is for the case that it ended and the number was reused.
        if processes.is_namespace_init(pid):
            self.init = pid


def watch_to_the_end(watch: Watch, on_init: Callable[[int], None]) -> None:
    """Return when the command has ended by itself or has to be ended (`watch.reason` says why)."""
    poll = select.poll()
    parent = _pidfd(watch.job.parent)
    for descriptor in (0, parent, watch.output, watch.status, watch.bwrap_fd):
        if descriptor >= 0:
            poll.register(descriptor, select.POLLIN)
    if parent < 0 or processes.start_time(watch.job.parent) != watch.job.parent_start:
        watch.end("cancelled", "the orchestrator is gone")
    deadline = watch.started + watch.job.wall_s
    tick = watch.started + TICK_S
    while not watch.reason:
        pause = max(0.0, min(tick, deadline) - time.monotonic())
        ready = {descriptor for descriptor, _ in poll.poll(pause * 1000 + 1)}
        if watch.output in ready and not watch.read_output():
            poll.unregister(watch.output)
        if watch.status in ready:
            if not watch.read_status():
                poll.unregister(watch.status)
            if watch.init:
                on_init(watch.init)
        if watch.bwrap_fd in ready:
            return
        if 0 in ready or parent in ready:
            watch.end("cancelled", "the orchestrator is gone" if parent in ready else "")
        now = time.monotonic()
        if now >= deadline:
            watch.end("timeout", f"wall time {watch.job.wall_s:g} s")
        if now >= tick:
            inspect(watch)
            # Counted from the end of the look, so that looking never takes more than its share.
            tick = time.monotonic() + watch.pause_s


OOM = "the kernel ended a process at the limit of {} bytes"


def inspect(watch: Watch) -> None:
    """One look at everything that has a limit."""
    job = watch.job
    pids = watch.groups.members() if watch.groups is not None else []
    if not pids and watch.init:
        pids = processes.descendants(watch.init)
    if not watch.init or not pids:
        return
    watch.peak_processes = max(watch.peak_processes, len(set(pids) - {watch.bwrap, watch.init}))
    used_in_tmpfs, files_in_tmpfs = processes.tmpfs_use(watch.init)
    if watch.groups is not None:
        watch.peak = max(watch.peak, watch.groups.memory_used())
        if watch.groups.oom_kills():
            watch.end("oom", OOM.format(job.memory_bytes))
    else:
        used = processes.memory(pids, used_in_tmpfs)
        watch.peak = max(watch.peak, used)
        watch.pause_s = CLOSE_TICK_S if used > job.memory_bytes // 2 else TICK_S
        if used > job.memory_bytes:
            watch.end("memory", f"{used} bytes held of {job.memory_bytes}")
    if job.cpu_s > 0:
        watch.cpu_s = max(watch.cpu_s, processes.cpu_seconds(pids))
        if watch.cpu_s > job.cpu_s:
            watch.end("timeout", f"CPU time {job.cpu_s:g} s")
    judge_output(watch)
    began = time.monotonic()
    if began >= watch.disk_due:
        judge_disk(watch, processes.unlinked_bytes(pids, watch.device), files_in_tmpfs)
        took = time.monotonic() - began
        watch.disk_due = began + max(DISK_TICK_S, 10 * took)


def judge_disk(watch: Watch, unlinked: int, files_in_tmpfs: int) -> None:
    job = watch.job
    usage = measure(job.out, job.disk_bytes, job.files)
    written, files = usage.bytes + unlinked, usage.files
    if watch.disk is not None:
        written, files = watch.disk.use()
    watch.peak_disk, watch.peak_files = max(watch.peak_disk, written), max(watch.peak_files, files)
    if written >= job.disk_bytes:
        watch.end("disk", f"{written} bytes written of {job.disk_bytes}")
    if files + files_in_tmpfs > job.files:
        watch.end("files", f"more than {job.files} files")
    if usage.too_deep:
        watch.end("files", f"folders nested deeper than {MAX_DEPTH}")
    free = _free_bytes(watch)
    if free < RESERVE_BYTES and free < watch.free_at_start - (16 << 20) and written > 16 << 20:
        watch.end("disk", f"only {free} bytes are left on the file system")


def judge_output(watch: Watch) -> None:
    if watch.log.total > FLOOD * watch.job.output_bytes:
        watch.end("output", f"{watch.log.total} bytes printed where {watch.job.output_bytes} are kept")


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1


def _free_bytes(watch: Watch) -> int:
    """Free bytes of the host's file system that the output grows on."""
    if watch.disk is not None:
        return watch.disk.host_free()
    state = os.statvfs(watch.job.out)
    return state.f_bavail * state.f_frsize


def _number_after(text: bytes, name: bytes) -> int | None:
    """The whole number that follows `name` in bwrap's JSON, which is not worth the price of a parser here."""
    _, found, rest = text.partition(name)
    digits = rest.strip().split(b" ")[0].split(b",")[0].strip()
    return int(digits) if found and digits.isdigit() else None
