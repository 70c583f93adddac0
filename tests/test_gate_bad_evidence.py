"""No path leads from wrong evidence to a promotion, and each kind of wrong has its own name."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from gate_evidence import COSTS, FRESH, PRODUCTION, SEASON, STRONG, evidence, run
from hypothesis import example, given, settings
from hypothesis import strategies as st

from experiments.gate import (
    BAD_EVIDENCE,
    ENight,
    Evidence,
    Exact,
    ItemScores,
    Pair,
    PerItem,
    Plausibility,
    Policy,
    Readmission,
    SeedCard,
    SeedCardExtend,
    decide,
    look_record,
    recompute,
)
from experiments.items import items_digest

PAIRED = ENight(screen="paired")
CARD = SeedCard()


def night() -> Evidence:
    """Sound evidence that e-night promotes."""
    return evidence(STRONG, FRESH, costs=[1.0, 1.01, 0.99, 1.0, 1.02], cost_limits=COSTS)


def card() -> Evidence:
    """Sound evidence that seed-card promotes."""
    return evidence((0.0200, 0.0201, 0.0199), costs=[1.0, 1.01, 0.99], cost_limits=COSTS)


def fixed() -> Evidence:
    """Sound evidence that exact promotes: both arms give one value on every seed."""
    return evidence((0.0200, 0.0200), costs=[1.0, 1.01, 0.99, 1.0, 1.02], cost_limits=COSTS)


def itemised(
    candidate: Sequence[float] = (1.0,) * 30, production: Sequence[float] = (0.0,) * 20 + (1.0,) * 10
) -> Evidence:
    """Sound evidence that per-item promotes: twenty items of thirty gained, none lost."""
    ids = tuple(f"item-{number:03d}" for number in range(len(candidate)))
    whole = replace(fixed(), items=ItemScores(ids, tuple(candidate), tuple(production)))
    for index in range(2):
        whole = stage_with(whole, index, "candidate", items_sha256=items_digest(ids, candidate))
        whole = stage_with(whole, index, "production", items_sha256=items_digest(ids, production))
    return whole


SOUND: dict[str, tuple[Policy, Callable[[], Evidence]]] = {
    "e-night": (PAIRED, night),
    "seed-card": (CARD, card),
    "seed-card-extend": (SeedCardExtend(), card),
    "exact": (Exact(), fixed),
    "per-item": (PerItem(), itemised),
}


def stage_with(whole: Evidence, index: int, arm: str, **changes: Any) -> Evidence:
    """The same evidence with one stage run changed."""
    changed = list(whole.stage)
    one = changed[index]
    side = getattr(one, arm)
    changed[index] = replace(one, **{arm: replace(side, **changes)})
    return replace(whole, stage=tuple(changed))


def pairs_in_order(whole: Evidence, order: list[int]) -> Evidence:
    return replace(whole, stage=tuple(whole.stage[k] for k in order))


def moved(pair: Pair, seed: int) -> Pair:
    assert pair.candidate is not None
    assert pair.production is not None
    return Pair(seed, replace(pair.candidate, seed=seed), replace(pair.production, seed=seed))


def substituted(whole: Evidence) -> Evidence:
    return replace(whole, stage=(*whole.stage[:1], moved(whole.stage[1], 123), *whole.stage[2:]))


def repeated(whole: Evidence) -> Evidence:
    return replace(whole, stage=(*whole.stage[:1], moved(whole.stage[1], whole.stage[0].seed), *whole.stage[2:]))


def skipped(whole: Evidence) -> Evidence:
    late = moved(whole.stage[1], whole.stage_seeds[20])
    return replace(whole, stage=(*whole.stage[:1], late, *whole.stage[2:]))


def one_sided(whole: Evidence, arm: str) -> Evidence:
    lame = replace(whole.stage[1], **{arm: None})
    return replace(whole, stage=(*whole.stage[:1], lame, *whole.stage[2:]))


def without_cost(whole: Evidence) -> Evidence:
    first = whole.costs[0]
    assert first.candidate is not None
    bare = replace(first, candidate=replace(first.candidate, secondary={"latency_ms": 10.0}))
    return replace(whole, costs=(bare, *whole.costs[1:]))


def with_cost(whole: Evidence, value: float) -> Evidence:
    first = whole.costs[0]
    assert first.candidate is not None
    odd = replace(first, candidate=replace(first.candidate, secondary={"latency_ms": value, "memory_mb": 1.0}))
    return replace(whole, costs=(odd, *whole.costs[1:]))


def unscored(whole: Evidence) -> Evidence:
    """Values of both arms as if nobody had said what gave them."""
    for index in range(len(whole.stage)):
        for arm in ("candidate", "production"):
            whole = stage_with(whole, index, arm, evaluator="")
    return replace(whole, evaluator="")


def with_season(whole: Evidence, **changes: Any) -> Evidence:
    return replace(whole, season=replace(whole.season, **changes))


WRONG: dict[str, tuple[str, Callable[[Evidence], Evidence]]] = {
    "nan": ("nan", lambda e: stage_with(e, 1, "candidate", primary=math.nan)),
    "nan of production": ("nan", lambda e: stage_with(e, 1, "production", primary=math.nan)),
    "infinite": ("infinite", lambda e: stage_with(e, 1, "candidate", primary=math.inf)),
    "no value": ("missing_value", lambda e: stage_with(e, 0, "candidate", primary=None)),
    "missing seed": ("missing_seed", skipped),
    "substituted seed": ("substituted_seed", substituted),
    "a run under another seed": ("substituted_seed", lambda e: stage_with(e, 0, "candidate", seed=5)),
    "seed lists of one's own": (
        "substituted_seed",
        lambda e: replace(e, stage_seeds=(5, *e.stage_seeds[1:]), stage=(moved(e.stage[0], 5), *e.stage[1:])),
    ),
    "another candidate's seeds": ("substituted_seed", lambda e: with_season(e, t=8)),
    "repeated seed": ("repeated_seed", repeated),
    "one run twice": (
        "repeated_seed",
        lambda e: stage_with(e, 1, "production", run_id=e.stage[0].production.run_id if e.stage[0].production else ""),
    ),
    "wrong order": ("wrong_order", lambda e: pairs_in_order(e, [1, 0, *range(2, len(e.stage))])),
    "no production": ("unequal_pairs", lambda e: one_sided(e, "production")),
    "no candidate": ("unequal_pairs", lambda e: one_sided(e, "candidate")),
    "swapped arms": (
        "wrong_arm",
        lambda e: replace(e, stage=tuple(Pair(each.seed, each.production, each.candidate) for each in e.stage)),
    ),
    "mixed commits": ("mixed_commits", lambda e: stage_with(e, 1, "candidate", commit="d" * 40)),
    "mixed trees": ("mixed_commits", lambda e: stage_with(e, 1, "production", tree="other")),
    "another production": ("mixed_commits", lambda e: replace(e, production_commit_paired="q" * 40)),
    "mixed environments": ("mixed_environments", lambda e: stage_with(e, 1, "candidate", environment="other")),
    "no evaluator": ("no_evaluator", lambda e: stage_with(e, 1, "candidate", evaluator="")),
    "no evaluator of production": ("no_evaluator", lambda e: stage_with(e, 0, "production", evaluator="")),
    "no evaluator anywhere": ("no_evaluator", unscored),
    "evaluator changed": ("evaluator_changed", lambda e: stage_with(e, 1, "candidate", evaluator="other")),
    "evaluator not the pinned one": ("evaluator_changed", lambda e: replace(e, evaluator="pinned")),
    "weak sandbox": ("weak_sandbox", lambda e: stage_with(e, 1, "candidate", isolation="weak")),
    "unknown sandbox": ("weak_sandbox", lambda e: stage_with(e, 1, "production", isolation="")),
    "too few seeds": ("too_few", lambda e: replace(e, stage_seeds=e.stage_seeds[:1])),
    "test split": ("test_split", lambda e: replace(e, split="test")),
    "uncommitted patch": ("uncommitted_patch", lambda e: replace(e, uncommitted=True)),
    "wrong direction": ("wrong_direction", lambda e: replace(e, board_higher_is_better=False)),
    "threshold that is no number": ("bad_threshold", lambda e: replace(e, threshold=math.nan)),
    "a ceiling that is no number": ("bad_ceiling", lambda e: replace(e, plausibility=Plausibility(best=math.nan))),
    "a gain of the season below none": (
        "bad_ceiling",
        lambda e: replace(e, plausibility=Plausibility(None, None, -1.0)),
    ),
    "season counter reset": ("season_reset", lambda e: with_season(e, counted_t=9)),
    "promotions forgotten": ("season_reset", lambda e: with_season(e, counted_promotions=3)),
    "more promotions than candidates": ("season_reset", lambda e: with_season(e, promotions=7)),
    "negative promotions": ("season_reset", lambda e: with_season(e, promotions=-1)),
    "a season too small": ("season_reset", lambda e: with_season(e, planned=5)),
    "alpha that is no number": ("season_reset", lambda e: with_season(e, alpha=math.nan)),
    "beyond the season": ("season_over", lambda e: with_season(e, t=101)),
    "a readmission without a promotion": ("season_reset", lambda e: replace(e, readmission=Readmission(0, 1))),
    "production failed": ("production_failed", lambda e: stage_with(e, 1, "production", status="crash", attempts=2)),
    "infrastructure failed": ("infrastructure", lambda e: stage_with(e, 1, "candidate", status="infra", attempts=2)),
    "crash without its retry": ("not_retried", lambda e: stage_with(e, 1, "candidate", status="crash", attempts=1)),
    "declared cost missing": ("missing_cost", without_cost),
    "cost that is no number": ("nan", lambda e: with_cost(e, math.nan)),
    "cost without end": ("infinite", lambda e: with_cost(e, math.inf)),
    "cost of nothing": ("bad_cost", lambda e: with_cost(e, 0.0)),
    "limit of nothing": ("bad_cost", lambda e: replace(e, cost_limits={"latency_ms": math.nan, "memory_mb": 0.15})),
}


@pytest.mark.parametrize("kind", SOUND)
@pytest.mark.parametrize("name", WRONG)
def test_wrong_evidence_is_named_and_never_promotes(name: str, kind: str) -> None:
    policy, make = SOUND[kind]
    sound = make()
    assert decide(sound, policy).outcome == "promote"
    code, spoil = WRONG[name]
    decision = decide(spoil(sound), policy)
    assert (decision.outcome, decision.reason) == ("bad_evidence", code)
    assert decision.explanation.startswith(BAD_EVIDENCE[code].capitalize())
    assert decision.reported_gain is None
    first = decision.rows[0]
    assert (first.name, first.result, first.binding) == ("evidence", "failed", True)


def with_items(whole: Evidence, **changes: Any) -> Evidence:
    assert whole.items is not None
    return replace(whole, items=replace(whole.items, **changes))


WRONG_ITEMS: dict[str, tuple[str, Callable[[Evidence], Evidence]]] = {
    "no items": ("items_missing", lambda e: replace(e, items=None)),
    "an empty list": ("items_missing", lambda e: replace(e, items=ItemScores((), (), ()))),
    "an item twice": ("items_missing", lambda e: with_items(e, ids=("item-000",) * 30)),
    "an item less": ("items_missing", lambda e: with_items(e, candidate=(1.0,) * 29)),
    "a run without items": ("items_missing", lambda e: stage_with(e, 0, "production", items_sha256="")),
    "items that vary over seeds": ("items_vary", lambda e: stage_with(e, 1, "candidate", items_sha256="0" * 64)),
    "production's vary": ("items_vary", lambda e: stage_with(e, 1, "production", items_sha256="0" * 64)),
    "one score changed": ("items_changed", lambda e: with_items(e, production=(0.0,) * 21 + (1.0,) * 9)),
    "a score that is no number": ("nan", lambda e: with_items(e, candidate=(math.nan,) * 30)),
    "a cluster of one's own": ("items_changed", lambda e: with_items(e, clusters=("a",) * 30)),
}


@pytest.mark.parametrize("name", WRONG_ITEMS)
def test_wrong_items_are_named_and_never_promote(name: str) -> None:
    code, spoil = WRONG_ITEMS[name]
    decision = decide(spoil(itemised()), PerItem())
    assert (decision.outcome, decision.reason, decision.reported_gain) == ("bad_evidence", code, None)
    assert decision.rows[0].result == "failed"


@pytest.mark.parametrize("arm", ["candidate", "production"])
def test_a_metric_that_varies_is_not_judged_as_exact(arm: str) -> None:
    decision = decide(stage_with(fixed(), 1, arm, primary=0.921), Exact())
    assert (decision.outcome, decision.reason) == ("bad_evidence", "not_deterministic")
    assert "e-night" in decision.explanation


def test_every_named_error_of_the_evidence_has_a_test() -> None:
    of_policies = {code for code, _ in WRONG_ITEMS.values()} | {"overrun", "not_readmitted", "not_deterministic"}
    tested = {code for code, _ in WRONG.values()} | of_policies
    assert tested == set(BAD_EVIDENCE)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_two_wrongs_do_not_make_a_promotion(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(WRONG)), min_size=1, max_size=3, unique=True))
    for policy, make in SOUND.values():
        sound = make()
        spoiled = sound
        for name in names:
            try:
                spoiled = WRONG[name][1](spoiled)
            except (TypeError, AssertionError, IndexError):
                return  # one change took away what the next one would have changed
        assert decide(spoiled, policy).outcome == "bad_evidence"


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_too_few_pairs_never_promote_however_good_they_are(n: int) -> None:
    huge = [1e6 + k for k in range(n)]
    assert decide(evidence(huge), PAIRED).outcome == "extend"
    assert n == 5 or decide(evidence(huge[: min(n, 2)]), CARD).outcome == "extend"


@pytest.mark.parametrize("change", ["stage", "fresh_early", "costs_early", "costs_late"])
def test_values_beyond_the_verdict_are_an_overrun(change: str) -> None:
    sound = night()
    spoiled = {
        "stage": evidence((*STRONG, 0.02), FRESH),
        "fresh_early": evidence(STRONG[:5], FRESH),
        "costs_early": evidence(STRONG, costs=[1.0] * 5, cost_limits=COSTS),
        "costs_late": evidence(STRONG, FRESH, costs=[1.0] * 6, cost_limits=COSTS),
    }[change]
    assert decide(sound, PAIRED).outcome == "promote"
    assert decide(spoiled, PAIRED).reason == "overrun"


def test_more_pairs_than_the_policy_has_seeds_for_are_an_overrun() -> None:
    many = evidence([0.01] * 4, seeds_derived=False)
    assert decide(many, CARD).reason == "overrun"


def test_a_baseline_that_is_short_foreign_or_double_is_refused() -> None:
    cached = ENight()
    whole = evidence(baseline=[0.9] * 20)
    assert decide(whole, cached).outcome == "extend"
    assert decide(replace(whole, baseline=whole.baseline[:19]), cached).reason == "too_few"
    double = (*whole.baseline[:19], whole.baseline[0])
    assert decide(replace(whole, baseline=double), cached).reason == "repeated_seed"
    own = (*whole.baseline[:19], run(whole.stage_seeds[0], "production", 0.9))
    assert decide(replace(whole, baseline=own), cached).reason == "repeated_seed"
    foreign = (*whole.baseline[:19], run(3, "candidate", 0.9))
    assert decide(replace(whole, baseline=foreign), cached).reason == "wrong_arm"
    other = (*whole.baseline[:19], run(3, "production", 0.9, commit="q" * 40))
    assert decide(replace(whole, baseline=other), cached).reason == "mixed_commits"


def test_seeds_that_a_file_declares_itself_are_accepted_only_when_it_says_so() -> None:
    mine = tuple(range(1000, 1040))
    stage = tuple(moved(each, seed) for each, seed in zip(night().stage, mine, strict=False))
    changes: dict[str, Any] = {"stage_seeds": mine, "stage": stage}
    assert decide(evidence(fresh=FRESH, **changes), PAIRED).reason == "substituted_seed"
    assert decide(evidence(fresh=FRESH, seeds_derived=False, **changes), PAIRED).outcome == "promote"


@given(
    st.integers(1, 40),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.integers(0, 5),
    st.sampled_from([20, 100, 700]),
)
@settings(max_examples=100, deadline=None)
def test_nothing_is_promoted_at_zero_variance(n: int, d: float, promotions: int, planned: int) -> None:
    season = replace(SEASON, planned=planned, promotions=promotions)
    for policy in (PAIRED, CARD, ENight(screen="paired", patient=True)):
        decision = decide(evidence([d] * n, season=season), policy)
        assert decision.outcome != "promote"
        assert decision.needs is None or decision.needs.kind == "stage"


extreme = st.one_of(st.floats(), st.floats(-1e100, 1e100), st.floats(1e-300, 1e-290), st.sampled_from([1e100, -1e100]))


@given(st.lists(st.tuples(extreme, extreme), max_size=8), st.lists(st.tuples(extreme, extreme), max_size=5))
@example([], [(1e100, 1e-300)] * 5)
@example([(1e100, -1e100), (1e-300, 1e-290)] * 2, [])
@settings(max_examples=200, deadline=None)
def test_no_number_however_wild_makes_the_gate_raise(
    stage: list[tuple[float, float]], costs: list[tuple[float, float]]
) -> None:
    seeds = evidence().stage_seeds
    wild = tuple(
        Pair(seed, run(seed, "candidate", c), run(seed, "production", p))
        for seed, (c, p) in zip(seeds, stage, strict=False)
    )
    dear = tuple(
        Pair(
            seed,
            run(seed, "candidate", 0.9, secondary={"latency_ms": c, "memory_mb": 1.0}),
            run(seed, "production", 0.9, secondary={"latency_ms": p, "memory_mb": 1.0}),
        )
        for seed, (c, p) in zip(seeds, costs, strict=False)
    )
    for whole, policy in (
        (evidence(stage=wild), PAIRED),
        (evidence(stage=wild), CARD),
        (evidence(STRONG, FRESH, cost_limits=COSTS, costs=dear), PAIRED),
        (evidence((0.0200, 0.0201, 0.0199), cost_limits=COSTS, costs=dear[:3]), CARD),
    ):
        decision = decide(whole, policy)
        record = look_record(whole, decision, policy)
        assert recompute(json.loads(json.dumps(record, allow_nan=False))) == []


def test_a_place_for_which_no_seeds_are_left_is_refused() -> None:
    far = replace(SEASON, id=2**20, t=5000, planned=10_000)
    assert decide(replace(night(), season=far), PAIRED).reason == "season_over"


def test_the_commit_of_production_is_in_the_evidence_of_every_promotion() -> None:
    assert night().production_commit_now == PRODUCTION
    assert decide(replace(night(), production_commit_now="", production_commit_paired=""), PAIRED).outcome == "archive"
