"""The process that starts bubblewrap for one run, has it watched, and leaves nothing behind.

A process of its own because bubblewrap dies with the *thread* that started it, and because it must outlive an
orchestrator that is killed just long enough to clear up. Forked by `sandbox.fork_server`, with a marshalled job on its
standard input, which stays open: a byte or its end means "stop now". It answers with a marshalled report on its
standard output. It runs without site-packages, so this and what it imports stand on the standard library alone.
"""

# Plain os calls: what stands between fork and exec is kept as plain as it can be.
# ruff: noqa: PTH108,PTH123
from __future__ import annotations

import ctypes
import fcntl
import marshal
import os
import resource
import select
import time

from sandbox import cgroups, processes, trees
from sandbox.ending import end_everything, judge_the_end
from sandbox.hard_disk import Disk
from sandbox.watching import Job, Watch, watch_to_the_end

_PIPE_BYTES = 1 << 20
_PR_SET_CHILD_SUBREAPER = 36
ARGUMENTS = 14
"""`ARGUMENTS_FD` of `sandbox.bwrap_arguments`, which is too heavy to import here; a test keeps them equal."""
_ABOVE_ALL = 32


def main(locks: list[int]) -> int:
    """Read the job, run it, report; on the host's own trouble (a full disk, say) complain in one line and end.

    Ending is enough then: bubblewrap dies with its parent, and the orchestrator clears up after us. `locks` are held
    for the length of the run. Returns the exit status.
    """
    job = _receive(0)
    if job is None:
        return 1
    for lock in locks:
        os.set_inheritable(lock, False)
    try:
        report = _run(job)
    except OSError as error:
        os.write(2, f"{error}\n".encode(errors="replace"))
        return 1
    with os.fdopen(1, "wb") as stream:
        stream.write(marshal.dumps(report))
    return 0


def _run(job: Job) -> dict[str, object]:
    # bwrap goes without waiting for the first process inside, and with that the account of the whole tree would be
    # lost; as its heir we get both.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    marker = _open_marker(job)
    parents = cgroups.Parents(job.cgroup_version, job.cgroup_memory, job.cgroup_pids)
    folders = cgroups.planned(parents, job.name) if job.cgroup_memory else []
    _note(marker, job, folders, 0)
    # bwrap's own two processes are members too.
    groups = cgroups.create(parents, job.name, job.memory_bytes, job.processes + 2) if folders else None
    disk = _own_disk(job)
    watch = Watch(job, groups, disk)
    _start(watch)
    watch_to_the_end(watch, lambda init: _note(marker, job, folders, init))
    # The kernel takes milliseconds to take the namespaces down; they are not the command's.
    wall_s = time.monotonic() - watch.started
    gone = end_everything(watch)
    cpu_s, peak = _used(watch) if gone else (0.0, 0)
    judge_the_end(watch)
    tail = watch.log.close()
    collected = _carried_onward(watch) if gone else None
    left = groups.remove() if groups is not None else []
    if not gone:
        left.append(f"process {watch.init or watch.bwrap}")
    if not left:
        os.unlink(job.marker)
    return {
        "reason": watch.reason,
        "detail": watch.detail,
        "status": watch.exit_status,
        "wall_s": wall_s,
        "cpu_s": max(watch.cpu_s, cpu_s),
        "peak": max(watch.peak, peak),
        "peak_disk": watch.peak_disk,
        "peak_files": watch.peak_files,
        "peak_processes": watch.peak_processes,
        "output_bytes": watch.log.total,
        "tail": tail,
        "left": left,
        "files": [(file.path, file.bytes, file.sha256) for file in collected.files] if collected else None,
        "ignored": collected.ignored if collected else [],
    }


def _carried_onward(watch: Watch) -> trees.Collected | None:
    """What the run left in a file system of its own, taken into the real folder; what passed a limit is not."""
    if watch.disk is None:
        return None
    job = watch.job
    found, reason, detail = watch.disk.keep(watch.reason, job.files, job.disk_bytes, _told_to_stop)
    if reason:
        watch.reason, watch.detail, watch.exit_status = reason, detail, None
    return found


