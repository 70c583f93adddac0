"""Figures of noise: what runs say of the spread over seeds, of one seed twice, of pairs, costs and single items."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments import noise
from experiments.items import ItemAgreement, Items, agreement

values = st.lists(st.floats(-1e3, 1e3).map(lambda x: round(x, 6)), min_size=2, max_size=40)


def over_seeds(numbers: list[float]) -> dict[int, float]:
    return dict(enumerate(numbers, start=1))


def test_the_interval_of_sigma_is_the_chi_square_one() -> None:
    found = noise.spread(over_seeds([1.0, 2.0, 3.0, 4.0, 6.0]), ["a"] * 5)
    low, high = stats.chi2.ppf([0.05, 0.95], 4)
    assert found.sd == pytest.approx(np.std([1, 2, 3, 4, 6], ddof=1))
    assert found.sd_low == pytest.approx(found.sd * math.sqrt(4 / high))
    assert found.sd_high == pytest.approx(found.sd * math.sqrt(4 / low))
    assert found.difference_sd == pytest.approx(math.sqrt(2) * found.sd)


@given(values, st.floats(0.01, 100), st.floats(-100, 100))
def test_the_spread_follows_the_unit_and_not_the_origin(numbers: list[float], unit: float, origin: float) -> None:
    one = noise.spread(over_seeds(numbers), [])
    other = noise.spread(over_seeds([unit * x + origin for x in numbers]), [])
    assert other.sd == pytest.approx(unit * one.sd, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("bad", [[1.0], [1.0, math.nan], [1.0, math.inf]])
def test_a_spread_of_too_little_or_of_no_number_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError):
        noise.spread(over_seeds(bad), [])


def test_equal_means_equal_to_the_last_bit() -> None:
    assert noise.spread(over_seeds([0.3, 0.3, 0.3]), ["a", "a", "a"]).equal
    assert not noise.spread(over_seeds([0.3, 0.1 + 0.2, 0.3]), ["a", "a", "a"]).equal
    assert noise.spread(over_seeds([0.3, 0.3]), ["a", "a"]).outputs_equal
    assert not noise.spread(over_seeds([0.3, 0.3]), ["a", "b"]).outputs_equal
    assert not noise.spread(over_seeds([0.3, 0.3]), ["", ""]).outputs_equal


def test_a_seed_that_fails_by_ten_deviations_is_named_and_gaussian_ones_are_not() -> None:
    rng = np.random.default_rng(3)
    numbers = [float(x) for x in rng.normal(0.9, 0.01, 20)]
    assert noise.outliers(over_seeds(numbers)) == ()
    numbers[7] = 0.8
    (far,) = noise.outliers(over_seeds(numbers))
    assert (far.seed, far.value) == (8, 0.8)
    assert far.z < -noise.FAR_OFF


@pytest.mark.parametrize("n", [5, 12, 40])
def test_gaussian_seeds_are_hardly_ever_called_far_off(n: int) -> None:
    samples = np.random.default_rng(n).normal(0.0, 1.0, (2000, n))
    alarms = sum(bool(noise.outliers(over_seeds([float(x) for x in sample]))) for sample in samples)
    assert alarms / 2000 <= (0.03 if n == 5 else 0.006)


def test_a_seed_apart_is_named_where_most_values_are_equal() -> None:
    (far,) = noise.outliers(over_seeds([0.5] * 20 + [0.9]))
    assert far.seed == 21
    assert noise.outliers(over_seeds([0.5] * 20)) == ()


def test_one_seed_twice_gives_the_noise_around_its_own_mean() -> None:
    rng = np.random.default_rng(4)
    centres = rng.normal(0.0, 0.03, 4000)
    pairs = [(float(c + a), float(c + b)) for c, a, b in zip(centres, *rng.normal(0.0, 0.01, (2, 4000)), strict=True)]
    found = noise.repeats(pairs, [("a", "b")] * 4000)
    assert found.sd == pytest.approx(0.01, rel=0.05)
    assert found.correlation == pytest.approx(0.9, abs=0.02)  # 0.03^2 / (0.03^2 + 0.01^2)
    assert not found.equal
    assert not found.outputs_equal


def test_bit_equal_repeats_have_no_noise_and_correlate_by_construction() -> None:
    found = noise.repeats([(0.1, 0.1), (0.2, 0.2), (0.3, 0.3)], [("a", "a")] * 3)
    assert (found.equal, found.outputs_equal, found.sd) == (True, True, 0.0)
    assert found.correlation == pytest.approx(1.0)
    assert noise.repeats([(0.1, 0.1)] * 3, [("a", "a")] * 3).correlation is None


def test_pairs_of_candidates_are_centred_so_that_a_gain_is_no_noise() -> None:
    rng = np.random.default_rng(5)
    groups = []
    for gain in rng.normal(0.0, 1.0, 400):
        seeds = rng.normal(0.0, 0.02, 8)
        arms = seeds + rng.normal(0.0, 0.02, (2, 8))
        groups.append([(float(gain + a), float(b)) for a, b in zip(*arms, strict=True)])
    found = noise.pairing(groups)
    assert found is not None
    assert (found.candidates, found.pairs) == (400, 3200)
    assert found.difference_sd == pytest.approx(0.02 * math.sqrt(2), rel=0.05)
    assert found.correlation == pytest.approx(0.5, abs=0.04)


def test_too_few_pairs_say_nothing() -> None:
    assert noise.pairing([]) is None
    assert noise.pairing([[(1.0, 1.0)], [(2.0, 1.0), (1.0, 1.0)]]) is None


def test_a_cost_is_told_from_its_limit_where_it_hardly_varies_and_not_where_it_does() -> None:
    rng = np.random.default_rng(6)
    for sd, told in ((0.005, True), (0.4, False)):
        pairs = [(float(np.exp(a)), float(np.exp(b))) for a, b in rng.normal(0.0, sd, (20, 2))]
        found = noise.cost("latency_ms", pairs, 0.10)
        assert (found.confirmed > 0.8) == told
        assert (found.smallest_limit < 0.10) == told
        assert found.cv == pytest.approx(np.std([x for p in pairs for x in p], ddof=1) / found.mean)


# -- single items -----------------------------------------------------------------------------------------------


def run(**scores: float) -> Items:
    return Items(tuple(scores), tuple(scores.values()))


def test_agreement_counts_items_that_vary() -> None:
    found = agreement([run(a=1.0, b=0.0), run(a=1.0, b=1.0)])
    assert found == ItemAgreement(2, equal=False, varying=0.5, binary=True)
    assert agreement([run(a=0.5), run(a=0.5)]) == ItemAgreement(1, equal=True, varying=0.0, binary=False)
    assert agreement([run(a=1.0), run(b=1.0)]) is None
    assert agreement([run(a=1.0)]) is None
