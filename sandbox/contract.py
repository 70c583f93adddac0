"""The interface every backend implements: what to run, how it ended, what the backend can contain.

`run` never raises for anything the sandboxed program did; it raises `SandboxUnavailable` where no isolation can
be had, and `BadInput` for a specification that makes no sense.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from registry.errors import AgentError

Reason = Literal["exit", "timeout", "oom", "memory", "disk", "files", "output", "cancelled", "infra"]
Isolation = Literal["full", "weak"]


class SandboxUnavailable(AgentError):
    """No backend that isolates can run here; the message carries doctor's reasons and what mends each."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may use. Sizes in bytes, times in seconds; every limit ends a run with a reason of its own."""

    wall_s: float
    cpu_s: float | None = None
    memory_bytes: int = 2 << 30
    processes: int = 256
    disk_bytes: int = 1 << 30
    files: int = 20_000
    output_bytes: int = 4 << 20
    """Kept of stdout and stderr together; more is read and thrown away, and never held in memory."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A host folder or file shown read-only inside at `inside`."""

    host: Path
    inside: str


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One command in one fresh sandbox.

    Inside: `/code` (read-only, if `code`), every mount read-only at its place, `/work` = `out` (writable), private
    `/tmp`, no network, nothing inherited from the orchestrator's environment.
    """

    run_id: str
    argv: tuple[str, ...]
    out: Path
    limits: Limits
    code: Path | None = None
    mounts: tuple[Mount, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    python: Path | None = None
    """Interpreter whose installation (virtual environment and base) is shown read-only at its own path."""
    image: str | None = None
    """Container image by digest (`name@sha256:...`); only the docker backend runs one, the others refuse it."""
    start_in: Literal["work", "code"] = "work"
    """The current folder when the command starts."""
    gpus: tuple[int, ...] = ()
    network: bool = False
    """The host's network, for a build that the target allows it to; never for a run."""
    out_in_place: bool = False
    """`out` is shown at its own path in place of `/work`, for a build whose files name their own place."""
    log: Path | None = None
    """Host file that receives the capped stdout and stderr; None discards them after the tail is taken."""


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One regular file the run left, relative to its output folder."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended, measured from outside. Only `infra` is ever retried as our own fault."""

    reason: Reason
    status: int | None
    """Exit status of the command where it exited; None where it was ended or never started."""
    wall_s: float
    cpu_s: float
    peak_memory_bytes: int
    output_bytes: int
    tail: str
    """Last lines of the output, control characters stripped; a stranger's text."""
    manifest: tuple[OutputFile, ...]
    backend: str
    isolation: Isolation
    flags_sha256: str
    detail: str = ""
    ignored: tuple[str, ...] = ()
    """The first ten things the run left that the manifest does not have (links, pipes, odd names), with the reason."""
    peak_disk_bytes: int = 0
    peak_files: int = 0
    peak_processes: int = 0
    """The most that was seen at any look: of output, of files in it, and of processes at once."""


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing a backend contains (or not), found out by trying it."""

    name: str
    level: str
    """`yes`, `no`, or the mechanism (`cgroup`, `watchdog`, `hard`, `soft`, ...)."""
    why: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend offers on this machine, each with the reason."""

    backend: str
    usable: bool
    isolation: Isolation
    items: tuple[Capability, ...]
    reasons: tuple[str, ...] = ()
    """Why it is not usable, and the command that mends it."""


class Sandbox(Protocol):
    """Runs commands nobody trusts."""

    name: str
    isolation: Isolation

    def doctor(self) -> Capabilities:
        """Try each capability and tell what was found."""
        ...

    def run(self, spec: RunSpec, cancel: threading.Event) -> Outcome:
        """Run one command to its end or to a limit; whatever it started is gone when this returns."""
        ...

    def reap(self) -> tuple[str, ...]:
        """Remove what dead orchestrators left (processes, cgroups, mounts); one line for each thing removed."""
        ...
