"""What the backends made of namespaces share: one run, from its specification to its outcome.

A base of `sandbox.bubblewrap` and `sandbox.namespaces`, which say what puts the walls up. Each run is watched by a
process of its own (`sandbox.supervisor`), so several threads may run at once and a killed orchestrator leaves nothing
running.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import platform
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import (
    accounts,
    bwrap_arguments,
    cgroups,
    hard_disk,
    markers,
    processes,
    seccomp,
    slots,
    specification,
    supervisors,
    trees,
)
from sandbox.contract import Capabilities, Isolation, Outcome, OutputFile, Reason, RunSpec, SandboxUnavailable
from sandbox.diagnosis import diagnose
from sandbox.hosts import Host


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
    peak_disk: int = 0
    peak_files: int = 0
    peak_processes: int = 0
    files: list[tuple[str, int, str]] | None = None
    """What the supervisor carried into the output folder, where it had a file system of its own for the run."""
    ignored: list[str] = field(default_factory=list)


class Supervised(ABC):
    """Runs commands under a supervisor; `state` is a folder for the markers of its runs."""

    name: str
    isolation: Isolation
    builds = False
    """Whether it can give a build of an environment its place on the host, and a network."""

    def __init__(self, state: Path) -> None:
        self._state = state.absolute()
        self._lock = threading.Lock()
        self._known: Host | None = None

    @abstractmethod
    def examine(self) -> Host:
        """What this host offers, looked at anew."""

    def doctor(self) -> Capabilities:
        """Try each capability in a real run and tell what was found."""
        return diagnose(self, self._host(), self._state)

    def reap(self) -> tuple[str, ...]:
        """Remove what dead orchestrators left; one line for each thing removed."""
        return (
            *markers.clear_dead(self._runs),
            *cgroups.remove_dead_trials(),
            *hard_disk.remove_unfinished(self._state),
        )

    def run(self, spec: RunSpec, cancel: threading.Event) -> Outcome:
        """Run one command to its end or to a limit; whatever it started is gone when this returns."""
        specification.check(spec, builds=self.builds)
        host = self._host()
        if host.reasons:
            raise SandboxUnavailable("\n".join(host.reasons))
        with slots.hold_gpus(spec.gpus, cancel) as gpu_locks, accounts.identity(spec) as (identity, slot_locks):
            filter_code = seccomp.build_filter(platform.machine(), visible_memory_only=host.groups is None)
            nproc = host.other_tasks() + spec.limits.processes
            line = bwrap_arguments.build(spec, host.program, identity, filter_code, nproc)
            self._runs.mkdir(parents=True, exist_ok=True)
            name = accounts.run_name(self._state)
            job = _job(spec, host, identity, line, filter_code)
            job |= {"name": name, "marker": str(self._runs / f"{name}.run")}
            # A build leaves links, which are never carried from one file system to another.
            if identity.as_root and not spec.out_in_place and not any(spec.out.iterdir()):
                job["disk_template"] = hard_disk.template(self._state, spec.limits.disk_bytes, spec.limits.files)
            report = _supervise(job, cancel, (*gpu_locks, *slot_locks))
            for cover in line.covers:
                with contextlib.suppress(OSError):
                    (spec.out / cover).rmdir()
            left, collected = tuple(report.left), _collected(report)
            return accounts.outcome(self.name, self.isolation, spec, report, left, collected, line.digest)

    @property
    def _runs(self) -> Path:
        return self._state / "runs"

    def _host(self) -> Host:
        """What this host offers; looked at once, because it does not change while we run."""
        with self._lock:
            if self._known is None or self._known.reasons:
                self._known = self.examine()
            return self._known


def _supervise(job: dict[str, object], cancel: threading.Event, locks: tuple[int, ...]) -> _Report:
    """Have a supervisor do the job and report; where it was ended itself, clear up after it."""
    began = time.monotonic()
    answer, complaint = supervisors.supervise(marshal.dumps(job), cancel, locks)
    try:
        values = marshal.loads(answer)  # noqa: S302 - written by our own supervisor, which never runs the candidate
    except (EOFError, ValueError, TypeError):
        for _ in markers.clear_run(Path(str(job["marker"]))):
            pass  # it says what it removes
        text = f"the supervisor ended without a report: {complaint or 'somebody killed it'}"
        return _Report("infra", text, None, time.monotonic() - began, 0.0, 0, 0, b"", [])
    return _Report(**values)


def _job(
    spec: RunSpec, host: Host, identity: bwrap_arguments.Identity, line: bwrap_arguments.CommandLine, filter_code: bytes
) -> dict[str, object]:
    """The supervisor's job; its keys are the attributes of `sandbox.watching.Job`."""
    limits = spec.limits
    groups = host.groups or cgroups.Parents(0, "", "")
    return {
        "program": host.program.path,
        "arguments": list(line.arguments),
        "command": list(line.command),
        "passwd": line.passwd,
        "group": line.group,
        "seccomp": filter_code,
        "out": str(spec.out.absolute()),
        "log": str(spec.log.absolute()) if spec.log is not None else "",
        "parent": os.getpid(),
        "parent_start": processes.start_time(os.getpid()),
        "uid": identity.uid,
        "disk_template": "",
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


def _collected(report: _Report) -> trees.Collected | None:
    """What the supervisor carried into the output folder; None where the run wrote there itself."""
    if report.files is None:
        return None
    return trees.Collected([OutputFile(*file) for file in report.files], report.ignored)
