"""The policy `seed-card`: the source documents' rule, literally. Shown for comparison; it does not control a night.

Three pairs, six criteria, all binding. The gain it reports is the mean of the very pairs that chose it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from experiments import statistics
from experiments.gate import confirmation, rows, stage
from experiments.gate.decision import CostNumbers, Criterion, Decision, Extent, Need, Numbers, Stop, decided, short
from experiments.gate.evidence import Evidence, Pair, differences, first_failure, largest_value, primary


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedCard:
    """Parameters as the documents give them, and how the rule judges."""

    name: ClassVar[str] = "seed-card"
    version: ClassVar[int] = 1

    pairs: int = 3
    significance: float = 0.05
    stability: float = 0.005
    """The candidate's standard deviation over seeds must stay below this share of its mean."""

    def extent(self) -> Extent:
        return Extent(stage_pairs=self.pairs, fresh_pairs=0, cost_pairs=self.pairs)

    def judge(self, evidence: Evidence) -> Decision:
        """All six criteria on the same pairs; what fails first in the table is the reason."""
        failure = first_failure(evidence.stage)
        if failure is not None:
            return self._without_pairs(evidence, stage.crash(evidence.stage[failure].candidate, "stage"))
        if len(evidence.stage) < self.pairs:
            return self._without_pairs(evidence, self._more_pairs(evidence))
        numbers = _measure(evidence)
        table = self._table(evidence, numbers)
        stop = _verdict(evidence, numbers, table, self)
        return _decided(evidence, stop, table, numbers)

    def unjudged(self, evidence: Evidence, stop: Stop) -> Decision:
        """The table where nothing was judged."""
        return self._without_pairs(evidence, stop)

    def _more_pairs(self, evidence: Evidence) -> Stop:
        candidate = evidence.stage_seeds[len(evidence.stage) : self.pairs]
        need = Need("stage", self.pairs, candidate, stage.missing_production(evidence, self.pairs))
        return Stop("extend", "next_look", f"{len(evidence.stage)} of {self.pairs} pairs are measured.", need)

    def _without_pairs(self, evidence: Evidence, stop: Stop) -> Decision:
        return _decided(evidence, stop, self._table(evidence, Numbers()), Numbers())

    def _table(self, evidence: Evidence, numbers: Numbers) -> tuple[Criterion, ...]:
        return (
            _gain(evidence, numbers),
            self._t_test(numbers),
            rows.enough_seeds(numbers.n, self.pairs),
            self._stability(numbers),
            *(_cost(evidence, numbers, name) for name in rows.cost_names(evidence)),
            rows.projected_rank(evidence, binding=True),
        )

    def _t_test(self, numbers: Numbers) -> Criterion:
        requirement = f"two-sided p < {short(self.significance)} and mean > 0"
        if numbers.mean is None:
            return rows.not_yet("paired_t_test", requirement, "no pair has been judged")
        if numbers.p_two_sided is None:
            why = "invalid: the differences do not vary"
            return Criterion("paired_t_test", None, requirement, "failed", why, True)
        met = numbers.p_two_sided < self.significance and numbers.mean > 0.0
        return rows.judged("paired_t_test", numbers.p_two_sided, requirement, met, f"over {numbers.n} pairs")

    def _stability(self, numbers: Numbers) -> Criterion:
        requirement = f"standard deviation < {self.stability:.2%} of the mean"
        if not numbers.n:
            return rows.not_yet("stability", requirement, "no pair has been judged")
        if numbers.stability is None:
            return Criterion("stability", None, requirement, "failed", "the candidate's mean is zero", True)
        met = numbers.stability < self.stability
        return rows.judged("stability", numbers.stability, requirement, met, "the candidate's spread over seeds")


def _decided(evidence: Evidence, stop: Stop, table: tuple[Criterion, ...], numbers: Numbers) -> Decision:
    whole = (rows.soundness(stop), rows.differs(evidence, stop), *table)
    return decided(stop, whole, numbers, f"the {numbers.n} judged seeds")


