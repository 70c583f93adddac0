"""Rows of the criteria table that more than one policy shows, and the three ways a row can end."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.gate.confirmation import increase
from experiments.gate.decision import CostNumbers, Criterion, Result, Stop
from experiments.gate.evidence import Evidence

DOCUMENTED_COSTS = ("latency_ms", "memory_mb")


def judged(name: str, value: float, requirement: str, met: bool, why: str, *, binding: bool = True) -> Criterion:
    """A row whose value was held against its requirement."""
    return Criterion(name, value, requirement, "passed" if met else "failed", why, binding)


def not_yet(name: str, requirement: str, why: str, *, binding: bool = True) -> Criterion:
    """A row that has nothing to judge, and why."""
    return Criterion(name, None, requirement, "not_applicable", why, binding)


def soundness(stop: Stop) -> Criterion:
    """Whether the evidence could be judged at all."""
    sound = stop.outcome != "bad_evidence"
    why = "every check of the evidence passed" if sound else f"{stop.reason}: {stop.explanation}"
    return Criterion("evidence", None, "sound and complete", "passed" if sound else "failed", why, True)


def differs(evidence: Evidence, stop: Stop) -> Criterion:
    """Whether there is anything to judge: a patch that changes something, and outputs that are not production's."""
    requirement = "the patch and its outputs are not production's"
    if stop.reason == "no_op":
        return Criterion("differs", None, requirement, "failed", stop.explanation, True)
    if not evidence.stage:
        return not_yet("differs", requirement, "outputs are compared from the first pair on")
    return Criterion("differs", None, requirement, "passed", "as far as it has run", True)


def enough_seeds(n: int, minimum: int) -> Criterion:
    requirement = f">= {minimum} paired seeds"
    if n == 0:
        return not_yet("seeds", requirement, "no pair has been judged")
    return judged("seeds", float(n), requirement, n >= minimum, f"{n} pairs of the prefix")


def stability(bound: float | None, limit: float, binding: bool, early: bool) -> Criterion:
    """The spread over seeds as a bound; early or where the mean is near zero it says nothing."""
    requirement = f"spread over seeds <= {limit:.2%} of the mean"
    if early:
        return not_yet("stability", requirement, "judged after the fresh pairs", binding=binding)
    if bound is None:
        return not_yet("stability", requirement, "the mean is near zero or negative", binding=binding)
    why = "lower bound of the candidate's spread over seeds"
    return judged("stability", bound, requirement, bound <= limit, why, binding=binding)


def cost_names(evidence: Evidence) -> tuple[str, ...]:
    """The documents' two costs and whatever else the target declares."""
    return (*DOCUMENTED_COSTS, *(name for name in evidence.cost_limits if name not in DOCUMENTED_COSTS))


def cost_bound(evidence: Evidence, costs: Sequence[CostNumbers], name: str) -> Criterion:
    """One cost, held against its limit by the upper bound of its increase."""
    allowed = evidence.cost_limits.get(name)
    if allowed is None:
        return not_yet(name, "none declared", "the target declares no limit for it")
    requirement = f"increase <= {allowed:.0%}, upper bound"
    found = next((cost for cost in costs if cost.name == name), None)
    if found is None:
        return not_yet(name, requirement, "measured only after the gain is confirmed")
    why = f"mean {increase(found.mean):+.1%} over {found.n} pairs"
    return judged(name, increase(found.bound), requirement, found.bound <= found.limit, why)


def projected_rank(evidence: Evidence, binding: bool) -> Criterion:
    required, projected = evidence.required_rank, evidence.projected_rank
    if required is None:
        return not_yet("projected_rank", "none declared", "no victory condition asks for a rank", binding=binding)
    requirement = f"rank #{required} or better"
    if projected is None:
        unknown: Result = "failed" if binding else "not_applicable"
        return Criterion("projected_rank", None, requirement, unknown, "no projected rank is known", binding)
    return judged(
        "projected_rank", float(projected), requirement, projected <= required, "from the dev gain", binding=binding
    )
