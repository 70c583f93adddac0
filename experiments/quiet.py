"""Waits for a quiet machine before anything is timed: other programs' work would be measured as the candidate's.

Called by `experiments.measuring` before runs that are timed with nothing of ours beside them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

QUIET_BELOW = 0.15
"""Share of all CPUs that others may use while the machine still counts as quiet."""
WINDOW_S = 0.1
LONGEST_WAIT_S = 10.0
_STAT = Path("/proc/stat")


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Clock ticks of all CPUs together since the machine started."""

    busy: int
    total: int


def cpu_times(text: str) -> CpuTimes:
    """The first line of /proc/stat: user nice system idle iowait irq softirq steal, then guests (counted in user)."""
    fields = [int(field) for field in text.split("\n", 1)[0].split()[1:9]]
    idle = sum(fields[3:5])
    return CpuTimes(sum(fields) - idle, sum(fields))


def busy_share(before: CpuTimes, after: CpuTimes) -> float:
    """Share of CPU time that was used in between, from 0 to 1; 0 where no tick has passed."""
    total = after.total - before.total
    return (after.busy - before.busy) / total if total > 0 else 0.0


def wait_until_quiet(cancel: threading.Event, longest_s: float = LONGEST_WAIT_S) -> float:
    """Wait until the CPUs are idle, or as long as allowed; returns the share that was busy at the end.

    0 where the system does not tell (no /proc/stat).
    """
    busy = 0.0
    for _ in range(max(1, round(longest_s / WINDOW_S))):
        try:
            before = cpu_times(_STAT.read_text())
            if cancel.wait(WINDOW_S):
                return busy
            busy = busy_share(before, cpu_times(_STAT.read_text()))
        except (OSError, ValueError):
            return 0.0
        if busy < QUIET_BELOW:
            return busy
    return busy
