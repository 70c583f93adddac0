"""Small seeded worlds through the product's own gate: what a night of nothing promotes, and what it costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from gate_evidence import evidence, follow, pairs, run

from experiments.gate import ENight, RunValue, SeasonFacts, SeedCard, decide
from experiments.season import Season, opened, promoted, start_candidate
from experiments.seeds import candidate_seeds

SD = 0.0018
"""Of one arm's value over seeds around 0.9, so that the difference of two has a standard deviation of 0.0025."""


@dataclass
class World:
    """Independent Gaussian runs; the candidate is better by `effect` standard deviations of a difference."""

    rng: np.random.Generator
    effect: float = 0.0
    candidate_runs: int = 0

    def draw(self, _: str, seed: int, arm: str) -> RunValue:
        self.candidate_runs += arm == "candidate"
        gain = self.effect * SD * math.sqrt(2.0) if arm == "candidate" else 0.0
        return run(seed, arm, 0.9 + gain + float(self.rng.normal(0.0, SD)), run_id="")


def season_promotions(world: World, planned: int, policy: ENight) -> tuple[int, int]:
    """Promotions of one whole season, R accumulating, and candidate runs spent."""
    state = opened(None, Season(1, planned, 0.05, "2026-01-01", "2026-12-31"))
    baseline = [0.9 + float(x) for x in world.rng.normal(0.0, SD, 20)]
    world.candidate_runs = 0
    for number in range(planned):
        state = start_candidate(state, f"H-{number:03d}", "2026-01-02")
        place = state.candidates[-1]
        facts = SeasonFacts(1, place.t, planned, place.promotions, 0.05)
        start = evidence(season=facts, baseline=baseline if policy.screen == "cached" else ())
        if follow(start, policy, world.draw)[1].outcome == "promote":
            state = promoted(state, place.t)
    return state.promotions, world.candidate_runs


@pytest.mark.parametrize("policy", [ENight(screen="paired"), ENight()], ids=["paired", "cached"])
def test_a_season_of_nothing_promotes_nothing_more_often_than_alpha(policy: ENight) -> None:
    world = World(np.random.default_rng(20))
    seasons = 50
    results = [season_promotions(world, 20, policy) for _ in range(seasons)]
    with_any = sum(promotions > 0 for promotions, _ in results)
    assert with_any <= 0.05 * seasons
    # the reference figure is 3.5 to 3.6 seeds for a candidate that is nothing; three standard errors are allowed
    assert sum(runs for _, runs in results) / (seasons * 20) <= 4.3


def test_ideas_of_two_standard_deviations_are_found() -> None:
    world = World(np.random.default_rng(21), effect=2.0)
    promotions, _ = season_promotions(world, 20, ENight(screen="paired"))
    assert promotions >= 15


def test_seed_card_lets_through_about_24_of_a_thousand_nulls() -> None:
    rng, nulls, policy = np.random.default_rng(22), 10_000, SeedCard()
    own = candidate_seeds(1, 7)
    through = 0
    noise = rng.normal(0.0, SD, size=(nulls, 3, 2))
    base = evidence()
    fields = {name: getattr(base, name) for name in base.__dataclass_fields__}
    for values in noise.tolist():
        stage = pairs(own.stage, [c - p for c, p in values])
        arms = tuple(
            type(pair)(pair.seed, run(pair.seed, "candidate", 0.9 + c), run(pair.seed, "production", 0.9 + p))
            for pair, (c, p) in zip(stage, values, strict=True)
        )
        through += decide(type(base)(**{**fields, "stage": arms}), policy).outcome == "promote"
    expected = 0.0244
    tolerance = 3.0 * math.sqrt(expected * (1 - expected) / nulls)
    assert abs(through / nulls - expected) <= tolerance
