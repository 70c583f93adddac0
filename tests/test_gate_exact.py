"""The policy exact: two runs of each arm, equal to the bit, and a gain worth having."""

from __future__ import annotations

import pytest
from gate_evidence import COSTS, PRODUCTION, evidence, follow, run
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.gate import Exact, RunValue, decide

EXACT = Exact()
counts = st.integers(0, 10**6)


@given(counts, counts, st.booleans(), st.sampled_from([0.0, 1.0, 1000.0]))
@settings(max_examples=150, deadline=None)
def test_a_count_is_promoted_exactly_where_it_is_better_by_the_threshold(
    candidate: int, production: int, higher: bool, threshold: float
) -> None:
    def draw(kind: str, seed: int, arm: str) -> RunValue:
        assert kind == "stage"
        return run(seed, arm, float(candidate if arm == "candidate" else production))

    last, decision = follow(evidence(threshold=threshold, higher_is_better=higher), EXACT, draw)
    gain = candidate - production if higher else production - candidate
    assert (decision.outcome == "promote") == (gain > 0 and gain >= threshold)
    assert decision.reported_gain == gain
    assert len(last.stage) == 2
    assert decision.numbers.p_two_sided is None


def test_it_has_no_p_value_and_says_why() -> None:
    (row,) = [row for row in decide(evidence((0.02, 0.02)), EXACT).rows if row.name == "paired_t_test"]
    assert row.result == "not_applicable"
    assert "no p-value" in row.why


@pytest.mark.parametrize(
    ("changes", "outcome", "reason"),
    [
        ({"stage": (0.02, 0.02)}, "promote", "promote"),
        ({"stage": (-0.02, -0.02)}, "archive", "below_baseline"),
        ({"stage": (0.002, 0.002), "threshold": 0.005}, "archive", "real_but_small"),
        ({"stage": (0.02, 0.02), "production_commit_now": "q"}, "archive", "superseded"),
        ({"stage": (0.02, 0.02), "required_rank": 1, "projected_rank": 2}, "promote", "promote"),
        ({"stage": (0.02, 0.02), "cost_limits": COSTS}, "extend", "costs"),
        ({"stage": (0.02, 0.02), "cost_limits": COSTS, "costs": [1.0] * 5}, "promote", "promote"),
        ({"stage": (0.02, 0.02), "cost_limits": COSTS, "costs": [1.3] * 20}, "archive", "cost_regression"),
    ],
)
def test_each_way_it_can_end(changes: dict[str, object], outcome: str, reason: str) -> None:
    stage = changes.pop("stage")
    decision = decide(evidence(stage, production_commit_paired=PRODUCTION, **changes), EXACT)
    assert (decision.outcome, decision.reason) == (outcome, reason)


def test_a_rank_that_binds_refuses() -> None:
    decision = decide(evidence((0.02, 0.02), required_rank=1, projected_rank=2), Exact(rank="binding"))
    assert (decision.outcome, decision.reason) == ("archive", "rank")
