"""Pays for runs: each one once, side by side as far as the machine allows, retried once where it failed.

The judge asks for runs through `Measurer.measure`; what is already recorded is read, never run again. The record
is kept by a `RunLedger` (over the audit log), whose methods are only ever called from the calling thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Protocol

from experiments.building import BuildFailed
from experiments.plans import Interrupted, Plan
from experiments.quiet import QUIET_BELOW, wait_until_quiet
from experiments.runner import Runner
from registry.errors import Retryable
from registry.runs import RunRecord

MAX_ATTEMPTS = 2
POLL_S = 0.2


class ProductionFailed(Retryable):
    """Production itself failed twice on one seed: no verdict about any candidate follows from that."""


class InfrastructureFailed(Retryable):
    """The sandbox could not do its part, twice."""


class RunLedger(Protocol):
    """The record of runs."""

    def finished(self, run_id: str, attempt: int) -> RunRecord | None:
        """The recorded outcome of an attempt, or None where there is none."""
        ...

    def started(self, plan: Plan, run_id: str, attempt: int) -> None:
        """Announce an attempt, durably, before it starts."""
        ...

    def finish(self, record: RunRecord) -> None:
        """Record an outcome, durably."""
        ...

    def advance(self, done: int, total: int) -> None:
        """Told after every change of what is in flight."""
        ...

    def note(self, text: str) -> None:
        """Told what a person should know about how runs were done."""
        ...


class Measurer:
    """Executes plans and returns their records in the order of the plans."""

    def __init__(self, runner: Runner, ledger: RunLedger, cancel: threading.Event, slots: int | None = None) -> None:
        self._runner = runner
        self._ledger = ledger
        self._cancel = cancel
        self.slots = slots or runs_at_once(runner)

    def measure(self, plans: Sequence[Plan], exclusive: bool = False) -> list[RunRecord]:
        """Records of the plans, paid or already paid.

        `exclusive` runs one at a time with nothing beside it, for measurements of time. Raises Interrupted,
        ProductionFailed or InfrastructureFailed; whatever finished before is recorded and not paid again.
        """
        if exclusive:
            self._wait_until_quiet()
        self._prepare(plans)
        records: dict[int, RunRecord] = {}
        waiting = list(enumerate(plans))
        flying: dict[Future[RunRecord], tuple[int, Plan, int]] = {}
        with ThreadPoolExecutor(max_workers=1 if exclusive else self.slots, thread_name_prefix="run") as pool:
            try:
                while waiting or flying:
                    while waiting and len(flying) < (1 if exclusive else self.slots):
                        self._start(pool, *waiting.pop(0), 1, flying, records)
                    self._ledger.advance(len(records), len(plans))
                    for future in wait(flying, timeout=POLL_S, return_when=FIRST_COMPLETED).done:
                        index, plan, attempt = flying.pop(future)
                        self._settle(future.result(), index, plan, attempt, pool, flying, records)
                    self._stop_if_asked()
            except BaseException:
                self._cancel_all(flying)
                raise
        return [records[index] for index in range(len(plans))]

    def _prepare(self, plans: Sequence[Plan]) -> None:
        """Environments that were built and are there no more are built again."""
        commits = {plan.commit: plan for plan in plans}
        try:
            self._runner.prepare(commits, self._cancel)
        except BuildFailed as error:
            if any(plan.arm == "production" for plan in plans):
                raise ProductionFailed(str(error)) from error
            raise InfrastructureFailed(str(error)) from error

    def _wait_until_quiet(self) -> None:
        if (busy := wait_until_quiet(self._cancel)) >= QUIET_BELOW:
            self._ledger.note(f"timing on a busy machine: {busy:.0%} of the CPUs are in use; costs look worse for it")
        gpus = self._runner.gpus
        if gpus is not None and (busy := gpus.busy()) >= QUIET_BELOW:
            self._ledger.note(f"timing on busy GPUs: others use {busy:.0%} of one; costs look worse for it")

    def _start(
        self,
        pool: ThreadPoolExecutor,
        index: int,
        plan: Plan,
        attempt: int,
        flying: dict[Future[RunRecord], tuple[int, Plan, int]],
        records: dict[int, RunRecord],
    ) -> None:
        try:
            run_id = self._runner.key(plan).run_id
        except Retryable as error:
            raise InfrastructureFailed(str(error)) from error
        paid = self._ledger.finished(run_id, attempt)
        if paid is not None:
            self._settle(paid, index, plan, attempt, pool, flying, records, recorded=True)
            return
        self._ledger.started(plan, run_id, attempt)
        flying[pool.submit(self._runner.execute, plan, attempt, self._cancel)] = (index, plan, attempt)

    def _settle(
        self,
        record: RunRecord,
        index: int,
        plan: Plan,
        attempt: int,
        pool: ThreadPoolExecutor,
        flying: dict[Future[RunRecord], tuple[int, Plan, int]],
        records: dict[int, RunRecord],
        recorded: bool = False,
    ) -> None:
        for text in self._runner.take_notes():
            self._ledger.note(text)
        if not recorded:
            self._stop_if_asked()
            self._ledger.finish(record)
        if record.status == "ok":
            records[index] = record
        elif attempt < MAX_ATTEMPTS:
            self._start(pool, index, plan, attempt + 1, flying, records)
        elif record.status == "infra":
            raise InfrastructureFailed(f"{plan.subject}, seed {plan.seed}: the sandbox failed twice: {record.why}")
        elif plan.arm == "production":
            raise ProductionFailed(f"production failed twice on seed {plan.seed}: {record.why}")
        else:
            records[index] = record

    def _stop_if_asked(self) -> None:
        if self._cancel.is_set():
            raise Interrupted("stopped before the next run")

    def _cancel_all(self, flying: dict[Future[RunRecord], tuple[int, Plan, int]]) -> None:
        """End what is in flight; its records are dropped, so it starts again under its identity."""
        if not flying:
            return
        asked = self._cancel.is_set()
        self._cancel.set()
        wait(flying)
        if not asked:
            self._cancel.clear()


def runs_at_once(runner: Runner) -> int:
    """How many runs of a target are done side by side: as many as CPUs, memory and GPUs allow, and always one."""
    resources = runner.target.resources
    most = side_by_side(resources.cpus, resources.memory)
    return most if runner.gpus is None else min(most, runner.gpus.at_once)


def side_by_side(cpus: int, memory_bytes: int) -> int:
    """How many runs fit the machine at once, by CPUs this process may use and by physical memory."""
    by_cpu = len(os.sched_getaffinity(0)) // cpus
    by_memory = int(0.8 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) // memory_bytes
    return max(1, min(by_cpu, by_memory))
