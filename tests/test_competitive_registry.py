"""competitive_registry.yaml: the documents' form loads, every mistake is named, scores change in place."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.competitive import CompetitiveRegistry
from registry.competitive_text import with_competitor_score, with_current_score
from registry.documents import load_competitive, validate_competitive
from registry.errors import BadInput
from registry.yaml_parsing import parse

DOCUMENT = """\
domain: memory # e.g., memory, retrieval, reasoning, vision
target_leaderboards:
  - name: MemoryBench
    url: https://...
    scrape_method: html_table # or api, rss, manual
    primary_metric: accuracy
    higher_is_better: true
  - name: LongContextEval
    url: https://...
    scrape_method: api
    primary_metric: f1_score
    higher_is_better: true
competitors:
  - name: CompetitorA
    latest_score: 0.847
    source: MemoryBench
    last_updated: 2026-02-01
  - name: CompetitorB
    latest_score: 0.831
    source: MemoryBench
    last_updated: 2026-02-05
our_solution:
  name: OurSystem
  current_scores:
    MemoryBench: 0.823
    LongContextEval: 0.791
  promotion_threshold: 0.005 # minimum improvement over current score to promote
schedule:
  leaderboard_scrape: "0 6 * * *" # daily at 6am
  research_ingest: "0 7 * * 1" # weekly on Monday
  experiment_sweep: "0 8 * * *" # daily at 8am
  report_digest: "0 9 * * 1" # weekly digest on Monday
"""
TODAY = dt.date(2026, 2, 10)


def load(text: str) -> CompetitiveRegistry:
    return validate_competitive(parse(text, "competitive_registry.yaml"))


def problems(text: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        load(text)
    return [str(problem) for problem in caught.value.problems]


def test_the_documents_form_loads_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "competitive_registry.yaml"
    path.write_text(DOCUMENT)
    registry = load_competitive(path)
    assert [board.name for board in registry.target_leaderboards] == ["MemoryBench", "LongContextEval"]
    assert registry.competitors[1].last_updated == dt.date(2026, 2, 5)
    assert registry.our_solution.current_scores == {"MemoryBench": 0.823, "LongContextEval": 0.791}
    assert registry.our_solution.promotion_threshold == 0.005
    assert registry.schedule.report_digest == "0 9 * * 1"
    board = registry.leaderboard("LongContextEval")
    assert board is not None
    assert (board.scrape_method, board.victory.rank, board.victory.sustained_cycles) == ("api", 1, 1)


def test_every_optional_key_of_a_board_loads() -> None:
    board = """
    columns: {name: Model, score: Acc, qualifier: Date, metrics: {f1: F1}}
    table: {caption: Results}
    track: v2
    exclude: {column: Verified, values: ["no"], names: [Human]}
    our_entry: Ours
    unit: "%"
    scale: 0.01
    victory: {rank: 1, margin: 0.002, sustained_cycles: 3}
    widen_threshold: 0.01
