"""What every backend does around a run: whose the output folder is meanwhile, and what the caller is told afterwards.

Called by `sandbox.supervised` and `sandbox.docker_engine`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from sandbox import slots, trees
from sandbox.bwrap_arguments import Identity
from sandbox.contract import Isolation, Outcome, Reason, RunSpec
from sandbox.outputs import plain_text

_TAIL_CHARS = 4000


def run_name(state: Path) -> str:
    """A new run's name, in the names of its control groups and its container: whose it is, and one of its own.

    The part before the hyphen is the same for all runs of a state folder, so that what is found on a host can be
    told from the runs of another orchestrator there.
    """
    return f"{owner(state)}-{uuid.uuid4().hex}"


def owner(state: Path) -> str:
    """Eight hexadecimal digits for a state folder."""
    return hashlib.sha256(os.fsencode(state.absolute())).hexdigest()[:8]


class Report(Protocol):
    """What is known of a run once nothing of it is left, whoever watched it."""

    @property
    def reason(self) -> Reason: ...
    @property
    def detail(self) -> str: ...
    @property
    def status(self) -> int | None: ...
    @property
    def wall_s(self) -> float: ...
    @property
    def cpu_s(self) -> float: ...
    @property
    def peak(self) -> int: ...
    @property
    def peak_disk(self) -> int: ...
    @property
    def peak_files(self) -> int: ...
    @property
    def peak_processes(self) -> int: ...
    @property
    def output_bytes(self) -> int: ...
    @property
    def tail(self) -> bytes: ...


@contextlib.contextmanager
def identity(spec: RunSpec) -> Iterator[tuple[Identity, tuple[int, ...]]]:
    """Who the command runs as, with the locks that say so; under root the output folder is theirs meanwhile."""
    if os.geteuid() != 0:
        yield Identity(os.getuid(), os.getgid(), as_root=False), ()
        return
    with slots.hold_slot() as slot:
        trees.give(spec.out, slot.uid)
        spec.out.chmod(0o700)
        try:
            yield Identity(slot.uid, slot.uid, as_root=True), (slot.lock,)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.chown(spec.out, 0, 0)
                spec.out.chmod(0o755)


def outcome(
    backend: str,
    isolation: Isolation,
    spec: RunSpec,
    report: Report,
    left: tuple[str, ...],
    collected: trees.Collected | None,
    digest: str,
) -> Outcome:
    """What the caller gets.

    `left` is what could not be removed; `collected` what was carried out of the run's own file system, None where
    the output folder itself is to be read.
    """
    notes = [report.detail] if report.detail else []
    notes += [f"not removed: {one}" for one in left]
    reason: Reason = report.reason
    found = collected or trees.Collected()
    try:
        if collected is None:
            found = trees.collect(spec.out, spec.limits.files, spec.limits.disk_bytes)
    except OSError as error:
        notes.append(f"the output could not be read: {error.strerror}")
        reason = "infra"
    return Outcome(
        reason=reason,
        status=report.status,
        wall_s=report.wall_s,
        cpu_s=report.cpu_s,
        peak_memory_bytes=report.peak,
        output_bytes=report.output_bytes,
        tail=plain_text(report.tail.decode("utf-8", errors="replace"), 1 << 20)[-_TAIL_CHARS:],
        manifest=tuple(found.files),
        backend=backend,
        isolation=isolation,
        flags_sha256=digest,
        detail="; ".join([*notes, *found.ignored]),
        ignored=tuple(found.ignored),
        peak_disk_bytes=report.peak_disk,
        peak_files=report.peak_files,
        peak_processes=report.peak_processes,
    )
