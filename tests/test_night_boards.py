"""What boards do to a night: lost ranks, pages that cannot be read, patience, victory, defence and the brief."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tiny_solution import BOARD, SPACE, Page, Tiny, build, real_sandbox, served

from agent import circumstances
from agent.night import Goal
from agent.readers import Reader
from registry.documents import load_queue
from registry.runs import RunKey


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    tiny = build(tmp_path)
    tiny.target["search_space"] = {"depth": SPACE["depth"]}
    tiny.write_target()
    return tiny


def _rows(**scores: float) -> str:
    return json.dumps([{"name": name, "accuracy": score} for name, score in scores.items()])


def _without_ideas(tiny: Tiny) -> None:
    """A search space whose one move is tried and archived, so that a night has nothing of its own to do."""
    tiny.night()
    assert tiny.verdict(tiny.changing(depth=2))[0] == "archive"


def test_a_lost_rank_goes_straight_to_the_queue_and_triples_its_priority(tiny: Tiny) -> None:
    tiny.put_into_queue("H-010", settings={"model.harm": 2}, estimated_gain=0.02)
    tiny.put_into_queue("H-011", settings={"model.harm": 3}, estimated_gain=0.01)
    tiny.night(Goal(cycles=1))
    normal = Reader(tiny.workspace).history().hypotheses["H-011"].priority_score
    tiny.write_board(Rival=0.9, Newcomer=0.85, Other=0.5)
    tiny.progress.lines.clear()
    tiny.night(Goal(cycles=1))
    nodes = [line for line in tiny.progress.lines if line.startswith("node ")]
    assert nodes[:3] == ["node monitor", "node queue", "node patch"]
    assert any("Newcomer" in line and line.startswith("[ALERT]") for line in tiny.progress.lines)
    ranked = tiny.events("hypothesis_ranked", "H-011")[-1]
    assert ranked.data == {"priority_score": 3 * normal, "urgency": "urgent"}
    assert tiny.events("standing")[-1].data["trigger"] == "urgent"
    tiny.night(Goal(cycles=1))
    assert tiny.events("hypothesis_ranked")[-1].data["urgency"] == "normal"


def test_a_lost_rank_with_an_empty_queue_still_leads_to_new_ideas(tiny: Tiny) -> None:
    _without_ideas(tiny)
    tiny.target["search_space"] = {"depth": SPACE["depth"], "harm": SPACE["harm"]}
    tiny.write_target()
    tiny.write_board(Rival=0.9, Newcomer=0.85, Other=0.5)
    result = tiny.night()
    assert "urgent" in [event.data["trigger"] for event in tiny.events("standing")]
    assert tiny.verdict(tiny.changing(harm=2)) == ("archive", "below_baseline")
    assert result.reason == "out of ideas"


def test_a_gap_that_widens_past_the_threshold_asks_for_research_before_its_slot(tiny: Tiny) -> None:
    tiny.write_registry(more='    widen_threshold: 1.0\nschedule: {research_ingest: "0 7 1 1 *"}')
    registry = tiny.workspace.competitive_registry
    text = registry.read_text().replace('schedule: {research_ingest: "0 7 1 1 *"}\n', "")
    registry.write_text(text + 'schedule: {research_ingest: "0 7 1 1 *"}\n')
    tiny.night(Goal(cycles=2))
    assert len(tiny.events("papers_listed")) == 1
    tiny.write_board(Rival=0.95, Other=0.5)
    tiny.night(Goal(cycles=1))
    assert tiny.events("standing")[-1].data["research"] is True
    assert len(tiny.events("papers_listed")) == 2
    tiny.write_board(Rival=0.955, Other=0.5)
    tiny.night(Goal(cycles=1))
    assert len(tiny.events("papers_listed")) == 2


def test_a_gap_above_five_points_gives_people_a_brief_once_and_the_loop_goes_on(tiny: Tiny) -> None:
    result = tiny.night(Goal(cycles=2))
    (escalated,) = tiny.events("escalated")
    (alert,) = [line for line in tiny.progress.lines if "a brief for people is in" in line]
    assert alert.startswith("[ALERT] Tiny: the gap is above 5 % and nothing queued is projected to close it; ")
    brief = (tiny.workspace.root / escalated.data["file"]).read_text()
    for fact in (BOARD, "Rival", "model.depth", "accuracy"):
        assert fact in brief
    assert tiny.verdict(tiny.changing(depth=2))[0] == "archive"
    assert result.cycles == 2


def test_no_brief_is_written_while_something_queued_is_projected_to_close_the_gap(tiny: Tiny) -> None:
    tiny.put_into_queue("H-010", settings={"model.harm": 2}, estimated_gain=0.2)
    tiny.put_into_queue("H-011", settings={"model.harm": 3}, estimated_gain=0.15)
    tiny.night(Goal(cycles=1))
    assert not tiny.events("escalated")
    assert tiny.events("standing")[-1].data["gap_points"] > 5


def test_a_page_that_cannot_be_read_says_what_it_saw_and_the_loop_goes_on(tiny: Tiny) -> None:
    tiny.night(Goal(cycles=1))
    before = Reader(tiny.workspace).history().boards[BOARD]
    tiny.board.write_text("<html>maintenance</html>")
    assert not tiny.night(Goal(cycles=1)).failed
    last = tiny.events("board_read")[-1]
    assert last.data["status"] == "unreadable"
    assert "board.json" in last.reason
    after = Reader(tiny.workspace).history().boards[BOARD]
    assert (after.snapshot, after.rank) == (before.snapshot, before.rank)
    assert not [line for line in tiny.progress.lines if "left" in line and line.startswith("[ALERT]")]


def test_a_board_that_asks_for_patience_is_a_soft_status_and_is_asked_again_in_the_next_cycle(tiny: Tiny) -> None:
    page = Page(status=429, headers={})
    with served(page) as address:
        tiny.write_registry(url=address, method="api")
        registry = tiny.workspace.competitive_registry
        registry.write_text(registry.read_text() + 'schedule: {leaderboard_scrape: "0 6 1 1 *"}\n')
        assert not tiny.night(Goal(cycles=1)).failed
        assert tiny.events("board_read")[-1].data["status"] == "rate_limited"
        assert tiny.verdict(tiny.changing(depth=2))[0] == "archive"
        page.status, page.body = 200, _rows(Rival=0.9, Other=0.5)
        tiny.night(Goal(cycles=1))
        assert tiny.events("board_read")[-1].data["status"] == "read"
        assert tiny.events("standing")[-1].data["rank"] == 2
        asked = page.asked
        tiny.night(Goal(cycles=1))
        assert page.asked == asked  # its slot is done


def test_victory_ends_the_night_and_the_next_night_defends_at_once(tiny: Tiny) -> None:
    tiny.target["search_space"] = {"width": SPACE["width"]}
    tiny.write_target()
    tiny.write_board(Rival=0.805, Other=0.5)
    first = tiny.night()
    assert first.promoted == (tiny.changing(width=2),)
    assert first.reason == "first on every board, by the victory condition"
    again = tiny.night()
    assert again.reason == first.reason
    assert again.promoted == ()
    assert tiny.events("standing")[-1].data["trigger"] == "defend"
    held = tiny.events("defended")[-1].data
    assert held["regressed"] is False
    assert held["commit"] == tiny.tip("agent/production")


def test_victory_that_must_be_sustained_takes_so_many_cycles(tiny: Tiny) -> None:
    tiny.write_registry(cycles="3")
    tiny.write_board(Rival=0.6, Other=0.5)
    result = tiny.night()
    assert result.cycles <= 3
    tiny.night()
    held = [event.data["at_top_cycles"] for event in tiny.events("standing")]
    assert held[:3] == [1, 2, 3]
    assert [event.data["victory"] for event in tiny.events("standing")][:3] == [False, False, True]


def test_those_who_stand_close_behind_the_first_place_are_watched(tiny: Tiny) -> None:
    tiny.target["search_space"] = {}
    tiny.write_target()
    tiny.write_registry(score="0.79")
    tiny.write_board(Rival=0.77, Other=0.5)
    tiny.night(Goal(cycles=1))
    tiny.night(Goal(cycles=1))
    tiny.write_board(Rival=0.77, Newcomer=0.78, Other=0.5)
    tiny.night(Goal(cycles=1))
    watched = [line for line in tiny.progress.lines if "behind us on" in line]
    assert watched == [
        "[STATUS] Within 5 points behind us on Tiny: Rival",
        "[STATUS] Within 5 points behind us on Tiny: Newcomer, Rival",
    ]
    assert [event.data["watched"] for event in tiny.events("standing")] == [["Rival"], ["Rival"], ["Newcomer", "Rival"]]


def test_a_new_release_of_the_benchmark_has_to_be_held_from_its_first_cycle(tiny: Tiny) -> None:
    tiny.target["search_space"] = {}
    tiny.write_target()
    tiny.write_registry(cycles="3", score="0.79")
    tiny.write_board(Rival=0.6, Other=0.5)
    for track in ("v1", "v1", "v2"):
        tiny.write_registry(cycles="3", score="0.79", more=f"    track: {track}\n")
        tiny.night(Goal(cycles=1))
    assert [event.data["at_top_cycles"] for event in tiny.events("standing")] == [1, 2, 1]


def test_production_that_became_worse_without_a_change_of_code_raises_an_alert(tiny: Tiny) -> None:
    """The training data lie beside git, and somebody changes them between two nights."""
    from git_repositories import git

    (tiny.repository / ".gitignore").write_text("data/train/\n")
    git(tiny.repository, "rm", "-q", "-r", "--cached", "data/train")
    tiny.commit({})
    tiny.write_board(Rival=0.6, Other=0.5)
    tiny.write_registry(score="0.79")
    tiny.night(Goal(cycles=1))
    assert [event.data["regressed"] for event in tiny.events("defended")] == [False]
    (tiny.repository / "data/train/knowledge.txt").write_text("0.7\n")
    tiny.night(Goal(cycles=1))
    last = tiny.events("defended")[-1]
    assert last.data["regressed"] is True
    assert last.reason.endswith("changed since: data (data/train/knowledge.txt has other content)")
    assert any(line.startswith("[ALERT] production measured again") for line in tiny.progress.lines)


def test_data_files_with_odd_names_stop_no_night_and_forge_no_line(tiny: Tiny) -> None:
    odd = tiny.repository / "data/train" / os.fsdecode(b"\xe9\x1b[31m\n[STATUS] forged.txt")
    odd.write_text("1\n")
    tiny.commit({})
    tiny.write_board(Rival=0.6, Other=0.5)
    tiny.write_registry(score="0.79")
    tiny.night(Goal(cycles=1))
    assert any(name.startswith("data/train/\\xe9") for name in tiny.events("data_recorded")[-1].data["files"])
    (before,) = tiny.events("defended")
    first = RunKey.model_validate(tiny.events("run_finished")[0].data["key"])
    reader = {event.data["sha256"]: event for event in tiny.events("data_recorded")}
    empty = replace(reader[first.data], data={**reader[first.data].data, "files": {}})
    found = {f"data:{first.data}": reader[first.data], "data:": empty}
    told = circumstances.difference(found.get, first.model_copy(update={"data": ""}), first)
    assert before.data["regressed"] is False
    assert "forged.txt new" in told
    assert told.isprintable()


def test_the_alert_names_the_dependencies_that_have_changed(tiny: Tiny, tmp_path: Path) -> None:
    real_sandbox(tmp_path / "sandbox")
    packages = _training_with_a_package(tiny, tmp_path / "environment")
    (packages / "solver.py").write_text("WORTH = 0.0\n")
    for name in ("solver-1.4.0", "helper-0.1", "steady-2.0"):
        (packages / f"{name}.dist-info").mkdir()
    tiny.write_board(Rival=0.6, Other=0.5)
    tiny.write_registry(score="0.79")
    assert tiny.agent("run", "--cycles", "1").returncode == 0
    assert tiny.events("defended")[-1].data["regressed"] is False
    (packages / "solver.py").write_text("WORTH = -0.05\n")
    (packages / "solver-1.4.0.dist-info").rename(packages / "solver-1.5.0.dist-info")
    (packages / "helper-0.1.dist-info").rename(packages / "other-3.dist-info")
    told = tiny.agent("run", "--cycles", "1").stdout
    last = tiny.events("defended")[-1]
    assert last.data["regressed"] is True
    named = "helper 0.1 removed, other 3 new, solver 1.4.0 → 1.5.0"
    named += ", (site-packages: files of no distribution) has other files"  # solver.py itself: it has no RECORD
    assert last.reason.endswith(f"changed since: environment ({named})")
    assert "[ALERT] production measured again" in told


def _training_with_a_package(tiny: Tiny, folder: Path) -> Path:
    """An environment of this test's own, from which training takes the package `solver`; the folder of its packages."""
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", "--without-pip", str(folder)], check=True)
    tiny.target["environment"] = {"python": str(folder / "bin" / "python")}
    tiny.target["phases"]["train"]["command"].remove("-S")
    tiny.write_target()
    train = (tiny.repository / "train.py").read_text()
    reading = 'worth = float(pathlib.Path(data, "knowledge.txt").read_text())'
    assert reading in train
    tiny.commit({"train.py": train.replace(reading, f"import solver\n    {reading} + solver.WORTH")})
    return next(folder.glob("lib/python3*/site-packages"))