def _told_to_stop() -> bool:
    """Whether the orchestrator has sent word or is gone."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    return bool(poll.poll(0))


def _own_disk(job: Job) -> Disk | None:
    """A file system for the output folder, where one can be had; otherwise the folder is watched."""
    if not job.disk_template:
        return None
    try:
        return Disk(job.disk_template, job.out, job.uid)
    except OSError:
        return None


def _used(watch: Watch) -> tuple[float, int]:
    """CPU seconds of the whole tree, and the largest resident size any one process of it ever had."""
    cpu_s, peak = 0.0, 0
    for pid in (watch.bwrap, watch.init):
        try:
            usage = os.wait4(pid, 0)[2] if pid else None
        except ChildProcessError:
            continue
        if usage is not None:
            cpu_s += usage.ru_utime + usage.ru_stime
            peak = max(peak, usage.ru_maxrss << 10)
    return cpu_s, peak


def _receive(descriptor: int) -> Job | None:
    """The job: eight bytes of length, then the marshalled dictionary; None where it does not come."""
    data = b""
    wanted = 8
    while len(data) < wanted:
        piece = os.read(descriptor, wanted - len(data))
        if not piece:
            return None
        data += piece
        if len(data) == 8 and wanted == 8:
            wanted += int.from_bytes(data, "little")
    return Job(marshal.loads(data[8:]))  # noqa: S302 - written by our own parent, of the same interpreter


def _open_marker(job: Job) -> int:
    """The marker that lets a later `reap` find this run; locked for as long as this process lives."""
    descriptor = os.open(job.marker, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _note(marker: int, job: Job, folders: list[str], init: int) -> None:
    """Write into the marker who is who, and which groups there are or will be; `sandbox.markers` reads it."""
    lines = [
        f"orchestrator {job.parent} {processes.start_time(job.parent)}",
        f"supervisor {os.getpid()} {processes.start_time(os.getpid())}",
        *(f"cgroup {folder}" for folder in folders),
    ]
    if init:
        lines.append(f"init {init} {processes.start_time(init)}")
    text = "".join(f"{line}\n" for line in lines).encode()
    os.pwrite(marker, text, 0)
    os.ftruncate(marker, len(text))


def _start(watch: Watch) -> None:
    """Fork and become bubblewrap or what stands in for it, with its descriptors in their agreed places."""
    job = watch.job
    output, output_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(output_end, True)
    _enlarge(output)
    status, status_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(status_end, True)
    texts = [job.passwd.encode(), job.group.encode(), job.seccomp, None, os.fsencode("\0".join(job.arguments)) + b"\0"]
    watch.started = time.monotonic()
    child = os.fork()
    if child == 0:
        _become_sandbox(watch, output_end, status_end, texts)
    os.close(output_end)
    os.close(status_end)
    watch.attach(child, output, status)


def _become_sandbox(watch: Watch, output: int, status: int, texts: list[bytes | None]) -> None:
    """In the child, to the end of its life as Python: join the groups, set the limits, exec."""
    try:
        if watch.groups is not None:
            watch.groups.join()
        os.umask(0o022)
        _prefer_for_oom()
        _set_limits(watch.job)
        sources = [status if text is None else _in_memory(text) for text in texts]
        # Behind the locks of many GPUs, or of a GPU's parts, any of ours may stand where another has to be.
        output = fcntl.fcntl(output, fcntl.F_DUPFD_CLOEXEC, _ABOVE_ALL)
        high = [fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, _ABOVE_ALL) for source in sources]
        for offset, source in enumerate(high):
            os.dup2(source, ARGUMENTS - len(high) + 1 + offset)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        job = watch.job
        if not job.program:
            from sandbox.launcher import launch

            launch(job.arguments, job.command, watch.supervisor)
        words = [job.program, "--args", str(ARGUMENTS), *job.command]
        os.execve(job.program, words, {})  # noqa: S606 - no shell is the point
    except (OSError, ValueError) as error:
        os.write(output, f"could not start the sandbox: {error}\n".encode())
    finally:
        os._exit(126)


def _set_limits(job: Job) -> None:
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, 1024)
    _limit(resource.RLIMIT_FSIZE, job.disk_bytes)
    if job.cpu_s > 0:
        _limit(resource.RLIMIT_CPU, int(job.cpu_s) + 2)
    if job.nproc > 0:
        _limit(resource.RLIMIT_NPROC, job.nproc)


def _limit(which: int, value: int) -> None:
    """Lower a limit; one that is already lower stays."""
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def _in_memory(data: bytes) -> int:
    descriptor = os.memfd_create("job")
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _prefer_for_oom() -> None:
    """Where the whole host runs out of memory, the candidate goes first."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("500")
    except OSError:
        return


def _enlarge(pipe: int) -> None:
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:
        return
