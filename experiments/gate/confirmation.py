"""Steps 5 to 10 of `e-night`: is the gain there on fresh seeds, is it worth having, and what does it cost.

Called once the evidence has passed (or a parked candidate was readmitted). `measure_costs` and `spread_bound` serve
other policies too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from experiments import statistics
from experiments.gate.decision import CostNumbers, Need, Stop, short
from experiments.gate.e_night_parameters import ENightParameters
from experiments.gate.evidence import Evidence, Pair, differences, first_failure, primary
from experiments.gate.stage import crash


class CostRule(Protocol):
    """What a policy says about costs: the numbers of pairs to look at, and the confidence of the bound."""

    @property
    def cost_looks(self) -> tuple[int, ...]: ...
    @property
    def confidence(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """What confirmation measured, as far as it got; `stop` is None where every step was passed."""

    stop: Stop | None = None
    superseded: bool = False
    fresh_differences: tuple[float, ...] = ()
    fresh_mean: float | None = None
    costs: tuple[CostNumbers, ...] = ()
    stability: float | None = None
    """Lower bound of the candidate's spread over seeds, as a share of its mean; None where that means nothing."""
    flags: tuple[str, ...] = ()


def confirm(evidence: Evidence, policy: ENightParameters, n: int) -> Confirmed:
    """Steps 5 to 9 after evidence passed at n pairs."""
    if superseding := superseded(evidence):
        return Confirmed(stop=superseding, superseded=True)
    failure = first_failure(evidence.fresh)
    if failure is not None:
        return Confirmed(stop=crash(evidence.fresh[failure].candidate, "fresh"))
    if len(evidence.fresh) < policy.fresh_pairs:
        stop = None if not evidence.costs else _costs_too_early(evidence)
        return Confirmed(stop=stop or _run_fresh(evidence, policy))
    gains = differences(evidence, evidence.fresh)
    mean = statistics.mean(gains)
    if refused := gain_refused(evidence, mean, "fresh seeds"):
        stop = _costs_too_early(evidence) if evidence.costs else refused
        return Confirmed(stop=stop, fresh_differences=gains, fresh_mean=mean)
    costs, stop = measure_costs(evidence, policy)
    stability = spread_bound(evidence.stage[:n], policy.confidence)
    if stop is None and policy.unstable == "archive" and stability is not None and stability > policy.stability:
        stop = _unstable(stability, policy)
    if stop is None and policy.rank == "binding" and not rank_reached(evidence):
        stop = rank_missed(evidence)
    flags = _flags(stability, policy)
    return Confirmed(stop=stop, fresh_differences=gains, fresh_mean=mean, costs=costs, stability=stability, flags=flags)


def superseded(evidence: Evidence) -> Stop | None:
    """Step 5: production moved on since the candidate's pairs were measured."""
    measured = next((pair.production.commit for pair in evidence.stage if pair.production is not None), "")
    paired = evidence.production_commit_paired or measured
    if evidence.production_commit_now == paired:
        return None
    now = evidence.production_commit_now[:12] or "unknown"
    text = f"Production is {now}, the pairs were measured against {paired[:12]}"
    return Stop("archive", "superseded", f"{text}; rebased, the candidate is a new test.")


def _run_fresh(evidence: Evidence, policy: ENightParameters) -> Stop:
    missing = evidence.fresh_seeds[len(evidence.fresh) : policy.fresh_pairs]
    need = Need("fresh", policy.fresh_pairs, missing, missing)
    text = f"The evidence is in; {policy.fresh_pairs} fresh pairs must confirm it"
    return Stop("extend", "confirm", f"{text} and give the gain.", need)


def gain_refused(evidence: Evidence, mean: float, where: str) -> Stop | None:
    """Steps 5 and 6: a gain that is not there, or too small, where nothing has been chosen before."""
    if mean <= 0.0:
        text = f"On {where} {evidence.metric} changed by {mean:+.4g} (better is positive)"
        return Stop("archive", "not_confirmed", f"{text}; a gain above 0 was needed.")
    if mean < evidence.threshold:
        short_by = short(evidence.threshold - mean)
        text = f"The gain on {where} is {short(mean)}, {short_by} below the threshold {short(evidence.threshold)}"
        return Stop("archive", "real_but_small", f"{text}: real, and too small.")
    return None