def _measure(evidence: Evidence) -> Numbers:
    gains = differences(evidence, evidence.stage)
    test = statistics.paired_t(gains, largest_value(evidence.stage))
    values = [primary(pair.candidate) for pair in evidence.stage]
    mean = abs(statistics.mean(values))
    return Numbers(
        n=test.n,
        differences=gains,
        mean=test.mean,
        sd=test.sd,
        t=test.t,
        p_greater=test.p_greater,
        p_two_sided=test.p_two_sided,
        zero_variance=test.zero_variance,
        level=evidence.season.level,
        costs=tuple(_ratio_of_means(evidence.costs, name, limit) for name, limit in _measured_costs(evidence)),
        stability=statistics.standard_deviation(values) / mean if mean > 0.0 else None,
    )


def _measured_costs(evidence: Evidence) -> tuple[tuple[str, float], ...]:
    complete = len(evidence.costs) == len(evidence.stage) and first_failure(evidence.costs) is None
    return tuple(evidence.cost_limits.items()) if complete else ()


def _ratio_of_means(pairs: tuple[Pair, ...], name: str, increase: float) -> CostNumbers:
    """The documents compare the arms' means; as everywhere, `bound` and `limit` are log ratios."""
    ratios = tuple(confirmation.log_ratio_of(pair, name) for pair in pairs)
    candidate = statistics.mean([pair.candidate.secondary[name] for pair in pairs if pair.candidate is not None])
    production = statistics.mean([pair.production.secondary[name] for pair in pairs if pair.production is not None])
    mean, sd = statistics.mean(ratios), statistics.standard_deviation(ratios)
    bound = math.log(candidate) - math.log(production)
    return CostNumbers(name, len(pairs), ratios, mean, sd, bound, math.log1p(increase))


def _gain(evidence: Evidence, numbers: Numbers) -> Criterion:
    requirement = f">= {short(evidence.threshold)}"
    if numbers.mean is None:
        return rows.not_yet("gain", requirement, "no pair has been judged")
    why = f"mean of the {numbers.n} pairs that are judged, not fresh"
    return rows.judged("gain", numbers.mean, requirement, numbers.mean >= evidence.threshold, why)


def _cost(evidence: Evidence, numbers: Numbers, name: str) -> Criterion:
    allowed = evidence.cost_limits.get(name)
    if allowed is None:
        return rows.not_yet(name, "none declared", "the target declares no limit for it")
    found = next((cost for cost in numbers.costs if cost.name == name), None)
    requirement = f"ratio of means <= {short(1.0 + allowed)}"
    if found is None:
        return rows.not_yet(name, requirement, "not measured yet")
    met = found.bound <= found.limit
    return rows.judged(name, 1.0 + confirmation.increase(found.bound), requirement, met, f"over {found.n} pairs")


_REASONS = {
    "gain": "gain_below_threshold",
    "paired_t_test": "not_significant",
    "stability": "unstable",
    "projected_rank": "rank",
}


def _verdict(evidence: Evidence, numbers: Numbers, table: tuple[Criterion, ...], policy: SeedCard) -> Stop:
    if numbers.zero_variance:
        text = f"All {numbers.n} differences are equal, so the paired t-test is invalid."
        return Stop("archive", "invalid", text)
    failed = next((row for row in table if row.binding and row.result == "failed"), None)
    if failed is not None:
        return _refusal(failed)
    failure = first_failure(evidence.costs)
    if failure is not None:
        return stage.crash(evidence.costs[failure].candidate, "cost")
    if evidence.cost_limits and len(evidence.costs) < policy.pairs:
        missing = evidence.stage_seeds[len(evidence.costs) : policy.pairs]
        need = Need("cost", policy.pairs, missing, missing)
        return Stop("extend", "costs", "Costs are measured next, with nothing else running.", need)
    if superseding := confirmation.superseded(evidence):
        return superseding
    gain = numbers.mean if numbers.mean is not None else 0.0
    text = f"Gain {gain:+.4g} in {evidence.metric} over {numbers.n} pairs, all criteria passed"
    return Stop("promote", "promote", f"{text}; this rule does not control a night, and the gain is not fresh.")


def _refusal(row: Criterion) -> Stop:
    value = "unknown" if row.value is None else short(row.value)
    text = f"{row.name} is {value} where {row.requirement} is required ({row.why})."
    return Stop("archive", _REASONS.get(row.name, "cost_regression"), text)
