"""What monitoring says and writes down about us and our rivals: the standing line, and the registry's competitors."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_solution import BOARD, Tiny, build

from agent.briefing import brief
from agent.night import Goal
from agent.rivals import WATCHED, updated
from registry.competitive import Competitor
from registry.documents import load_competitive, validate_competitive
from registry.standings import Entry, Snapshot
from registry.yaml_parsing import parse

STATUS = "[STATUS] Our rank:"


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return build(tmp_path)


def _said(tiny: Tiny) -> list[str]:
    lines = [line for line in tiny.progress.lines if line.startswith(STATUS)]
    tiny.progress.lines.clear()
    return lines


def _rivals(tiny: Tiny) -> dict[str, float | None]:
    return {c.name: c.latest_score for c in load_competitive(tiny.workspace.competitive_registry).competitors}


# -- the standing -------------------------------------------------------------------------------------------


def test_a_night_says_our_standing_at_the_first_reading_and_whenever_it_changed(tiny: Tiny) -> None:
    tiny.target["search_space"] = {}
    tiny.write_target()
    tiny.write_registry(score="0.79")
    tiny.night(Goal(cycles=1))
    assert _said(tiny) == ["[STATUS] Our rank: #2 | Gap to #1: -0.110"]
    tiny.night(Goal(cycles=1))
    assert _said(tiny) == []
    tiny.write_board(Rival=0.91, Other=0.5)
    tiny.night(Goal(cycles=1))
    assert _said(tiny) == ["[STATUS] Our rank: #2 | Gap to #1: -0.120"]
    tiny.write_board(Rival=0.91, Newcomer=0.8, Other=0.5)
    tiny.night(Goal(cycles=1))
    assert _said(tiny) == ["[STATUS] Our rank: #3 | Gap to #1: -0.120"]


def test_a_researcher_is_told_a_gap_where_we_are_behind_and_a_lead_where_we_are_first(tiny: Tiny) -> None:
    tiny.target["search_space"] = {}
    tiny.write_target()
    tiny.write_registry(score="0.79")
    for rival, told in ((0.9, "we are #2, gap to the first place -0.1100"), (0.7, "we are #1, lead over the best")):
        tiny.write_board(Rival=rival, Other=0.5)
        tiny.night(Goal(cycles=1))
        with tiny.services() as services:
            assert told in brief(services, tiny.tip("main")).standing[0]


def test_monitor_prints_our_standing_at_its_first_reading_and_after_a_change(tiny: Tiny) -> None:
    def lines() -> list[str]:
        said = tiny.agent("monitor")
        assert said.returncode == 0, said.stderr
        return [line for line in (said.stdout + said.stderr).splitlines() if STATUS in line]

    first = lines()
    assert len(first) == 1
    assert "the board does not list us and we have no score for it" in first[0]
    assert lines() == []
    tiny.write_board(Rival=0.9, Our_solution=0.862, Other=0.5)
    assert [line.strip() for line in lines()] == ["[STATUS] Our rank: #2 | Gap to #1: -0.038"]


def test_a_rank_that_rose_is_told_as_an_event_too(tiny: Tiny) -> None:
    tiny.write_board(Rival=0.9, Our_solution=0.8)
    assert tiny.agent("monitor").returncode == 0
    tiny.write_board(Our_solution=0.8)
    said = tiny.agent("monitor")
    assert "[STATUS] Our rank rose on Tiny: #2 → #1" in said.stdout + said.stderr


def test_with_several_boards_the_standing_names_its_board(tiny: Tiny) -> None:
    tiny.target["search_space"] = {}
    tiny.write_target()
    (tiny.workspace.root / "second.json").write_text(json.dumps({"Rival": 0.7}))
    more = "  - {name: Second, url: second.json, scrape_method: manual, primary_metric: f1, higher_is_better: true}\n"
    tiny.write_registry(score="0.79", more=more)
    tiny.night(Goal(cycles=1))
    said = _said(tiny)
    assert said[0] == f"[STATUS] Our rank: #2 | Gap to #1: -0.110 | {BOARD}"
    assert said[1].endswith(" | Second")


# -- the registry -------------------------------------------------------------------------------------------


def test_rivals_that_are_new_join_the_registry_and_known_ones_are_kept_up(tiny: Tiny) -> None:
    tiny.target["search_space"] = {}
    tiny.write_target()
    tiny.write_registry(score="0.79")
    before = tiny.workspace.competitive_registry.read_text()
    tiny.clock = lambda: datetime(2026, 5, 1, tzinfo=UTC)
    tiny.night(Goal(cycles=1))
    assert _rivals(tiny) == {"Rival": 0.9, "Other": 0.5}
    after = tiny.workspace.competitive_registry.read_text()
    known = "  - {name: Rival, latest_score: null, source: Tiny}   # the one to watch\n"
    assert known in before
    new = "  - {name: Rival, latest_score: 0.9, source: Tiny, last_updated: 2026-05-01}   # the one to watch\n"
    new += "  - {name: Other, latest_score: 0.5, source: Tiny, last_updated: 2026-05-01}\n"
    assert after == before.replace(known, new)
    tiny.clock = lambda: datetime(2026, 5, 2, tzinfo=UTC)
    tiny.night(Goal(cycles=1))
    assert tiny.workspace.competitive_registry.read_text() == after


def test_we_are_never_our_own_rival(tiny: Tiny) -> None:
    tiny.write_board(Rival=0.9, Our_solution=0.95)
    assert tiny.agent("monitor").returncode == 0
    assert list(_rivals(tiny)) == ["Rival"]


REGISTRY = """\
domain: toys
target_leaderboards:
  - {name: Tiny, url: board.json, scrape_method: manual, primary_metric: acc, higher_is_better: true}
  - {name: Other, url: other.json, scrape_method: manual, primary_metric: acc, higher_is_better: true}
