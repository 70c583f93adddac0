"""Runs production itself, as a night would: does it finish, is it reproducible, what does it cost.

Called by `agent.doctor.checkup` where everything before it is in order. Runs go through the same runner and sandbox
as a night's, under a temporary root that is removed; no event is written and no result is kept.
"""

from __future__ import annotations

import math
import shlex
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.doctor.contract import Opened
from agent.doctor.findings import STUMBLES, Finding, complaints, fail, ok, warn
from experiments import seeds
from experiments.building import BuildFailed
from experiments.measuring import runs_at_once
from experiments.plans import Interrupted, Plan
from experiments.runner import Runner
from registry.durable import make_folder
from registry.locks import Busy, workspace_lock
from registry.runs import RunRecord
from registry.target import Target
from registry.workspace import Workspace
from sandbox.backends import choose
from sandbox.outputs import plain_text, remove_tree

NULL_RUNS = {"e-night": 4, "seed-card": 3}
"""Candidate runs that an idea without effect costs on average until the gate archives it, by policy (`gate.md`)."""
DETERMINISM = "call torch.use_deterministic_algorithms(True) in train and predict (CUBLAS_WORKSPACE_CONFIG is set)"
"""What makes one seed give one value on a GPU; no variable can do it."""
_NEARLY = 0.8
_TIMED_S = 1.0
"""Below this a timed predict is mostly its own start-up."""
_TAIL_LINES, _TAIL_BYTES = 6, 16 << 10


