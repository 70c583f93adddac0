"""The statistics against independent computations: scipy.stats, 90-digit arithmetic, published limits."""

from __future__ import annotations

import math
import random
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from experiments import statistics

LOOKS = (2, 3, 5, 8, 12, 20, 28, 40)
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798")
finite = st.floats(-1e3, 1e3, allow_nan=False).map(lambda value: round(value, 6))


def _half_gamma(doubled: int) -> Decimal:
    """Gamma(doubled / 2)."""
    if doubled <= 2:
        return PI.sqrt() if doubled == 1 else Decimal(1)
    return _half_gamma(doubled - 2) * Decimal(doubled - 2) / 2


def _series(a: Decimal, b: Decimal, z: Decimal) -> Decimal:
    term = total = Decimal(1)
    for k in range(3000):
        term = term * (a + k) / (b + k) / (k + 1) * z
        total += term
        if term < total * Decimal(10) ** -85:
            break
    return total


def log_moment_by_long_arithmetic(n: int, x: float) -> float:
    with localcontext() as context:
        context.prec = 97
        value = Decimal(x)
        z = value * value / 2
        even = _series(Decimal(n) / 2, Decimal("0.5"), z)
        odd = _series(Decimal(n + 1) / 2, Decimal("1.5"), z)
        weight = Decimal(2).sqrt() * _half_gamma(n + 1) / _half_gamma(n)
        return float((even + value * weight * odd).ln())


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 12, 20, 28])
def test_the_chi_moment_agrees_with_long_arithmetic_on_both_signs(n: int) -> None:
    for x in np.linspace(-2.0 * math.sqrt(n), 2.0 * math.sqrt(n), 17):
        assert statistics.log_chi_moment(n, float(x)) == pytest.approx(
            log_moment_by_long_arithmetic(n, float(x)), abs=1e-12
        )


@pytest.mark.parametrize("n", [60, 64, 65, 80])
def test_closed_form_and_quadrature_meet_where_one_takes_over_from_the_other(n: int) -> None:
    for x in (0.0, 0.7, 5.0, 2.0 * math.sqrt(n)):
        assert statistics.log_chi_moment(n, x) == pytest.approx(log_moment_by_long_arithmetic(n, x), abs=1e-12)


