"""What the policies for values that do not vary share: two runs of each arm, then threshold, costs and rank.

`exact` holds the values themselves against each other, `per-item` the scores of their items.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from experiments.gate import confirmation, rows, stage
from experiments.gate.decision import CostNumbers, Criterion, Extent, Need, Numbers, Stop, short
from experiments.gate.evidence import Evidence, first_failure


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedRuns:
    """Parameters of such a policy."""

    rank: Literal["row", "binding"] = "row"
    runs: int = 2
    """Of each arm, on the first seeds of the list."""
    cost_looks: tuple[int, ...] = (5, 10, 20)
    confidence: float = 0.95
    """Of the cost bounds."""

    def extent(self) -> Extent:
        return Extent(stage_pairs=self.runs, fresh_pairs=0, cost_pairs=self.cost_looks[-1])

    def incomplete(self, evidence: Evidence) -> Stop | None:
        """A candidate that failed, or runs that are still to be done; None where all are there."""
        failure = first_failure(evidence.stage)
        if failure is not None:
            return stage.crash(evidence.stage[failure].candidate, "stage")
        found = len(evidence.stage)
        if found == self.runs:
            return None
        missing = evidence.stage_seeds[found : self.runs]
        need = Need("stage", self.runs, missing, stage.missing_production(evidence, self.runs))
        return Stop("extend", "next_look", f"{found} of {self.runs} runs of each arm are measured.", need)

    def after_the_gain(self, evidence: Evidence) -> tuple[tuple[CostNumbers, ...], Stop | None]:
        """Whether production moved on, the costs, the rank: what is asked of a gain that is worth having."""
        if superseding := confirmation.superseded(evidence):
            return (), superseding
        costs, stop = confirmation.measure_costs(evidence, self)
        if stop is None and self.rank == "binding" and not confirmation.rank_reached(evidence):
            stop = confirmation.rank_missed(evidence)
        return costs, stop

    def last_rows(self, evidence: Evidence, numbers: Numbers) -> tuple[Criterion, ...]:
        """The rows of costs and rank."""
        costs = tuple(rows.cost_bound(evidence, numbers.costs, name) for name in rows.cost_names(evidence))
        return (*costs, rows.projected_rank(evidence, self.rank == "binding"))


def too_small(evidence: Evidence, gain: float) -> Stop | None:
    """A gain below the threshold, or none."""
    if gain >= evidence.threshold and gain > 0.0:
        return None
    text = f"The gain is {short(gain)}, {short(evidence.threshold - gain)} below the threshold"
    return Stop("archive", "real_but_small", f"{text} {short(evidence.threshold)}: real, and too small.")


def gain_row(evidence: Evidence, numbers: Numbers, why: str) -> Criterion:
    """The gain against the threshold."""
    requirement = f">= {short(evidence.threshold)} and > 0"
    if numbers.mean is None:
        return rows.not_yet("gain", requirement, "no difference has been judged")
    return rows.judged("gain", numbers.mean, requirement, too_small(evidence, numbers.mean) is None, why)
