"""The policy e-night: every step of its walk, from the first run to the promotion."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from gate_evidence import COSTS, FRESH, PAIRED, SEASON, STRONG, cost_pairs, evidence, judged, pairs, row, run

from experiments.gate import POLICIES, Decision, ENight, Evidence, Pair, decide
from experiments.gate.rows import DOCUMENTED_COSTS
from experiments.statistics import paired_t


def test_nothing_measured_asks_for_one_pair() -> None:
    decision = judged()
    assert (decision.outcome, decision.needs.kind, decision.needs.up_to) == ("extend", "stage", 1)
    assert decision.needs.candidate_seeds == decision.needs.production_seeds == evidence().stage_seeds[:1]


@pytest.mark.parametrize("difference", [0.0, -0.001])
def test_one_seed_that_is_not_better_archives(difference: float) -> None:
    decision = judged([difference])
    assert (decision.outcome, decision.reason) == ("archive", "below_baseline")


@pytest.mark.parametrize(
    ("have", "up_to"), [(1, 2), (2, 3), (3, 5), (4, 5), (5, 8), (8, 12), (12, 20), (20, 28), (28, 40)]
)
def test_undecided_looks_extend_to_the_next_one(have: int, up_to: int) -> None:
    values = [0.010 + 0.016 * math.sin(2.4 * k) for k in range(40)]
    decision = judged(values[:have], season=replace(SEASON, planned=100_000))
    assert (decision.outcome, decision.needs.up_to, len(decision.needs.candidate_seeds)) == (
        "extend",
        up_to,
        up_to - have,
    )


@pytest.mark.parametrize(
    ("n", "limit"), [(2, 0.45), (3, 0.35), (5, 0.25), (8, 0.15), (12, 0.08), (20, 0.03), (28, 0.015)]
)
def test_futility_falls_at_its_limit_of_every_look(n: int, limit: float) -> None:
    """Differences whose one-sided p lies just above, then just below the limit, at that look only."""
    for target, outcome in ((limit + 0.002, "archive"), (limit - 0.002, "extend")):
        shape = [1.0, -1.0] * (n // 2) + ([0.0] if n % 2 else [])
        low, high = -5.0, 5.0
        for _ in range(60):
            shift = (low + high) / 2
            from_t = decide_numbers(shape, shift)
            low, high = (shift, high) if from_t > target else (low, shift)
        values = [0.01 * (each + (low + high) / 2) for each in shape]
        only = replace(PAIRED, looks=(1, n, 40), futility=(limit,))
        decision = judged([max(values), *sorted(values)[:-1]], policy=only, season=replace(SEASON, planned=10**5))
        assert (decision.outcome, decision.numbers.futility_limit) == (outcome, limit)
        if outcome == "archive":
            assert decision.reason == "futility"
            assert row(decision, "futility") == ("failed", True)


def decide_numbers(shape: list[float], shift: float) -> float:
    p = paired_t([each + shift for each in shape]).p_greater
    assert p is not None
    return p


def test_the_policy_carries_the_futility_limits_of_the_table() -> None:
    limits = [PAIRED.futility_limit(n) for n in PAIRED.looks]
    assert limits == [None, 0.45, 0.35, 0.25, 0.15, 0.08, 0.03, 0.015, None]
    assert ENight(patient=True).futility_limit(2) == 0.5


def test_strong_evidence_cannot_pass_before_the_eighth_pair_of_a_season_of_a_hundred() -> None:
    for n in (3, 5):
        assert judged(STRONG[:n]).needs.kind == "stage"
    assert judged(STRONG).needs.kind == "fresh"


def test_with_a_low_bar_three_pairs_can_pass() -> None:
    season = replace(SEASON, planned=20, t=20, promotions=19, alpha=0.49)
    assert judged((0.0200, 0.0201, 0.0199), season=season).needs.kind == "fresh"


def test_pass_is_tested_before_futility() -> None:
    strict = replace(PAIRED, futility=(0.45, 0.35, 0.25, 0.0, 0.08, 0.03, 0.015))
    assert judged(STRONG, policy=strict).needs.kind == "fresh"


def test_forty_undecided_pairs_park() -> None:
    gentle = replace(PAIRED, futility=(1.0,) * 7)
    decision = judged([0.01, -0.008] * 20, policy=gentle)
    assert (decision.outcome, decision.reason) == ("park", "out_of_seeds")


def test_equal_differences_are_parked_at_the_eighth_pair_and_never_pass() -> None:
    low_bar = replace(SEASON, planned=20, t=20, promotions=19, alpha=0.49)
    for n in (2, 3, 5):
        assert judged([0.01] * n, season=low_bar).needs.kind == "stage"
    decision = judged([0.01] * 8, season=low_bar)
    assert (decision.outcome, decision.reason) == ("park", "zero_variance")
    assert "exact" in decision.explanation


def test_differences_that_vary_by_rounding_alone_are_equal() -> None:
    rises = (0.3, 0.30000007, 0.29999995, 0.3, 0.30000003, 0.3, 0.30000007, 0.3)
    stage = pairs(evidence().stage_seeds, rises, level=1e9)
    decision = judged(stage, season=replace(SEASON, planned=20, promotions=6, alpha=0.49))
    assert (decision.outcome, decision.reason) == ("park", "zero_variance")


def test_equal_differences_do_not_count_as_futile() -> None:
    skips = replace(PAIRED, patient=True)
    assert judged([-0.01] * 5, policy=skips).outcome == "extend"


@pytest.mark.parametrize("status", ["crash", "oom", "timeout", "limit", "bad_output"])
def test_a_candidate_that_fails_twice_is_archived_and_its_seed_is_not_replaced(status: str) -> None:
    good = evidence(STRONG[:5])
    broken = Pair(good.stage[3].seed, run(good.stage[3].seed, "candidate", None, status=status, attempts=2))
    decision = decide(replace(good, stage=(*good.stage[:3], broken, good.stage[4])), PAIRED)
    assert (decision.outcome, decision.reason) == ("archive", "crash")
    assert status in decision.explanation


def test_a_crash_behind_an_earlier_verdict_does_not_count() -> None:
    lost = evidence([-0.01, 0.01])
    seed = lost.stage[1].seed
    broken = Pair(seed, run(seed, "candidate", None, status="crash", attempts=2))
    assert decide(replace(lost, stage=(lost.stage[0], broken)), PAIRED).reason == "overrun"


def test_a_crash_on_a_fresh_or_a_cost_run_is_the_candidates_too() -> None:
    for line in ("fresh", "costs"):
        full = evidence(STRONG, FRESH, costs=[1.0] * 5, cost_limits=COSTS)
        if line == "fresh":
            full = replace(full, costs=())
        pairs = getattr(full, line)
        broken = Pair(pairs[2].seed, run(pairs[2].seed, "candidate", None, status="crash", attempts=2))
        changed = replace(full, **{line: (*pairs[:2], broken)})
        assert decide(changed, PAIRED).reason == "crash"


def test_an_empty_patch_is_no_test_at_all() -> None:
    assert (judged(empty_diff=True).outcome, judged(empty_diff=True).reason) == ("archive", "no_op")


def test_identical_outputs_are_no_change_whoever_notices() -> None:
    assert judged([0.0], identical_outputs=True).reason == "no_op"
    seed = evidence().stage_seeds[0]
    same = Pair(
        seed, run(seed, "candidate", 0.9, outputs_sha256="same"), run(seed, "production", 0.9, outputs_sha256="same")
    )
    assert judged(stage=(same,)).reason == "no_op"


def test_production_that_moved_on_archives_as_superseded() -> None:
    for fresh in ((), FRESH):
        decision = judged(STRONG, fresh, production_commit_now="q" * 40)
        assert (decision.outcome, decision.reason) == ("archive", "superseded")


def test_production_that_is_unknown_is_not_production_that_stayed() -> None:
    assert judged(STRONG, FRESH, production_commit_now="").reason == "superseded"


@pytest.mark.parametrize("fresh", [(-0.01,) * 5, (0.0,) * 5, (0.01, -0.02, 0.01, -0.02, 0.0)])
def test_a_gain_that_fresh_seeds_do_not_show_is_archived(fresh: tuple[float, ...]) -> None:
    decision = judged(STRONG, fresh)
    assert (decision.outcome, decision.reason) == ("archive", "not_confirmed")


def test_a_real_gain_below_the_threshold_is_archived_with_the_shortfall() -> None:
    decision = judged(STRONG, FRESH, threshold=0.03)
    assert (decision.outcome, decision.reason) == ("archive", "real_but_small")
    assert "0.01 below the threshold 0.03" in decision.explanation
    assert row(decision, "gain") == ("failed", True)
    assert row(decision, "confirmation") == ("passed", True)


def test_a_promotion_reports_the_fresh_mean_and_nothing_else() -> None:
    decision = judged([10 * d for d in STRONG], FRESH, threshold=0.005)
    assert decision.outcome == "promote"
    assert decision.gain_is_fresh
    assert decision.reported_gain == pytest.approx(sum(FRESH) / 5)


def test_the_table_of_a_promotion_holds_every_documented_criterion() -> None:
    decision = judged(
        STRONG, FRESH, costs=[1.0, 1.01, 0.99, 1.0, 1.02], cost_limits=COSTS, required_rank=1, projected_rank=1
    )
    names = [each.name for each in decision.rows]
    assert {"gain", "paired_t_test", "seeds", "stability", "projected_rank", *DOCUMENTED_COSTS} <= set(names)
    assert len(set(names)) == len(names)
    binding = {each.name for each in decision.rows if each.binding}
    assert {"gain", "night_evidence", "seeds", *DOCUMENTED_COSTS} <= binding
    assert not {"paired_t_test", "stability", "projected_rank"} & binding
    assert all(each.result != "failed" for each in decision.rows)


def test_costs_look_at_five_ten_and_twenty_pairs_and_stop_at_the_first_that_suffices() -> None:
    def costs(ratios: list[float]) -> Decision:
        return judged(STRONG, FRESH, costs=ratios, cost_limits={"latency_ms": 0.10})

    wide = [0.85, 1.25] * 10
    assert costs([]).needs.up_to == 5
    assert costs(wide[:5]).needs.up_to == 10
    assert costs(wide[:10]).needs.up_to == 20
    assert (costs([1.2] * 20).outcome, costs([1.2] * 20).reason) == ("archive", "cost_regression")
    assert "20.0%" in costs([1.2] * 20).explanation
    assert costs([1.0, 1.01, 0.99, 1.02, 1.0]).outcome == "promote"
    assert costs([1.05] * 5).outcome == "promote"
    assert costs([1.0] * 10).reason == "overrun"


def test_every_declared_cost_must_be_within_its_limit() -> None:
    own = evidence().stage_seeds
    heavy = cost_pairs(own, [1.0, 1.01, 0.99, 1.0] * 5, memory=1.3)
    assert judged(STRONG, FRESH, costs=heavy[:5], cost_limits=COSTS).needs.up_to == 10
    decision = judged(STRONG, FRESH, costs=heavy, cost_limits=COSTS)
    assert (decision.outcome, decision.reason) == ("archive", "cost_regression")
    assert "memory_mb" in decision.explanation
    assert (row(decision, "latency_ms"), row(decision, "memory_mb")) == (("passed", True), ("failed", True))


def test_cheaper_is_never_a_cost_regression() -> None:
    assert judged(STRONG, FRESH, costs=[0.3] * 5, cost_limits={"latency_ms": 0.1}).outcome == "promote"


def test_undeclared_costs_are_not_applicable_and_say_so() -> None:
    decision = judged(STRONG, FRESH)
    assert row(decision, "latency_ms") == ("not_applicable", True)


def unstable() -> Evidence:
    values = [0.9 + 0.05 * math.sin(2.4 * k) for k in range(8)]
    own = evidence().stage_seeds
    stage = tuple(
        Pair(seed, run(seed, "candidate", value + gain), run(seed, "production", value))
        for seed, value, gain in zip(own, values, STRONG, strict=False)
    )
    return evidence(fresh=FRESH, stage=stage)


def test_an_unstable_candidate_is_flagged_or_archived_as_the_target_says() -> None:
    flagged = decide(unstable(), PAIRED)
    assert (flagged.outcome, flagged.flags) == ("promote", ("unstable", "unstable_one_percent"))
    assert row(flagged, "stability") == ("failed", False)
    archived = decide(unstable(), replace(PAIRED, unstable="archive"))
    assert (archived.outcome, archived.reason) == ("archive", "unstable")


def test_stability_says_nothing_where_the_mean_is_not_above_zero() -> None:
    own = evidence().stage_seeds
    stage = tuple(
        Pair(seed, run(seed, "candidate", -0.5 + gain), run(seed, "production", -0.5))
        for seed, gain in zip(own, STRONG, strict=False)
    )
    decision = decide(evidence(fresh=FRESH, stage=stage), replace(PAIRED, unstable="archive"))
    assert decision.outcome == "promote"
    assert row(decision, "stability") == ("not_applicable", True)


def test_a_rank_that_is_not_reached_binds_only_where_the_target_says_so() -> None:
    shown = judged(STRONG, FRESH, required_rank=1, projected_rank=3)
    assert (shown.outcome, row(shown, "projected_rank")) == ("promote", ("failed", False))
    for projected in (3, None):
        bound = judged(STRONG, FRESH, required_rank=1, projected_rank=projected, policy=replace(PAIRED, rank="binding"))
        assert (bound.outcome, bound.reason) == ("archive", "rank")


@pytest.mark.parametrize(
    ("screen", "baseline"), [("paired", ()), ("cached", tuple(0.9 + 0.001 * k for k in range(20)))]
)
def test_the_row_of_the_first_seed_says_by_how_much_it_was_not_better(screen: str, baseline: tuple[float, ...]) -> None:
    policy = replace(ENight(), screen=screen)
    decision = decide(evidence([-0.02], baseline=baseline), policy)
    assert decision.reason == "below_baseline"
    (found,) = [each for each in decision.rows if each.name == "first_seed"]
    reference = sum(baseline) / 20 if baseline else 0.9
    assert found.value == pytest.approx(0.88 - reference)
    assert (found.result, found.binding) == ("failed", True)


@pytest.mark.parametrize("changes", [{"empty_diff": True}, {"identical_outputs": True}])
def test_the_row_that_failed_where_nothing_was_changed_says_so(changes: dict[str, bool]) -> None:
    for kind in POLICIES.values():
        decision = decide(evidence([0.0], **changes), kind())
        assert (decision.outcome, decision.reason) == ("archive", "no_op")
        (found,) = [each for each in decision.rows if each.name == "differs"]
        assert (found.result, found.binding, found.why) == ("failed", True, decision.explanation)
