"""The policy seed-card: the documents' rule, literally, against scipy's own test."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from gate_evidence import COSTS, PRODUCTION, evidence, follow, run
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from experiments.gate import Pair, RunValue, SeedCard, decide

CARD = SeedCard()
value = st.floats(0.85, 0.95).map(lambda x: round(x, 4))


@given(st.lists(st.tuples(value, value), min_size=3, max_size=3), st.sampled_from([0.0, 0.01]))
@settings(max_examples=150, deadline=None)
def test_it_decides_as_the_documents_would_with_scipy(values: list[tuple[float, float]], threshold: float) -> None:
    c, p = (np.array(each) for each in zip(*values, strict=True))
    seeds = evidence().stage_seeds
    stage = tuple(
        Pair(seed, run(seed, "candidate", a), run(seed, "production", b))
        for seed, (a, b) in zip(seeds, values, strict=False)
    )
    decision = decide(evidence(stage=stage, threshold=threshold), CARD)
    if float(np.std(c - p, ddof=1)) <= 1e-9:
        assert decision.reason == "invalid"
        return
    test = stats.ttest_rel(c, p)
    mean = math.fsum(map(float, c - p)) / 3
    met = mean >= threshold and mean > 0 and float(test.pvalue) < 0.05 and np.std(c, ddof=1) / c.mean() < 0.005
    assert (decision.outcome == "promote") == met


@pytest.mark.parametrize("d", [0.01, 0.0, -0.01])
def test_three_equal_differences_are_invalid(d: float) -> None:
    decision = decide(evidence([d] * 3), CARD)
    assert (decision.outcome, decision.reason) == ("archive", "invalid")


def test_it_asks_for_three_pairs_and_then_for_costs_where_they_are_declared() -> None:
    first = decide(evidence(), CARD)
    assert (first.needs.kind, first.needs.up_to) == ("stage", 3)
    good = (0.0200, 0.0201, 0.0199)
    then = decide(evidence(good, cost_limits=COSTS), CARD)
    assert (then.needs.kind, then.needs.up_to) == ("cost", 3)
    assert decide(evidence(good, cost_limits=COSTS, costs=[1.05, 1.2, 1.04]), CARD).outcome == "promote"
    dear = decide(evidence(good, cost_limits=COSTS, costs=[1.05, 1.3, 1.04]), CARD)
    assert (dear.outcome, dear.reason) == ("archive", "cost_regression")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"stage_d": (0.001, 0.0012, 0.0011), "threshold": 0.005}, "gain_below_threshold"),
        ({"stage_d": (0.001, 0.02, 0.010)}, "not_significant"),
        ({"stage_d": (-0.01, -0.0101, -0.0099)}, "gain_below_threshold"),
        ({"stage_d": (0.0200, 0.0201, 0.0199), "required_rank": 1, "projected_rank": 2}, "rank"),
        ({"stage_d": (0.0200, 0.0201, 0.0199), "required_rank": 1}, "rank"),
        ({"stage_d": (0.0200, 0.0201, 0.0199), "production_commit_now": "q"}, "superseded"),
    ],
)
def test_the_first_criterion_that_fails_is_the_reason(change: dict[str, Any], reason: str) -> None:
    stage = change.pop("stage_d")
    decision = decide(evidence(stage, **change), CARD)
    assert (decision.outcome, decision.reason) == ("archive", reason)


def test_its_gain_is_never_called_fresh() -> None:
    decision = decide(evidence((0.0200, 0.0201, 0.0199)), CARD)
    assert decision.outcome == "promote"
    assert not decision.gain_is_fresh
    assert "not fresh" in decision.explanation
    assert {row.name for row in decision.rows if row.binding} == {row.name for row in decision.rows}


def test_a_fourth_pair_is_one_too_many() -> None:
    assert decide(evidence((0.0200, 0.0201, 0.0199, 0.02)), CARD).reason == "overrun"


def test_following_its_needs_ends_in_a_promotion() -> None:
    def draw(kind: str, seed: int, arm: str) -> RunValue:
        gain = 0.02 + 1e-4 * math.sin(seed) if arm == "candidate" else 0.0
        costs = {"latency_ms": 10.0, "memory_mb": 50.0} if kind == "cost" else {}
        return run(seed, arm, 0.9 + gain, secondary=costs)

    final, decision = follow(evidence(cost_limits=COSTS), CARD, draw)
    assert (decision.outcome, len(final.stage), len(final.costs)) == ("promote", 3, 3)
    assert final.production_commit_now == PRODUCTION


def test_a_crash_archives() -> None:
    seed = evidence().stage_seeds[0]
    crashed = Pair(seed, run(seed, "candidate", None, status="crash", attempts=2))
    assert decide(evidence(stage=(crashed,)), CARD).reason == "crash"
