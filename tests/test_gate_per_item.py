"""The policy per-item: McNemar's exact test on items that were gained and lost, t over graded items and clusters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from gate_evidence import evidence, run
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from experiments.gate import Evidence, ItemScores, Pair, PerItem, decide
from experiments.items import items_digest

RULE = PerItem()
LEVEL = 0.05 / 100  # of the first promotion in a season of a hundred


def itemised(
    candidate: Sequence[float], production: Sequence[float], clusters: Sequence[str] = (), **changes: object
) -> Evidence:
    """Two equal runs of each arm with these scores; the primary metric is their mean."""
    ids = tuple(f"i{number:04d}" for number in range(len(candidate)))
    sides = {}
    for arm, scores in (("candidate", candidate), ("production", production)):
        digest = items_digest(ids, scores, clusters)
        sides[arm] = (math.fsum(scores) / len(scores), digest)
    base = evidence(**changes)
    stage = tuple(
        Pair(
            seed,
            run(seed, "candidate", sides["candidate"][0], items_sha256=sides["candidate"][1]),
            run(seed, "production", sides["production"][0], items_sha256=sides["production"][1]),
        )
        for seed in base.stage_seeds[:2]
    )
    return replace(base, stage=stage, items=ItemScores(ids, tuple(candidate), tuple(production), tuple(clusters)))


def binary(gained: int, lost: int, same: int = 100) -> Evidence:
    return itemised([1.0] * gained + [0.0] * lost + [1.0] * same, [0.0] * gained + [1.0] * lost + [1.0] * same)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 50))
@settings(max_examples=120, deadline=None)
def test_binary_items_are_mcnemars_exact_test(gained: int, lost: int, same: int) -> None:
    if gained + lost + same == 0:
        return
    decision = decide(binary(gained, lost, same), RULE)
    items = decision.numbers.items
    assert items is not None
    assert (items.kind, items.gained, items.lost, items.units) == ("binary", gained, lost, gained + lost + same)
    if gained + lost == 0:
        assert (decision.outcome, decision.reason) == ("archive", "items_unchanged")
        return
    exact = stats.binomtest(gained, gained + lost, 0.5, alternative="greater").pvalue
    assert items.p == pytest.approx(exact, rel=1e-9)
    assert (decision.outcome == "promote") == (exact <= LEVEL)


@given(st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=5, max_size=60), st.booleans())
@settings(max_examples=120, deadline=None)
def test_graded_items_are_a_one_sided_t_over_their_differences(gains: list[float], higher: bool) -> None:
    production = [0.25 + 0.001 * (k % 7) for k in range(len(gains))]
    candidate = [p + gain for p, gain in zip(production, gains, strict=True)]
    decision = decide(itemised(candidate, production, higher_is_better=higher), RULE)
    items = decision.numbers.items
    assert items is not None
    sign = 1.0 if higher else -1.0
    d = [sign * (c - p) for c, p in zip(candidate, production, strict=True)]
    if items.p is None or items.kind == "binary":
        assert decision.outcome != "promote"
        return
    assert items.p == pytest.approx(stats.ttest_1samp(d, 0.0, alternative="greater").pvalue, rel=1e-6)
    if len(d) < 20 and items.gained + items.lost:
        assert (decision.outcome, decision.reason) == ("bad_evidence", "items_missing")
    elif decision.outcome == "promote":
        assert items.p <= LEVEL


def test_items_of_one_cluster_count_once() -> None:
    """Four hundred items that are twenty in truth: alone they would pass, as clusters they do not."""
    gains = [0.5 if cluster % 3 else -0.4 for cluster in range(20)]
    production = [0.1] * 400
    candidate = [0.1 + gains[number % 20] for number in range(400)]
    clusters = [f"c{number % 20}" for number in range(400)]
    assert decide(itemised(candidate, production), RULE).outcome == "promote"
    clustered = decide(itemised(candidate, production, clusters), RULE)
    assert (clustered.outcome, clustered.reason) == ("archive", "not_significant")
    assert clustered.numbers.items is not None
    assert clustered.numbers.items.units == 20


def test_too_few_clusters_are_refused_by_name() -> None:
    clusters = [f"c{number % 19}" for number in range(190)]
    decision = decide(itemised([0.9] * 95 + [0.8] * 95, [0.1] * 190, clusters), RULE)
    assert (decision.outcome, decision.reason) == ("bad_evidence", "items_missing")
    assert "at least 20" in decision.explanation


def test_the_gain_is_labelled_not_fresh_and_the_row_names_its_assumption() -> None:
    decision = decide(binary(30, 2), RULE)
    assert decision.outcome == "promote"
    assert "not_fresh" in decision.flags
    assert "not fresh" in decision.explanation
    assert not decision.gain_is_fresh
    (row,) = [row for row in decision.rows if row.name == "item_test"]
    assert "LOND" in row.why
    assert row.binding


CONFIRMED = PerItem(confirm=True)


def confirming(found: Evidence, candidate: float, production: float) -> Evidence:
    """The evidence with the pair of the split `confirm`."""
    (seed, *_) = found.fresh_seeds
    return replace(found, fresh=(Pair(seed, run(seed, "candidate", candidate), run(seed, "production", production)),))


def test_a_split_of_its_own_gives_a_fresh_gain_once_the_items_have_decided() -> None:
    first = decide(binary(30, 2), CONFIRMED)
    assert (first.outcome, first.reason) == ("extend", "confirm")
    assert first.needs is not None
    assert first.needs.candidate_seeds == first.needs.production_seeds == binary(30, 2).fresh_seeds[:1]
    made = decide(confirming(binary(30, 2), 0.81, 0.80), CONFIRMED)
    assert (made.outcome, made.gain_is_fresh, made.gain_on) == ("promote", True, "the split confirm")
    assert made.reported_gain == pytest.approx(0.01)
    assert "not_fresh" not in made.flags
    assert "fresh" not in made.explanation
    assert {row.name: row.result for row in made.rows}["confirmation"] == "passed"


@pytest.mark.parametrize(
    ("candidate", "reason"), [(0.79, "not_confirmed"), (0.80, "not_confirmed"), (0.804, "real_but_small")]
)
def test_what_the_split_does_not_confirm_is_refused_with_its_row(candidate: float, reason: str) -> None:
    made = decide(confirming(replace(binary(30, 2), threshold=0.005), candidate, 0.80), CONFIRMED)
    assert (made.outcome, made.reason) == ("archive", reason)
    results = {row.name: row.result for row in made.rows}
    assert results["gain"] == "failed"
    assert results["confirmation"] == ("failed" if reason == "not_confirmed" else "passed")


def test_the_split_is_not_looked_at_before_the_items_have_decided_nor_where_nobody_asked() -> None:
    assert decide(binary(3, 2), CONFIRMED).reason == "not_significant"
    assert decide(confirming(binary(3, 2), 0.81, 0.80), CONFIRMED).reason == "overrun"
    assert decide(confirming(binary(30, 2), 0.81, 0.80), RULE).reason == "overrun"


def test_a_gain_below_the_threshold_is_real_and_too_small() -> None:
    decision = decide(replace(binary(30, 2, 9968), threshold=0.005), RULE)
    assert (decision.outcome, decision.reason) == ("archive", "real_but_small")


@given(st.integers(0, 30), st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_lower_is_better_mirrors_higher_is_better(gained: int, lost: int) -> None:
    there = decide(binary(gained, lost), RULE)
    back = decide(replace(binary(lost, gained), higher_is_better=False), RULE)
    assert (there.outcome, there.reason) == (back.outcome, back.reason)


def test_more_items_gained_never_make_the_test_weaker() -> None:
    values = [decide(binary(gained, 5), RULE).numbers.items for gained in range(1, 60)]
    ps = [items.p for items in values if items is not None and items.p is not None]
    assert ps == sorted(ps, reverse=True)
