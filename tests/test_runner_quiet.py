"""Waiting for a quiet machine before anything is timed."""

from __future__ import annotations

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from experiments.quiet import CpuTimes, busy_share, cpu_times, wait_until_quiet

TICKS = st.lists(st.integers(0, 10**9), min_size=8, max_size=8)


def test_idle_and_waiting_for_the_disk_are_not_busy() -> None:
    assert cpu_times("cpu  10 1 5 80 4 0 0 0 7 0\ncpu0 1 1 1 1\n") == CpuTimes(busy=16, total=100)


@given(before=TICKS, passed=TICKS)
def test_the_share_is_between_nothing_and_everything(before: list[int], passed: list[int]) -> None:
    after = [tick + more for tick, more in zip(before, passed, strict=True)]
    share = busy_share(*(cpu_times("cpu " + " ".join(map(str, ticks)) + " 0 0\n") for ticks in (before, after)))
    assert 0.0 <= share <= 1.0


def test_no_tick_between_two_looks_is_idle() -> None:
    assert busy_share(CpuTimes(5, 10), CpuTimes(5, 10)) == 0.0


def test_waiting_ends_at_its_limit_and_at_once_when_asked_to_stop() -> None:
    asked = threading.Event()
    asked.set()
    began = time.monotonic()
    wait_until_quiet(asked, longest_s=60.0)
    assert time.monotonic() - began < 5.0
    assert 0.0 <= wait_until_quiet(threading.Event(), longest_s=0.2) <= 1.0
