"""Which parked candidates a promotion lets back in: online e-BH, against the library."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from online_fdr.e_values.batch import e_bh

from experiments.gate import parked_promotions

logs = st.lists(st.floats(-5.0, 12.0), max_size=30)


@given(logs, st.sampled_from([20, 100, 700]), st.integers(0, 40))
@settings(max_examples=200, deadline=None)
def test_it_lets_in_the_largest_number_whose_evidence_reaches_the_bar(log_es: list[float], n: int, r: int) -> None:
    admitted = parked_promotions(log_es, n, 0.05, r)
    ranked = sorted(log_es, reverse=True)
    allowed = [j for j in range(1, len(ranked) + 1) if ranked[j - 1] >= math.log(n / (0.05 * (r + j)))]
    assert len(admitted) == max(allowed, default=0)
    assert sorted((log_es[index] for index in admitted), reverse=True) == ranked[: len(admitted)]


@given(st.lists(st.floats(0.0, 3000.0), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_without_promotions_it_is_e_bh_of_the_library(e_values: list[float]) -> None:
    logs_of = [math.log(e) if e > 0 else -math.inf for e in e_values]
    admitted = set(parked_promotions(logs_of, len(e_values), 0.05, 0))
    rejected = {index for index, hit in enumerate(e_bh(e_values, 0.05)) if hit}
    near = any(abs(e * 0.05 * j - len(e_values)) < 1e-6 * len(e_values) for e in e_values for j in range(1, 41))
    assert admitted == rejected or near


def test_strongest_first_and_nobody_from_an_empty_lot() -> None:
    assert parked_promotions((), 100, 0.05, 3) == ()
    assert parked_promotions((9.0, 11.0, 10.0), 100, 0.05, 0) == (1, 2, 0)
    assert parked_promotions((1.0, 2.0), 100, 0.05, 0) == ()


def test_one_strong_candidate_can_carry_a_weaker_one_over_the_bar() -> None:
    single, double = math.log(100 / 0.05), math.log(100 / (0.05 * 2))
    assert parked_promotions((double + 0.01,), 100, 0.05, 0) == ()
    assert parked_promotions((double + 0.01, single + 1.0), 100, 0.05, 0) == (1, 0)
