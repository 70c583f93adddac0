"""The record of runs over the audit log: what `experiments.measuring` announces and what it finds paid."""

from __future__ import annotations

from collections.abc import Mapping

from agent.progress import Progress
from experiments.environment import EnvironmentRecord
from experiments.plans import Plan
from registry.audit import AuditLog
from registry.history import History
from registry.runs import RunRecord


def record_environment(log: AuditLog, found: EnvironmentRecord) -> None:
    """What an environment's digest stands for, once: enough to install it again."""
    key = f"environment:{found.sha256}"
    if log.find(key) is not None:
        return
    log.append("environment_recorded", found.sha256[:16], found.facts(), reason=found.summary, key=key)


class LogLedger:
    """Implements `experiments.measuring.RunLedger`."""

    def __init__(
        self,
        log: AuditLog,
        history: History,
        progress: Progress,
        environments: Mapping[str, EnvironmentRecord] | None = None,
    ) -> None:
        """`environments` is what the digests of environments in the records stand for."""
        self._log = log
        self._history = history
        self._progress = progress
        self._environments = {} if environments is None else environments
        self._running: dict[str, str] = {}

    def finished(self, run_id: str, attempt: int) -> RunRecord | None:
        """The recorded outcome of an attempt, or None where there is none.

        Where the first attempt broke for a reason of ours, the second is the outcome.
        """
        event = self._log.find(f"run:{run_id}:{attempt}")
        if event is None and attempt == 1:
            event = self._log.find(f"run:{run_id}:2")
        return RunRecord.model_validate(event.data) if event is not None else None

    def started(self, plan: Plan, run_id: str, attempt: int) -> None:
        """Announce an attempt. A run that was in flight at a crash is announced again: it is not a retry."""
        data = {
            "run_id": run_id,
            "attempt": attempt,
            "arm": plan.arm,
            "purpose": plan.purpose,
            "seed": plan.seed,
            "split": plan.split,
            "commit": plan.commit,
        }
        self._log.append("run_started", plan.subject, data)
        self._fold()
        self._running[run_id] = f"{plan.arm} seed {plan.seed}"

    def finish(self, record: RunRecord) -> None:
        """Record an outcome, once.

        Where the sandbox or the disk failed there is none, and a failure of production says nothing about a candidate:
        both are noted, and the run is done again when it is next asked for.
        """
        if (environment := self._environments.get(record.key.environment)) is not None:
            record_environment(self._log, environment)
        data = record.model_dump(mode="json")
        if record.status == "infra" or (record.arm == "production" and record.status != "ok"):
            self._log.append("run_broken", record.subject, data, reason=record.why)
        else:
            key = f"run:{record.run_id}:{record.attempt}"
            self._log.append("run_finished", record.subject, data, reason=record.why, key=key)
        self._fold()
        self._running.pop(record.run_id, None)

    def advance(self, done: int, total: int) -> None:
        """Show how far a batch is, and what the night has used."""
        night = self._history.night
        if night is not None:
            self._progress.budget(f"{night.runs} runs, {night.run_seconds / 60:.1f} min of run time used")
        self._progress.runs(sorted(self._running.values()), done, total)

    def note(self, text: str) -> None:
        """Show what a person should know about how runs were done."""
        self._progress.say(f"[STATUS] {text}")

    def _fold(self) -> None:
        for event in self._log.read_new(self._history.seq):
            self._history.apply(event)
