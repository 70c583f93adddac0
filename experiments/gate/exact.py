"""The policy `exact`: for metrics that do not vary, such as counts of instructions or parameters. No p-value.

Two runs of each arm on different seeds must give the same value to the bit; then the difference is a fact and not an
estimate, and what remains are the threshold, the declared costs (which do vary) and the rank.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from experiments.gate import rows
from experiments.gate.decision import Criterion, Decision, Numbers, Stop, decided, short
from experiments.gate.evidence import Evidence, differences, primary
from experiments.gate.fixed_runs import FixedRuns, gain_row, too_small


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact(FixedRuns):
    """The policy: its parameters and how it judges."""

    name: ClassVar[str] = "exact"
    version: ClassVar[int] = 1

    def judge(self, evidence: Evidence) -> Decision:
        """Equal within each arm, a gain worth having, then costs and rank."""
        if stop := self.incomplete(evidence):
            return self.unjudged(evidence, stop)
        gains = differences(evidence, evidence.stage)
        if differing := _differing_arm(evidence):
            return self._decision(evidence, differing, Numbers(n=self.runs, differences=gains), repeatable=False)
        numbers = Numbers(n=self.runs, differences=gains, mean=gains[0], zero_variance=True)
        stop = _not_better(evidence, gains[0]) or too_small(evidence, gains[0])
        if stop is None:
            costs, stop = self.after_the_gain(evidence)
            numbers = replace(numbers, costs=costs)
        return self._decision(evidence, stop or _promotion(evidence, gains[0]), numbers, repeatable=True)

    def unjudged(self, evidence: Evidence, stop: Stop) -> Decision:
        """The table where nothing was judged."""
        return self._decision(evidence, stop, Numbers(), repeatable=None)

    def _decision(self, evidence: Evidence, stop: Stop, numbers: Numbers, repeatable: bool | None) -> Decision:
        table = (
            rows.soundness(stop),
            rows.differs(evidence, stop),
            _repeatable(repeatable, self.runs),
            gain_row(evidence, numbers, "a difference of fixed values, not an estimate"),
            rows.not_yet("paired_t_test", "none", "a metric that does not vary has no p-value", binding=False),
            rows.not_yet("seeds", f"{self.runs} equal runs of each arm", "judged by repeatable", binding=False),
            rows.not_yet("stability", "none", "a metric that does not vary has no spread", binding=False),
            *self.last_rows(evidence, numbers),
        )
        return decided(stop, table, numbers, f"{self.runs} equal runs of each arm")


def _differing_arm(evidence: Evidence) -> Stop | None:
    for arm in ("production", "candidate"):
        values = [primary(getattr(pair, arm)) for pair in evidence.stage]
        if len(set(values)) > 1:
            found = " and ".join(repr(value) for value in sorted(set(values)))
            text = f"{evidence.metric} of {arm} is not the same on two seeds ({found})"
            return Stop("bad_evidence", "not_deterministic", f"{text}; a metric that varies needs the policy e-night.")
    return None


def _not_better(evidence: Evidence, gain: float) -> Stop | None:
    if gain > 0.0:
        return None
    text = f"{evidence.metric} changed by {gain:+.6g} (better is positive)"
    return Stop("archive", "below_baseline", f"{text}; a gain above 0 was needed.")


def _promotion(evidence: Evidence, gain: float) -> Stop:
    text = f"Gain {gain:+.6g} in {evidence.metric}, the same on every run, at least the threshold"
    return Stop("promote", "promote", f"{text} {short(evidence.threshold)}, with every binding criterion passed.")


def _repeatable(repeatable: bool | None, runs: int) -> Criterion:
    requirement = f"{runs} runs of each arm, equal to the bit"
    if repeatable is None:
        return rows.not_yet("repeatable", requirement, "not all runs are there")
    why = "different seeds, one value" if repeatable else "an arm gave two values"
    return Criterion("repeatable", None, requirement, "passed" if repeatable else "failed", why, True)
