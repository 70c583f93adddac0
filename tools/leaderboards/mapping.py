"""From a table to entries: which table, which columns, which rows do not count.

Called by `tools.leaderboards.reading`. Every refusal says what was there instead; a row is never dropped silently.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

from registry.errors import BadInput, Problem
from registry.standings import Entry
from tools.leaderboards.cells import Cell, read_number
from tools.leaderboards.names import clean_name, printable, same_name
from tools.leaderboards.sources import BoardSpec, Document, Findings, Table

USUAL_NAME_COLUMNS = ("name", "model", "model name", "system", "method", "entry", "submission", "team", "solution")
MOST_PROBLEMS = 8

_HEADER_DECORATION = re.compile("[\u2190-\u21ff\u25a0-\u25ff\u2b00-\u2bff\u21c5\ufe0e\ufe0f\U0001f300-\U0001faff*†‡]")


@dataclass(frozen=True, slots=True)
class Mapped:
    """Positions of the columns a board is read by."""

    name: int
    metrics: dict[str, int]
    qualifier: int | None
    exclusions: dict[str, int]


def choose(findings: Findings, spec: BoardSpec, document: Document) -> tuple[Table, Mapped]:
    """The one table the registry means, with its columns found."""
    if not findings.tables:
        raise document.unreadable(findings.saw, "a table of entries", place=spec.name, fix=findings.hint)
    if spec.table:
        table = _by_selector(findings, spec, document)
        mapped = locate(table, spec)
        if isinstance(mapped, Mapped):
            return table, mapped
        raise BadInput(*(_located(problem, document) for problem in mapped))
    located = [(table, locate(table, spec)) for table in findings.tables]
    fitting = [(table, mapped) for table, mapped in located if isinstance(mapped, Mapped)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise document.unreadable(
            f"{len(fitting)} tables that fit: {_listed([table for table, _ in fitting])}",
            "one table",
            place=f"{spec.name}: table",
            fix="name one with table: {caption: …}, {id: …}, {index: …}, from 0, or {path: …}",
        )
    if len(located) == 1 and not isinstance(located[0][1], Mapped):
        raise BadInput(*(_located(problem, document) for problem in located[0][1]))
    wanted = ", ".join(filter(None, (spec.columns.name, spec.columns.score or spec.primary_metric)))
    raise document.unreadable(
        f"{findings.saw}: {_listed(list(findings.tables))}",
        f"a table with the columns asked for ({wanted})",
        place=spec.name,
        fix=findings.hint or "name the columns as the board does now",
    )


def _by_selector(findings: Findings, spec: BoardSpec, document: Document) -> Table:
    selector = spec.table
    exact = [table for table in findings.tables if selector in table.labels]
    loose = exact or [t for t in findings.tables if _plain(selector) in {_plain(label) for label in t.labels}]
    if not loose and selector.isascii() and selector.isdigit() and 0 < int(selector[:6]) <= len(findings.tables):
        return findings.tables[int(selector[:6]) - 1]
    if len(loose) == 1:
        return loose[0]
    found = f"{len(loose)} tables of that name" if loose else f"{findings.saw}: {_listed(list(findings.tables))}"
    raise document.unreadable(
        found,
        f"one table called “{selector}”",
        place=f"{spec.name}: table",
        fix="name one with table: {index: …}, counted from 0",
    )


def _listed(tables: list[Table]) -> str:
    shown = "; ".join(table.described() for table in tables[:6])
    return shown + (f"; and {len(tables) - 6} more" if len(tables) > 6 else "")


def _located(problem: Problem, document: Document) -> Problem:
    return Problem(document.where, problem.found, problem.expected, place=problem.place, fix=problem.fix)


def locate(table: Table, spec: BoardSpec) -> Mapped | list[Problem]:
    """Where the columns of a board stand in a table, or every reason why they do not."""
    problems: list[Problem] = []

    def find(wanted: str, place: str) -> int:
        hits = find_column(table.columns, wanted)
        if len(hits) == 1:
            return hits[0]
        found = f"{len(hits)} columns of that name" if hits else "no such column"
        problems.append(
            Problem("", f"{found} in {table.described()}", f"one column “{wanted}”", place=f"{spec.name}: {place}")
        )
        return -1

    named = spec.columns.name
    name = find(named, "columns.name") if named is not None else _usual_name_column(table)
    if name is None:
        problems.append(
            Problem(
                "", table.described(), "a column of names", place=f"{spec.name}: columns.name", fix="name the column"
            )
        )
    wanted_metrics = {**spec.columns.metrics, spec.primary_metric: spec.columns.score or spec.primary_metric}
    metrics = {metric: find(column, f"columns.{metric}") for metric, column in wanted_metrics.items()}
    qualifier = find(spec.columns.qualifier, "columns.qualifier") if spec.columns.qualifier is not None else None
    exclusions = {column: find(column, "exclude.columns") for column in spec.exclude.columns}
    if problems or name is None:
        return problems
    return Mapped(name, metrics, qualifier, exclusions)


def find_column(columns: tuple[str, ...], wanted: str) -> list[int]:
    """Positions of the columns so named: exactly, else apart from case, arrows and marks, else a group's member."""
    for match in (
        lambda column: column == wanted,
        lambda column: _plain(column) == _plain(wanted),
        lambda column: " / " in column and _plain(column.rpartition(" / ")[2]) == _plain(wanted),
    ):
        if hits := [index for index, column in enumerate(columns) if match(column)]:
            return hits
    return []


