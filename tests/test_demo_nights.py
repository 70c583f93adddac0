"""How many nights a demonstration has, and what it says of them all."""

from __future__ import annotations

import pytest

from agent import demo
from agent.night import NightResult
from agent.queueing import EXHAUSTED, SEASON_OVER
from registry.history import History


def ended(reason: str, number: int = 1, failed: bool = False) -> NightResult:
    return NightResult(f"N-{number:04d}", reason, 20, 300, (), failed)


def test_another_night_begins_where_the_season_is_over_and_ideas_and_time_are_left() -> None:
    assert demo.another_night(ended(SEASON_OVER), 200.0)


@pytest.mark.parametrize("reason", [EXHAUSTED, "first on every board, by the victory condition", "3 cycles done"])
def test_no_further_night_begins_where_the_last_one_ended_for_another_reason(reason: str) -> None:
    assert not demo.another_night(ended(reason), 0.0)


def test_no_further_night_begins_once_the_time_is_over() -> None:
    assert not demo.another_night(ended(SEASON_OVER), demo.TIME_S)


@pytest.mark.parametrize(
    ("reason", "left"), [(SEASON_OVER, True), ("it is 23:59", True), (EXHAUSTED, False), ("3 cycles done", False)]
)
def test_ideas_are_left_where_season_or_time_ended_the_night(reason: str, left: bool) -> None:
    assert demo.summary(History(), {}, [ended(reason)], None, 1.0)["ideas_left"] is left


def test_no_further_night_begins_after_a_failed_one() -> None:
    assert not demo.another_night(ended(SEASON_OVER, failed=True), 0.0)


def test_the_summary_counts_every_night_and_says_how_each_ended() -> None:
    nights = [ended(SEASON_OVER), ended(EXHAUSTED, 2)]
    told = demo.summary(History(), {}, nights, 5, 123.44)
    assert told["runs"] == 600
    assert told["cycles"] == 40
    assert told["nights"] == [{"id": "N-0001", "ended": SEASON_OVER}, {"id": "N-0002", "ended": EXHAUSTED}]
    assert (told["ended"], told["ideas_left"], told["failed"]) == (EXHAUSTED, False, False)
    assert (told["rank_before"], told["wall_s"]) == (5, 123.4)
