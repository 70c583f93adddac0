"""The default backend: bubblewrap (`bwrap`), a fresh sandbox for every run.

Implements `sandbox.contract.Sandbox`; made by `sandbox.backends.choose`. Each run is watched by a process of its
own (`sandbox.supervisor`), so several threads may run at once and a killed orchestrator leaves nothing running.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import platform
import select
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox import bwrap_arguments, cgroups, markers, seccomp, slots, specification, trees
from sandbox.contract import Capabilities, Outcome, Reason, RunSpec, SandboxUnavailable
from sandbox.diagnosis import Host, diagnose, examine
from sandbox.outputs import plain_text

_PACKAGE_PARENT = str(Path(__file__).resolve().parent.parent)
_START = "import sys; sys.path.append(sys.argv[1]); from sandbox.supervisor import main; main()"
_INTERPRETER: str = getattr(sys, "_base_executable", None) or sys.executable
"""Ours, by its real name: without site-packages a virtual environment gives nothing and takes milliseconds."""
_CANCEL_POLL_S = 0.05
_TAIL_CHARS = 4000


@dataclass(frozen=True, slots=True)
class _Report:
    """What the supervisor says about a run; the fields are the keys of its marshalled answer."""

    reason: Reason
    detail: str
    status: int | None
    wall_s: float
    cpu_s: float
    peak: int
    output_bytes: int
    tail: bytes
    left: list[str]


class Bubblewrap:
    """Runs commands in bubblewrap; `state` is a folder for the markers of its runs."""

    name = "bwrap"

    def __init__(self, state: Path) -> None:
        self._state = state.absolute()
        self._lock = threading.Lock()
        self._known: Host | None = None

    def doctor(self) -> Capabilities:
        """Try each capability in a real run and tell what was found."""
        return diagnose(self, self._host(), self._state)

    def reap(self) -> tuple[str, ...]:
        """Remove what dead orchestrators left; one line for each thing removed."""
        return tuple(markers.clear_dead(self._runs))

    def run(self, spec: RunSpec, cancel: threading.Event) -> Outcome:
        """Run one command to its end or to a limit; whatever it started is gone when this returns."""
        specification.check(spec, builds=True)
        host = self._host()
        if host.reasons:
            raise SandboxUnavailable("\n".join(host.reasons))
        with slots.hold_gpus(spec.gpus, cancel) as gpu_locks, _identity(host, spec) as (identity, slot_locks):
            filter_code = seccomp.build_filter(platform.machine(), visible_memory_only=host.groups is None)
            nproc = host.other_tasks() + spec.limits.processes
            line = bwrap_arguments.build(spec, host.program, identity, filter_code, nproc)
            self._runs.mkdir(parents=True, exist_ok=True)
            name = uuid.uuid4().hex
            job = _job(spec, host, identity, line, filter_code)
            locks = (*gpu_locks, *slot_locks)
            job |= {"name": name, "marker": str(self._runs / f"{name}.run"), "locks": list(locks)}
            report = self._supervise(job, cancel, locks)
            for cover in line.covers:
                with contextlib.suppress(OSError):
                    (spec.out / cover).rmdir()
            return _outcome(self.name, spec, report, line.digest)

    @property
    def _runs(self) -> Path:
        return self._state / "runs"

    def _host(self) -> Host:
        """What this host offers; looked at once, because it does not change while we run."""
        with self._lock:
            if self._known is None or self._known.reasons:
                self._known = examine()
            return self._known

    def _supervise(self, job: dict[str, object], cancel: threading.Event, locks: tuple[int, ...]) -> _Report:
        """Start the supervisor, hand it the job and wait for its report."""
        began = time.monotonic()
        supervisor = subprocess.Popen(
            [_INTERPRETER, "-I", "-S", "-c", _START, _PACKAGE_PARENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=locks,
            start_new_session=True,
            cwd="/",
            env={name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"},
        )
        with supervisor:
            answer = _converse(supervisor, marshal.dumps(job), cancel)
            complaint = supervisor.stderr.read() if supervisor.stderr is not None else b""
        try:
            values = marshal.loads(answer)  # noqa: S302 - written by our own supervisor, which never runs the candidate
        except (EOFError, ValueError, TypeError):
            cleared = list(markers.clear_run(Path(str(job["marker"]))))
            detail = plain_text(complaint.decode(errors="replace"), 2000) or f"status {supervisor.returncode}"
            text = f"the supervisor ended without a report: {detail}"
            return _Report("infra", text, None, time.monotonic() - began, 0.0, 0, 0, b"", cleared)
        return _Report(**values)


def _converse(supervisor: subprocess.Popen[bytes], job: bytes, cancel: threading.Event) -> bytes:
    """Send the job, pass a cancellation on, and collect the answer until the supervisor closes its output."""
    assert supervisor.stdin is not None  # noqa: S101 - for the type checker; both are pipes
    assert supervisor.stdout is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError):
        supervisor.stdin.write(len(job).to_bytes(8, "little") + job)
        supervisor.stdin.flush()
    answer = b""
    poll = select.poll()
    poll.register(supervisor.stdout, select.POLLIN)
    cancelled = False
    while True:
        if cancel.is_set() and not cancelled:
            cancelled = True
            with contextlib.suppress(BrokenPipeError):
                supervisor.stdin.close()
        if poll.poll(_CANCEL_POLL_S * 1000):
            piece = os.read(supervisor.stdout.fileno(), 1 << 16)
            if not piece:
                return answer
            answer += piece


@contextlib.contextmanager
def _identity(host: Host, spec: RunSpec) -> Iterator[tuple[bwrap_arguments.Identity, tuple[int, ...]]]:
    """Who the command runs as, with the output folder made theirs where that is somebody else."""
    if not host.as_root:
        yield bwrap_arguments.Identity(os.getuid(), os.getgid(), as_root=False), ()
        return
    with slots.hold_slot() as slot:
        trees.give(spec.out, slot.uid)
        spec.out.chmod(0o700)
        try:
            yield bwrap_arguments.Identity(slot.uid, slot.uid, as_root=True), (slot.lock,)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.chown(spec.out, 0, 0)
                spec.out.chmod(0o755)


def _job(
    spec: RunSpec, host: Host, identity: bwrap_arguments.Identity, line: bwrap_arguments.CommandLine, filter_code: bytes
) -> dict[str, object]:
    """The supervisor's job; its keys are the attributes of `sandbox.watching.Job`."""
    limits = spec.limits
    groups = host.groups or cgroups.Parents(0, "", "")
    return {
        "argv": [host.program.path, "--args", str(bwrap_arguments.ARGUMENTS_FD), *line.command],
        "arguments": list(line.arguments),
        "passwd": line.passwd,
        "group": line.group,
        "seccomp": filter_code,
        "out": str(spec.out.absolute()),
        "log": str(spec.log.absolute()) if spec.log is not None else "",
        "parent": os.getpid(),
        "wall_s": float(limits.wall_s),
        "cpu_s": float(limits.cpu_s or 0.0),
        "memory_bytes": int(limits.memory_bytes),
        "processes": int(limits.processes),
        "disk_bytes": int(limits.disk_bytes),
        "files": int(limits.files),
        "output_bytes": int(limits.output_bytes),
        "nproc": int(limits.processes) if identity.as_root else 0,
        "cgroup_version": groups.version,
        "cgroup_memory": groups.memory,
        "cgroup_pids": groups.pids,
    }


def _outcome(backend: str, spec: RunSpec, report: _Report, digest: str) -> Outcome:
    """What the caller gets: the report, and the manifest of what the run left."""
    notes = [report.detail] if report.detail else []
    notes += [f"not removed: {left}" for left in report.left]
    reason: Reason = report.reason
    found = trees.Collected()
    try:
        found = trees.collect(spec.out, spec.limits.files, spec.limits.disk_bytes)
    except OSError as error:
        notes.append(f"the output could not be read: {error.strerror}")
        reason = "infra"
    tail = plain_text(report.tail.decode("utf-8", errors="replace"), 1 << 20)[-_TAIL_CHARS:]
    return Outcome(
        reason=reason,
        status=report.status,
        wall_s=report.wall_s,
        cpu_s=report.cpu_s,
        peak_memory_bytes=report.peak,
        output_bytes=report.output_bytes,
        tail=tail,
        manifest=tuple(found.files),
        backend=backend,
        isolation="full",
        flags_sha256=digest,
        detail="; ".join([*notes, *found.ignored]),
    )
