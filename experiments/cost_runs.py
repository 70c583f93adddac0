"""The run that measures what a solution costs: time and memory of the phases that the target names, from outside.

Called by `experiments.runner` for plans whose purpose is `cost`, with nothing of ours running beside them.
"""

from __future__ import annotations

from experiments.phases import PhasedRun
from experiments.plans import Plan
from registry.runs import PhaseRecord, RunRecord
from sandbox.contract import Mount
from sandbox.outputs import remove_tree

TIMED_RUNS = 3
"""Timings of a cost run; the quickest counts."""


class CostRun(PhasedRun):
    """Costs of one commit on one seed."""

    def go(self) -> RunRecord:
        """Measure the declared costs; the caller lets nothing run beside it.

        Of `predict`: host time per item and peak memory, with the items repeated, on the model that the gate's run
        of this seed left. Of `train`: host time and peak memory of training. A model that is not there (any more)
        is trained here.
        """
        if (failure := self._build()) is not None:
            return failure
        config = self._configuration()
        model = self.runner.root / self.runner.folder(trained(self.plan)) / "model"
        sources = {cost.source for cost in self.target.metrics.secondary.values()}
        items = {"train": 1}
        if "train" in sources or not model.is_dir():
            if (failure := self._train(config)) is not None:
                return failure
            model = self.work / "model"
        if "predict" in sources:
            phase = self._predict_phase()
            inputs = self.runner.trees.timing_inputs(self.plan.production, phase.inputs["dev"], phase.repeats)
            items["predict"] = inputs.items
            mounts = self._predict_mounts(config, model, inputs.folder)
            if (failure := self._timed_predict(phase.command, mounts)) is not None:
                return failure
        remove_tree(self.work / "model")
        found: dict[str, float] = {
            name: _cost(name, self.steps.phases[cost.source], items[cost.source])
            for name, cost in self.target.metrics.secondary.items()
        }
        return self.steps.record("ok", "", found)

    def _timed_predict(self, command: list[str], mounts: list[Mount]) -> RunRecord | None:
        """Time the phase a few times; the quickest counts, since everything else on a machine only adds time."""
        quickest: PhaseRecord | None = None
        for _ in range(TIMED_RUNS):
            failure = self.steps.take("predict", command, self._predict_values(), mounts, "predicted", self._code())
            remove_tree(self.work / "predicted")
            if failure is not None:
                return failure
            figures = self.steps.phases["predict"]
            if quickest is None or figures.wall_s < quickest.wall_s:
                quickest = figures
        if quickest is not None:
            self.steps.phases["predict"] = quickest
        return None


def trained(plan: Plan) -> Plan:
    """The gate run whose model a cost run times."""
    return Plan(plan.subject, plan.arm, "gate", plan.commit, plan.production, plan.seed)


def _cost(name: str, figures: PhaseRecord, items: int) -> float:
    """Milliseconds an item, or peak memory in MiB, from the host's own accounting."""
    return 1000.0 * figures.wall_s / items if name == "latency_ms" else figures.peak_memory_bytes / 2**20