competitors:   # the ones we know
  - name: Rival   # by hand
    latest_score: 0.10   # kept
    source: Tiny
our_solution: {name: Ours, current_scores: {}, promotion_threshold: 0.005}
"""


def _snapshot(*entries: Entry, higher: bool = True, board: str = "Tiny") -> Snapshot:
    return Snapshot(
        board=board,
        track="",
        metric="acc",
        higher_is_better=higher,
        taken_at="2026-05-01T00:00:00+00:00",
        raw_sha256="",
        entries=list(entries),
    )


def _entry(name: str, score: float | None, qualifier: str = "", excluded: str = "") -> Entry:
    return Entry(name=name, qualifier=qualifier, scores={"acc": score}, excluded=excluded)


def _updated(text: str, snapshot: Snapshot) -> tuple[str, list[Competitor]]:
    registry = validate_competitive(parse(text, "f"))
    board = registry.leaderboard(snapshot.board)
    assert board is not None
    after = updated(text, registry, board, snapshot)
    return after, validate_competitive(parse(after, "f")).competitors


@pytest.mark.parametrize(("higher", "expected"), [(True, 0.9), (False, 0.3)])
def test_of_several_entries_of_one_name_the_best_counted_one_is_written(higher: bool, expected: float) -> None:
    entries = (
        _entry("Rival", 0.9, "2026-01"),
        _entry("Rival", 0.3, "2025-01"),
        _entry("Rival", 0.99, "2026-02", "unverified"),
        _entry("Rival", 0.01, "2026-03", "unverified"),
        _entry("Rival", None, "2026-04"),
    )
    for shown in (entries, entries[::-1]):
        _, (rival,) = _updated(REGISTRY, _snapshot(*shown, higher=higher))
        assert rival.latest_score == expected


def test_a_rival_whose_entries_do_not_count_keeps_its_last_score() -> None:
    after, _ = _updated(REGISTRY, _snapshot(_entry("Rival", 0.9, excluded="unverified")))
    assert after == REGISTRY


def test_a_rival_under_its_alias_is_not_added_a_second_time() -> None:
    text = REGISTRY.replace("    source: Tiny\n", "    source: Tiny\n    aliases: {Other: rival-xl}\n")
    _, (known, joined) = _updated(text, _snapshot(_entry("rival-XL", 0.7), board="Other"))
    assert (known.latest_score, joined.name, joined.source, joined.latest_score) == (0.1, "Rival", "Other", 0.7)
    again, _ = _updated(text, _snapshot(_entry("rival-XL", 0.7), board="Other"))
    _, rivals = _updated(again, _snapshot(_entry("rival-XL", 0.8), board="Other"))
    assert [rival.latest_score for rival in rivals] == [0.1, 0.8]


def test_the_matrix_joins_rivals_and_us_under_the_names_of_the_registry(tiny: Tiny) -> None:
    entry = (
        "  - {{name: {}, url: {}.json, scrape_method: manual, primary_metric: accuracy, higher_is_better: true{}}}\n"
    )
    boards = entry.format("Tiny", "one", ", our_entry: Ours-XL") + entry.format("Other", "two", "")
    tiny.workspace.competitive_registry.write_text(
        f"domain: toys\ntarget_leaderboards:\n{boards}competitors:\n"
        "  - {name: Rival, source: Tiny, aliases: {Other: rival-xl}}\n"
        "our_solution:\n  name: Our solution\n  current_scores: {Tiny: null, Other: null}\n"
        "  promotion_threshold: 0.005\n"
    )
    one = {"Rival": 0.9, "rival-xl": 0.8, "Ours-XL": 0.7}
    two = {"rival-xl": 0.6, "Our solution": 0.5}
    for name, shown in (("one", one), ("two", two)):
        rows = [{"name": system, "accuracy": score} for system, score in shown.items()]
        (tiny.workspace.root / f"{name}.json").write_text(json.dumps(rows))
    for _ in range(2):  # the first reading adds rivals to the registry, the second one meets them there
        said = tiny.agent("monitor")
        assert [line for line in said.stdout.splitlines() if line.startswith("| #")] == [
            "| #1 | Rival | 0.900 | 0.600 | -0.200 |",
            "| #2 | rival-xl | 0.800 | — | -0.100 |",
            "| #3 | Our solution | 0.700 | 0.500 | — |",
        ]
        assert len(_rivals(tiny)) == 2


def test_a_registry_with_line_ends_of_windows_keeps_them(tiny: Tiny) -> None:
    path = tiny.workspace.competitive_registry
    before = path.read_bytes().replace(b"\n", b"\r\n")
    path.write_bytes(before)
    tiny.target["search_space"] = {}
    tiny.write_target()
    tiny.night(Goal(cycles=1))
    after = path.read_bytes()
    assert after.count(b"\n") == after.count(b"\r\n")
    changed = [line for line in before.splitlines() if line not in after.splitlines()]
    assert [line.split(b":")[0].strip() for line in changed] == [b"- {name", b"Tiny"]
    assert b"latest_score: 0.9, source: Tiny, last_updated: " in after


def test_only_the_best_rivals_of_a_long_board_are_added() -> None:
    entries = [_entry(f"S{number:03d}", number / 1000) for number in range(300)]
    _, rivals = _updated(REGISTRY, _snapshot(*entries))
    assert [rival.name for rival in rivals[1:]] == [f"S{number:03d}" for number in range(299, 299 - WATCHED, -1)]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["Rival", "A: b", "yes", "# x", "Ours", "Ωμέγα"]), st.floats(0, 1), st.booleans()),
        max_size=8,
    )
)
def test_whatever_a_board_says_the_registry_keeps_every_other_byte(rows: list[tuple[str, float, bool]]) -> None:
    entries = [_entry(name, score, str(i), "no" if out else "") for i, (name, score, out) in enumerate(rows)]
    after, rivals = _updated(REGISTRY, _snapshot(*entries))
    best = {name: max((s for n, s, out in rows if n == name and not out), default=None) for name, _, _ in rows}
    expected = {name: score for name, score in best.items() if score is not None and name != "Ours"}
    assert {r.name: r.latest_score for r in rivals} == {"Rival": 0.1} | expected
    head, tail = REGISTRY.index("0.10"), REGISTRY.index("our_solution:")
    assert after.startswith(REGISTRY[:head])
    assert after.endswith(REGISTRY[tail:])
    assert "   # kept\n    source: Tiny\n" in after
    assert _updated(after, _snapshot(*entries))[0] == after


# -- the registry's keys, as a board is read by them ---------------------------------------------------------


def _monitored(tiny: Tiny) -> dict[str, float | None]:
    said = tiny.agent("monitor")
    assert said.returncode == 0, said.stdout + said.stderr
    return _rivals(tiny)


def test_scores_typed_into_the_registry_are_a_board(tiny: Tiny) -> None:
    tiny.write_registry(url="https://example.org/board", method="manual", more="    values: {Rival: 0.7, A b: 0.65}")
    assert _monitored(tiny) == {"Rival": 0.7, "A b": 0.65}


def test_scores_typed_in_for_a_board_that_is_fetched_are_refused(tiny: Tiny) -> None:
    tiny.write_registry(more="    values: {Rival: 0.7}")
    said = tiny.agent("monitor")
    assert said.returncode == 2
    assert "competitive_registry.yaml:4" in said.stderr
    assert "values are read with scrape_method manual only" in said.stderr


def test_a_board_in_per_cent_is_brought_into_our_unit(tiny: Tiny) -> None:
    tiny.write_board(Rival=84.7, Other=0.1)
    tiny.write_registry(more="    scale: 0.01")
    assert _monitored(tiny) == {"Rival": 0.847, "Other": 0.001}


def test_a_table_is_chosen_by_its_place_from_0(tiny: Tiny) -> None:
    tables = [
        f"<table><tr><th>Model</th><th>accuracy</th></tr><tr><td>Rival</td><td>0.{n}</td></tr></table>" for n in "78"
    ]
    (tiny.workspace.root / "page.html").write_text("".join(tables))
    tiny.write_registry(url="page.html", method="manual", more="    table: {index: 0}")
    assert _monitored(tiny) == {"Rival": 0.7}
    tiny.write_registry(url="page.html", method="manual", more="    table: {index: 1}")
    assert _monitored(tiny) == {"Rival": 0.8}


def test_one_look_at_five_boards_of_a_site_asks_for_its_robots_txt_once(tiny: Tiny) -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = b"" if self.path == "/robots.txt" else b'{"Rival": 0.7}'
            self.send_response(404 if self.path == "/robots.txt" else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        site = f"http://127.0.0.1:{server.server_port}"
        rest = "scrape_method: api, primary_metric: accuracy, higher_is_better: true"
        more = "".join(f'  - {{name: B{number}, url: "{site}/{number}", {rest}}}\n' for number in range(4))
        tiny.write_registry(url=f"{site}/main", method="api", more=more)
        said = tiny.agent("monitor")
        server.shutdown()
        thread.join()
    assert said.returncode == 0, said.stderr
    assert sorted(asked) == ["/0", "/1", "/2", "/3", "/main", "/robots.txt"]
