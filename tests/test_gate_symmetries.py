"""Properties no verdict may break: mirror, units, arms, order of seeds within a look, a constant added."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from gate_evidence import FRESH, SEASON, STRONG, evidence, run
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.gate import Decision, ENight, Evidence, Exact, Pair, RunValue, SeedCard, SeedCardExtend, decide

PAIRED = ENight(screen="paired")
POLICIES = (PAIRED, SeedCard(), ENight(screen="paired", patient=True), SeedCardExtend(), Exact())
difference = st.floats(-0.05, 0.08).map(lambda x: round(x, 4))
lists = st.lists(difference, min_size=1, max_size=12)


def mapped(whole: Evidence, change: dict[str, Any], value: Callable[[float], float]) -> Evidence:
    """The same evidence with `value` applied to every raw value."""

    def side(one: RunValue | None) -> RunValue | None:
        return None if one is None or one.primary is None else replace(one, primary=value(one.primary))

    def line(pairs: tuple[Pair, ...]) -> tuple[Pair, ...]:
        return tuple(Pair(each.seed, side(each.candidate), side(each.production)) for each in pairs)

    return replace(whole, stage=line(whole.stage), fresh=line(whole.fresh), **change)


def passes(decision: Decision) -> bool:
    """Whether the stage was passed, so that at most confirmation is ahead."""
    return decision.outcome == "promote" or (decision.needs is not None and decision.needs.kind == "fresh")


def verdict(decision: Decision) -> tuple[str, str]:
    return decision.outcome, decision.reason


@given(lists, st.booleans(), st.sampled_from([0.0, 0.01, 0.05]))
@settings(max_examples=80, deadline=None)
def test_lower_is_better_mirrors_higher_is_better(values: list[float], confirmed: bool, threshold: float) -> None:
    whole = evidence(values, FRESH if confirmed else (), threshold=threshold)
    mirror = mapped(whole, {"higher_is_better": False}, lambda x: -x)
    for policy in (PAIRED, POLICIES[2]):
        one, other = decide(whole, policy), decide(mirror, policy)
        assert verdict(one) == verdict(other)
        assert one.numbers.log_e == other.numbers.log_e
        assert one.reported_gain == other.reported_gain


@given(lists, st.sampled_from([2.0**-20, 0.5, 2.0, 1024.0]), st.sampled_from([0.0, 0.0078125, 0.0625]))
@settings(max_examples=80, deadline=None)
def test_units_do_not_matter(values: list[float], scale: float, threshold: float) -> None:
    for policy, fresh in ((PAIRED, FRESH), (PAIRED, ()), (POLICIES[1], ())):
        whole = evidence(values, fresh, threshold=threshold)
        scaled = mapped(whole, {"threshold": threshold * scale}, lambda x: x * scale)
        assert verdict(decide(whole, policy)) == verdict(decide(scaled, policy))


@given(lists)
@settings(max_examples=80, deadline=None)
def test_at_most_one_of_two_arms_beats_the_other(values: list[float]) -> None:
    for policy in POLICIES:
        there = decide(evidence(values), policy)
        back = decide(evidence([-value for value in values]), policy)
        passed = [
            one.outcome == "promote" or (one.needs is not None and one.needs.kind == "fresh") for one in (there, back)
        ]
        assert passed != [True, True]
        if there.numbers.t is not None and back.numbers.t is not None and there.numbers.n == back.numbers.n:
            assert abs(there.numbers.t + back.numbers.t) <= 1e-9 * abs(there.numbers.t)


@given(st.lists(difference, min_size=8, max_size=8), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_the_order_within_a_look_does_not_matter(values: list[float], shuffler: random.Random) -> None:
    mixed: list[float] = []
    for low, high in pairwise((0, 1, 2, 3, 5, 8)):
        block = values[low:high]
        shuffler.shuffle(block)
        mixed += block
    one, other = decide(evidence(values), PAIRED), decide(evidence(mixed), PAIRED)
    assert verdict(one) == verdict(other)
    assert one.numbers.log_e == other.numbers.log_e


@given(st.lists(difference, min_size=2, max_size=12), st.floats(0.001, 0.05))
@settings(max_examples=80, deadline=None)
def test_a_constant_gain_on_top_never_turns_going_on_into_futility(values: list[float], c: float) -> None:
    before, after = decide(evidence(values), PAIRED), decide(evidence([value + c for value in values]), PAIRED)
    if before.numbers.n == after.numbers.n and before.numbers.t is not None and after.numbers.t is not None:
        assert after.numbers.t >= before.numbers.t - 1e-9
        assert after.numbers.log_e is not None
        assert before.numbers.log_e is not None
        assert after.numbers.log_e >= before.numbers.log_e - 1e-9
    if before.outcome != "archive" and before.reason != "overrun":
        assert after.reason not in {"futility", "below_baseline"}


@given(lists, st.booleans())
@settings(max_examples=100, deadline=None)
def test_a_promotion_has_every_binding_row_passed_and_a_refusal_says_why(values: list[float], confirmed: bool) -> None:
    for policy in POLICIES:
        fresh = FRESH if confirmed and policy.extent().fresh_pairs else ()
        decision = decide(evidence(values, fresh), policy)
        failed = [row.name for row in decision.rows if row.binding and row.result == "failed"]
        assert not (decision.outcome == "promote" and failed)
        assert decision.explanation.endswith(".")
        assert (decision.outcome == "extend") == (decision.needs is not None)


def test_the_metric_read_in_the_wrong_direction_never_promotes() -> None:
    loss = mapped(evidence(STRONG, FRESH), {"higher_is_better": False}, lambda x: x)
    assert decide(loss, PAIRED).reason != "promote"
    assert decide(replace(loss, stage=loss.stage[:1], fresh=()), PAIRED).reason == "below_baseline"


def test_the_verdict_does_not_depend_on_what_came_before() -> None:
    whole = evidence(STRONG, FRESH)
    first = decide(whole, PAIRED)
    decide(evidence([-0.01]), PAIRED)
    assert decide(whole, PAIRED) == first
    assert run(1, "candidate", 0.5) == run(1, "candidate", 0.5)
    assert SEASON.level == 0.0005