def _plain(text: str) -> str:
    return " ".join(_HEADER_DECORATION.sub(" ", printable(text)).casefold().split())


def _usual_name_column(table: Table) -> int | None:
    unnamed = bool(table.columns) and table.columns[0] == ""
    numbered = unnamed and all(str(row[0]).isdigit() for row in table.rows)
    if unnamed and not numbered:
        return 0
    for usual in USUAL_NAME_COLUMNS:
        hits = find_column(table.columns, usual)
        if len(hits) == 1:
            return hits[0]
    return 0 if unnamed else None


def entries(table: Table, mapped: Mapped, spec: BoardSpec, document: Document) -> list[Entry]:
    """Every row as an entry; raises BadInput with all rows that cannot be read."""
    problems: list[Problem] = []
    read: list[Entry] = []
    for number, row in enumerate(table.rows, start=1):
        raw = "" if row[mapped.name] is None else str(row[mapped.name])
        name = clean_name(raw)
        place = f"{spec.name}: row {number} ({name or 'no name'})"
        if not name:
            problems.append(Problem(document.where, f"the name “{printable(raw)[:80]}”", "a name", place=place))
            continue
        scores: dict[str, float | None] = {}
        for metric, index in mapped.metrics.items():
            try:
                number_shown = read_number(row[index])
                scores[metric] = scaled(number_shown, spec.scale) if metric == spec.primary_metric else number_shown
            except ValueError as error:
                found = f"“{printable(str(row[index]))[:80]}” ({error})"
                problems.append(Problem(document.where, found, f"a number or nothing for {metric}", place=place))
        qualifier = "" if mapped.qualifier is None else printable(str(row[mapped.qualifier] or ""))[:100]
        excluded = _exclusion(name, row, mapped, spec)
        read.append(Entry(name=name, qualifier=qualifier, scores=scores, excluded=excluded))
    problems.extend(_duplicates(read, spec, document))
    if problems:
        raise BadInput(*problems[:MOST_PROBLEMS])
    return read


def scaled(value: float | None, scale: float) -> float | None:
    """The product as decimals make it: 84.7 at a scale of 0.01 is 0.847, and not the nearest product of two floats."""
    if value is None or scale == 1:
        return value
    return float(Decimal(repr(value)) * Decimal(repr(scale)))


def _exclusion(name: str, row: tuple[Cell, ...], mapped: Mapped, spec: BoardSpec) -> str:
    for column, index in mapped.exclusions.items():
        value = printable(str(row[index])) if row[index] is not None else ""
        if value.casefold() in {unwanted.casefold() for unwanted in spec.exclude.columns[column]}:
            return f"{printable(column)} is {value[:80] or 'empty'}"
    if any(same_name(name, unwanted) for unwanted in spec.exclude.names):
        return "excluded in the registry"
    return ""


def _duplicates(read: list[Entry], spec: BoardSpec, document: Document) -> list[Problem]:
    counts = Counter(entry.identity for entry in read)
    return [
        Problem(
            document.where,
            f"{count} entries called “{name}”" + (f" of {qualifier}" if qualifier else ""),
            "entries that can be told apart",
            place=spec.name,
            fix="set columns.qualifier to the column of dates or folders that tells them apart",
        )
        for (name, qualifier), count in counts.items()
        if count > 1
    ]
