"""Pages, feeds and files as boards show them, and the ways they stop being readable."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.errors import BadInput
from registry.standings import Snapshot
from tools.leaderboards.cells import read_number
from tools.leaderboards.names import LONGEST_NAME, clean_name, escape_cell, printable
from tools.leaderboards.reading import READERS, read_board
from tools.leaderboards.sources import BoardSpec, Columns, Exclude, ScrapeMethod

SPEC = BoardSpec("MemoryBench", "https://example.org/board", "html_table", "accuracy")


def read(body: str | bytes, spec: BoardSpec = SPEC, content_type: str = "") -> Snapshot:
    raw = body.encode() if isinstance(body, str) else body
    return read_board(spec, raw, content_type, "2026-02-10T06:00:00Z", "0" * 64)


def scores(snapshot: Snapshot) -> dict[str, float | None]:
    return {entry.name: entry.scores[snapshot.metric] for entry in snapshot.entries}


def complaint(body: str | bytes, spec: BoardSpec = SPEC) -> str:
    with pytest.raises(BadInput) as raised:
        read(body, spec)
    assert all(problem.where == spec.url for problem in raised.value.problems)
    return str(raised.value)


BOARD = """<html><head><title>Boards</title></head><body>
<h2>Long context</h2>
<table id="long"><thead><tr><th>System</th><th>F1 ▲</th></tr></thead>
<tbody><tr><td>CompetitorA</td><td>81.2%</td></tr></tbody></table>
<h2>Memory</h2>
<table><caption>MemoryBench  v1</caption>
<tr><th>#</th><th>Model ↑↓</th><th>Accuracy ↓</th><th>Date</th></tr>
<tr><td>1</td><td>🥇 <b>CompetitorA</b> <i>New</i></td><td><b>0.847 ± 0.003</b></td><td>2026-02-01</td></tr>
<tr><td colspan="4">Open models</td></tr>
<tr><td>2</td><td>CompetitorB<sup>1</sup></td><td>0.831<sup>2</sup></td><td rowspan="2">2026-02-05</td></tr>
<tr><td>3</td><td>Zephyr β-7B 🚀</td><td>—</td></tr>
<tr><td>4</td><td><span style="display: none">0004</span>Tiny&nbsp;1,5</td><td>1,234.5</td><td></td></tr>
<tfoot><tr><td></td><td>Average</td><td>0.5</td><td></td></tr></tfoot>
</table></body></html>"""

EXPECTED = {"CompetitorA": 0.847, "CompetitorB": 0.831, "Zephyr β-7B": None, "Tiny 1,5": 1234.5}


@pytest.mark.parametrize("selector", ["", "MemoryBench  v1", "memorybench v1", "Memory", "2"])
def test_one_of_several_tables_is_chosen_by_its_columns_caption_heading_or_index(selector: str) -> None:
    assert scores(read(BOARD, replace(SPEC, table=selector))) == EXPECTED


def test_a_table_is_chosen_by_its_id_and_its_unit_is_kept() -> None:
    spec = BoardSpec("LongContextEval", SPEC.url, "html_table", "f1_score", columns=Columns(score="F1"), table="long")
    assert scores(read(BOARD, spec)) == {"CompetitorA": 81.2}


def test_a_cell_over_several_rows_counts_in_each() -> None:
    board = read(BOARD, replace(SPEC, columns=Columns(qualifier="Date")))
    assert [entry.qualifier for entry in board.entries] == ["2026-02-01", "2026-02-05", "2026-02-05", ""]


def test_groups_of_columns_are_named_by_group_and_member() -> None:
    page = """<table><tr><th rowspan=2>Team<th colspan=2>Dev<th colspan=2>Test
    <tr><th>F1<th>EM<th>F1<th>accuracy
    <tr><td>A<td>1<td>2<td>3<td>4</table>"""
    assert scores(read(page)) == {"A": 4.0}
    spec = replace(SPEC, columns=Columns(score="Test / F1", metrics={"em": "EM"}))
    assert read(page, spec).entries[0].scores == {"em": 2.0, "accuracy": 3.0}
    assert "2 columns of that name" in complaint(page, replace(SPEC, columns=Columns(score="F1")))


def test_two_tables_that_fit_are_not_guessed_between() -> None:
    table = "<table><tr><th>Model<th>Accuracy<tr><td>A<td>1</table>"
    said = complaint(table * 2)
    assert "2 tables that fit" in said
    assert "{index: …}, from 0" in said  # as the registry counts them


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("", ["an empty answer"]),
        ("<html><title>Sign in</title><form><input type=password></form>", ["Sign in", "0 tables", "login"]),
        ('<title>Board</title><script type="application/json">[]</script>', ["of embedded JSON", "embedded_json"]),
        ("<table><tr><th>Model<th>F1<tr><td>A<td>1</table>", ["no such column", "Model, F1", "“accuracy”"]),
        ("<table><tr><th>Model<th>Accuracy</table>", ["with 0 rows", "at least one entry"]),
        ("<table><tr><th>Model<th>Accuracy<tr><td>A<td>soon™</table>", ["row 1 (A)", "soon™", "no number"]),
        ("<table><tr><th>Model<th>Accuracy<tr><td>A<td>—</table>", ["no number for accuracy"]),
        ("<table><tr><th>Model<th>Accuracy<tr><td>🥇<td>1</table>", ["row 1 (no name)"]),
        ("<table><tr><th>Model<th>Accuracy<tr><td>A<td>1<tr><td>A 🆕<td>2</table>", ["2 entries called “A”"]),
        ("<table><tr><th>Model<th>Accuracy<tr><td>A<td>1<td>2<td>3</table>", ["4 cells", "2 cells"]),
        ("<table><tr><th>Rank<th>Accuracy<tr><td>1<td>1</table>", ["a column of names"]),
    ],
)  # fmt: skip
def test_a_page_that_cannot_be_read_says_what_it_saw(page: str, says: list[str]) -> None:
    text = complaint(page)
    for words in says:
        assert words in text


def test_entries_of_one_name_are_told_apart_by_their_date() -> None:
    page = "<table><tr><th>Model<th>Accuracy<th>Date<tr><td>A<td>1<td>May<tr><td>A<td>2<td>June</table>"
    board = read(page, replace(SPEC, columns=Columns(qualifier="Date")))
    assert [entry.identity for entry in board.entries] == [("A", "May"), ("A", "June")]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("<tr><td><b><i><div>m{n}<td>{n}", "broken markup"),
        ("<tr><td>m{n}<td>{n}<form><tr>", "broken markup"),
        ("<div>" * 10 + "<tr><td>m{n}<td>{n}", "cannot be read to its end"),
    ],
)
def test_a_page_of_unclosed_tags_is_never_read_in_part(row: str, says: str) -> None:
    rows = "".join(row.replace("{n}", str(number)) for number in range(300))
    good = "<table><tr><th>Model<th>Accuracy<tr><td>A<td>1</table>"
    assert says in complaint(f"<table><tr><th>Model<th>Accuracy{rows}</table>")
    if says == "broken markup":
        assert scores(read(f"{good}<table><tr><th>Team<th>F1{rows}</table>")) == {"A": 1.0}


def test_control_characters_in_a_page_are_no_hindrance() -> None:
    page = "<table><tr><th>Model<th>Accuracy<tr><td><small>A&#1;</small>&#xfffe;<!-- x -->B\x02<td>1</table>"
    assert scores(read(page)) == {"A B": 1.0}


def test_sloppy_rows_that_a_parser_mends_are_read_whole() -> None:
    rows = "".join(f"<TR><TD><p>m{number}<TD ALIGN=right><font color=red>{number}</font></TR>" for number in range(300))
    assert len(read(f"<table><tr><th>Model<th>Accuracy{rows}</table>").entries) == 300


def test_a_span_of_a_billion_columns_is_bounded() -> None:
    page = "<table><tr><th colspan=999999999>Model<th>Accuracy<tr><td>A<td>1</table>"
    assert "found" in complaint(page)


def test_excluded_entries_are_listed_with_their_reason() -> None:
    page = """<table><tr><th>Model<th>Accuracy<th>Mode
    <tr><td>A<td>1<td>Community<tr><td>B<td>2<td>ok<tr><td>C<td>3<td></table>"""
    spec = replace(SPEC, exclude=Exclude(columns={"Mode": ("community",)}, names=("c 🏆",)))
    assert [entry.excluded for entry in read(page, spec).entries] == [
        "Mode is Community",
        "",
        "excluded in the registry",
    ]
    assert "exclude.columns" in complaint(page, replace(SPEC, exclude=Exclude(columns={"Status": ("x",)})))


JSON = replace(SPEC, scrape_method="api")


@pytest.mark.parametrize(
    ("document", "spec"),
    [
        ([{"model": "A", "accuracy": 0.5}, {"model": "B", "accuracy": None}], JSON),
        ({"results": {"rows": [{"model": "A", "accuracy": "50%"}, {"model": "B"}]}}, None),
        ({"results": {"rows": [{"model": "A", "accuracy": 0.5}, {"model": "B"}]}}, replace(JSON, table="results.rows")),
        ({"A": {"accuracy": 0.5, "size": 7}, "B": {"accuracy": None}}, JSON),
        ({"v1.2": {"A": 0.5, "B": None}}, replace(JSON, table="v1.2")),
        ({"headers": ["Model", "accuracy"], "data": [["A", 0.5], ["B", ""]]}, JSON),
        ({"x": {"columns": [{"name": "Model"}, {"name": "accuracy"}], "rows": [["A", 0.5], ["B", ""]]}}, JSON),
    ],
)  # fmt: skip
def test_json_boards_are_found_wherever_they_nest(document: object, spec: BoardSpec | None) -> None:
    found = scores(read(json.dumps(document), spec or replace(JSON)))
    assert found.keys() == {"A", "B"}
    assert found["A"] in (0.5, 50.0)
    assert found["B"] is None


def test_a_nested_metric_is_named_by_its_path_although_keys_hold_dots() -> None:
    body = json.dumps({"gpt-3.5": {"pass@1": {"humaneval+": 70.7, "v1.0": 3}}})
    assert scores(read(body, replace(JSON, columns=Columns(score="pass@1.humaneval+")))) == {"gpt-3.5": 70.7}
    assert scores(read(body, replace(JSON, columns=Columns(score="pass@1.v1.0")))) == {"gpt-3.5": 3.0}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("<html><title>Sign in</title>", ["Sign in", "expected JSON"]),
        ('[{"model": "A", "accuracy": 0.', ["whole, valid JSON", ":1:"]),
        ('{"A": {"accuracy": 1}, "A": {"accuracy": 2}}', ["the key “A” twice"]),
        ('[{"model": "A", "accuracy": Infinity}]', ["Infinity"]),
        ('[{"model": "A", "accuracy": 1e999}]', ["inf is no score"]),
        ('[{"model": "A", "accuracy": true}]', ["truth value"]),
        ('[{"model": "A", "accuracy": ' + "9" * 400 + "}]", ["too large"]),
        ("[]", ["a list of 0"]),
        ('{"message": "rate limit"}', ["an object with 1 keys (message)"]),
        ("[" * 100_000, ["nested too deep"]),
        ('[{"model": "A", "f1": 1}]', ["no such column", "model, f1"]),
        ('{"a": [{"model": "A", "accuracy": 1}], "b": [{"model": "A", "accuracy": 2}]}', ["2 tables", "“a”", "“b”"]),
        (b"\xff\xfe\xfd", ["utf-16"]),
        (b'["\xc3"]', ["not utf-8"]),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_such_json_says_what_it_saw(body: str | bytes, says: list[str]) -> None:
    text = complaint(body, JSON)
    for words in says:
        assert words in text


def test_nan_in_json_is_no_score() -> None:
    assert scores(read('[{"model":"A","accuracy":NaN},{"model":"B","accuracy":1}]', JSON)) == {"A": None, "B": 1.0}


NEXT = """<html><body><div id=__next></div><script>var theme = {dark: true}; window.other = {"a": 1};</script>
<script id="__NEXT_DATA__" type="application/json">
{"props":{"pageProps":{"rows":[{"name":"A","accuracy":0.9}]}}}</script>
</body></html>"""


@pytest.mark.parametrize("path", ["", "__NEXT_DATA__.props.pageProps.rows", "props.pageProps.rows"])
def test_a_table_that_became_embedded_json_is_read_as_such(path: str) -> None:
    spec = replace(SPEC, scrape_method="embedded_json", table=path)
    assert scores(read(NEXT, spec)) == {"A": 0.9}


@pytest.mark.parametrize(
    "script",
    [
        'var board = [{"name": "A", "accuracy": 0.9}];',
        'window.x = 1; window["board"]={"rows": [{"name": "A", "accuracy": 0.9}]} ;',
        'const board = JSON.parse("[{\\"name\\": \\"A\\", \\"accuracy\\": 0.9}]");',
    ],
)
def test_json_assigned_to_a_variable_is_read(script: str) -> None:
    assert scores(read(f"<script>{script}</script>", replace(SPEC, scrape_method="embedded_json"))) == {"A": 0.9}


def test_a_page_without_the_embedded_table_lists_what_it_holds() -> None:
    text = complaint(NEXT, replace(SPEC, scrape_method="embedded_json", table="props.gone"))
    assert "__NEXT_DATA__.props.pageProps.rows" in text
    assert "no page" in complaint('{"a": 1}', replace(SPEC, scrape_method="embedded_json"))


CSV = replace(SPEC, scrape_method="csv")


@pytest.mark.parametrize(
    "body",
    [
        ",accuracy,mode\nA,0.9,ok\nB,,ok\n",
        "\ufeffmodel;accuracy\r\nA;0,9\r\nB;\r\n",
        "Model\tAccuracy\nA\t0.9\nB\tN/A\n",
        'name,accuracy\n"A",0.9\n\nB,-\n',
        ",model,accuracy\n0,A,0.9\n1,B,\n",
        "model|accuracy|\nA|0.9|\nB||\n",
    ],
)
def test_separated_values_are_read_in_their_dialects(body: str) -> None:
    assert scores(read(body, CSV)) == {"A": 0.9, "B": None}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("name,accuracy\nA,0.9\nB", [":3:", "1 values", "expected 2"]),
        ('name,accuracy\n"A,0.9\n', ["unexpected end of data"]),
        ("name,accuracy\n", ["with 0 rows"]),
        ("<!doctype html><title>Moved</title>", ["Moved", "comma separated values"]),
        ("name,accuracy\nA\0,1\n", ["line contains NUL", "row 1", "A"]),
        ("just some words\nand more\n", ["column"]),
    ],
)
def test_separated_values_that_are_cut_or_none_are_refused(body: str, says: list[str]) -> None:
    if "\0" in body:
        assert scores(read(body, CSV)) == {"A": 1.0}
        return
    text = complaint(body, CSV)
    for words in says:
        assert words in text


@pytest.mark.parametrize("method", ["git_file", "manual"])
@pytest.mark.parametrize(
    "body", ["name,accuracy\nA,0.9\n", '{"A": 0.9}', "<table><tr><th>Model<th>Accuracy<tr><td>A<td>.9</table>"]
)
def test_a_file_kept_by_people_is_read_by_what_it_holds(method: ScrapeMethod, body: str) -> None:
    assert scores(read(body, replace(SPEC, scrape_method=method))) == {"A": 0.9}


def test_a_feed_of_results_is_a_board() -> None:
    feed = """<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>
    <rss><channel><title>t</title>
    <item><title>CompetitorA</title><description>&lt;b&gt;accuracy: 0.861&lt;/b&gt;, latency: 12</description></item>
    <item><title>CompetitorB &x;</title><description>accuracy = 84.7%</description></item></channel></rss>"""
    assert scores(read(feed, replace(SPEC, scrape_method="rss"))) == {"CompetitorA": 0.861, "CompetitorB &x;": 84.7}
    assert "0 items" in complaint("<rss/>", replace(SPEC, scrape_method="rss"))
    assert "feed" in complaint("name,accuracy", replace(SPEC, scrape_method="rss"))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.847", 0.847), ("84.7%", 84.7), ("84.7 %", 84.7), ("1,234.5", 1234.5), ("1.234,5", 1234.5), ("0,847", 0.847),
        ("1 234", 1234.0), ("1\u202f234,5", 1234.5), ("1'234", 1234.0), ("12,34", 12.34), ("0.847 ± 0.003", 0.847),
        ("0.847±0.003", 0.847), ("0.847 +/- 0.003", 0.847), ("0.847 (0.003)", 0.847), ("1287 +5/-4", 1287.0),
        ("**0.847**", 0.847), ("0.847*", 0.847), ("0.847†", 0.847), ("🥇 0.847", 0.847), ("0.847 🥇", 0.847),
        ("↑ 0.847", 0.847), ("\u22120.5", -0.5), ("+3", 3.0), (".5", 0.5), ("1e-3", 0.001), ("3E2", 300.0),
        ("12 ms", 12.0), ("0.9 [0.8, 1.0]", 0.9), (0, 0.0), (1.5, 1.5), ("0", 0.0),
    ],
)  # fmt: skip
def test_a_score_is_read_as_boards_write_it(text: str | float, number: float) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize(
    "text", ["", " ", "—", "-", "–", "N/A", "n/a", "null", "None", "TBD", "✗", "?", None, "\u00a0", "NaN"]
)
def test_a_cell_without_a_score_is_none_and_not_zero(text: str | None) -> None:
    assert read_number(text) is None


@pytest.mark.parametrize(
    "text",
    ["soon", "0.847 0.9", "v2", "1,23,4", "12 models", "2026-02-01", "1.2.3", "0.8471 best of 5", True, "1" * 300],
)
def test_a_cell_that_is_no_score_is_refused_and_not_guessed(text: str | bool) -> None:
    with pytest.raises(ValueError):
        read_number(text)


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        ("🥇 GPT-4", "GPT-4"), ("GPT-4 🆕", "GPT-4"), ("GPT-4 (new)", "GPT-4"), ("[New!] GPT-4", "GPT-4"),
        ("GPT-4 NEW", "GPT-4"), ("1️⃣ GPT-4", "GPT-4"), ("**GPT-4**", "GPT-4"), ("`GPT-4`", "GPT-4"),
        ("✨ GPT-4\n (May  2023) ⭐️", "GPT-4 (May 2023)"), ("GP\u202eT-4", "GPT-4"), ("👨‍👩‍👧 Fam", "Fam"),
        ("Zephyr β-7B", "Zephyr β-7B"), ("NewHope", "NewHope"), ("Renew", "Renew"), ("gpt4_11", "gpt4_11"), ("A†", "A"),
        ("C++", "C++"), ("模型-7B", "模型-7B"), ("Cafe\u0301", "Café"), ("\x1b[31mred", "[31mred"), ("🥇", ""),
    ],
)  # fmt: skip
def test_names_lose_glyphs_and_nothing_else(shown: str, name: str) -> None:
    assert clean_name(shown) == name


@given(st.text(max_size=400))
def test_a_cleaned_name_is_one_safe_line_and_stays_as_it_is(text: str) -> None:
    name = clean_name(text)
    assert clean_name(name) == name
    assert len(name) <= LONGEST_NAME
    assert printable(name) == name
    assert "\n" not in escape_cell(text)
    assert "|" not in escape_cell(text).replace("\\|", "")


@pytest.mark.parametrize("method", sorted(READERS))
@settings(max_examples=60, deadline=None)
@given(body=st.one_of(
    st.binary(max_size=300),
    st.lists(st.sampled_from([
        "<table>", "<tr>", "<td>", "<th colspan=3 rowspan=9>", "</table>", "accuracy", "Model", "1", "A", "{",
        '"A"', ":", "}", "[", "]", ",", "\n", "\0", "<item>", "<title>", "</title>", "é", "NaN", "<sup>", "<!--",
        "\ud800", "<script>",
    ]), max_size=40).map(lambda parts: "".join(parts).encode("utf-8", "surrogatepass")),
))  # fmt: skip
def test_any_bytes_are_a_snapshot_with_entries_or_bad_input(method: ScrapeMethod, body: bytes) -> None:
    with contextlib.suppress(BadInput):
        assert read(body, replace(SPEC, scrape_method=method)).entries


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("accuracy"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["accuracy", "name", "data", "headers", "A", "B"]), inner, max_size=4)
    ),
    max_leaves=15,
)


@settings(max_examples=150, deadline=None)
@given(value=JSON_VALUES, path=st.sampled_from(["", "data", "A.data", "data.0", "."]))
def test_any_json_is_a_snapshot_with_entries_or_bad_input(value: object, path: str) -> None:
    with contextlib.suppress(BadInput):
        assert read(json.dumps(value), replace(JSON, table=path)).entries
