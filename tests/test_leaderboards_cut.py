"""Answers of which only the beginning came: never read as fact, neither as a board that others left nor as a score."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from registry.errors import BadInput
from tools.leaderboards.page_damage import find_cuts
from tools.leaderboards.reading import read_board
from tools.leaderboards.sources import BoardSpec, ScrapeMethod

SPEC = BoardSpec("H", "https://example.org/board", "html_table", "accuracy")
ROWS = {"Rival": 0.9123, "StartupX": 0.855, "Café β": 0.801}
TABLE = "".join(f"<tr><td>{name}</td><td>{score}</td></tr>" for name, score in ROWS.items())
PAGE = f"""<!doctype html><html><head><title>Boards &lt;table&gt; <b></title><script>let x = "<table>";</script></head>
<body><!-- <table> --><h2>Others</h2><table><tr><th>Team</th><th>Size</th></tr><tr><td>A</td><td>3</td></tr></table>
<h2>Main</h2><TABLE class="x"><thead><tr><th>Model</th><th>Accuracy</th></tr></thead><tbody>{TABLE}</tbody></TABLE >
<footer>done</footer></body></html>"""
LIST = [{"name": name, "accuracy": score} for name, score in ROWS.items()]
EMBEDDED = f'<html><script id="d" type="application/json">{json.dumps({"rows": LIST})}</script><p>x</p></html>'
FEED = "".join(f"<item><title>{name}</title><accuracy>{score}</accuracy></item>" for name, score in ROWS.items())
CSV = "name,accuracy\n" + "".join(f"{name},{score}\n" for name, score in ROWS.items())


def _read(body: bytes, spec: BoardSpec) -> dict[str, float | None]:
    snapshot = read_board(spec, body, "", "2026-02-10T06:00:00Z", "0" * 64)
    return {entry.name: entry.scores["accuracy"] for entry in snapshot.entries}


@pytest.mark.parametrize(
    ("method", "body", "table"),
    [
        ("html_table", PAGE, ""),
        ("html_table", PAGE, "Main"),
        ("html_table", PAGE, "2"),
        ("manual", PAGE, ""),
        ("embedded_json", EMBEDDED, ""),
        ("embedded_json", f"<html><script>var rows = {json.dumps(LIST)};</script></html>", ""),
        ("api", json.dumps(LIST), ""),
        ("api", json.dumps({"results": LIST, "more": 1}), "results"),
        ("manual", json.dumps(ROWS), ""),
        ("rss", f"<rss><channel>{FEED}</channel></rss>", ""),
    ],
)
def test_every_beginning_of_a_document_is_refused_or_says_the_same(method: ScrapeMethod, body: str, table: str) -> None:
    spec, raw = replace(SPEC, scrape_method=method, table=table), body.encode()
    assert _read(raw, spec) == ROWS
    read = 0
    for length in range(len(raw)):
        try:
            found = _read(raw[:length], spec)
        except BadInput:
            continue
        assert found == ROWS, length
        read += 1
    assert read < len(raw) / 2


def test_a_page_cut_inside_its_table_says_so() -> None:
    with pytest.raises(
        BadInput, match=r"1 of 2 tables without an end tag \(</table>\), expected a page that was not cut"
    ):
        _read(PAGE[: PAGE.index("0.855") + 1].encode(), SPEC)


def test_a_page_that_never_closes_another_table_is_read_where_the_table_is_named() -> None:
    page = f"<h2>Layout</h2><table><tr><td>menu</td></tr>{PAGE}"
    with pytest.raises(BadInput, match="name the table that is meant"):
        _read(page.encode(), SPEC)
    assert _read(page.encode(), replace(SPEC, table="Main")) == ROWS


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_of_a_cut_csv_only_the_last_value_can_be_wrong(newline: str) -> None:
    """What cannot be told: a file may end without a line end, and `0.9` is as good a score as `0.9123`."""
    raw = CSV.replace("\n", newline).encode()
    spec = replace(SPEC, scrape_method="csv")
    names = list(ROWS)
    for length in range(len(raw) + 1):
        try:
            found = _read(raw[:length], spec)
        except BadInput:
            continue
        assert list(found) == names[: len(found)]
        whole = raw[:length].endswith((b"\n", b"\r"))
        for name in list(found) if whole else list(found)[:-1]:
            assert found[name] == ROWS[name]
        assert found[list(found)[-1]] is not None
    assert found == ROWS


def test_a_csv_that_ends_before_its_last_value_says_so() -> None:
    with pytest.raises(BadInput, match="a last line without a last value and without a line end"):
        _read(b"name,accuracy\nRival,0.9\nOther,", replace(SPEC, scrape_method="csv"))
    assert _read(b"name,accuracy\nRival,0.9\nOther,\n", replace(SPEC, scrape_method="csv"))["Other"] is None


@pytest.mark.parametrize("piece", ["<table", "<table>", "</table", "<!--", "<script ", "<title>", "</script"])
def test_a_page_of_nothing_but_tags_is_looked_through_once(piece: str) -> None:
    cuts = find_cuts((piece * 200_000).encode())
    assert cuts.tables <= 200_000
