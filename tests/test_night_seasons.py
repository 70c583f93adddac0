"""Nights under other policies, at the season's end, with another direction of the metric, and with parked ideas."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tiny_solution import SPACE, Recorded, Tiny, build

from agent import night
from agent.night import Goal
from agent.readers import Reader
from agent.verification import verify
from experiments.plans import Interrupted


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return build(tmp_path)


def test_the_cached_screen_reads_productions_dev_runs_and_never_the_test_split(tiny: Tiny) -> None:
    tiny.target["gate"]["screen"] = "cached"
    tiny.target["search_space"] = {"depth": SPACE["depth"], "harm": SPACE["harm"]}
    tiny.write_target()
    tiny.night(Goal(cycles=1))
    dev = {
        event.data["run_id"]: event.data["metrics"]["accuracy"]
        for event in tiny.events("run_finished", "production")
        if event.data["purpose"] == "baseline" and event.data["key"]["split"] == "dev"
    }
    assert len(tiny.events("test_look")) == 1
    baseline = tiny.events("look")[0].data["evidence"]["baseline"]
    assert {run["run_id"]: run["primary"] for run in baseline} == dev
    assert len(dev) == 20
    assert verify(tiny.workspace).ok


def test_the_seed_card_policy_runs_end_to_end_and_its_report_says_what_it_is(tiny: Tiny) -> None:
    tiny.target["gate"]["policy"] = "seed-card"
    tiny.target["search_space"] = {"width": SPACE["width"], "harm": SPACE["harm"]}
    tiny.write_registry(more="    exclude: {names: [Rival]}")
    tiny.write_target()
    tiny.write_board(Rival=0.9, Other=0.5, Our_solution=0.8)
    result = tiny.night(Goal(cycles=2))
    winner = tiny.changing(width=2)
    assert result.promoted == (winner,)
    assert tiny.events("verdict", winner)[0].data["n"] == 3
    assert "does not control a night" in tiny.events("verdict", winner)[0].reason
    assert tiny.verdict(tiny.changing(harm=2)) == ("archive", "gain_below_threshold")
    assert (tiny.workspace.reports / "pull-requests" / f"{winner}.md").is_file()
    assert verify(tiny.workspace).ok


def test_a_metric_where_lower_is_better_promotes_the_lower_value(tiny: Tiny) -> None:
    tiny.target["metrics"]["primary"] |= {"name": "error", "higher_is_better": False}
    tiny.target["search_space"] = {"width": SPACE["width"], "harm": SPACE["harm"]}
    tiny.write_target()
    tiny.write_registry(metric="error", higher="false")
    tiny.write_board(Rival=0.1, Other=0.5)
    result = tiny.night(Goal(cycles=2))
    assert result.promoted == (tiny.changing(width=2),)
    (promoted,) = tiny.events("promoted")
    assert 0.015 < promoted.data["gain"] < 0.025
    assert tiny.verdict(tiny.changing(harm=2)) == ("archive", "below_baseline")
    before, after = (event.data["score"] for event in tiny.events("board_score"))
    assert 0.015 < before - after < 0.025
    assert tiny.events("standing")[-1].data["rank"] == 2


def test_the_seasons_end_ends_the_night_and_the_next_night_opens_a_new_season(tiny: Tiny) -> None:
    tiny.target["search_space"] = {"depth": SPACE["depth"]}
    tiny.write_target()
    for number in range(21):
        settings = {"model.depth": 3 + number}
        tiny.put_into_queue(f"H-{100 + number}", settings=settings, estimated_gain=0.5 - number / 100)
        if number % 9 == 8:
            assert not tiny.night(Goal(cycles=9)).failed
    result = tiny.night()
    assert result.reason == "the season's end"
    assert len(tiny.events("gate_entered")) == 20
    assert [event.data["id"] for event in tiny.events("season_opened")] == [1]
    tiny.put_into_queue("H-300", settings={"model.depth": 40})
    tiny.night(Goal(cycles=1))
    assert [event.data["id"] for event in tiny.events("season_opened")] == [1, 2]
    last = tiny.events("gate_entered")[-1].data
    assert (last["season"], last["t"], last["promotions"]) == (2, 1, 0)
    assert verify(tiny.workspace).ok


def test_a_promotion_by_the_seasons_last_candidate_does_not_open_the_next_season(tiny: Tiny) -> None:
    tiny.target["gate"]["season_days"] = 1
    tiny.write_target()

    def clock() -> datetime:
        # Midnight comes while the first candidate is in the gate: the season is over when it is promoted.
        looked = any(line.startswith("  H-001 1 seed") for line in tiny.progress.lines)
        return datetime(2026, 5, 2 if looked else 1, 23, tzinfo=UTC)

    tiny.clock = clock
    result = tiny.night()
    assert result.promoted == (tiny.changing(width=2),)
    assert result.reason == "the season's end"
    assert [event.data["id"] for event in tiny.events("season_opened")] == [1]


def test_a_candidate_under_test_when_its_season_ends_is_still_decided_in_it(tiny: Tiny) -> None:
    tiny.target["gate"]["season_days"] = 1
    tiny.write_target()
    tiny.clock = lambda: datetime(2026, 5, 1, 12, tzinfo=UTC)

    class StopsAtTheFirstLook(Recorded):
        cancel: threading.Event

        def say(self, line: str) -> None:
            super().say(line)
            if line.startswith("  H-001 1 seed"):
                self.cancel.set()

    progress = tiny.progress = StopsAtTheFirstLook()
    with tiny.services() as services, pytest.raises(Interrupted):
        progress.cancel = services.cancel
        night.run(services, Goal())
    tiny.progress, tiny.clock = Recorded(), lambda: datetime(2026, 5, 9, 12, tzinfo=UTC)
    result = tiny.night()
    assert result.promoted == (tiny.changing(width=2),)
    assert result.reason == "the season's end"
    assert {event.data["season"] for event in tiny.events("gate_entered")} == {1}
    tiny.night(Goal(cycles=1))
    assert [event.kind for event in tiny.events(subject="S-1")] == ["season_opened", "season_closed"]
    assert tiny.events("gate_entered")[-1].data["season"] == 2


def test_a_parked_candidate_is_tried_again_on_the_production_that_a_promotion_made(tiny: Tiny) -> None:
    """`late` is worth less than its noise lets the first bar be reached; the promotion of `width` lowers the bar."""
    tiny.target["gate"]["threshold"] = 0.001  # with this noise all 40 seeds give log E 5.67; 5.99 promotes, then 5.30
    tiny.target["search_space"] = {"width": SPACE["width"]}
    tiny.write_target()
    late = {"model.late": 2}
    tiny.put_into_queue("H-400", settings=late, estimated_gain=0.5)
    tiny.commit(tiny.configured(noise=0.005))
    tiny.night(Goal(cycles=1))
    assert tiny.verdict("H-400") == ("park", "out_of_seeds")
    assert Reader(tiny.workspace).history().hypotheses["H-400"].status == "parked"
    tiny.put_into_queue("H-401", settings={"model.width": 4}, estimated_gain=0.4)
    result = tiny.night(Goal(cycles=2))
    assert "H-401" in result.promoted
    (requeued,) = tiny.events("hypothesis_requeued")
    assert requeued.subject == "H-400"
    first, again = tiny.events("patch_committed", "H-400")
    assert tiny.tip(f"{again.data['commit']}^") == tiny.events("promoted")[0].data["commit"]
    assert again.data["branch"] != first.data["branch"]
    entered = [event.data["t"] for event in tiny.events("gate_entered", "H-400")]
    assert entered == [1, 3]
    (readmission,) = tiny.events("readmission", "S-1")
    assert readmission.data == {"hypotheses": ["H-400"], "promotions": 1}
    assert verify(tiny.workspace).ok
