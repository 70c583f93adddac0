"""The season: what it counts, what it never does, and its levels against the library for e-LOND."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from online_fdr.core.abstract.abstract_gamma_seq import AbstractGammaSequence
from online_fdr.e_values.sequential import ELond

from experiments.season import (
    Season,
    SeasonError,
    SeasonState,
    archived,
    closed,
    due_to_close,
    level,
    opened,
    parked,
    promoted,
    start_candidate,
)

FIRST = Season(1, 20, 0.05, "2026-03-01", "2026-05-30")
DAY = "2026-03-02"


def started(count: int, state: SeasonState | None = None) -> SeasonState:
    state = opened(None, FIRST) if state is None else state
    for number in range(count):
        state = start_candidate(state, f"H-{state.started + number:03d}x{number}", DAY)
    return state


class Uniform(AbstractGammaSequence):
    """gamma = 1/N for the N planned candidates."""

    def __init__(self, planned: int) -> None:
        self.planned = planned

    def calc_gamma(self, j: int, **_: object) -> float:
        return 1.0 / self.planned


@given(st.lists(st.floats(0.0, 5000.0), min_size=1, max_size=100))
@settings(max_examples=60, deadline=None)
def test_levels_are_those_of_the_e_lond_library(e_values: list[float]) -> None:
    season = replace(FIRST, planned=100)
    library, state = ELond(0.05, Uniform(100)), opened(None, season)
    for number, e in enumerate(e_values):
        state = start_candidate(state, f"H-{number:03d}", DAY)
        own = level(season, state.candidates[-1].promotions)
        rejected = library.test_one(e)
        assert own == pytest.approx(library.current_level, rel=1e-12)
        if rejected:
            state = promoted(state, state.started)
    assert state.promotions == library.num_reject


def test_a_candidate_gets_the_next_t_and_freezes_the_promotions_of_its_start() -> None:
    state = started(2)
    state = promoted(state, 1)
    state = start_candidate(state, "H-900", DAY)
    assert [(c.t, c.promotions) for c in state.candidates] == [(1, 0), (2, 0), (3, 1)]
    state = promoted(state, 2)
    assert state.candidates[2].promotions == 1
    assert state.promotions == 2


def test_the_season_takes_no_candidate_beyond_its_plan() -> None:
    state = started(20)
    assert due_to_close(state, DAY)
    with pytest.raises(SeasonError, match="season_over"):
        start_candidate(state, "H-999", DAY)


def test_the_season_takes_no_candidate_from_its_date_on() -> None:
    state = started(1)
    assert not due_to_close(state, "2026-05-29")
    with pytest.raises(SeasonError, match="season_over"):
        start_candidate(state, "H-999", "2026-05-30T08:00:00Z")


def test_closing_archives_the_parked_and_a_new_season_starts_with_none_promoted() -> None:
    state = promoted(parked(started(2), 1, 3.5), 2)
    state = closed(state, FIRST.closes_on)
    assert [c.standing for c in state.candidates] == ["archived", "promoted"]
    after = opened(state, Season(2, 100, 0.05, "2026-05-30", "2026-08-30"))
    assert (after.promotions, after.started) == (0, 0)


def test_a_season_is_never_reset_before_its_end() -> None:
    state = promoted(started(1), 1)
    with pytest.raises(SeasonError, match="season_reset"):
        closed(state, DAY)
    with pytest.raises(SeasonError, match="season_reset"):
        opened(state, Season(2, 20, 0.05, DAY, "2026-09-01"))


@pytest.mark.parametrize("number", [1, 3])
def test_a_season_keeps_its_place_in_the_row(number: int) -> None:
    state = closed(promoted(started(1), 1), FIRST.closes_on)
    with pytest.raises(SeasonError, match="season_reset"):
        opened(state, Season(number, 20, 0.05, "2026-06-01", "2026-09-01"))


def test_a_verdict_is_given_once() -> None:
    state = archived(started(2), 1)
    for transition in (promoted, archived):
        with pytest.raises(SeasonError, match="already_decided"):
            transition(state, 1)
    with pytest.raises(SeasonError, match="already_decided"):
        parked(state, 1, 0.0)
    with pytest.raises(SeasonError, match="not_started"):
        promoted(state, 3)


def test_a_parked_candidate_may_still_be_promoted_or_archived_but_not_parked_again() -> None:
    state = parked(started(1), 1, 2.0)
    assert [c.log_e for c in state.parked] == [2.0]
    assert promoted(state, 1).promotions == 1
    assert archived(state, 1).parked == ()
    with pytest.raises(SeasonError, match="already_decided"):
        parked(state, 1, 2.0)


def test_a_season_closes_only_after_its_last_candidate_has_a_verdict() -> None:
    with pytest.raises(SeasonError, match="undecided"):
        closed(started(20), DAY)


def test_nothing_happens_in_a_closed_season() -> None:
    state = closed(archived(started(1), 1), FIRST.closes_on)
    with pytest.raises(SeasonError, match="season_closed"):
        start_candidate(state, "H-999", DAY)
    with pytest.raises(SeasonError, match="season_closed"):
        promoted(state, 1)


def test_the_same_candidate_does_not_start_twice() -> None:
    state = start_candidate(opened(None, FIRST), "H-001", DAY)
    with pytest.raises(SeasonError, match="already_started"):
        start_candidate(state, "H-001", DAY)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"planned": 19}, "too_few_planned"),
        ({"alpha": 0.0}, "bad_alpha"),
        ({"alpha": float("nan")}, "bad_alpha"),
        ({"closes_on": "2026-03-01"}, "bad_date"),
        ({"closes_on": "soon"}, "bad_date"),
        ({"id": 2}, "season_reset"),
    ],
)
def test_a_season_that_guarantees_nothing_does_not_open(change: dict[str, Any], code: str) -> None:
    with pytest.raises(SeasonError) as raised:
        opened(None, replace(FIRST, **change))
    assert raised.value.code == code


@given(st.lists(st.sampled_from(["start", "promote", "archive", "park"]), max_size=60))
@settings(max_examples=80, deadline=None)
def test_counts_only_ever_rise(acts: list[str]) -> None:
    state = opened(None, FIRST)
    for act in acts:
        before = state
        running = [c.t for c in state.candidates if c.standing == "running"]
        if act == "start" and not due_to_close(state, DAY):
            state = start_candidate(state, f"H-{state.started:03d}", DAY)
        elif running and act == "promote":
            state = promoted(state, running[0])
        elif running and act == "archive":
            state = archived(state, running[0])
        elif running and act == "park":
            state = parked(state, running[0], 1.0)
        assert state.started >= before.started
        assert state.promotions >= before.promotions
        assert state.promotions == sum(c.standing == "promoted" for c in state.candidates)
        assert [c.promotions for c in state.candidates][: before.started] == [c.promotions for c in before.candidates]
