"""The policy seed-card-extend: three pairs, five, ten where it is inconclusive, and always labelled uncontrolled."""

from __future__ import annotations

import numpy as np
import pytest
from gate_evidence import COSTS, evidence, follow, run
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from experiments.gate import RunValue, SeedCard, SeedCardExtend, decide

EXTEND = SeedCardExtend()
CLEAR = (0.0200, 0.0201, 0.0199)
UNCLEAR = (0.001, 0.02, 0.010)
difference = st.floats(-0.02, 0.03).map(lambda x: round(x, 4) + 3e-6)
"""No mean of 3, 5 or 10 of them is a threshold itself, where two ways of adding up need not agree."""


@given(st.lists(difference, min_size=10, max_size=10), st.sampled_from([0.0, 0.005]))
@settings(max_examples=150, deadline=None)
def test_it_stops_at_the_first_look_that_is_not_inconclusive(values: list[float], threshold: float) -> None:
    """Against scipy: the same looks, walked by hand."""
    seen: list[int] = []

    def draw(kind: str, seed: int, arm: str) -> RunValue:
        assert kind == "stage"
        if arm == "candidate":
            seen.append(seed)
            return run(seed, arm, 0.9 + values[len(seen) - 1])
        return run(seed, arm, 0.9)

    follow(evidence(threshold=threshold), SeedCardExtend(stability=1.0), draw)
    expected = 10
    for n in (3, 5, 10):
        d = np.array([0.9 + value for value in values[:n]]) - 0.9
        enough = d.mean() > 0.0 and d.mean() >= threshold - 1e-15
        p = float(stats.ttest_1samp(d, 0.0).pvalue) if np.std(d) > 1e-9 else None
        if p is None or p < 0.05 or not enough:
            expected = n
            break
    assert len(seen) == expected


@pytest.mark.parametrize("values", [CLEAR, UNCLEAR, (-0.01, 0.01, -0.02)])
def test_its_first_look_is_the_seed_card(values: tuple[float, ...]) -> None:
    card, extended = decide(evidence(values), SeedCard()), decide(evidence(values), EXTEND)
    if extended.outcome == "extend":
        assert card.reason == "not_significant"
        assert extended.needs is not None
        assert (extended.needs.kind, extended.needs.up_to) == ("stage", 5)
    else:
        assert (card.outcome, card.reason) == (extended.outcome, extended.reason)


@pytest.mark.parametrize("values", [CLEAR, UNCLEAR, (), (-0.01, 0.01, -0.02)])
def test_wherever_it_is_shown_it_says_that_it_controls_nothing(values: tuple[float, ...]) -> None:
    decision = decide(evidence(values), EXTEND)
    assert "uncontrolled" in decision.flags
    last = decision.rows[-1]
    assert (last.name, last.result, last.binding) == ("error_control", "failed", False)
    assert "uncontrolled" in last.why
    assert decision.outcome != "promote" or "Uncontrolled" in decision.explanation


def test_its_costs_are_measured_on_as_many_pairs_as_its_verdict() -> None:
    first = decide(evidence(CLEAR, cost_limits=COSTS), EXTEND)
    assert (first.needs.kind, first.needs.up_to) == ("cost", 3)
    later, patient = (0.02, 0.001, 0.02, 0.02, 0.021), SeedCardExtend(stability=1.0)
    assert decide(evidence(later[:3]), patient).needs.up_to == 5
    second = decide(evidence(later, cost_limits=COSTS), patient)
    assert (second.needs.kind, second.needs.up_to) == ("cost", 5)
    assert decide(evidence(later, cost_limits=COSTS, costs=[1.0] * 5), patient).outcome == "promote"


def test_pairs_beyond_its_verdict_are_an_overrun() -> None:
    decision = decide(evidence((*CLEAR, 0.02, 0.02)), EXTEND)
    assert (decision.outcome, decision.reason, decision.reported_gain) == ("bad_evidence", "overrun", None)
