"""Whether a gain is one that can be believed, or so large that a person looks first. Pure; called by `decide`.

It is asked of what every other row would promote, under every policy alike, and can only hold a candidate back. The
rule reads means of both arms and facts that stand in the evidence, so a record reproduces it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from experiments import statistics
from experiments.gate.decision import Criterion, Decision, short
from experiments.gate.evidence import Evidence, Pair, Plausibility, first_failure, primary

ROW = "plausibility"
IMPLAUSIBLE = "implausible"
SHARE = 0.9
"""Of the way from production to a perfect result: what one step takes at most before a person looks."""
TIMES = 10.0
"""Where no result is perfect: this often the largest change that was seen."""

ROUNDING = 1e-12
"""What a mean of equal values may be off by; of the limit where that is above 1."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The best value that is promoted without a person, in the metric's unit, and where it comes from."""

    value: float
    why: str


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was measured, in words of the metric."""

    candidate: float
    production: float
    values: tuple[float, ...]
    """Production's, one a pair."""


def with_plausibility(evidence: Evidence, decision: Decision) -> Decision:
    """The decision with its row; a promotion of what cannot be believed becomes `park`, for a person to look at.

    Evidence from before there was this rule has no facts for it, and is judged as it was then.
    """
    facts = evidence.plausibility
    if facts is None:
        return decision
    seen, requirement = _seen(evidence), "a result that can be believed"
    if decision.outcome != "promote" or seen is None:
        row = Criterion(ROW, None, requirement, "not_applicable", "asked of what would be promoted", True)
        return replace(decision, rows=(*decision.rows, row))
    limit = limit_of(evidence, facts, seen.production, seen.values)
    if limit is None:
        why = "no ceiling is declared, and nothing was seen that a change could be held against"
        row = Criterion(ROW, seen.candidate, requirement, "not_applicable", why, True)
        return replace(decision, rows=(*decision.rows, row))
    beyond = evidence.oriented(seen.candidate - limit.value) > ROUNDING * max(1.0, abs(limit.value))
    requirement = f"{'<=' if evidence.higher_is_better else '>='} {short(limit.value)}"
    if beyond and facts.released:
        row = Criterion(ROW, seen.candidate, requirement, "failed", f"{limit.why}; released by a person", False)
        return replace(decision, rows=(*decision.rows, row))
    row = Criterion(ROW, seen.candidate, requirement, "failed" if beyond else "passed", limit.why, True)
    rows = (*decision.rows, row)
    return _held(evidence, replace(decision, rows=rows), seen, limit) if beyond else replace(decision, rows=rows)


def limit_of(
    evidence: Evidence, facts: Plausibility, production: float, values: tuple[float, ...] = ()
) -> Limit | None:
    """The best value that is promoted without a person; None where there is nothing to hold it against.

    `production` is production's mean and `values` are its single values. A declared value is the limit. Otherwise
    two steps are allowed, and the longer one counts: nine tenths of the way to a perfect result where the metric has
    one (else ten times the largest change seen in the season), and as far as the best of the leaderboard.
    """
    if facts.best is not None:
        return Limit(facts.best, "the best value that the target calls plausible")
    if (perfect := _perfect(evidence, facts, (production, *values))) is not None:
        step = Limit(production + SHARE * (perfect - production), f"nine tenths of the way to a perfect {perfect:g}")
    else:
        change = max(max(values, default=production) - min(values, default=production), facts.season_gain)
        if change <= 0.0:
            return None
        room = TIMES * change if facts.leader is not None else max(TIMES * change, abs(production))
        why = f"ten times the largest change seen in the season ({short(change)})"
        step = Limit(production + evidence.oriented(room), why)
    if facts.leader is not None and evidence.oriented(facts.leader - step.value) > 0.0:
        return Limit(facts.leader, "the best result on the leaderboard")
    return step


def _perfect(evidence: Evidence, facts: Plausibility, known: tuple[float, ...]) -> float | None:
    """The best value that the metric can have, as far as known values tell; the candidate's own is not asked.

    Larger is better and everything known lies from 0 to 1: 1, as for an accuracy. Smaller is better and nothing is
    below 0: 0, as for a loss. Larger is better and nothing is above 0: 0, as for a log-likelihood.
    """
    everything = known if facts.leader is None else (*known, facts.leader)
    low, high = min(everything), max(everything)
    if not evidence.higher_is_better:
        return 0.0 if low >= 0.0 else None
    if low >= 0.0 and high <= 1.0:
        return 1.0
    return 0.0 if high <= 0.0 else None


def _seen(evidence: Evidence) -> _Seen | None:
    """Means of both arms on the pairs that give the gain: the fresh ones, else those of the stage."""
    pairs = evidence.fresh or evidence.stage
    whole: tuple[Pair, ...] = tuple(
        pair for pair in pairs if pair.candidate is not None and pair.production is not None
    )
    if not whole or len(whole) < len(pairs) or first_failure(whole) is not None:
        return None
    values = tuple(primary(pair.production) for pair in whole)
    candidate = statistics.mean([primary(pair.candidate) for pair in whole])
    return _Seen(candidate, statistics.mean(values), values)


def _held(evidence: Evidence, decision: Decision, seen: _Seen, limit: Limit) -> Decision:
    text = (
        f"{evidence.metric} went from {short(seen.production)} to {short(seen.candidate)}, beyond {short(limit.value)}"
    )
    return replace(
        decision,
        outcome="park",
        reason=IMPLAUSIBLE,
        explanation=f"Held for a person: {text} ({limit.why}). Every other criterion passed; look at the change first.",
        reported_gain=None,
        gain_is_fresh=False,
        gain_on="",
    )


def unusable(facts: Plausibility) -> str:
    """What of the facts is no number that could be held against; empty where all are."""
    for name, value in (("best", facts.best), ("leader", facts.leader), ("season_gain", facts.season_gain)):
        if value is not None and not math.isfinite(value):
            return f"{name} is {value}"
    return "" if facts.season_gain >= 0.0 else f"season_gain is {facts.season_gain}"
