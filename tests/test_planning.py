"""What a season means in practice: against the gate itself, against the policy's reference figures, and by its laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from gate_evidence import evidence, follow, run
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from experiments import planning, season, statistics
from experiments.gate import ENight, RunValue, SeasonFacts
from experiments.season import Season

PAIRED, CACHED = ENight(screen="paired"), ENight()
LEVEL = planning.level(100, 0.05)

policies = st.sampled_from([PAIRED, CACHED, ENight(patient=True), ENight(screen="paired", patient=True)])
planned = st.integers(20, 2000)
effects = st.floats(0.0, 6.0)


# -- reference points ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [PAIRED, CACHED], ids=["paired", "cached"])
def test_the_reference_figures_of_the_policy_are_met(policy: ENight) -> None:
    assert 3.2 <= planning.null_seeds(policy, LEVEL) <= 4.6
    assert 0.70 <= planning.prospect(policy, LEVEL, 1.0).promoted <= 0.82
    assert planning.prospect(policy, LEVEL, 2.0).median_seeds == 12
    assert planning.prospect(policy, LEVEL, 3.0).median_seeds == 12


def test_an_idea_without_effect_is_hardly_ever_found() -> None:
    assert planning.prospect(CACHED, LEVEL, 0.0).found <= LEVEL


def test_the_level_is_the_season_s() -> None:
    opened = Season(1, 100, 0.05, "2026-01-01", "2026-12-31")
    for promotions in range(4):
        assert planning.level(100, 0.05, promotions) == season.level(opened, promotions)


def test_before_the_eighth_seed_nothing_is_found_in_a_season_of_a_hundred() -> None:
    assert planning.minimum_effect(CACHED, LEVEL, within=5) is None
    assert planning.minimum_effect(CACHED, LEVEL, within=8) is not None


@pytest.mark.parametrize("policy", [PAIRED, CACHED], ids=["paired", "cached"])
@pytest.mark.parametrize("effect", [0.0, 1.5])
def test_the_simulated_walk_is_the_gate_s_own(policy: ENight, effect: float) -> None:
    rng, sd = np.random.default_rng(7), 0.002
    candidates = 150
    spent, found = [], 0
    for number in range(candidates):
        used = [0]

        def draw(kind: str, seed: int, arm: str, used: list[int] = used) -> RunValue:
            used[0] += arm == "candidate" and kind == "stage"
            gain = effect * sd * math.sqrt(2.0) if arm == "candidate" else 0.0
            return run(seed, arm, 0.9 + gain + float(rng.normal(0.0, sd)), run_id="")

        baseline = [0.9 + float(x) for x in rng.normal(0.0, sd, 20)] if policy.screen == "cached" else ()
        start = evidence(season=SeasonFacts(1, number % 100 + 1, 100, 0, 0.05), baseline=baseline, threshold=0.0)
        decision = follow(start, policy, draw)[1]
        found += bool(decision.numbers.log_e is not None and decision.numbers.log_e >= math.log(1 / LEVEL))
        spent.append(used[0])
    expected = planning.prospect(policy, LEVEL, effect)
    error = statistics.standard_deviation(spent) / math.sqrt(candidates)
    assert abs(statistics.mean(spent) - expected.mean_seeds) <= 4 * error
    assert abs(found / candidates - expected.found) <= 4 * math.sqrt(0.25 / candidates)


# -- laws ---------------------------------------------------------------------------------------------------


@given(policies, planned, effects, st.floats(0.0, 2.0))
@settings(max_examples=40, deadline=None)
def test_a_larger_gain_is_found_more_often(policy: ENight, candidates: int, effect: float, more: float) -> None:
    level = planning.level(candidates, 0.05)
    small, large = (planning.prospect(policy, level, each, 0.3) for each in (effect, effect + more))
    assert large.found >= small.found
    assert large.promoted >= small.promoted


@given(policies, planned, planned, effects)
@settings(max_examples=40, deadline=None)
def test_a_longer_season_finds_the_same_gain_less_often(policy: ENight, one: int, other: int, effect: float) -> None:
    short, long = (planning.level(max(20, n), 0.05) for n in sorted((one, other)))
    assert planning.prospect(policy, long, effect).found <= planning.prospect(policy, short, effect).found
    assert planning.null_seeds(policy, long) >= planning.null_seeds(policy, short)


@given(policies, st.floats(0.001, 0.02), st.floats(0.001, 0.02), st.floats(0.0, 0.05))
@settings(max_examples=40, deadline=None)
def test_noise_makes_the_same_gain_harder_to_find(policy: ENight, one: float, other: float, gain: float) -> None:
    quiet, loud = sorted((one, other))
    found = [planning.prospect(policy, LEVEL, gain / sd, 0.005 / sd).found for sd in (quiet, loud)]
    assert found[0] >= found[1]


@given(policies, planned, st.floats(0.0, 3.0), st.sampled_from([12, 20, 40]))
@settings(max_examples=20, deadline=None)
def test_a_minimum_detectable_gain_is_found_as_often_as_promised(
    policy: ENight, candidates: int, threshold: float, within: int
) -> None:
    level = planning.level(candidates, 0.05)
    effect = planning.minimum_effect(policy, level, threshold, within)
    assert effect is not None
    assert planning.prospect(policy, level, effect, threshold, within).promoted >= planning.POWER
    assert planning.prospect(policy, level, 0.99 * effect, threshold, within).promoted < planning.POWER
    more = planning.minimum_effect(policy, level, threshold, 40)
    assert more is not None
    assert more <= effect * 1.001


@given(policies, planned, effects)
@settings(max_examples=20, deadline=None)
def test_the_same_question_has_the_same_answer(policy: ENight, candidates: int, effect: float) -> None:
    level = planning.level(candidates, 0.05)
    assert planning.prospect(policy, level, effect) == planning.prospect(policy, level, effect)


@given(st.integers(3, 40), st.floats(1.5, 1e6))
@settings(max_examples=80, deadline=None)
def test_the_critical_t_is_where_the_evidence_reaches_the_bar(n: int, bar: float) -> None:
    t = planning.critical_t(n, bar)
    if math.isinf(t):
        assert statistics.log_e_value(n, 1.0) < math.log(bar)
        return
    u = t / math.sqrt(n - 1 + t * t)
    assert statistics.log_e_value(n, u) == pytest.approx(math.log(bar), abs=1e-6)


# -- costs and items ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sd", "limit", "pairs"), [(0.1, 0.10, 20), (0.2, 0.10, 20), (0.05, 0.10, 5), (0.3, 0.15, 10)])
def test_the_chance_to_confirm_a_cost_is_the_simulated_one(sd: float, limit: float, pairs: int) -> None:
    ratios = np.random.default_rng(5).normal(0.0, sd, size=(40_000, pairs))
    bounds = ratios.mean(axis=1) + stats.t.ppf(0.95, pairs - 1) * ratios.std(axis=1, ddof=1) / math.sqrt(pairs)
    assert planning.cost_confirmed(sd, limit, pairs) == pytest.approx(
        float((bounds <= math.log1p(limit)).mean()), abs=0.01
    )


@given(st.floats(1e-4, 1.0), st.integers(5, 20), st.floats(0.01, 1.0))
@settings(max_examples=60, deadline=None)
def test_more_pairs_and_wider_limits_confirm_more_and_noise_less(sd: float, pairs: int, limit: float) -> None:
    chance = planning.cost_confirmed(sd, limit, pairs)
    assert 0.0 <= chance <= 1.0
    assert planning.cost_confirmed(sd, limit, pairs + 5) >= chance - 1e-9
    assert planning.cost_confirmed(sd, 1.5 * limit, pairs) >= chance - 1e-9
    assert planning.cost_confirmed(1.5 * sd, limit, pairs) <= chance + 1e-9


@given(st.floats(1e-4, 0.5), st.integers(5, 20))
@settings(max_examples=40, deadline=None)
def test_the_smallest_limit_is_confirmed_as_often_as_promised(sd: float, pairs: int) -> None:
    limit = planning.smallest_limit(sd, pairs)
    assert planning.cost_confirmed(sd, limit, pairs) >= planning.POWER - 1e-6
    assert planning.cost_confirmed(sd, 0.98 * limit, pairs) < planning.POWER


def test_without_noise_every_limit_can_be_told() -> None:
    assert planning.cost_confirmed(0.0, 0.01, 5) == 1.0
    assert planning.smallest_limit(0.0, 5) == 0.0


@given(st.integers(50, 5000), st.floats(0.01, 0.5), planned)
@settings(max_examples=60, deadline=None)
def test_a_gain_over_items_has_the_power_that_the_exact_test_gives_it(
    items: int, changed: float, candidates: int
) -> None:
    level = planning.level(candidates, 0.05)
    gain, k = planning.item_gain(items, changed, level), round(items * changed)
    if gain is None:
        assert 0.5**k > level
        return
    needed = next(b for b in range(k + 1) if stats.binom.sf(b - 1, k, 0.5) <= level)
    assert stats.binom.sf(needed - 1, k, min(1.0, 0.5 * (1 + gain * items / k))) >= planning.POWER - 1e-9
    assert 0.0 < gain <= k / items


def test_the_fewest_items_are_those_whose_luck_is_rarer_than_the_level() -> None:
    assert planning.fewest_items_gained(0.0005) == 11
    assert 2.0**-11 <= 0.0005 < 2.0**-10
    assert planning.fewest_items_gained(0.25) == 2