"""
    text = DOCUMENT.replace("    primary_metric: accuracy\n", "    primary_metric: accuracy" + board)
    first = load(text).target_leaderboards[0]
    assert first.columns is not None
    assert first.table is not None
    assert first.columns.metrics == {"f1": "F1"}
    assert first.table.caption == "Results"
    assert first.exclude.values == ["no"]
    assert (first.victory.margin, first.victory.sustained_cycles, first.scale) == (0.002, 3, 0.01)


def test_every_mistake_is_reported_at_once_with_its_line() -> None:
    text = DOCUMENT.replace("scrape_method: api", "scrape_method: telepathy")
    text = text.replace("higher_is_better: true\n  - name: LongC", "higher_is_beter: true\n  - name: LongC")
    text = text.replace("latest_score: 0.831\n    source: MemoryBench", "latest_score: high\n    source: MemoryBlench")
    text = text.replace("    LongContextEval: 0.791", "    Elsewhere: true")
    text = text.replace('"0 7 * * 1"', '"0 77 * * 1"')
    found = problems(text)
    starts = [
        "competitive_registry.yaml:3: target_leaderboards[0].higher_is_better: found nothing, expected the key",
        'competitive_registry.yaml:7: target_leaderboards[0].higher_is_beter: found the unknown key "higher_is_beter"',
        'competitive_registry.yaml:10: target_leaderboards[1].scrape_method: found "telepathy"',
        'competitive_registry.yaml:19: competitors[1].latest_score: found "high", expected a number',
        'competitive_registry.yaml:20: competitors[1].source: found the board "MemoryBlench"',
        'competitive_registry.yaml:26: our_solution.current_scores.Elsewhere: found the board "Elsewhere"',
        "competitive_registry.yaml:26: our_solution.current_scores.Elsewhere: found true, expected a number",
        'competitive_registry.yaml:30: schedule.research_ingest: found "0 77 * * 1"',
    ]
    assert len(found) == len(starts), found
    assert [line for line, start in zip(sorted(found), sorted(starts), strict=True) if not line.startswith(start)] == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("name: LongContextEval", "name: MemoryBench", "the board MemoryBench a second time (first on line 3)"),
        ("name: CompetitorB", "name: CompetitorA", "CompetitorA on MemoryBench a second time (first on line 14)"),
        ("url: https://...", "url: ftp://x", "expected a web address (https://…)"),
        ("url: https://...", "url: https://me:secret@x.org/", "without user name and password"),
        ("url: https://...", "url: boards/page.html", "expected a web address (https://…)"),
        ("name: OurSystem", 'name: "Our\\tSystem"', "without control characters"),
        ("name: OurSystem", "name: 12", "expected text (in quotes"),
        ("domain: memory", "domain: ''", "expected something, and not an empty one"),
        ("last_updated: 2026-02-01", "last_updated: 2026-02-31", "2026-02-31"),
        ("last_updated: 2026-02-01", "last_updated: 20260201", "expected a date such as"),
        ("latest_score: 0.847", "latest_score: true", "found true, expected a number"),
        ('"0 6 * * *"', '"0 0 30 2 *"', "cron expression"),
        ('"0 6 * * *"', '"* * * * * *"', "five fields"),
        ("promotion_threshold: 0.005", "promotion_threshold: -1", "found -1"),
        (
            "our_solution:\n  name: OurSystem",
            "our_solution:\n  title: OurSystem",
            "expected one of name, current_scores",
        ),
    ],
)
def test_a_mistake_is_refused_in_words(old: str, new: str, found: str) -> None:
    assert old in DOCUMENT
    assert found in "\n".join(problems(DOCUMENT.replace(old, new, 1)))


def test_a_local_path_is_accepted_where_the_method_reads_files() -> None:
    text = DOCUMENT.replace(
        "url: https://...\n    scrape_method: html_table", "url: boards\n    scrape_method: git_file"
    )
    assert load(text).target_leaderboards[0].url == "boards"


def test_two_ways_to_find_a_table_are_one_too_many() -> None:
    text = DOCUMENT.replace("primary_metric: accuracy", "primary_metric: accuracy\n    table: {index: 0, id: t}")
    assert "table: found a mapping, expected exactly one of caption, id, index and path" in "\n".join(problems(text))


def test_a_key_left_empty_is_a_key_left_out() -> None:
    text = DOCUMENT[: DOCUMENT.index("competitors:")] + "competitors:\n" + DOCUMENT[DOCUMENT.index("our_solution:") :]
    assert load(text).competitors == []


def test_our_new_score_replaces_the_old_one_and_nothing_else() -> None:
    after = with_current_score(DOCUMENT, "MemoryBench", 0.85)
    assert after == DOCUMENT.replace("MemoryBench: 0.823", "MemoryBench: 0.850")


def test_a_board_without_a_score_yet_gets_a_line_of_its_own() -> None:
    text = DOCUMENT.replace("    LongContextEval: 0.791\n", "")
    after = with_current_score(text, "LongContextEval", 0.8)
    assert after == text.replace("    MemoryBench: 0.823\n", "    MemoryBench: 0.823\n    LongContextEval: 0.8\n")
    assert load(after).our_solution.current_scores["LongContextEval"] == 0.8


def test_a_rivals_new_score_and_day_replace_the_old_ones() -> None:
    after = with_competitor_score(DOCUMENT, "CompetitorA", "MemoryBench", 0.861, TODAY)
    assert after == DOCUMENT.replace("0.847", "0.861").replace("2026-02-01", "2026-02-10")


def test_a_rival_never_seen_before_is_appended_in_the_neighbours_form() -> None:
    after = with_competitor_score(DOCUMENT, "StartupX", "MemoryBench", 0.855, TODAY)
    new = "  - name: StartupX\n    latest_score: 0.855\n    source: MemoryBench\n    last_updated: 2026-02-10\n"
    assert after == DOCUMENT.replace("our_solution:", new + "our_solution:")


def test_the_same_rival_on_another_board_is_another_entry() -> None:
    after = load(with_competitor_score(DOCUMENT, "CompetitorA", "LongContextEval", 0.5, TODAY))
    assert [(entry.name, entry.source) for entry in after.competitors][-1] == ("CompetitorA", "LongContextEval")
    assert after.competitors[0].latest_score == 0.847


@pytest.mark.parametrize("form", ["", "competitors:\n", "competitors: []\n"])
def test_the_first_rival_finds_its_place_in_any_form(form: str) -> None:
    text = DOCUMENT[: DOCUMENT.index("competitors:")] + form + DOCUMENT[DOCUMENT.index("our_solution:") :]
    after = with_competitor_score(text, "StartupX", "MemoryBench", 0.855, TODAY)
    (entry,) = load(after).competitors
    assert (entry.name, entry.latest_score, entry.last_updated) == ("StartupX", 0.855, TODAY)


def test_a_score_in_quotes_stays_in_quotes() -> None:
    text = DOCUMENT.replace("0.847", '"0.847"')
    assert '"0.870"' in with_competitor_score(text, "CompetitorA", "MemoryBench", 0.87, TODAY)


@settings(max_examples=60, deadline=None)
@given(
    st.text(min_size=1, max_size=30),
    st.floats(0, 1),
    st.sampled_from(["MemoryBench", "LongContextEval"]),
)
def test_any_rivals_name_is_written_exactly_or_refused(name: str, score: float, board: str) -> None:
    try:
        after = with_competitor_score(DOCUMENT, name, board, score, TODAY)
    except BadInput:
        assert not name.isprintable() or name != name.strip()
        return
    entry = parse(after, "f").data["competitors"][-1]
    assert (entry["name"], entry["source"], entry["latest_score"]) == (name, board, score)


def test_a_value_that_no_document_may_have_hides_no_other_complaint(tmp_path: Path) -> None:
    path = tmp_path / "competitive_registry.yaml"
    path.write_text(
        "domain: 3.5\n"
        "target_leaderboards:\n"
        "  - {name: One, url: board.csv, scrape_method: telepathy, primary_metric: a, higher_is_better: true,\n"
        "     scale: .nan}\n"
        "competitors: [{name: X, source: Two, latest_score: 4,\n"
        "  latest_score: 5}]\n"
        "our_solution: {name: Us, current_scores: {}, promotion_threshold: -1}\n"
    )
    with pytest.raises(BadInput) as refused:
        load_competitive(path)
    assert [problem.line for problem in refused.value.problems] == [1, 3, 4, 5, 6, 7]
    assert "not finite" in refused.value.problems[2].found
