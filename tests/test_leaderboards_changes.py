"""Ranking, comparison, reports, matrix and triggers on boards small enough to check by hand."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.standings import Delta, Entry, Position, Snapshot, TrackChanged
from tools.leaderboards.deltas import compare
from tools.leaderboards.matrix import gap_matrix
from tools.leaderboards.ranking import position, standings
from tools.leaderboards.report_lines import alerts, status_line
from tools.leaderboards.sources import Victory
from tools.leaderboards.triggers import Trigger, approaching, classify, gap_points

OURS = "OurSystem"


def board(
    scores: dict[str, float | None],
    *,
    name: str = "MemoryBench",
    higher: bool = True,
    track: str = "",
    metric: str = "accuracy",
    excluded: tuple[str, ...] = (),
) -> Snapshot:
    return Snapshot(
        board=name,
        track=track,
        metric=metric,
        higher_is_better=higher,
        taken_at="2026-02-10",
        raw_sha256="",
        entries=[
            Entry(name=entry, scores={metric: score}, excluded="unverified" if entry in excluded else "")
            for entry, score in scores.items()
        ],
    )


def delta(old: Snapshot, new: Snapshot) -> Delta:
    found = compare(old, new, OURS)
    assert isinstance(found, Delta)
    return found


def kinds(found: Delta) -> list[tuple[str, str]]:
    return [(change.kind, change.name) for change in found.changes]


BEFORE = board({"CompetitorA": 0.847, "CompetitorB": 0.801, OURS: 0.823})
AFTER = board({"CompetitorA": 0.861, "CompetitorB": 0.801, OURS: 0.823, "StartupX": 0.855})


def test_ties_share_a_rank_and_the_next_one_is_skipped() -> None:
    ranked = standings(board({"a": 3.0, "b": 2.0, "c": 2.0, "d": 1.0, "e": None}))
    assert [(standing.name, standing.rank) for standing in ranked] == [("a", 1), ("b", 2), ("c", 2), ("d", 4)]
    lower = standings(board({"a": 3.0, "b": 2.0, "c": 2.0, "d": 1.0}, higher=False))
    assert [(standing.name, standing.rank) for standing in lower] == [("d", 1), ("b", 2), ("c", 2), ("a", 4)]


def test_an_excluded_entry_is_listed_and_moves_nobody() -> None:
    snapshot = board({"ConstantOutput": 1.0, "CompetitorA": 0.9, OURS: 0.8}, excluded=("ConstantOutput",))
    ranked = [(standing.name, standing.rank, standing.excluded) for standing in standings(snapshot)]
    assert ranked == [("CompetitorA", 1, ""), ("ConstantOutput", 1, "unverified"), (OURS, 2, "")]
    ours = position(snapshot, OURS)
    assert (ours.rank, ours.counted, ours.gap_to_first) == (2, 2, pytest.approx(-0.1))
    assert ours.gap_to_next is None


def test_the_gap_is_negative_behind_and_positive_ahead_in_both_directions() -> None:
    assert position(BEFORE, OURS).gap_to_first == pytest.approx(-0.024)
    assert position(BEFORE, OURS).gap_to_next == pytest.approx(0.022)
    errors = board({"CompetitorA": 0.10, OURS: 0.07, "CompetitorB": 0.07}, higher=False)
    assert position(errors, "CompetitorA").gap_to_first == pytest.approx(-0.03)
    assert (position(errors, OURS).rank, position(errors, OURS).gap_to_first) == (1, 0.0)


def test_a_score_of_ours_places_us_on_a_board_that_does_not_list_us() -> None:
    rivals = board({"CompetitorA": 0.9, "CompetitorB": 0.7})
    assert position(rivals, OURS) == Position(rank=None, score=None, gap_to_first=None, counted=2)
    placed = position(rivals, OURS, 0.8)
    assert (placed.rank, placed.counted, placed.gap_to_first) == (2, 3, pytest.approx(-0.1))
    assert position(BEFORE, OURS, 0.99).score == 0.823, "the board's own word wins"


def test_the_alerts_have_the_documents_forms() -> None:
    assert alerts(delta(BEFORE, AFTER), OURS) == [
        "[ALERT] New entrant: StartupX at 0.855 — now ranked #2, ahead of us",
        "[ALERT] CompetitorA improved on MemoryBench: 0.847 → 0.861 (+0.014)",
        "[ALERT] Our rank fell on MemoryBench: #2 → #3",
        "[STATUS] Our rank: #3 | Gap to #1: -0.038",
    ]


def test_a_correction_downwards_is_told_as_one_and_our_rank_comes_back() -> None:
    corrected = board({"CompetitorA": 0.82, "CompetitorB": 0.801, OURS: 0.823})
    assert alerts(delta(BEFORE, corrected), OURS) == [
        "[ALERT] CompetitorA corrected on MemoryBench: 0.847 → 0.820 (-0.027)",
        "[STATUS] Our rank rose on MemoryBench: #2 → #1",
        "[STATUS] OurSystem moved ahead of CompetitorA on MemoryBench",
        "[STATUS] Our rank: #1 | Gap to #2: +0.003",
    ]


def test_lower_is_better_turns_what_an_improvement_is() -> None:
    old, new = board({"A": 0.10, "B": 0.2}, higher=False), board({"A": 0.12, "B": 0.19}, higher=False)
    assert kinds(delta(old, new)) == [("corrected_down", "A"), ("score_up", "B")]
    assert alerts(delta(old, new), OURS)[:2] == [
        "[ALERT] A corrected on MemoryBench: 0.100 → 0.120 (+0.020)",
        "[ALERT] B improved on MemoryBench: 0.200 → 0.190 (-0.010)",
    ]


def test_an_entrant_behind_level_or_excluded_says_so() -> None:
    new = board(
        {"CompetitorA": 0.847, "CompetitorB": 0.801, OURS: 0.823, "Last": 0.1, "Level": 0.823, "Fake": 1.0},
        excluded=("Fake",),
    )
    found = delta(BEFORE, new)
    assert found.entrants_ahead == []
    assert alerts(found, OURS) == [
        "[ALERT] New entrant: Level at 0.823 — now ranked #2, level with us",
        "[ALERT] New entrant: Last at 0.100 — now ranked #5, behind us",
        "[STATUS] New entrant: Fake at 1.000 — not counted, unverified",
        "[STATUS] Our rank: #2 | Gap to #1: -0.024",
    ]


def test_who_leaves_or_loses_its_standing_is_told_apart() -> None:
    gone = delta(BEFORE, board({"CompetitorB": 0.801, OURS: 0.823}))
    assert alerts(gone, OURS)[0] == "[ALERT] Removed from MemoryBench: CompetitorA (was #1 at 0.847)"
    out = board({"CompetitorA": 0.847, "CompetitorB": 0.801, OURS: 0.823}, excluded=("CompetitorA",))
    struck = delta(BEFORE, out)
    assert alerts(struck, OURS)[0] == (
        "[ALERT] No longer counted on MemoryBench: CompetitorA (was #1 at 0.847, unverified)"
    )
    back = delta(out, BEFORE)
    assert kinds(back) == [("new_entrant", "CompetitorA")]
    assert (back.before.rank, back.after.rank) == (1, 2)


def test_an_overtaking_names_who_it_was() -> None:
    found = delta(BEFORE, board({"CompetitorA": 0.847, "CompetitorB": 0.83, OURS: 0.823}))
    assert found.overtaken_by == ["CompetitorB"]
    assert found.entrants_ahead == []
    orders = {change.name: (change.old_rank, change.new_rank, change.overtook) for change in found.changes[1:]}
    assert orders == {"CompetitorB": (3, 2, [OURS]), OURS: (2, 3, [])}
    assert "[ALERT] CompetitorB overtook us on MemoryBench" in alerts(found, OURS)


def test_the_last_bits_of_a_number_are_a_change_and_no_alert() -> None:
    found = delta(board({"A": 13.153430917188382}), board({"A": 13.153430917391304}))
    assert kinds(found) == [("score_up", "A")]
    assert alerts(found, OURS) == []
    small = delta(board({"A": 0.8471}), board({"A": 0.8474}))
    assert alerts(small, OURS)[0] == "[ALERT] A improved on MemoryBench: 0.8471 → 0.8474 (+0.0003)"
    large = delta(board({"A": 90.2}), board({"A": 96.3}))
    assert alerts(large, OURS)[0] == "[ALERT] A improved on MemoryBench: 90.2 → 96.3 (+6.1)"


LATER: dict[str, float | None] = {"CompetitorA": 0.4, OURS: 0.3}


@pytest.mark.parametrize(
    "new",
    [board(LATER, track="v2"), board(LATER, metric="f1"), board(LATER, higher=False)],
    ids=["release", "metric", "direction"],
)
def test_another_release_metric_or_direction_is_a_new_track_without_alerts(new: Snapshot) -> None:
    found = compare(BEFORE, new, OURS)
    assert isinstance(found, TrackChanged)
    lines = alerts(found, OURS)
    assert len(lines) == 2
    assert all(line.startswith("[STATUS] ") for line in lines)
    assert "nothing is compared across" in lines[0]


def test_two_boards_are_never_compared() -> None:
    with pytest.raises(ValueError, match="two boards"):
        compare(BEFORE, board({"A": 1.0}, name="LongContextEval"), OURS)


def test_a_name_cannot_forge_a_line() -> None:
    found = delta(BEFORE, board({**{e.name: e.scores["accuracy"] for e in BEFORE.entries}, "X\n[ALERT] Y\u202e": 0.9}))
    for line in alerts(found, OURS):
        assert "\n" not in line
        assert "\u202e" not in line


def test_the_status_line_without_a_rank_or_a_rival_is_plain() -> None:
    assert "none" in status_line(Position(rank=None, score=None, gap_to_first=None))
    assert status_line(Position(rank=1, score=1, gap_to_first=None)) == "[STATUS] Our rank: #1 | nobody else is listed"
    struck = Position(rank=2, score=1, gap_to_first=-0.0001, excluded="unverified")
    assert status_line(struck) == "[STATUS] Our rank: #2 (not counted: unverified) | Gap to #1: -0.0001"


def test_the_gap_matrix_is_the_documents_one() -> None:
    memory = board({"CompetitorA": 0.861, "StartupX": 0.855, "CompetitorB": 0.801})
    context = board(
        {"competitor-a (long)": 0.812, "StartupX": 0.798, OURS: 0.791, "CompetitorB": 0.764}, name="LongContextEval"
    )
    table = gap_matrix(
        [memory, context], OURS, {"MemoryBench": 0.823}, {"LongContextEval": {"competitor-a (long)": "CompetitorA"}}
    )
    assert table.splitlines() == [
        "| Rank | System | MemoryBench | LongContextEval | Δ to Our Score |",
        "|------|--------|-------------|-----------------|----------------|",
        "| #1 | CompetitorA | 0.861 | 0.812 | -0.038 |",
        "| #2 | StartupX | 0.855 | 0.798 | -0.032 |",
        "| #3 | OurSystem | 0.823 | 0.791 | — |",
        "| #4 | CompetitorB | 0.801 | 0.764 | +0.022 |",
    ]


def test_the_matrix_keeps_us_orients_the_gap_and_names_what_does_not_count() -> None:
    first = board({"A": 0.1, "B": 0.2, OURS: 0.3, "Fake": 0.0}, higher=False, excluded=("Fake",))
    second = board({"OnlyHere": 5.0}, name="Other")
    lines = gap_matrix([first, second], OURS, {}, limit=1).splitlines()
    assert lines[2:4] == ["| #1 | A | 0.100 | — | -0.200 |", "| #3 | OurSystem | 0.300 | — | — |"]
    assert lines[-1] == "3 further entries are not shown."
    everything = gap_matrix([first, second], OURS, {})
    assert "| — | Fake (not counted: unverified) | 0.000 | — | -0.300 |" in everything
    assert "| — | OnlyHere | — | 5.0 | — |" in everything
    assert gap_matrix([], OURS, {}) == ""


def test_a_name_cannot_break_out_of_its_cell() -> None:
    evil = "a|b\n| #1 | ![x](http://tracker) <img> \u202e`"
    rows = gap_matrix([board({evil: 0.9, OURS: 0.8})], OURS, {}).splitlines()
    assert len(rows) == 4
    assert rows[2] == "| #1 | a\\|b \\| #1 \\| !\\[x\\](http://tracker) \\<img\\> \\` | 0.900 | -0.100 |"


def position_of(gap: float | None, *, rank: int = 2, next_gap: float | None = None) -> Position:
    return Position(rank=rank, score=0.8, gap_to_first=gap, gap_to_next=next_gap)


@pytest.mark.parametrize(
    ("points", "queued", "strategy"),
    [
        (0.0, None, "fine_search"),
        (0.99, None, "fine_search"),
        (1.0, None, "ablation"),
        (5.0, None, "ablation"),
        (5.01, None, "escalate"),
        (6.0, 5.9, "escalate"),
        (6.0, 6.0, "try_queue"),
    ],
)
def test_the_gap_decides_how_far_to_search(points: float, queued: float | None, strategy: str) -> None:
    found = classify(None, position_of(-points / 100), Victory(), points, None, queued)
    assert found.strategy == strategy
    assert (found.urgent, found.ingest, found.defend) == (False, False, False)
    assert len(found.reasons) == 1


def test_a_lost_rank_is_urgent_and_says_to_whom() -> None:
    found = delta(BEFORE, AFTER)
    trigger = classify(found, found.after, Victory(), gap_points(AFTER, found.after), 1.0, None)
    assert trigger.urgent
    assert trigger.reasons[0] == "rank fell from 2 to 3 (StartupX ahead)"
    back = delta(AFTER, BEFORE)
    assert not classify(back, back.after, Victory(), gap_points(BEFORE, back.after), 1.0, None).urgent


def test_a_gap_that_widens_past_the_threshold_asks_for_reading() -> None:
    found = delta(BEFORE, AFTER)
    points = gap_points(AFTER, found.after)
    assert points == pytest.approx(3.8)
    assert classify(found, found.after, Victory(), points, 1.3, None).ingest
    assert not classify(found, found.after, Victory(), points, 1.5, None).ingest
    assert not classify(found, found.after, Victory(), points, None, None).ingest


def test_first_by_the_margin_defends_and_wins_when_it_lasts() -> None:
    first = position_of(0.02, rank=1, next_gap=0.02)
    held = classify(None, first, Victory(margin=0.02, sustained_cycles=3), 0.0, None, None, cycles_held=1)
    assert (held.defend, held.won, held.strategy) == (True, False, None)
    assert classify(None, first, Victory(margin=0.02, sustained_cycles=3), 0.0, None, None, cycles_held=2).won
    short = classify(None, first, Victory(margin=0.03), 0.0, None, None)
    assert (short.defend, short.strategy) == (False, "fine_search")
    assert classify(None, position_of(None, rank=1), Victory(margin=0.5), 0.0, None, None).defend
    uncounted = first.model_copy(update={"excluded": "unverified"})
    assert not classify(None, uncounted, Victory(), 0.0, None, None).defend


def test_without_a_score_of_ours_nothing_is_triggered() -> None:
    unknown = Position(rank=None, score=None, gap_to_first=None)
    assert classify(None, unknown, Victory(), gap_points(BEFORE, unknown), 1.0, None) == Trigger()


def test_points_are_hundredths_of_the_unit_interval_or_percent_of_the_leader() -> None:
    assert gap_points(BEFORE, position(BEFORE, OURS)) == pytest.approx(2.4)
    elo = board({"A": 1250.0, OURS: 1200.0})
    assert gap_points(elo, position(elo, OURS)) == pytest.approx(4.0)
    assert gap_points(elo, position(elo, "A")) == 0.0
    negative = board({"A": 0.0, OURS: -5.0})
    assert gap_points(negative, position(negative, OURS)) is None


def test_defence_watches_those_who_come_near() -> None:
    snapshot = board(
        {OURS: 0.9, "Near": 0.86, "Level": 0.9, "Far": 0.84, "Ahead": 0.95, "Fake": 0.9}, excluded=("Fake",)
    )
    assert approaching(snapshot, OURS, position(snapshot, OURS)) == ["Level", "Near"]


def test_a_large_board_turned_upside_down_is_compared_in_moments() -> None:
    size = 20_000
    start = time.process_time()
    found = delta(board({f"e{n}": float(n) for n in range(size)}), board({f"e{n}": float(-n) for n in range(size)}))
    assert time.process_time() - start < 20
    rises = {change.name: change.overtook for change in found.changes if change.kind == "order"}
    assert rises["e0"][:2] == ["e1", "e2"]
    assert len(rises["e0"]) == 50
    assert rises[f"e{size - 1}"] == []


NAMES = st.sampled_from([*"abcdefgh", OURS])
SCORES = st.dictionaries(NAMES, st.none() | st.sampled_from([0.1, 0.2, 0.3, 0.4]) | st.floats(0, 1), max_size=9)


@given(SCORES, st.booleans())
def test_a_board_beside_itself_shows_no_change(scores: dict[str, float | None], higher: bool) -> None:
    snapshot = board(scores, higher=higher)
    found = delta(snapshot, snapshot)
    assert found.changes == []
    assert found.before == found.after
    assert alerts(found, OURS) == []


@given(SCORES, st.dictionaries(st.sampled_from(["new1", "new2", "new3"]), st.floats(0, 1), min_size=1))
def test_entrants_alone_never_change_the_order(scores: dict[str, float | None], entrants: dict[str, float]) -> None:
    found = delta(board(scores), board({**scores, **entrants}))
    assert {change.kind for change in found.changes} == {"new_entrant"}
    assert found.overtaken_by == []
    back = delta(board({**scores, **entrants}), board(scores))
    assert {change.kind for change in back.changes} == {"removed"}


@given(SCORES, SCORES)
def test_an_overtaking_is_someone_ahead_before_and_behind_now(
    old: dict[str, float | None], new: dict[str, float | None]
) -> None:
    def ahead(scores: dict[str, float | None], one: str, other: str) -> bool:
        mine, theirs = scores.get(one), scores.get(other)
        return mine is not None and theirs is not None and mine > theirs

    for change in delta(board(old), board(new)).changes:
        if change.kind == "order":
            passed = {name for name in new if ahead(old, name, change.name) and ahead(new, change.name, name)}
            assert set(change.overtook) == passed


@given(SCORES, SCORES)
def test_turning_the_direction_turns_the_signs_and_nothing_else(
    old: dict[str, float | None], new: dict[str, float | None]
) -> None:
    def mirrored(scores: dict[str, float | None]) -> Snapshot:
        turned = {name: None if score is None else -score for name, score in scores.items()}
        return board(turned, higher=False)

    plain, turned = delta(board(old), board(new)), delta(mirrored(old), mirrored(new))
    assert [(c.kind, c.name, c.old_rank, c.new_rank, c.overtook) for c in plain.changes] == [
        (c.kind, c.name, c.old_rank, c.new_rank, c.overtook) for c in turned.changes
    ]
    assert (plain.before.rank, plain.after.rank) == (turned.before.rank, turned.after.rank)
    assert plain.before.gap_to_first == turned.before.gap_to_first
    assert (plain.overtaken_by, plain.entrants_ahead) == (turned.overtaken_by, turned.entrants_ahead)


@given(SCORES, st.sets(NAMES, max_size=4))
def test_a_rank_is_one_more_than_the_counted_entries_that_are_better(
    scores: dict[str, float | None], excluded: set[str]
) -> None:
    snapshot = board(scores, excluded=tuple(excluded))
    counted = [score for name, score in scores.items() if score is not None and name not in excluded]
    ranked = standings(snapshot)
    assert {standing.name for standing in ranked} == {name for name, score in scores.items() if score is not None}
    for standing in ranked:
        assert standing.rank == 1 + sum(other > standing.score for other in counted)
        if standing.name == OURS:
            assert position(snapshot, OURS).rank == standing.rank


@given(SCORES, SCORES)
def test_every_kind_of_change_has_its_counterpart_backwards(
    old: dict[str, float | None], new: dict[str, float | None]
) -> None:
    mirror = {
        "new_entrant": "removed",
        "removed": "new_entrant",
        "score_up": "corrected_down",
        "corrected_down": "score_up",
        "order": "order",
    }
    forwards, backwards = delta(board(old), board(new)), delta(board(new), board(old))
    assert sorted((mirror[kind], name) for kind, name in kinds(forwards)) == sorted(kinds(backwards))