def test_a_schedule_defends_once_a_slot(tiny: Tiny) -> None:
    tiny.write_board(Rival=0.6, Other=0.5)
    tiny.write_registry(cycles="9")
    registry = tiny.workspace.competitive_registry
    registry.write_text(registry.read_text() + 'schedule: {experiment_sweep: "0 8 * * *"}\n')
    now = [datetime(2026, 5, 1, 12, tzinfo=UTC)]
    tiny.clock = lambda: now[0]
    tiny.put_into_queue("H-010", settings={"model.harm": 2})
    tiny.put_into_queue("H-011", settings={"model.harm": 3})
    tiny.night(Goal(cycles=2))
    assert len(tiny.events("defended")) == 1
    now[0] += timedelta(days=1)
    tiny.night(Goal(cycles=1))
    assert len(tiny.events("defended")) == 2


def test_the_queue_file_never_holds_more_than_ten(tiny: Tiny) -> None:
    for number in range(13):
        tiny.put_into_queue(f"H-{20 + number}".replace("H-", "H-0"), settings={"model.harm": 2 + number})
    tiny.night(Goal(cycles=1))
    assert len(load_queue(tiny.workspace.experiment_queue)) <= 10
    superseded = [event for event in tiny.events("hypothesis_archived") if "the queue holds 10" in event.reason]
    assert len(superseded) >= 3