class Baseline:
    """Three full runs and a fast one."""

    def __init__(
        self,
        workspace: Workspace,
        target: Target,
        opened: Opened,
        tell: Callable[[str], None],
        cancel: threading.Event,
        allow_weak: bool = False,
    ) -> None:
        self.workspace = workspace
        self.target = target
        self.opened = opened
        self.tell = tell
        self.cancel = cancel
        self.allow_weak = allow_weak

    def check(self) -> Iterator[Finding]:
        """Hold the workspace for as long as the runs take, so that no night runs beside them."""
        try:
            with workspace_lock(self.workspace.lock, "agent doctor"), self._temporary() as root:
                yield from self._runs(root)
        except Busy as error:
            holder = f"process {error.holder.pid} ({error.holder.command})" if error.holder else "another process"
            fix = "run `agent doctor` again when it has ended, or with --no-baseline"
            yield warn("baseline", f"not run: {holder} is using the workspace", fix)
        except Interrupted:
            raise
        except STUMBLES as error:
            yield from complaints("baseline", error)

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        """A root for the runner, removed however the runs end; one that a killed doctor left goes first."""
        make_folder(self.workspace.cache)
        for leftover in self.workspace.cache.glob("doctor-*"):
            remove_tree(leftover)
        root = Path(tempfile.mkdtemp(prefix="doctor-", dir=self.workspace.cache))
        try:
            yield root
        finally:
            remove_tree(root)

    def _runs(self, root: Path) -> Iterator[Finding]:
        solution, commit = self.opened.solution, self.opened.commit
        built = self.workspace.cache / "environments"
        image, allow_weak = self.target.environment.image, self.allow_weak
        sandbox = choose(self.workspace.agent / "sandbox", image=image, allow_weak=allow_weak)
        runner = Runner(self.target, self.opened.folder, solution, sandbox, root, built)
        if self.target.environment.build is not None:
            self.tell("baseline: building the environment")
            try:
                runner.prepare([commit], self.cancel)
            except BuildFailed as error:
                yield fail("environment", str(error), "try environment.build.command by hand, without network")
                return
        one, other = seeds.check_seeds(0, 2)
        quick = Plan("production", "production", "validation", commit, commit, one, fast=True)
        first, second = (Plan("production", "production", "check", commit, commit, seed) for seed in (one, other))
        done: list[RunRecord] = []
        for name, plan in (
            ("fast run", quick),
            ("baseline", first),
            ("the same seed again", first),
            ("another seed", second),
        ):
            self.tell(f"baseline: {name} (run {len(done) + 1} of 4)")
            record = runner.execute(plan, len(done) + 1, self.cancel)
            done.append(record)
            if record.status != "ok":
                yield self._broken(name, record, root)
                return
        fast, *full = done
        yield ok("fast run", self._took(fast, self.target.fast.timeout))
        yield self._limits(full[0])
        yield self._reproducible(full[0], full[1])
        yield self._varied(full[0], full[2])
        yield self._costs(full, runs_at_once(runner))
        yield from self._latency(full[0])

    # -- what the runs say ----------------------------------------------------------------------------------

    def _broken(self, name: str, record: RunRecord, root: Path) -> Finding:
        phase = list(record.phases)[-1] if record.phases else "train"
        log = root / record.folder / f"{phase}.log"
        lines = ""
        if log.is_file():
            with log.open("rb") as stream:
                stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
                text = plain_text(stream.read().decode(errors="replace"), _TAIL_BYTES)
            lines = "\n".join(text.strip().splitlines()[-_TAIL_LINES:])
        found = f"{record.status}: {record.why}" + (f"\n{lines}" if lines else "")
        return fail(name, found, f"try it by hand in {self.opened.folder}: {self._by_hand(phase)}")

    def _by_hand(self, phase: str) -> str:
        """The phase's command with paths of the checkout, for a person to try."""
        phases = self.target.phases
        values = {
            "config": self.target.solution.config,
            "seed": "1",
            "data": phases.train.data or "",
            "inputs": phases.predict.inputs.get("dev", "") if phases.predict else "",
            "labels": phases.evaluate.labels.get("dev", ""),
            "build": "/tmp/agent-build",  # noqa: S108
            "model": "/tmp/agent-train",  # noqa: S108 (shown to a person, never opened)
            "predictions": "/tmp/agent-predict" if phases.predict else "/tmp/agent-train",  # noqa: S108
            "out": f"/tmp/agent-{phase}",  # noqa: S108
        }
        words = []
        for word in getattr(phases, phase).command:
            filled = word
            for name, value in values.items():
                filled = filled.replace("{" + name + "}", value)
            words.append(filled)
        if words[0] in {"python", "python3"} and self.target.environment.python:
            words[0] = self.target.environment.python
        return f"mkdir -p {values['out']}; {shlex.join(words)}"

    def _took(self, record: RunRecord, limit: float) -> str:
        longest = max(phase.wall_s for phase in record.phases.values())
        return f"{_value(record, self.target)}; its longest phase took {longest:.1f} s of {limit:g} s"

    def _limits(self, record: RunRecord) -> Finding:
        found = self._took(record, self.target.full.timeout)
        longest = max(phase.wall_s for phase in record.phases.values())
        peak, memory = max(phase.peak_memory_bytes for phase in record.phases.values()), self.target.resources.memory
        found += f" and {peak >> 20} of {memory >> 20} MiB"
        if longest > _NEARLY * self.target.full.timeout:
            return warn("baseline", found, "raise full.timeout in target.yaml: a candidate may be slower")
        if peak > _NEARLY * memory:
            return warn("baseline", found, "raise resources.memory in target.yaml: a candidate may need more")
        return ok("baseline", found)

    def _reproducible(self, first: RunRecord, again: RunRecord) -> Finding:
        name = self.target.metrics.primary.name
        one, two = first.metrics[name], again.metrics[name]
        if one == two:
            bytes_too = "" if first.outputs_sha256 == again.outputs_sha256 else " (not every byte of its outputs)"
            return ok("same seed twice", f"{name} {one:.6g} both times{bytes_too}")
        found = f"{name} {one:.6g}, then {two:.6g}"
        if self.target.noisy:
            return ok("same seed twice", f"{found}; the target is declared noisy")
        kernels = f"; {DETERMINISM}" if self.target.resources.gpus else ""
        fix = f"take every random choice from {{seed}} (or AGENT_SEED){kernels}, or say noisy: true in target.yaml"
        return fail("same seed twice", found, fix)

    def _varied(self, first: RunRecord, other: RunRecord) -> Finding:
        name = self.target.metrics.primary.name
        one, two = first.metrics[name], other.metrics[name]
        if one != two:
            return ok("two seeds", f"{name} {one:.6g} and {two:.6g}")
        if first.outputs_sha256 != other.outputs_sha256:
            return warn("two seeds", f"{name} {one:.6g} with both, from outputs that differ: a coarse metric")
        fix = "use {seed} (or AGENT_SEED) in train; for a solution without any chance in it, use policy exact later"
        return warn("two seeds", f"{name} {one:.6g} with both, from equal outputs: seeds change nothing", fix)

    def _latency(self, record: RunRecord) -> Iterator[Finding]:
        """Whether predict is timed for long enough that its start-up does not dominate."""
        phase, cost = self.target.phases.predict, self.target.metrics.secondary.get("latency_ms")
        if phase is None or cost is None or cost.source != "predict":
            return
        took = record.phases["predict"].wall_s
        inputs = f"{phase.inputs.get('dev', '')}/inputs.jsonl"
        repeatable = inputs in self.opened.paths or (self.opened.folder / inputs).is_file()
        found = f"predict takes {took:.2f} s, and is timed with its items {phase.repeats} times over"
        if took * phase.repeats >= _TIMED_S or not repeatable:
            yield ok("latency", found)
            return
        repeats = min(10_000, math.ceil(10 * _TIMED_S / took))
        fix = f"say repeats: {repeats} under phases.predict in target.yaml"
        yield warn("latency", f"{found}: mostly its start-up is measured", fix)

    def _costs(self, full: list[RunRecord], slots: int) -> Finding:
        each = sum(sum(phase.wall_s for phase in record.phases.values()) for record in full) / len(full)
        null = NULL_RUNS[self.target.gate.policy]
        spent = 2 * null * each / slots
        duration = f"{spent / 60:.1f} minutes" if spent >= 60 else f"{spent:.1f} seconds"
        return ok(
            "cost",
            f"{each:.1f} s a run, {slots} side by side: about {3600 * slots / each:.0f} runs an hour; an idea without"
            f" effect costs some {null} runs and up to as many of production, {duration}",
        )


def _value(record: RunRecord, target: Target) -> str:
    name = target.metrics.primary.name
    return f"{name} {record.metrics[name]:.6g}"
