"""Holds what the vectorised engine says against the product's own gate, candidate by candidate.

Called by `gate_error_control` on every promotion and on a sample of everything else, and by the tests. A
disagreement is a sentence; the benchmark reports nothing while there is one.
"""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from gate_rules import Ruled
from gate_walk import PARKED, PROMOTED, REASONS, Verdicts
from gate_worlds import Night, World

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import gate_evidence as building

from experiments.gate import (
    Decision,
    ENight,
    Evidence,
    Pair,
    Policy,
    RunValue,
    SeasonFacts,
    SeedCard,
    SeedCardExtend,
    decide,
)
from experiments.seeds import candidate_seeds

TOLERANCE = 1e-9
"""Of a gain, in sigma, beside a level of 1000: sums are taken in another order."""
CHECKED_RULES: dict[str, Policy] = {policy.name: policy for policy in (SeedCard(), SeedCardExtend())}


def chosen(groups: list[tuple[int, int]], count: int, rng: np.random.Generator) -> list[int]:
    """So many candidates of a night, half of them from all alike, half from every kind of verdict alike."""
    if not count:
        return []
    kinds = sorted(set(groups))
    uniform = rng.integers(len(groups), size=count // 2).tolist()
    rare = [
        int(rng.choice([at for at, group in enumerate(groups) if group == kinds[kind]]))
        for kind in rng.integers(len(kinds), size=count - count // 2).tolist()
    ]
    return sorted({*uniform, *rare})


def check_e_night(
    world: World, night: Night, made: Verdicts, policy: ENight, alpha: float, index: int, *, stepwise: bool
) -> str | None:
    """What is wrong with one verdict of the engine; None where the gate says the same.

    `stepwise` runs exactly what the gate asks for until it decides; otherwise the gate gets the evidence that the
    engine says there is, of which one pair too many is an overrun and one too few an extension.
    """
    facts = SeasonFacts(1, index + 1, world.planned, int(made.before[index]), alpha)
    baseline = night.baselines[facts.promotions, : policy.baseline_runs].tolist() if policy.screen == "cached" else ()
    back = made.readmitted.get(index)
    start = building.evidence(season=facts, baseline=baseline, threshold=world.threshold)
    if stepwise and back is None:
        final, decision = building.follow(start, policy, runs_of(night, index))
    else:
        pairs = int(made.pairs[index])
        final = _with_runs(start, night, index, pairs, _unpaired(policy, pairs), bool(made.fresh[index]))
        decision = decide(replace(final, readmission=back), policy)
    said = (_outcome(int(made.reason[index])), REASONS[made.reason[index]], int(made.pairs[index]))
    found = (decision.outcome, decision.reason, len(final.stage))
    where = f"{world.name}, {policy.name} ({policy.screen}), candidate {index + 1}"
    return _difference(where, said, found, float(made.gain[index]), decision, bool(made.fresh[index]), final)


def check_rule(world: World, night: Night, ruled: Ruled, policy: Policy, index: int) -> str | None:
    """The same for the policies of the documents, whose gain is the mean of the judged pairs."""
    facts = replace(building.SEASON, t=index + 1, planned=world.planned)
    start = building.evidence(season=facts, threshold=world.threshold)
    final, decision = building.follow(start, policy, runs_of(night, index))
    said = ("promote" if ruled.promoted[index] else "archive", int(ruled.seeds[index]))
    found = (decision.outcome, len(final.stage))
    where = f"{world.name}, {policy.name}, candidate {index + 1}"
    return _difference(where, said, found, float(ruled.claimed[index]), decision, False, final)


def _difference(
    where: str, said: object, found: object, gain: float, decision: Decision, fresh: bool, final: Evidence
) -> str | None:
    if said != found or fresh != bool(final.fresh):
        return f"{where}: the engine says {said}, the gate {found}"
    reported = math.nan if decision.reported_gain is None else decision.reported_gain
    if math.isnan(gain) != math.isnan(reported) or abs(gain - reported) > TOLERANCE:
        return f"{where}: the engine's gain is {gain}, the gate's {reported}"
    return None


def _outcome(reason: int) -> str:
    if reason == PROMOTED:
        return "promote"
    return "park" if reason == PARKED else "archive"


def _unpaired(policy: ENight, pairs: int) -> bool:
    """Whether production never ran beside a candidate that the cached screen archived."""
    return policy.screen == "cached" and pairs <= policy.looks[1]


def _value(night: Night, index: int, seed: int, arm: str) -> float:
    own = candidate_seeds(1, index + 1)
    if seed in own.stage:
        values = night.candidate if arm == "candidate" else night.production
        return float(values[index, own.stage.index(seed)])
    values = night.fresh_candidate if arm == "candidate" else night.fresh_production
    return float(values[index, own.fresh.index(seed)])


def runs_of(night: Night, index: int) -> building.Draw:
    """Performs the runs of one candidate: the values that the world drew for it."""

    def draw(_: str, seed: int, arm: str) -> RunValue:
        return building.run(seed, arm, _value(night, index, seed, arm))

    return draw


def _with_runs(start: Evidence, night: Night, index: int, pairs: int, unpaired: bool, fresh: bool) -> Evidence:
    draw = runs_of(night, index)

    def both(seed: int, alone: bool) -> Pair:
        return Pair(seed, draw("", seed, "candidate"), None if alone else draw("", seed, "production"))

    stage = tuple(both(seed, unpaired) for seed in start.stage_seeds[:pairs])
    return replace(start, stage=stage, fresh=tuple(both(seed, False) for seed in start.fresh_seeds) if fresh else ())
