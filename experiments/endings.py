"""How a phase that failed is recorded: whose fault it was, why in words, its peak figures, its last lines.

Called by `experiments.phases`. Pure.
"""

from __future__ import annotations

import re

from experiments import gpu_memory
from registry.runs import RunStatus
from sandbox.contract import Outcome

_LAST_LINES = 3
_ERRORS = 4
_LINE = 200
_COMPLAINT = re.compile(r"\berror\b|\bundefined reference\b|\bfatal\b|\bcannot find\b", re.IGNORECASE)
"""What compilers and linkers say in a line that matters, which is seldom the last."""


def failure(outcome: Outcome, *, on_gpus: bool) -> tuple[RunStatus, str]:
    """Status and reason of a phase that ended in any way but well."""
    lacked = gpu_memory.complaint(outcome.tail) if on_gpus and outcome.reason == "exit" else ""
    if lacked:
        return "oom", f"out of GPU memory: {lacked}; {_why(outcome)}"
    return _status(outcome), _why(outcome)


def build_failure(outcome: Outcome) -> tuple[RunStatus, str]:
    """Status and reason of a build that failed: the first lines in which the compiler says what is wrong."""
    lines = [line.strip()[:_LINE] for line in outcome.tail.splitlines() if _COMPLAINT.search(line)]
    if outcome.reason != "exit" or not lines:
        return _status(outcome), _why(outcome)
    return _status(outcome), f"exit status {outcome.status}; the compiler: {' | '.join(lines[:_ERRORS])}"


def _status(outcome: Outcome) -> RunStatus:
    if outcome.reason in {"oom", "memory"}:
        return "oom"
    if outcome.reason in {"timeout", "infra"}:
        return outcome.reason
    return "crash" if outcome.reason == "exit" else "limit"


def _why(outcome: Outcome) -> str:
    """How a phase ended, its peak figures where a limit ended it, and the last lines of its log."""
    ending = f"exit status {outcome.status}" if outcome.reason == "exit" else outcome.reason
    detail = f" ({outcome.detail})" if outcome.detail else ""
    last = [line.strip() for line in outcome.tail.splitlines() if line.strip()][-_LAST_LINES:] or ["no output"]
    said = f"last line: {last[0]}" if len(last) == 1 else f"last lines: {' | '.join(last)}"
    return f"{ending}{detail}{'' if outcome.reason in {'exit', 'infra'} else _peaks(outcome)}; {said}"


def _peaks(outcome: Outcome) -> str:
    figures = f"{outcome.wall_s:.1f} s, CPU {outcome.cpu_s:.1f} s, memory {outcome.peak_memory_bytes / 2**20:.0f} MiB"
    written = f"{outcome.peak_disk_bytes / 2**20:.0f} MiB in {outcome.peak_files} files"
    printed = f"{outcome.output_bytes / 2**20:.1f} MiB printed"
    return f"; at most {figures}, {written}, {outcome.peak_processes} processes, {printed}"
