"""Repeated work takes at most its share of the time."""

from __future__ import annotations

import pytest

from agent.schedule import Pace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_the_first_piece_is_due(clock: list[float]) -> None:
    del clock
    assert Pace(0.02).due()


def test_after_a_piece_of_one_second_a_share_of_a_fiftieth_rests_forty_nine(clock: list[float]) -> None:
    pace = Pace(0.02)
    with pace.piece():
        clock[0] += 1.0
    clock[0] += 48.9
    assert not pace.due()
    clock[0] += 0.2
    assert pace.due()


def test_a_piece_that_fails_is_due_again_at_once(clock: list[float]) -> None:
    pace = Pace(0.02)
    with pytest.raises(OSError, match="full"), pace.piece():
        clock[0] += 1.0
        raise OSError("full")
    assert pace.due()
