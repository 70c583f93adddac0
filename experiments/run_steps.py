"""The steps of one run: commands in the sandbox, their figures, and the record that they add up to.

Used by `experiments.phases` and `experiments.cost_runs`, which say what the steps are and what each may see.
"""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Protocol

from experiments import endings
from experiments.gpu_pool import Lent
from experiments.plans import Interrupted, Plan, Source
from experiments.trees import TreeCache
from registry.errors import DiskFull
from registry.hypotheses import Scalar
from registry.runs import PhaseRecord, RunKey, RunRecord, RunStatus
from registry.target import Target
from sandbox.contract import Limits, Mount, Outcome, RunSpec, Sandbox
from sandbox.outputs import plain_text

LEAST_ROOM = 1 << 20
"""Free bytes below which a failed phase is put down to the disk."""


class Bench(Protocol):
    """What a run is done with (`experiments.runner.Runner`)."""

    target: Target
    source: Source
    sandbox: Sandbox
    root: Path
    python: Path | None
    trees: TreeCache

    def overrides(self, plan: Plan) -> dict[str, Scalar]:
        """Settings that a plan changes for this run alone."""
        ...

    def folder(self, plan: Plan) -> Path:
        """Results folder of a plan, relative to the workspace."""
        ...

    def interpreter(self, commit: str) -> Path | None:
        """The program that runs a commit's own code; the evaluator's is `python`."""
        ...

    def limits(self, plan: Plan) -> Limits:
        """What each phase may use."""
        ...

    def variables(self, seed: int) -> dict[str, str]:
        """Environment of a phase."""
        ...


class RunSteps:
    """What was done of one run so far."""

    def __init__(
        self,
        runner: Bench,
        plan: Plan,
        key: RunKey,
        work: Path,
        attempt: int,
        cancel: threading.Event,
        lent: Lent | None = None,
    ) -> None:
        self.runner = runner
        self.plan = plan
        self.key = key
        self.work = work
        self.attempt = attempt
        self.cancel = cancel
        self.lent = lent
        self.phases: dict[str, PhaseRecord] = {}
        self.last: Outcome | None = None
        """What the last step came to."""

    def take(
        self, name: str, command: list[str], values: dict[str, str], mounts: list[Mount], out: str, code: Path
    ) -> RunRecord | None:
        """One command in the sandbox, which writes into the folder `out`; the run's record where it failed.

        Raises Interrupted at a stop, DiskFull where there is no room left.
        """
        folder = self.work / out
        folder.mkdir()
        argv = [_filled(word, values) for word in command]
        # What scores never runs on packages that a candidate chose.
        python = self.runner.python if name == "evaluate" else self.runner.interpreter(self.plan.commit)
        if argv[0] in {"python", "python3"} and python is not None:
            argv[0] = str(python)
        spec = RunSpec(
            run_id=f"{self.key.run_id}-{self.attempt}-{name}",
            argv=tuple(argv),
            out=folder,
            limits=self.runner.limits(self.plan),
            code=code,
            mounts=tuple(mounts),
            environment=self.runner.variables(self.plan.seed),
            python=python,
            image=self.runner.target.environment.image,
            start_in="code",
            gpus=self.lent.minors if self.lent is not None else (),
            log=self.work / f"{name}.log",
        )
        outcome = self.runner.sandbox.run(spec, self.cancel)
        self.note(name, outcome)
        if outcome.reason == "exit" and outcome.status == 0:
            return None
        if outcome.reason == "cancelled":
            raise Interrupted(f"{self.plan.subject}, seed {self.plan.seed}: stopped while it ran")
        if shutil.disk_usage(self.work).free < LEAST_ROOM:
            # Nobody can tell whose fault the failure is, so it must not count against the candidate.
            raise DiskFull(f"{self.work}: no room left while {name} ran; free some space and start again")
        status, why = endings.failure(outcome, on_gpus=self.lent is not None)
        return self.record(status, f"{name}: {why}")

    def note(self, name: str, outcome: Outcome) -> None:
        """Keep what a step came to, also one that was taken elsewhere."""
        self.last = outcome
        self.phases[name] = _figures(outcome)

    def record(
        self, status: RunStatus, why: str, found: dict[str, float] | None = None, outputs: str = ""
    ) -> RunRecord:
        """How the run ended, with the figures of every step until then."""
        return RunRecord(
            run_id=self.key.run_id,
            key=self.key,
            subject=self.plan.subject,
            arm=self.plan.arm,
            purpose=self.plan.purpose,
            commit=self.plan.commit,
            status=status,
            why=plain_text(why, 2000),
            attempt=self.attempt,
            metrics=found or {},
            phases=self.phases,
            outputs_sha256=outputs,
            backend=self.last.backend if self.last else "",
            isolation=self.last.isolation if self.last else "",
            folder=self.runner.folder(self.plan).as_posix(),
            gpu=self.lent.use if self.lent is not None else None,
        )


def _figures(outcome: Outcome) -> PhaseRecord:
    return PhaseRecord(
        reason=outcome.reason,
        status=outcome.status,
        wall_s=round(outcome.wall_s, 6),
        peak_memory_bytes=outcome.peak_memory_bytes,
        cpu_s=round(outcome.cpu_s, 6),
        peak_disk_bytes=outcome.peak_disk_bytes,
        peak_files=outcome.peak_files,
        peak_processes=outcome.peak_processes,
        output_bytes=outcome.output_bytes,
    )


def _filled(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace("{" + name + "}", value)
    return word
