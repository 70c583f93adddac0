"""Executes one run: train, predict and evaluate, each in a sandbox of its own, into one results folder.

Called by `experiments.measuring`, which decides what is still to be paid and keeps the record. The runner reads
no log and appends no event: a plan goes in, a record comes out, and the results folder appears whole or not at
all. What each phase may see stands in `experiments.phases`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from experiments import environment
from experiments.gpu_pool import Lent, pool_for
from experiments.phases import PhasedRun
from experiments.plans import Interrupted, Plan, Source
from experiments.trees import TreeCache
from registry.errors import BadInput, Problem
from registry.hypotheses import Scalar
from registry.runs import RunKey, RunRecord
from registry.target import Target
from sandbox.contract import Limits, Sandbox
from sandbox.outputs import remove_tree

SEED_VARIABLES = ("AGENT_SEED", "PYTHONHASHSEED", "PL_GLOBAL_SEED")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Runner:
    """Runs plans for one target. Safe to call from several threads at once."""

    def __init__(self, target: Target, repository: Path, source: Source, sandbox: Sandbox, root: Path) -> None:
        """`root` is the workspace's folder; results go under it, half-done runs into its `.agent/cache/running`."""
        self.target = target
        self.source = source
        self.sandbox = sandbox
        self.root = root
        self.python = interpreter(target, repository)
        self.gpus = pool_for(target.resources)
        described = environment.describe(self.python, target.environment.variables)
        self.environment = replace(described, gpu=self.gpus.model if self.gpus is not None else "")
        self.trees = TreeCache(root / ".agent" / "cache" / "trees", target, repository, source)
        self._running = root / ".agent" / "cache" / "running"

    # -- identity -------------------------------------------------------------------------------------------

    def key(self, plan: Plan) -> RunKey:
        """Identity of the run a plan asks for."""
        configuration = self.source.configuration(plan.commit, self.overrides(plan))
        return RunKey(
            tree=self.source.tree(plan.commit),
            configuration=hashlib.sha256(configuration).hexdigest(),
            data=self.trees.data_digest(plan.production),
            environment=self.environment.sha256,
            evaluator=self.trees.evaluator_digest(plan.production),
            settings=self._settings_digest(plan),
            split=plan.split,
            seed=plan.seed,
        )

    def overrides(self, plan: Plan) -> dict[str, Scalar]:
        return dict(self.target.fast.overrides) if plan.fast else {}

    def _settings_digest(self, plan: Plan) -> str:
        phases = self.target.phases.model_dump(mode="json")
        # Which model runs use is part of the environment; and a GPU of one's own is what older records had.
        resources = self.target.resources
        left_out = {"gpu_model"} | ({"gpu_share"} if resources.gpu_share == 1 else set())
        limits = [resources.model_dump(mode="json", exclude=left_out), self.limits(plan).wall_s]
        facts = [phases, limits, plan.fast, plan.purpose == "cost", *([plan.repeat] if plan.repeat else [])]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def folder(self, plan: Plan) -> Path:
        """Results folder of a plan, relative to the workspace."""
        seed = str(plan.seed) if plan.purpose not in {"validation", "cost"} else f"{plan.purpose}-{plan.seed}"
        if plan.split != "dev":
            seed = f"{plan.split}-{seed}"
        if plan.repeat:
            seed = f"again-{plan.repeat}-{seed}"
        if plan.arm == "production":
            return Path("experiments/results/production", self.source.tree(plan.commit)[:12], "runs", seed)
        return Path("experiments/results", plan.subject, "runs", seed)

    # -- execution ------------------------------------------------------------------------------------------

    def execute(self, plan: Plan, attempt: int, cancel: threading.Event) -> RunRecord:
        """Do the run, whatever it does to itself; raises only for faults that are not the run's."""
        key = self.key(plan)
        work = self._running / f"{key.run_id}-{attempt}"
        remove_tree(work)
        work.mkdir(parents=True)
        try:
            with self._lend_gpus(plan, cancel) as lent:
                run = PhasedRun(self, plan, key, work, attempt, cancel, lent)
                record = run.measure_cost() if plan.purpose == "cost" else run.through_phases()
            run.write_record(record)
        except BaseException:
            remove_tree(work)
            raise
        destination = self.root / self.folder(plan)
        if attempt > 1:
            _keep_logs(destination, work / f"attempt-{attempt - 1}")
        remove_tree(destination)
        destination.parent.mkdir(parents=True, exist_ok=True)
        work.rename(destination)
        return record

    @contextmanager
    def _lend_gpus(self, plan: Plan, cancel: threading.Event) -> Iterator[Lent | None]:
        """GPUs for all phases of one run; None where the target asks for none."""
        if self.gpus is None:
            yield None
            return
        with self.gpus.lend(plan.purpose == "cost", self.variables(plan.seed), cancel) as lent:
            if lent is None:
                raise Interrupted(f"{plan.subject}, seed {plan.seed}: stopped while it waited for a GPU")
            yield lent

    def discard_model(self, folder: str) -> None:
        """Remove what train left in a results folder, once no decision can need it again."""
        remove_tree(self.root / folder / "model")

    def limits(self, plan: Plan) -> Limits:
        resources = self.target.resources
        wall = self.target.fast.timeout if plan.fast else self.target.full.timeout
        return Limits(wall_s=wall, memory_bytes=resources.memory, disk_bytes=resources.disk)

    def variables(self, seed: int) -> dict[str, str]:
        """Environment of a phase: the seed for whatever reads one, one thread per CPU granted, the target's own."""
        values = {name: str(seed) for name in SEED_VARIABLES}
        values["PYTHONHASHSEED"] = str(seed % (1 << 32))
        values |= {name: str(self.target.resources.cpus) for name in THREAD_VARIABLES}
        values |= {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
        return values | self.target.environment.variables


def _keep_logs(earlier: Path, kept: Path) -> None:
    """The logs of the attempt that failed, beside those of the retry that takes its place."""
    logs = [log for log in sorted(earlier.glob("*.log")) if log.is_file() and not log.is_symlink()]
    if logs:
        kept.mkdir()
        for log in logs:
            shutil.copyfile(log, kept / log.name)


def interpreter(target: Target, repository: Path) -> Path:
    """Path of the solution's own interpreter; raises BadInput where the target names an image instead."""
    if target.environment.python is None:
        raise BadInput(
            Problem(
                "target.yaml",
                "an image",
                "an interpreter: images need the docker backend, which this version does not have",
                "environment",
            )
        )
    # Without `..`: the sandbox mounts the path as it is spelled, and the folder before a `..` is not inside.
    return Path(os.path.normpath(repository / target.environment.python))
