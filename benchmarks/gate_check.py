"""Holds what the vectorised engine says against the product's own gate, candidate by candidate.

Called by `gate_error_control` on every promotion and on a sample of everything else, and by the tests. A
disagreement is a sentence; the benchmark reports nothing while there is one.
"""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from gate_rules import Ruled
from gate_walk import PARKED, PROMOTED, REASONS, Verdicts
from gate_worlds import Floats, Night, World

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
from experiments.seeds import baseline_seeds, candidate_seeds

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
    runs = Runs(night, index)
    baseline = runs.baseline(facts.promotions, policy.baseline_runs) if policy.screen == "cached" else ()
    back = made.readmitted.get(index)
    start = runs.evidence(world, facts, baseline)
    if stepwise and back is None:
        final, decision = building.follow(start, policy, runs.draw)
    else:
        pairs = int(made.pairs[index])
        alone = policy.screen == "cached" and pairs <= policy.looks[1]
        fresh = runs.pairs("fresh", len(start.fresh_seeds)) if made.fresh[index] else ()
        final = replace(start, stage=runs.pairs("stage", pairs, alone), fresh=fresh, readmission=back)
        decision = decide(final, policy)
    said = (_outcome(int(made.reason[index])), REASONS[made.reason[index]], int(made.pairs[index]))
    found = (decision.outcome, decision.reason, len(final.stage))
    where = f"{world.name}, {policy.name} ({policy.screen}), candidate {index + 1}"
    return _difference(where, said, found, float(made.gain[index]), decision, bool(made.fresh[index]), final)


def check_rule(world: World, night: Night, ruled: Ruled, policy: Policy, index: int, *, stepwise: bool) -> str | None:
    """The same for the policies of the documents, whose gain is the mean of the judged pairs."""
    runs = Runs(night, index)
    start = runs.evidence(world, replace(building.SEASON, t=index + 1, planned=world.planned), ())
    if stepwise:
        final, decision = building.follow(start, policy, runs.draw)
    else:
        final = replace(start, stage=runs.pairs("stage", int(ruled.seeds[index])))
        decision = decide(final, policy)
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


@lru_cache(maxsize=8)
def _baseline(values: tuple[float, ...]) -> tuple[RunValue, ...]:
    """Production's runs of the cached screen, which all candidates before the next promotion share."""
    return tuple(_run(seed, "production", value) for seed, value in zip(_BASELINE_SEEDS, values, strict=True))


_BASELINE_SEEDS = tuple(baseline_seeds(1, 1, ENight().baseline_runs))
_seeds_of = lru_cache(maxsize=2048)(candidate_seeds)


def _run(seed: int, arm: Literal["candidate", "production"], value: float) -> RunValue:
    """One sound run; its identity is left out, since no run stands in two places here."""
    commit = building.CANDIDATE if arm == "candidate" else building.PRODUCTION
    return RunValue(seed, arm, commit, commit[:1] * 12, "env", "eval", "ok", value, isolation="full")


class Runs:
    """The runs of one candidate: the values that the world drew for it."""

    def __init__(self, night: Night, index: int) -> None:
        self._night, self._index = night, index
        self._seeds = _seeds_of(1, index + 1)

    def evidence(self, world: World, facts: SeasonFacts, baseline: tuple[RunValue, ...]) -> Evidence:
        """The candidate before its first run."""
        return Evidence(
            hypothesis="H-042",
            metric="accuracy",
            higher_is_better=True,
            threshold=world.threshold,
            season=facts,
            stage_seeds=self._seeds.stage,
            fresh_seeds=self._seeds.fresh,
            baseline=baseline,
            production_commit_now=building.PRODUCTION,
            production_commit_paired=building.PRODUCTION,
        )

    def baseline(self, promotions: int, count: int) -> tuple[RunValue, ...]:
        return _baseline(tuple(self._night.baselines[promotions, :count].tolist()))

    def pairs(self, kind: str, count: int, alone: bool = False) -> tuple[Pair, ...]:
        """The first pairs of a kind; `alone` leaves production out, as it never ran beside an archived screen."""
        seeds, candidate, production = self._values(kind)
        return tuple(
            Pair(seed, _run(seed, "candidate", one), None if alone else _run(seed, "production", other))
            for seed, one, other in zip(
                seeds[:count],
                candidate[self._index, :count].tolist(),
                production[self._index, :count].tolist(),
                strict=True,
            )
        )

    def draw(self, kind: str, seed: int, arm: Literal["candidate", "production"]) -> RunValue:
        """One run, as `follow` asks for it."""
        seeds, candidate, production = self._values("fresh" if kind == "fresh" else "stage")
        values = candidate if arm == "candidate" else production
        return _run(seed, arm, float(values[self._index, seeds.index(seed)]))

    def _values(self, kind: str) -> tuple[tuple[int, ...], Floats, Floats]:
        night = self._night
        if kind == "fresh":
            return self._seeds.fresh, night.fresh_candidate, night.fresh_production
        return self._seeds.stage, night.candidate, night.production
