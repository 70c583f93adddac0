"""Boards whose page carries its data as JSON: `scrape_method: embedded_json`.

Looks at `<script type="application/json">` (Next.js' `__NEXT_DATA__` among them) and at assignments such as
`window.rows = [...];`. `table` is a path, with or without the script's id or variable before it.
"""

from __future__ import annotations

import json
import re

from tools.leaderboards import json_tables, page_damage
from tools.leaderboards.html_table import CUT_EXPECTED, described_page, looks_like_markup, parse_page
from tools.leaderboards.json_tables import Json
from tools.leaderboards.sources import BoardSpec, Document, Findings, Table

MOST_SCRIPTS = 100
MOST_ASSIGNMENTS = 200
_ASSIGNMENT = re.compile(
    r"(?:\b(?:var|let|const)\s{1,9}|\b(?:window|self|globalThis)\s?(?:\.|\[\s?[\"']))([A-Za-z_$][\w$]{0,80})(?:[\"']\s?\])?"
    r"\s{0,9}=\s{0,9}(?:JSON\.parse\(\s?(?=\")|(?=[\[{]))"
)


def tables(document: Document, spec: BoardSpec) -> Findings:
    """Every table inside the JSON a page carries."""
    if not looks_like_markup(document.body):
        raise document.unreadable(
            "an answer that is no page", "a page with embedded JSON", place=spec.name, fix="try scrape_method api"
        )
    if page_damage.find_cuts(document.body).inside == "script":
        raise document.unreadable("a page that ends within a script", CUT_EXPECTED, place=spec.name)
    blobs = _blobs(document)
    saw = described_page(document) + (f", holding {', '.join(name for name, _ in blobs[:8])}" if blobs else "")
    if spec.table:
        chosen = _selected(blobs, spec, document)
        if len(chosen) > 1:
            raise document.unreadable(
                f"{len(chosen)} scripts with that path: {saw}",
                f"one place called “{spec.table}”",
                place=f"{spec.name}: table",
                fix="put the script's id or variable before the path",
            )
        if chosen:
            return Findings((chosen[0],), saw)
    found: list[Table] = []
    for name, value in blobs:
        found.extend(json_tables.find_tables(value, name, spec.primary_metric, document))
    hint = "set table to the path of the rows" if blobs else "the page holds no JSON that can be read"
    return Findings(tuple(found), saw, hint)


def _selected(blobs: list[tuple[str, Json]], spec: BoardSpec, document: Document) -> list[Table]:
    chosen = []
    for name, value in blobs:
        paths = [spec.table]
        if spec.table == name or spec.table.startswith(name + "."):
            paths.insert(0, spec.table[len(name) + 1 :])
        for path in paths:
            found, inner = json_tables.resolve(value, path)
            table = json_tables.as_table(inner, spec.table, spec.primary_metric, document) if found else None
            if table is not None:
                chosen.append(table)
                break
    return chosen


def _blobs(document: Document) -> list[tuple[str, Json]]:
    """(name, value) of all JSON in the page's scripts; a JSON script that cannot be read is an error."""
    root = parse_page(document)
    if root is None:
        return []
    blobs: list[tuple[str, Json]] = []
    for number, script in enumerate(root.iter("script"), start=1):
        text = script.text or ""
        if number > MOST_SCRIPTS or not text.strip():
            continue
        if "json" in (script.get("type") or "").lower():
            name = script.get("id") or script.get("data-target") or f"script{number}"
            blobs.append((name, json_tables.parse(text, document)))
        else:
            blobs.extend(_assigned(text))
    return blobs


def _assigned(text: str) -> list[tuple[str, Json]]:
    found: list[tuple[str, Json]] = []
    decoder = json_tables.decoder()
    position = 0
    budget = 3 * len(text)  # characters read in vain: a page must not make us read it again for each assignment
    for _ in range(MOST_ASSIGNMENTS):
        match = _ASSIGNMENT.search(text, position)
        if match is None or budget < 0:
            break
        position = match.end()
        try:
            value, position = decoder.raw_decode(text, position)
            if isinstance(value, str):
                value = json.loads(value)
        except json.JSONDecodeError as error:
            budget -= error.pos - match.end()
            continue  # a script's own literal, not JSON: another assignment may be
        except (ValueError, RecursionError):
            budget -= len(text) // 10
            continue
        found.append((match[1], value))
    return found
