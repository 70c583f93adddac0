"""The criteria table of `e-night`: the documents' six criteria and the night's own, always all of them."""

from __future__ import annotations

import math
from dataclasses import replace

from experiments import statistics
from experiments.gate import rows
from experiments.gate.confirmation import Confirmed
from experiments.gate.decision import Criterion, Decision, Numbers, Stop, short
from experiments.gate.e_night_parameters import ENightParameters
from experiments.gate.evidence import Evidence, differences, primary
from experiments.gate.stage import Look


def decision(evidence: Evidence, policy: ENightParameters, stop: Stop, look: Look, confirmed: Confirmed) -> Decision:
    """The verdict with its table and numbers."""
    numbers = replace(
        look.numbers,
        fresh_differences=confirmed.fresh_differences,
        fresh_mean=confirmed.fresh_mean,
        costs=confirmed.costs,
        stability=confirmed.stability,
        stability_limit=policy.stability,
    )
    return Decision(
        outcome=stop.outcome,
        reason=stop.reason,
        explanation=stop.explanation,
        rows=_table(evidence, policy, stop, numbers),
        numbers=numbers,
        reported_gain=confirmed.fresh_mean,
        gain_is_fresh=confirmed.fresh_mean is not None,
        gain_on=f"{len(confirmed.fresh_differences)} fresh seeds" if confirmed.fresh_mean is not None else "",
        needs=stop.need,
        flags=confirmed.flags,
    )


def _table(evidence: Evidence, policy: ENightParameters, stop: Stop, numbers: Numbers) -> tuple[Criterion, ...]:
    return (
        rows.soundness(stop),
        rows.differs(evidence, stop),
        _first_seed(evidence, policy, numbers),
        _gain(evidence, numbers),
        _fresh(numbers),
        _night_evidence(policy, numbers),
        _futility(numbers),
        _paired_t_test(policy, numbers),
        rows.enough_seeds(numbers.n if numbers.differences else 0, policy.minimum_seeds),
        rows.stability(numbers.stability, policy.stability, policy.unstable == "archive", numbers.fresh_mean is None),
        *(rows.cost_bound(evidence, numbers.costs, name) for name in rows.cost_names(evidence)),
        rows.projected_rank(evidence, policy.rank == "binding"),
    )


def _first_seed(evidence: Evidence, policy: ENightParameters, numbers: Numbers) -> Criterion:
    """Step 1: one seed that is not better than production archives."""
    requirement = "better than production on the first seed"
    if policy.patient:
        return rows.not_yet("first_seed", requirement, "the patient variant skips it")
    if numbers.n == 0:
        return rows.not_yet("first_seed", requirement, "no run has been judged")
    if policy.screen == "cached":
        sign = 1.0 if evidence.higher_is_better else -1.0
        baseline = statistics.mean([sign * primary(run) for run in evidence.baseline])
        gain, reference = sign * primary(evidence.stage[0].candidate) - baseline, "the baseline's mean"
    else:
        gain, reference = differences(evidence, evidence.stage[:1])[0], "production on that seed"
    return rows.judged("first_seed", gain, requirement, gain > 0.0, f"against {reference}")


def _gain(evidence: Evidence, numbers: Numbers) -> Criterion:
    requirement = f">= {short(evidence.threshold)} on fresh seeds"
    if numbers.fresh_mean is None:
        return rows.not_yet("gain", requirement, "fresh pairs are run only after the evidence is in")
    met = numbers.fresh_mean >= evidence.threshold
    return rows.judged("gain", numbers.fresh_mean, requirement, met, f"mean of {len(numbers.fresh_differences)} pairs")


def _fresh(numbers: Numbers) -> Criterion:
    requirement = "> 0 on fresh seeds"
    if numbers.fresh_mean is None:
        return rows.not_yet("confirmation", requirement, "fresh pairs are run only after the evidence is in")
    met = numbers.fresh_mean > 0.0
    return rows.judged("confirmation", numbers.fresh_mean, requirement, met, "seeds that chose nothing")


def _night_evidence(policy: ENightParameters, numbers: Numbers) -> Criterion:
    requirement = "E >= 1/level" if numbers.log_bar is None else f"log E >= {short(numbers.log_bar)}"
    if numbers.log_e is None or numbers.log_bar is None or numbers.n < policy.first_pass:
        return rows.not_yet("night_evidence", requirement, f"evidence counts from {policy.first_pass} pairs on")
    if numbers.zero_variance:
        return rows.judged("night_evidence", numbers.log_e, requirement, False, "differences without variance")
    met = numbers.log_e >= numbers.log_bar
    return rows.judged("night_evidence", numbers.log_e, requirement, met, f"over {numbers.n} pairs")


def _futility(numbers: Numbers) -> Criterion:
    limit = numbers.futility_limit
    p = numbers.p_greater if numbers.p_greater is not None else numbers.screen_p
    if limit is None or p is None:
        return rows.not_yet("futility", "one-sided p within the look's limit", "no limit applies at this look")
    if numbers.log_e is not None and numbers.log_bar is not None and numbers.log_e >= numbers.log_bar:
        return rows.not_yet("futility", f"p <= {short(limit)}", "the evidence has passed")
    return rows.judged("futility", p, f"p <= {short(limit)}", p <= limit, f"one-sided, at {numbers.n} seeds")


def _paired_t_test(policy: ENightParameters, numbers: Numbers) -> Criterion:
    requirement = f"two-sided p < {short(policy.significance)}"
    p = numbers.p_two_sided
    if p is None or not math.isfinite(p):
        return rows.not_yet("paired_t_test", requirement, "needs two pairs that differ", binding=False)
    why = "shown; night_evidence decides in its place, because a night has many tests"
    return rows.judged("paired_t_test", p, requirement, p < policy.significance, why, binding=False)
