"""What is too good to be believed is held for a person, under every policy; what is within the limit never is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from gate_evidence import COSTS, FRESH, STRONG, evidence
from hypothesis import given
from hypothesis import strategies as st

from experiments.gate import (
    Decision,
    ENight,
    Evidence,
    Exact,
    Plausibility,
    SeedCard,
    decide,
    evidence_from_record,
    look_record,
    recompute,
)
from experiments.gate.plausibility import limit_of

PAIRED = ENight(screen="paired")
LEAK = tuple(0.1 - small for small in (0.0, 1e-5, 2e-5, 0.0, 3e-5, 1e-5, 0.0, 2e-5))
"""From 0.9 to 1.000: nothing wrong any more."""
ASKED = Plausibility()


def night(stage: tuple[float, ...] = STRONG, fresh: tuple[float, ...] = FRESH, **facts: object) -> Evidence:
    plausibility = Plausibility(**facts)  # type: ignore[arg-type]
    return evidence(stage, fresh, costs=[1.0, 1.01, 0.99, 1.0, 1.02], cost_limits=COSTS, plausibility=plausibility)


def leaked(**facts: object) -> Evidence:
    return night(LEAK, LEAK[:5], **facts)


def row(decision: Decision) -> tuple[float | None, str, str, bool]:
    found = next(row for row in decision.rows if row.name == "plausibility")
    return found.value, found.requirement, found.result, found.binding


def test_an_ordinary_gain_is_promoted_with_its_limit_shown() -> None:
    decision = decide(night(), PAIRED)
    assert decision.outcome == "promote"
    value, requirement, result, binding = row(decision)
    assert (value, requirement, result, binding) == (pytest.approx(0.92), "<= 0.99", "passed", True)


def test_a_jump_to_a_perfect_score_is_held_with_both_scores_and_the_limit() -> None:
    decision = decide(leaked(), PAIRED)
    assert (decision.outcome, decision.reason) == ("park", "implausible")
    assert decision.explanation.startswith("Held for a person: accuracy went from 0.9 to 1, beyond 0.99")
    assert decision.reported_gain is None
    assert row(decision)[2:] == ("failed", True)


@pytest.mark.parametrize(
    ("policy", "pairs"),
    [(SeedCard(), (0.0999, 0.1, 0.09995)), (Exact(), (0.1, 0.1))],
    ids=["seed-card", "exact"],
)
def test_every_policy_holds_it(policy: SeedCard | Exact, pairs: tuple[float, ...]) -> None:
    assert decide(evidence(pairs), policy).outcome == "promote"
    assert decide(evidence(pairs, plausibility=ASKED), policy).reason == "implausible"
    assert decide(evidence(pairs, plausibility=Plausibility(released=True)), policy).outcome == "promote"


def test_what_others_have_on_the_board_can_be_believed() -> None:
    assert decide(leaked(leader=0.995), PAIRED).reason == "implausible"
    assert decide(leaked(leader=1.0), PAIRED).outcome == "promote"
    assert decide(leaked(leader=0.5), PAIRED).reason == "implausible"


def test_a_declared_best_value_is_the_limit_and_the_only_one() -> None:
    assert decide(leaked(best=1.0), PAIRED).outcome == "promote"
    assert decide(night(best=0.91), PAIRED).reason == "implausible"
    assert decide(night(best=0.91, leader=0.99, season_gain=1.0), PAIRED).reason == "implausible"


def test_a_persons_word_lets_it_go_on_and_the_row_says_so() -> None:
    decision = decide(leaked(released=True), PAIRED)
    assert decision.outcome == "promote"
    assert decision.gain_is_fresh
    assert row(decision)[2:] == ("failed", False)


def test_a_persons_word_overrules_no_other_criterion() -> None:
    dear = evidence(LEAK, LEAK[:5], costs=[2.0] * 20, cost_limits=COSTS, plausibility=Plausibility(released=True))
    assert decide(dear, PAIRED).reason == "cost_regression"
    assert decide(replace(leaked(released=True), production_commit_now="q" * 40), PAIRED).reason == "superseded"


def test_the_record_reproduces_it_and_one_from_before_is_judged_as_it_was() -> None:
    for facts in (leaked(), leaked(released=True), night(leader=0.95, season_gain=0.01)):
        record = json.loads(json.dumps(look_record(facts, decide(facts, PAIRED), PAIRED)))
        assert recompute(record) == []
        assert evidence_from_record(record) == facts
        record["evidence"]["plausibility"]["best"] = 0.91 if decide(facts, PAIRED).outcome == "promote" else 1.0
        record["evidence"]["plausibility"]["released"] = False
        assert any("decision.outcome" in line for line in recompute(record))
    old = replace(leaked(), plausibility=None)
    record = look_record(old, decide(old, PAIRED), PAIRED)
    assert record["decision"]["outcome"] == "promote"
    assert "plausibility" not in json.dumps(record)
    assert recompute(record) == []


LOWER = {"higher_is_better": False}


@pytest.mark.parametrize(
    ("changes", "production", "facts", "expected"),
    [
        ({}, 0.6, {}, 0.96),
        ({}, 0.6, {"leader": 0.97}, 0.97),
        (LOWER, 2.0, {}, 0.2),
        (LOWER, 2.0, {"leader": 0.1}, 0.1),
        ({}, -4.0, {}, -0.4),
        ({}, 60.0, {"season_gain": 3.0}, 120.0),
        ({}, 60.0, {"season_gain": 8.0}, 140.0),
        ({}, 60.0, {"season_gain": 3.0, "leader": 75.0}, 90.0),
        ({}, 60.0, {}, None),
        (LOWER, -3.0, {"season_gain": 0.5}, -8.0),
        ({}, 0.6, {"best": 0.7}, 0.7),
    ],
)
def test_the_limit_by_its_formula(
    changes: dict[str, bool], production: float, facts: dict[str, float], expected: float | None
) -> None:
    limit = limit_of(evidence(**changes), Plausibility(**facts), production)  # type: ignore[arg-type]
    assert (None if limit is None else limit.value) == (None if expected is None else pytest.approx(expected))


number = st.floats(-1000.0, 1000.0)


@given(
    higher=st.booleans(),
    level=number,
    gain=st.floats(0.0, 100.0),
    more=st.floats(0.0, 100.0),
    leader=st.none() | number,
    season_gain=st.floats(0.0, 50.0),
    best=st.none() | number,
)
def test_more_gain_is_never_more_plausible_and_within_the_limit_nothing_is_held(
    higher: bool, level: float, gain: float, more: float, leader: float | None, season_gain: float, best: float | None
) -> None:
    facts = Plausibility(best, leader, season_gain)
    sign = 1.0 if higher else -1.0

    def judged(by: float) -> tuple[Decision, float]:
        whole = evidence((0.0, 0.0), higher_is_better=higher, plausibility=facts)
        pairs = tuple(
            replace(
                pair,
                candidate=replace(pair.candidate, primary=level + sign * by),
                production=replace(pair.production, primary=level),
            )
            for pair in whole.stage
            if pair.candidate is not None and pair.production is not None
        )
        return decide(replace(whole, stage=pairs), Exact()), level + sign * by

    one, value = judged(gain)
    other, _ = judged(gain + more)
    assert judged(gain)[0] == one
    if one.reason == "implausible":
        assert other.reason == "implausible"
    if best is not None and sign * (best - value) >= 0.0:
        assert one.reason != "implausible"
    if leader is not None and best is None and sign * (leader - value) >= 0.0:
        assert one.reason != "implausible"
