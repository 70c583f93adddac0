"""Seeds: disjoint by construction, inside 31 bits, the same every time."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments import seeds

places = st.one_of(
    st.tuples(st.integers(1, 30), st.integers(1, 100_000)),
    st.tuples(st.integers(1, 2000), st.integers(1, 1000)),
)


def every_seed(season: int, t: int) -> list[int]:
    own = seeds.candidate_seeds(season, t)
    return [*own.stage, *own.fresh]


@given(places, places)
@settings(max_examples=150, deadline=None)
def test_two_candidates_never_share_a_seed(one: tuple[int, int], other: tuple[int, int]) -> None:
    if one != other:
        assert not set(every_seed(*one)) & set(every_seed(*other))


@given(places, st.integers(1, 60), st.integers(0, 10_000), st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_purposes_never_share_a_seed(place: tuple[int, int], production: int, number: int, hypothesis: int) -> None:
    lists = [
        every_seed(*place),
        list(seeds.baseline_seeds(place[0], production, 64)),
        [seeds.validation_seed(hypothesis)],
        list(seeds.defence_seeds(number, 64)),
        list(seeds.check_seeds(number, 64)),
    ]
    together = [seed for each in lists for seed in each]
    assert len(set(together)) == len(together)
    assert all(0 <= seed < 2**31 - 1 for seed in together)


def test_a_whole_stretch_of_seasons_is_disjoint() -> None:
    taken = [seed for season in range(1, 13) for t in range(1, 101) for seed in every_seed(season, t)]
    taken += [seed for season in range(1, 13) for p in range(1, 9) for seed in seeds.baseline_seeds(season, p, 20)]
    taken += [seeds.validation_seed(number) for number in range(1000)]
    taken += [seed for number in range(50) for seed in seeds.defence_seeds(number, 20)]
    assert len(set(taken)) == len(taken)


@given(st.integers(0, seeds.SEED_SPACE - 1), st.integers(0, seeds.SEED_SPACE - 1))
@settings(max_examples=300, deadline=None)
def test_scattering_is_one_to_one(one: int, other: int) -> None:
    scattered = {seeds._scatter(one), seeds._scatter(other)}
    assert len(scattered) == len({one, other})


def test_every_place_has_room_and_the_last_one_fits() -> None:
    assert seeds.LAYOUT_END <= seeds.SEED_SPACE
    indices = {
        seeds._pair_index(a, b, 9, "test")
        for a in range(1, 256)
        for b in range(1, 256)
        if a.bit_length() + b.bit_length() <= 9
    }
    assert indices == set(range(seeds._pairs_within(9)))


def test_neighbouring_candidates_do_not_get_neighbouring_seeds() -> None:
    own = every_seed(1, 1)
    assert min(abs(a - b) for a, b in itertools.pairwise(own)) > 1000


def test_seeds_are_the_same_on_every_machine_and_forever() -> None:
    assert seeds.candidate_seeds(1, 1).stage[:3] == (1538223688, 1825238455, 1824421108)
    assert seeds.candidate_seeds(1, 1).fresh[0] == 1108118020
    assert len(seeds.candidate_seeds(3, 77).stage) == 40
    assert len(seeds.candidate_seeds(3, 77).fresh) == 5


@pytest.mark.parametrize(
    "ask",
    [
        lambda: seeds.candidate_seeds(0, 1),
        lambda: seeds.candidate_seeds(1, 0),
        lambda: seeds.candidate_seeds(2**12, 2**12),
        lambda: seeds.baseline_seeds(1, 1, 65),
        lambda: seeds.baseline_seeds(1, 1, 0),
        lambda: seeds.validation_seed(-1),
        lambda: seeds.defence_seeds(2**20, 1),
    ],
)
def test_a_place_outside_the_layout_is_refused_instead_of_reused(ask: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="seed"):
        ask()
