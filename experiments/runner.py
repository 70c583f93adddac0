"""Executes one run: train, predict and evaluate, each in a sandbox of its own, into one results folder.

Called by `experiments.measuring`, which decides what is still to be paid and keeps the record. The runner reads
no log and appends no event: a plan goes in, a record comes out, and the results folder appears whole or not at
all. What each phase may see stands in `experiments.phases`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.building import Build
from experiments.code_builds import CodeBuilds
from experiments.cost_runs import CostRun
from experiments.environment import EnvironmentRecord
from experiments.environments import Environments
from experiments.gpu_pool import Lent, pool_for
from experiments.phases import PhasedRun
from experiments.plans import Interrupted, Plan, Source
from experiments.trees import TreeCache
from registry.errors import AgentError
from registry.hypotheses import Scalar
from registry.runs import RunKey, RunRecord
from registry.target import Target
from sandbox.contract import Limits, Sandbox
from sandbox.outputs import plain_text, remove_tree

SEED_VARIABLES = ("AGENT_SEED", "PYTHONHASHSEED", "PL_GLOBAL_SEED")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Runner:
    """Runs plans for one target. Safe to call from several threads at once."""

    def __init__(
        self,
        target: Target,
        repository: Path,
        source: Source,
        sandbox: Sandbox,
        root: Path,
        environments: Path | None = None,
    ) -> None:
        """`root` is the workspace's folder; results go under it, half-done runs into its `.agent/cache/running`.

        Environments that are built are kept under `environments`, by default in the same cache.
        """
        self.target = target
        self.source = source
        self.sandbox = sandbox
        self.root = root
        cache = root / ".agent" / "cache"
        self.gpus = pool_for(target.resources)
        built = environments or cache / "environments"
        model = self.gpus.model if self.gpus is not None else ""
        self.environments = Environments(target, repository, source, sandbox, built, model)
        self.python = self.environments.declared
        self.trees = TreeCache(cache / "trees", target, repository, source)
        self.builds = CodeBuilds(self)
        self._running = cache / "running"

    # -- identity -------------------------------------------------------------------------------------------

    def key(self, plan: Plan) -> RunKey:
        """Identity of the run a plan asks for."""
        configuration = self.source.configuration(plan.commit, self.overrides(plan))
        return RunKey(
            tree=self.source.tree(plan.commit),
            configuration=hashlib.sha256(configuration).hexdigest(),
            data=self.trees.data_digest(plan.production),
            environment=self.environment(plan.commit).sha256,
            evaluator=self.trees.evaluator_digest(plan.production),
            settings=self._settings_digest(plan),
            split=plan.split,
            seed=plan.seed,
        )

    def environment(self, commit: str) -> EnvironmentRecord:
        """What the runs of a commit are made with, as it is now."""
        return self.environments.look(commit)

    def interpreter(self, commit: str) -> Path | None:
        """The program that runs a commit's own code; None where an image has its own."""
        return self.environments.python(commit)

    def prepare(self, commits: Collection[str], cancel: threading.Event) -> list[Build]:
        """Build the environments of these commits where they are not there; see `Environments.prepare`."""
        return self.environments.prepare(commits, cancel)

    def take_notes(self) -> list[str]:
        """What a person should know about things that others had changed, once."""
        notes, self.trees.notes, self.builds.notes = [*self.trees.notes, *self.builds.notes], [], []
        return [*notes, *self.environments.take_notes()]

    def overrides(self, plan: Plan) -> dict[str, Scalar]:
        return dict(self.target.fast.overrides) if plan.fast else {}

    def _settings_digest(self, plan: Plan) -> str:
        # Without a build the settings are what older records had.
        none = {"build"} if self.target.phases.build is None else set()
        phases = self.target.phases.model_dump(mode="json", exclude=none)
        # Which model runs use is part of the environment; and a GPU of one's own is what older records had.
        resources = self.target.resources
        left_out = {"gpu_model"} | ({"gpu_share"} if resources.gpu_share == 1 else set())
        limits = [resources.model_dump(mode="json", exclude=left_out), self.limits(plan).wall_s]
        facts = [phases, limits, plan.fast, plan.purpose == "cost", *([plan.repeat] if plan.repeat else [])]
        facts += ["weak"] if self.sandbox.isolation == "weak" else []  # paid again once there is a full sandbox
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def folder(self, plan: Plan) -> Path:
        """Results folder of a plan, relative to the workspace."""
        seed = str(plan.seed) if plan.purpose not in {"validation", "cost"} else f"{plan.purpose}-{plan.seed}"
        if plan.split != "dev":
            seed = f"{plan.split}-{seed}"
        if plan.repeat:
            seed = f"again-{plan.repeat}-{seed}"
        if self.sandbox.isolation == "weak":
            seed = f"weak-{seed}"
        if plan.arm == "production":
            return Path("experiments/results/production", self.source.tree(plan.commit)[:12], "runs", seed)
        return Path("experiments/results", plan.subject, "runs", seed)

    # -- execution ------------------------------------------------------------------------------------------

    def execute(self, plan: Plan, attempt: int, cancel: threading.Event) -> RunRecord:
        """Do the run, whatever it does to itself; raises only for faults that are not the run's.

        Code, evaluator, data and environment are hashed before and after. Where they differ, the run has no outcome.
        """
        self.trees.mend(plan.commit, plan.production)
        built = self.builds.ensure(plan, cancel)
        before = self._shown(plan)
        key = self.key(plan)  # after the look, so that nothing can change between the two and stay unnoticed
        work = self._running / f"{key.run_id}-{attempt}"
        remove_tree(work)
        work.mkdir(parents=True)
        try:
            with self._lend_gpus(plan, cancel) as lent:
                kind = CostRun if plan.purpose == "cost" else PhasedRun
                run = kind(self, plan, key, work, attempt, cancel, lent, built)
                record = run.go()
            record = _held(record, key, before, self._shown(plan))
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

    def _shown(self, plan: Plan) -> Shown:
        """What the run is shown, as it is at this moment; where that cannot be read, a part that says so."""
        try:
            predict, timed = self.target.phases.predict, None
            if plan.purpose == "cost" and predict is not None:
                timed = self.trees.timing_inputs(plan.production, predict.inputs["dev"], predict.repeats).folder
            found = self.trees.shown(plan.commit, plan.production, timed)
            return {**found, **self.builds.shown(plan), "environment": (self.environment(plan.commit).sha256, 0)}
        except (OSError, AgentError) as error:
            return {f"what it is shown ({error})": ("", 0)}

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
        return Limits(
            wall_s=wall,
            cpu_s=resources.cpu_time,
            memory_bytes=resources.memory,
            processes=resources.processes,
            disk_bytes=resources.disk,
            files=resources.files,
            output_bytes=resources.output,
        )

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


Shown = dict[str, tuple[str, int]]
"""Part of what a run is shown → (hash over it, inode of its folder)."""


def _held(record: RunRecord, key: RunKey, before: Shown, after: Shown) -> RunRecord:
    """The record with the proof that nothing changed while the run went on; without an outcome where something did."""
    environment = before.get("environment", ("", 0))[0]
    changed = [part for part in {**before, **after} if before.get(part) != after.get(part)]
    if environment and environment != key.environment and "environment" not in changed:
        changed.append("environment")
    if changed or not environment:
        why = f"changed while it ran: {', '.join(changed) or 'it cannot be read'}; {record.status} does not count"
        return record.model_copy(update={"status": "infra", "why": plain_text(why, 2000), "metrics": {}})
    facts = json.dumps({part: sha256 for part, (sha256, _) in before.items()}, sort_keys=True)
    return record.model_copy(update={"verified": hashlib.sha256(facts.encode()).hexdigest()})
