"""Boards that answer with JSON: `scrape_method: api`.

A list of objects, an object keyed by display name, or headers and rows, anywhere in the answer; `table` names the
path where more than one place would do.
"""

from __future__ import annotations

from tools.leaderboards import json_tables
from tools.leaderboards.html_table import described_page, looks_like_markup
from tools.leaderboards.sources import BoardSpec, Document, Findings, text_of


def tables(document: Document, spec: BoardSpec) -> Findings:
    """What the answer holds. An HTML page (a login, an error) is named as such."""
    if looks_like_markup(document.body):
        raise document.unreadable(
            described_page(document),
            "JSON",
            place=spec.name,
            fix="the address answers with a page: give the address of the data, or use scrape_method html_table",
        )
    value = json_tables.parse(text_of(document), document)
    if spec.table:
        found, inner = json_tables.resolve(value, spec.table)
        table = json_tables.as_table(inner, spec.table, spec.primary_metric, document) if found else None
        if table is not None:
            return Findings((table,), json_tables.outline(value))
    candidates = json_tables.find_tables(value, "", spec.primary_metric, document)
    return Findings(tuple(candidates), json_tables.outline(value), "set table to the path of the rows")
