"""Real snapshots of public boards against the known differences between them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from registry.standings import Change, Delta, Snapshot
from tools.leaderboards.deltas import compare
from tools.leaderboards.ranking import position, standings
from tools.leaderboards.reading import read_board
from tools.leaderboards.sources import BoardSpec, Columns, Exclude

PAIRS = [
    ("evalplus_json", "2024-05-17", "2024-06-18"),
    ("evalplus_json", "2024-06-18", "2024-11-10"),
    ("alpacaeval2_csv", "2024-01-25", "2024-03-25"),
    ("alpacaeval2_csv", "2024-03-25", "2024-07-26"),
    ("alpacaeval2_csv", "2024-07-26", "2024-10-20"),
]


def spec_for(board: str, truth_key: str) -> BoardSpec:
    metric, _, only = truth_key.partition("|")
    if board == "evalplus_json":
        return BoardSpec("EvalPlus", "board.json", "api", metric, columns=Columns(score=f"pass@1.{metric}"))
    spec = BoardSpec("AlpacaEval", "board.csv", "csv", metric)
    return replace(spec, exclude=Exclude(columns={"mode": ("community", "dev")})) if only else spec


def read(folder: Path, board: str, date: str, truth_key: str) -> Snapshot:
    (path,) = (folder / "leaderboards" / board).glob(f"{date}.*")
    body = path.read_bytes()
    return read_board(spec_for(board, truth_key), body, "", date, hashlib.sha256(body).hexdigest())


def by_name(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str(row["name"]))


def of_kind(delta: Delta, *kinds: str) -> list[Change]:
    return [change for change in delta.changes if change.kind in kinds and not change.excluded]


@pytest.mark.parametrize(("board", "old_date", "new_date"), PAIRS)
def test_the_delta_of_two_real_snapshots_is_the_known_one(
    shared_data: Path, board: str, old_date: str, new_date: str
) -> None:
    truths = json.loads((shared_data / "leaderboards" / board / f"delta_{old_date}__{new_date}.json").read_text())
    assert truths
    for key, truth in truths.items():
        old, new = read(shared_data, board, old_date, key), read(shared_data, board, new_date, key)
        ours = truth["ours_example"]
        delta = compare(old, new, ours["ours"])
        assert isinstance(delta, Delta)
        known = set(truth)
        was = {s.name: s for s in standings(old) if not s.excluded}
        now = {s.name: s for s in standings(new) if not s.excluded}
        entrants = [{"name": c.name, "rank": c.new_rank, "score": c.new_score} for c in of_kind(delta, "new_entrant")]
        computed = {
            "n_old": len(was),
            "n_new": len(now),
            "old_top": was[truth["old_top"]["name"]].model_dump(include={"name", "score"}),
            "new_top": now[truth["new_top"]["name"]].model_dump(include={"name", "score"}),
            "new_entrants": by_name(entrants),
            "removed": by_name(
                [{"name": c.name, "old_rank": c.old_rank, "old_score": c.old_score} for c in of_kind(delta, "removed")]
            ),
            "score_changes": by_name(
                [
                    {
                        "name": c.name,
                        "old": c.old_score,
                        "new": c.new_score,
                        "delta": round((c.new_score or 0) - (c.old_score or 0), 4),
                    }
                    for c in of_kind(delta, "score_up", "corrected_down")
                ]
            ),
            "relative_order_changes": by_name(
                [{"name": c.name, "old": c.old_rank, "new": c.new_rank} for c in of_kind(delta, "order")]
            ),
            "rank_changes": by_name(
                [
                    {"name": name, "old_rank": was[name].rank, "new_rank": now[name].rank}
                    for name in was.keys() & now.keys()
                    if was[name].rank != now[name].rank
                ]
            ),
            "ours_example": {
                "ours": ours["ours"],
                "old_rank": delta.before.rank,
                "new_rank": delta.after.rank,
                "old_gap_to_top": round(delta.before.gap_to_first or 0, 4),
                "new_gap_to_top": round(delta.after.gap_to_first or 0, 4),
                "new_entrants_ahead": by_name([row for row in entrants if row["name"] in delta.entrants_ahead]),
                "existing_that_overtook": sorted(delta.overtaken_by),
            },
        }
        assert known == set(computed), key
        for field in ("new_entrants", "removed", "score_changes", "relative_order_changes", "rank_changes"):
            assert computed[field] == by_name(truth[field]), (key, field)
        assert was[truth["old_top"]["name"]].rank == now[truth["new_top"]["name"]].rank == 1, key
        for field in ("n_old", "n_new", "old_top", "new_top"):
            assert computed[field] == truth[field], (key, field)
        truth_ours = {**ours, "new_entrants_ahead": by_name(ours["new_entrants_ahead"])}
        truth_ours["existing_that_overtook"] = sorted(ours["existing_that_overtook"])
        assert computed["ours_example"] == truth_ours, key


def test_a_metric_that_a_board_did_not_have_yet_is_refused_by_name(shared_data: Path) -> None:
    with pytest.raises(Exception, match="length_controlled_winrate"):
        read(shared_data, "alpacaeval2_csv", "2024-01-25", "length_controlled_winrate")


def test_unverified_entries_of_a_real_board_are_listed_and_set_no_gap(shared_data: Path) -> None:
    board = read(shared_data, "alpacaeval2_csv", "2024-10-20", "length_controlled_winrate|minimal+verified")
    first = standings(board)[0]
    assert first.name == "gpt-4o-2024-05-13"
    assert len(board.entries) == 215
    assert position(board, first.name).counted == 67
    assert {entry.excluded for entry in board.entries} == {"", "mode is community", "mode is dev"}