def _costs_too_early(evidence: Evidence) -> Stop:
    text = f"There are more values than the verdict was reached with: {len(evidence.costs)} cost pairs came too early."
    return Stop("bad_evidence", "overrun", text)


def measure_costs(evidence: Evidence, policy: CostRule) -> tuple[tuple[CostNumbers, ...], Stop | None]:
    """Step 7: the first look at which the bound of every declared cost is within its limit; at the last, a verdict."""
    costs: tuple[CostNumbers, ...] = ()
    if not evidence.cost_limits:
        extra = evidence.costs
        return costs, _costs_too_early(evidence) if extra else None
    failure = first_failure(evidence.costs)
    for n in policy.cost_looks:
        if failure is not None and failure < n:
            return costs, crash(evidence.costs[failure].candidate, "cost")
        if len(evidence.costs) < n:
            missing = evidence.stage_seeds[len(evidence.costs) : n]
            text = f"Costs are measured next, on {n} pairs with nothing else running."
            return costs, Stop("extend", "costs", text, Need("cost", n, missing, missing))
        costs = tuple(
            _cost(evidence.costs[:n], name, limit, policy.confidence) for name, limit in evidence.cost_limits.items()
        )
        if all(cost.bound <= cost.limit for cost in costs):
            return costs, _costs_too_early(evidence) if len(evidence.costs) > n else None
    worst = max(costs, key=lambda cost: cost.bound - cost.limit)
    found, allowed = increase(worst.bound), increase(worst.limit)
    text = f"{worst.name} may have risen by {found:.1%} (upper bound over {worst.n} pairs), {allowed:.0%} is allowed"
    return costs, Stop("archive", "cost_regression", f"{text}; it is over by {found - allowed:.1%}.")


def _cost(pairs: tuple[Pair, ...], name: str, limit: float, confidence: float) -> CostNumbers:
    ratios = tuple(log_ratio_of(pair, name) for pair in pairs)
    centre, spread = statistics.mean(ratios), statistics.standard_deviation(ratios)
    bound = statistics.cost_upper_bound(ratios, confidence)
    return CostNumbers(name, len(ratios), ratios, centre, spread, bound, math.log1p(limit))


def log_ratio_of(pair: Pair, name: str) -> float:
    """log(candidate / production) of one cost: positive is worse."""
    if pair.candidate is None or pair.production is None:
        raise ValueError("a cost pair without both arms was read; soundness must be checked first")
    return math.log(pair.candidate.secondary[name]) - math.log(pair.production.secondary[name])


def increase(log_ratio: float) -> float:
    """The relative increase a log ratio stands for; what a double cannot hold is cut off."""
    return math.expm1(min(log_ratio, 700.0))


def spread_bound(pairs: tuple[Pair, ...], confidence: float) -> float | None:
    """Step 8: lower bound of the candidate's standard deviation as a share of its mean.

    None where a share of the mean says nothing: a mean that is not above zero, or closer to it than one deviation.
    """
    values = [primary(pair.candidate) for pair in pairs]
    mean = statistics.mean(values)
    if len(values) < 2 or mean <= statistics.standard_deviation(values):
        return None
    return statistics.sd_lower_bound(values, confidence) / mean


def _flags(stability: float | None, policy: ENightParameters) -> tuple[str, ...]:
    if stability is None or stability <= policy.stability:
        return ()
    return ("unstable", "unstable_one_percent") if stability > policy.stability_warning else ("unstable",)


def _unstable(stability: float, policy: ENightParameters) -> Stop:
    text = f"The spread over seeds is at least {stability:.2%} of the mean, {policy.stability:.2%} is allowed"
    return Stop("archive", "unstable", f"{text}; it is over by {stability - policy.stability:.2%}.")


def rank_reached(evidence: Evidence) -> bool:
    """Step 9: a rank that is asked for and not known does not count as reached."""
    if evidence.required_rank is None:
        return True
    return evidence.projected_rank is not None and evidence.projected_rank <= evidence.required_rank


def rank_missed(evidence: Evidence) -> Stop:
    projected = "unknown" if evidence.projected_rank is None else f"#{evidence.projected_rank}"
    text = f"The projected rank is {projected}, the victory condition asks for #{evidence.required_rank}."
    return Stop("archive", "rank", text)
