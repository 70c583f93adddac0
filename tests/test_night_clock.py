"""A clock that jumps while a night runs: back by years or ahead within a season changes no decision; later, the season
is over by its own rule, and the night goes on in the next one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tiny_solution import SPACE, Tiny, build

from agent.night import Goal

Told = list[tuple[str, str, object]]
START = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Jumping:
    """Moves a second at each look and jumps by the given days, one after the other, every so many looks."""

    def __init__(self, every: int, *days: int) -> None:
        self.every, self.days, self.looks = every, days, 0

    def __call__(self) -> datetime:
        self.looks += 1
        place = self.looks // self.every
        ahead = self.days[place % len(self.days)] if self.days else 0
        return START + timedelta(seconds=self.looks, days=ahead)


def _told(folder: Path, clock: Callable[[], datetime]) -> tuple[Tiny, Told]:
    folder.mkdir()
    tiny = build(folder)
    tiny.clock = clock
    tiny.target["search_space"] = {name: SPACE[name] for name in ("width", "depth", "mode")}
    tiny.write_target()
    registry = tiny.workspace.competitive_registry
    registry.write_text(
        registry.read_text() + 'schedule: {leaderboard_scrape: "0 6 * * *", report_digest: "0 9 * * 1"}\n'
    )
    for _ in range(2):
        assert not tiny.night(Goal(cycles=3)).failed
    verdicts = [(e.subject, e.data["outcome"], e.data.get("mean")) for e in tiny.events("verdict")]
    return tiny, verdicts


def _holds(tiny: Tiny) -> None:
    keys = [event.key for event in tiny.events() if event.key]
    assert len(keys) == len(set(keys))
    paid = [(e.data["run_id"], e.data["attempt"]) for e in tiny.events("run_finished")]
    assert len(paid) == len(set(paid))
    assert tiny.agent("audit", "verify").returncode == 0


@pytest.mark.parametrize("days", [(0, -1000), (0, 40, -4000, 7)])
def test_a_clock_that_jumps_within_a_season_or_back_changes_no_decision(tmp_path: Path, days: tuple[int, ...]) -> None:
    _, calm = _told(tmp_path / "calm", Jumping(1000))
    clock = Jumping(7, *days)
    tiny, jumped = _told(tmp_path / "jumped", clock)
    assert jumped == calm
    assert calm
    assert clock.looks > 7 * len(days)
    _holds(tiny)


def test_a_clock_that_jumps_by_decades_opens_the_next_season_and_breaks_nothing(tmp_path: Path) -> None:
    tiny, jumped = _told(tmp_path / "jumped", Jumping(7, 0, 7300))
    assert len(tiny.events("season_opened")) > 1
    assert jumped
    _holds(tiny)