@pytest.mark.parametrize("n", LOOKS)
@pytest.mark.parametrize("t", [-4.0, -1.0, 0.0, 0.5, 2.0, 4.0, 9.0])
def test_the_e_value_is_the_mean_of_the_noncentral_to_central_density_ratios(n: int, t: float) -> None:
    ratios = [stats.nct.pdf(t, n - 1, d * math.sqrt(n)) / stats.t.pdf(t, n - 1) for d in (0.5, 1.0, 2.0)]
    u = t / math.sqrt(n - 1 + t * t)
    # scipy's noncentral density loses digits where it is tiny; there the ratio counts for nothing in the mean.
    assert math.exp(statistics.log_e_value(n, u)) == pytest.approx(float(np.mean(ratios)), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("n", [3, 8, 20])
def test_the_e_value_integrates_to_one_under_the_null(n: int) -> None:
    t, step = np.linspace(-60.0, 60.0, 24001, retstep=True)
    density = stats.t.pdf(t, n - 1)
    e = np.array([math.exp(statistics.log_e_value(n, x / math.sqrt(n - 1 + x * x))) for x in t[::20]])
    total = float(np.sum(density[::20] * e) * step * 20)
    lost = 2 * stats.t.sf(60.0, n - 1) * math.exp(statistics.log_e_value(n, 1.0))
    assert 1.0 - lost - 1e-6 <= total <= 1.0 + 1e-6


@pytest.mark.parametrize(("n", "limit"), [(3, 12.43), (5, 131.8), (8, 5834.0)])
def test_equal_differences_reach_the_known_largest_evidence_and_no_more(n: int, limit: float) -> None:
    e = math.exp(statistics.log_e_value(n, 1.0))
    assert 0.999 * limit < e < limit


@pytest.mark.parametrize("n", [40, 41, 64, 65, 500, 20_000])
def test_evidence_never_overflows_and_rises_with_u(n: int) -> None:
    values = [statistics.log_e_value(n, u) for u in (-1.0, -0.5, 0.0, 0.3, 0.8, 1.0)]
    assert all(map(math.isfinite, values))
    assert values == sorted(values)


@pytest.mark.parametrize(("n", "u"), [(0, 0.5), (3, 1.5), (3, math.nan)])
def test_impossible_arguments_of_the_e_value_are_refused(n: int, u: float) -> None:
    with pytest.raises(ValueError, match="log_e_value"):
        statistics.log_e_value(n, u)


@given(st.lists(st.tuples(finite, finite), min_size=2, max_size=40))
@settings(max_examples=60, deadline=None)
def test_paired_t_agrees_with_scipy(pairs: list[tuple[float, float]]) -> None:
    a, b = np.array(pairs).T
    test = statistics.paired_t([float(x) for x in a - b])
    if test.zero_variance:
        assert test.t is None
        assert test.p_greater is None
        assert np.std(a - b, ddof=1) <= 1.1e-9 * max(abs(a - b))
        return
    greater, both = stats.ttest_rel(a, b, alternative="greater"), stats.ttest_rel(a, b)
    assert test.t == pytest.approx(float(both.statistic), rel=1e-8, abs=1e-9)
    assert test.p_greater == pytest.approx(float(greater.pvalue), rel=1e-7, abs=1e-12)
    assert test.p_two_sided == pytest.approx(float(both.pvalue), rel=1e-7, abs=1e-12)
    assert test.sd == pytest.approx(float(np.std(a - b, ddof=1)), rel=1e-9)


def test_three_equal_differences_have_no_t_and_no_p() -> None:
    test = statistics.paired_t([0.1, 0.1, 0.1])
    assert (test.t, test.p_greater, test.p_two_sided, test.zero_variance, test.u) == (None, None, None, True, 1.0)


def test_rounding_of_large_values_is_not_variation() -> None:
    differences = [(1e9 + 0.3) - 1e9, (1e9 + 0.1 + 0.2) - 1e9, (1e9 + 0.30000007) - 1e9]
    assert not statistics.paired_t(differences).zero_variance
    assert statistics.paired_t(differences, scale=1e9).zero_variance


@pytest.mark.parametrize("bad", [[], [math.nan, 1.0], [1.0, math.inf]])
def test_paired_t_refuses_what_is_not_a_number(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="paired_t"):
        statistics.paired_t(bad)


@given(st.lists(finite, min_size=2, max_size=20), st.floats(1e-3, 1e3))
@settings(max_examples=100, deadline=None)
def test_adding_a_constant_to_every_difference_never_lowers_t_or_the_evidence(values: list[float], c: float) -> None:
    scale = max(map(abs, values)) + c
    before, after = statistics.paired_t(values, scale), statistics.paired_t([value + c for value in values], scale)
    if before.zero_variance or after.zero_variance:
        assert after.u >= before.u or after.mean > before.mean
        return
    assert before.t is not None
    assert after.t is not None
    assert after.t >= before.t
    n = len(values)
    assert statistics.log_e_value(n, after.u) >= statistics.log_e_value(n, before.u) - 1e-12


@given(st.lists(finite, min_size=2, max_size=20))
@settings(max_examples=60, deadline=None)
def test_turning_every_sign_turns_t_and_swaps_the_tails(values: list[float]) -> None:
    one, other = statistics.paired_t(values), statistics.paired_t([-value for value in values])
    assert one.u == -other.u
    if one.p_greater is not None and other.p_greater is not None:
        assert one.p_greater + other.p_greater == pytest.approx(1.0, abs=1e-12)
        assert one.p_two_sided == other.p_two_sided


@given(st.lists(finite, min_size=2, max_size=20), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_differences_does_not_matter(values: list[float], shuffler: random.Random) -> None:
    mixed = list(values)
    shuffler.shuffle(mixed)
    assert statistics.paired_t(mixed) == statistics.paired_t(values)


@given(st.lists(finite, min_size=2, max_size=20))
@settings(max_examples=40, deadline=None)
def test_bounds_agree_with_scipy(values: list[float]) -> None:
    n, s = len(values), float(np.std(values, ddof=1))
    upper = float(np.mean(values)) + float(stats.t.ppf(0.95, n - 1)) * s / math.sqrt(n)
    assert statistics.cost_upper_bound(values) == pytest.approx(upper, rel=1e-9, abs=1e-9)
    lower = s * math.sqrt((n - 1) / float(stats.chi2.isf(0.05, n - 1)))
    assert statistics.sd_lower_bound(values) == pytest.approx(lower, rel=1e-9, abs=1e-9)
    assert statistics.sd_lower_bound(values) <= s + 1e-12 or n > 2


def test_the_cost_bound_without_variation_is_the_mean() -> None:
    assert statistics.cost_upper_bound([0.25, 0.25, 0.25]) == 0.25


def test_the_spread_bound_lies_below_the_true_spread_about_95_times_in_100() -> None:
    draws = np.random.default_rng(5).normal(10.0, 2.0, size=(2000, 5))
    below = sum(statistics.sd_lower_bound(list(map(float, row))) <= 2.0 for row in draws)
    assert abs(below / 2000 - 0.95) < 0.015
