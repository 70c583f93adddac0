"""The digest has the documents' form and figures of the log, for the week it is written in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from recorded_nights import BOARD, Nights, a_night, hypothesis, make_workspace

from agent.chronicle import chronicle
from agent.reports import digest
from registry.competitive import Schedule
from registry.standings import Change, Delta, Position
from registry.workspace import Workspace

SATURDAY = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NEXT_TUESDAY = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SCHEDULE = Schedule(research_ingest="0 7 * * 1")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = make_workspace(tmp_path_factory.mktemp("digested"))
    a_night(made).log.close()
    return made


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    log = Nights(make_workspace(tmp_path))
    log.start_night()
    log.make_production("base", "production starts here")
    return log


def of(log: Nights, now: datetime = SATURDAY) -> str:
    return digest(chronicle(log.log.events()), now, SCHEDULE)


def text_of(workspace: Workspace, now: datetime = SATURDAY) -> str:
    from agent.readers import Reader

    return digest(chronicle(Reader(workspace).events()), now, SCHEDULE)


def section(text: str, title: str) -> str:
    return text.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_the_sections_of_the_documents_come_first_and_in_their_order(workspace: Workspace) -> None:
    text = text_of(workspace)
    assert text.startswith("# Benchmark Digest — Week of 2026-11-16\n")
    titles = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert titles[:4] == [
        "Competitive Position",
        "What Changed This Week",
        "Next Actions (Automated)",
        "Experiments Run This Week",
    ]


def test_a_rank_below_the_first_is_marked(workspace: Workspace) -> None:
    assert "- Digits: #2 ⚠️ (our score: 0.952 | gap to #1: -0.035)" in section(
        text_of(workspace), "Competitive Position"
    )


def test_the_first_rank_shows_the_lead_over_the_second(nights: Nights) -> None:
    nights.stand(1, 0.01, 0.871)
    assert f"- {BOARD}: #1 ✅ (our score: 0.871 | gap to #2: +0.010)" in of(nights)


def test_a_promotion_is_told_with_its_fresh_gain_and_its_gain_on_test(workspace: Workspace) -> None:
    text = text_of(workspace)
    assert "Promoted H-001 (Add shifted copies of the images): +0.020 on Digits" in section(
        text, "What Changed This Week"
    )
    assert (
        "| H-001 | Add shifted copies of the images | +0.0200 on 5 fresh seeds | +0.0210 | 0.9520 | 2 of 10 |" in text
    )
    assert "2 of 10 looks at the test split are used" in text


def test_experiments_are_counted_in_the_documents_words(workspace: Workspace) -> None:
    shown = section(text_of(workspace), "Experiments Run This Week")
    assert "- 3 experiments completed | 1 failed fast validation | 1 promoted" in shown


def test_a_crash_and_a_superseded_test_are_no_rejections_of_the_gate(nights: Nights) -> None:
    nights.propose(*(hypothesis(f"H-00{n}", f"idea {n}", model__hidden=64 * n) for n in (1, 2, 3)))
    nights.open_season()
    for n, reason in ((1, "crash"), (2, "superseded"), (3, "futility")):
        data = {"outcome": "archive", "reason": reason, "commit": nights.start_test(f"H-00{n}"), "gain": None}
        nights.record("verdict", f"H-00{n}", {**data, "production": nights.production}, "it ended")
    shown = section(of(nights), "Experiments Run This Week")
    assert "- 1 experiment completed | 0 failed fast validation | 0 promoted" in shown
    assert "- 1 rejected by the gate | 1 crashed | 0 parked | 1 superseded, refused or dropped" in shown


def test_one_experiment_more_is_one(nights: Nights) -> None:
    nights.propose(*(hypothesis(f"H-00{n}", f"idea {n}", model__hidden=64 * n) for n in range(1, 7)))
    assert "- 1 more experiment is queued" in section(of(nights), "Next Actions (Automated)")


def test_next_actions_are_the_best_of_the_queue_and_the_schedule(workspace: Workspace) -> None:
    shown = section(text_of(workspace), "Next Actions (Automated)")
    assert "- Experiment H-005 (Weight decay 0.001) queued for Digits — est. gain +0.007" in shown
    assert "- Research ingest scheduled for Monday (2026-11-23 07:00 UTC)" in shown


def test_the_season_says_what_its_numbers_mean(workspace: Workspace) -> None:
    shown = section(text_of(workspace), "Season")
    assert "N = 20 candidates planned, t = 3 started, R = 1 promoted" in shown
    assert "evidence of 200 to 1" in shown
    assert "varies by 0.0063 in accuracy (sd over 5 seeds)" in shown


def test_a_digest_of_a_monday_covers_the_week_that_has_ended(workspace: Workspace) -> None:
    text = text_of(workspace, MONDAY)
    assert text.startswith("# Benchmark Digest — Week of 2026-11-16\n")
    assert "Promoted H-001" in text


def test_what_happened_before_the_week_is_not_told_again(workspace: Workspace) -> None:
    text = text_of(workspace, NEXT_TUESDAY)
    assert text.startswith("# Benchmark Digest — Week of 2026-11-23\n")
    assert "Promoted H-001" not in text
    assert "Nothing changed." in section(text, "What Changed This Week")
    assert "No experiment was run." in section(text, "Experiments Run This Week")
    assert "Nothing was promoted." in text
    assert "#2 ⚠️" in text


def test_what_rivals_did_is_told_and_who_is_ahead_now(nights: Nights) -> None:
    place = Position(rank=2, score=0.812, gap_to_first=-0.006)
    changes = [
        Change(kind="score_up", name="CompetitorA", old_score=0.8, new_score=0.818, old_rank=2, new_rank=1),
        Change(kind="new_entrant", name="Startup | X", new_score=0.7, new_rank=4),
    ]
    delta = Delta(
        board=BOARD, changes=changes, before=place, after=place, entrants_ahead=[], overtaken_by=["CompetitorA"]
    )
    nights.read_board(delta.model_dump(mode="json"), ["[ALERT] CompetitorA improved on Digits: 0.800 → 0.818 (+0.018)"])
    shown = section(of(nights), "What Changed This Week")
    assert "- CompetitorA improved Digits to 0.818 — now ahead of us" in shown
    assert r"- Startup \| X entered Digits at 0.700" in shown


def test_what_needs_a_person_is_listed(nights: Nights) -> None:
    data = {"file": "reports/brief-digits-abc.md", "commit": nights.production}
    nights.record("escalated", BOARD, data, "the gap is above 5 % and nothing queued is projected to close it")
    regression = {
        "slot": "x",
        "number": 1,
        "commit": nights.production,
        "before": [],
        "after": [],
        "p": 0.001,
        "regressed": True,
    }
    nights.record("defended", "production", regression, "accuracy -0.0200 against its baseline")
    nights.end_night("disk full", failed=True)
    shown = section(of(nights), "Needs a Person")
    assert "Brief for people — Digits: the gap is above 5 %" in shown
    assert "reports/brief-digits-abc.md" in shown
    assert "Production has become worse" in shown
    assert "A night stopped — N-0001: disk full" in shown


def escalate(nights: Nights, board: str = BOARD) -> int:
    data = {"file": f"reports/brief-{board.lower()}-{nights.production[:12]}.md", "commit": nights.production}
    return nights.record("escalated", board, data, "the gap is above 5 % and nothing queued is projected to close it")


def test_a_brief_is_listed_while_the_boards_latest_standing_asks_for_it_and_no_longer(nights: Nights) -> None:
    nights.stand(4, -0.062, 0.9)
    escalate(nights)
    assert "it is 6.20 points now (reports/brief-digits-" in section(of(nights), "Needs a Person")
    nights.stand(2, -0.017, 0.97)
    assert section(of(nights), "Needs a Person").split("*Written")[0].strip() == "Nothing."
    nights.stand(2, -0.055, 0.93)
    assert "it is 5.50 points now" in section(of(nights), "Needs a Person")


def test_only_the_latest_brief_of_each_board_is_listed(nights: Nights) -> None:
    escalate(nights)
    nights.make_production("better", "promoted H-001")
    second, other = escalate(nights), escalate(nights, "Letters")
    nights.stand(4, -0.08, 0.9)
    nights.stand(4, -0.09, 0.9, board="Letters")
    shown = section(of(nights), "Needs a Person")
    assert shown.count("Brief for people") == 2
    assert f"(event {second})" in shown
    assert f"(event {other})" in shown


def test_an_empty_log_gives_every_section_a_sentence() -> None:
    text = digest(chronicle([]), SATURDAY)
    for sentence in (
        "No leaderboard has been read yet.",
        "Nothing changed.",
        "Nothing is queued.",
        "No experiment was run.",
    ):
        assert sentence in text


def test_a_title_from_outside_is_no_markup(nights: Nights) -> None:
    nights.propose(hypothesis("H-001", "x](http://evil) | # <b>\n## Fake", model__hidden=64))
    text = of(nights)
    assert "\n## Fake" not in text
    assert "](http" not in text
    assert "<b>" not in text.replace("\\<b", "")


def test_the_same_log_and_moment_give_the_same_digest(workspace: Workspace) -> None:
    assert text_of(workspace) == text_of(workspace)
