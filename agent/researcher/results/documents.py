"""A paper as the extractor sees it: sections of text and tables of cells, each with the place it came from.

`from_records` takes sectioned text and tables as records; `agent.researcher.results.plain_tables` makes tables of
plain lines of text, for papers of which there are only pages. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SCORE = re.compile(r"(?<![\w.,-])(\d{1,4}(?:\.\d{1,4})?|\.\d{1,4})(?![\w,]|\.\d)")
"""A number as scores are written; no part of a longer one."""
MAX_TEXT = 500_000
"""Characters of a paper that are read; more is a book."""
MAX_TABLES = 200
MAX_CELLS = 5_000
_SECTION = re.compile(r"^section: ?(.*)$")


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell with a number. `score` is the number as written, without stars, marks and deviations around it."""

    score: str
    rows: tuple[str, ...]
    """Labels of its row, its own first."""
    columns: tuple[str, ...]
    groups: tuple[str, ...] = ()
    """Headings that stand across the table above it."""
    bold: bool = False
    line: str = ""
    """The line of text it stands in, for tables made of text."""
    order: int = -1
    """Place of its row from the top; negative where rows have no order."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table. `index` is its place among the tables of its source, from 0."""

    index: int
    caption: str
    cells: tuple[Cell, ...]
    page: int = 0
    label: str = ""
    """Its number in the paper, as in `Table 3`; empty where the caption gives none."""


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of text. `page` is 0 where there are no pages."""

    heading: str
    text: str
    page: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """A paper: its title, its abstract, all its text and its tables."""

    title: str
    abstract: str
    sections: tuple[Section, ...]
    tables: tuple[Table, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join(section.text for section in self.sections)


def score_of(written: str) -> str:
    """The one score in a cell's text; empty where there is none or more than one that could be it."""
    text = re.split(r"±|\+/?-|\\pm|\(", written.strip(), maxsplit=1)[0].strip(" *†‡§%$")
    return text if SCORE.fullmatch(text) else ""


def from_records(text: str, tables: Sequence[Mapping[str, Any]]) -> Document:
    """Of sectioned text (`section: heading` lines) and tables with `caption`, `numberCells` and their headers.

    A table or a cell of another form is left out.
    """
    sections: list[Section] = []
    heading = ""
    lines: list[str] = []
    for line in [*text[:MAX_TEXT].splitlines(), "section: "]:
        if match := _SECTION.match(line):
            if lines:
                sections.append(Section(heading, "\n".join(lines)))
            heading, lines = match[1].strip(), []
        else:
            lines.append(line)

    def named(name: str) -> str:
        return next((section.text.strip() for section in sections if section.heading.lower() == name), "")

    made = [_table(index, record) for index, record in enumerate(tables[:MAX_TABLES])]
    return Document(named("title"), named("abstract"), tuple(sections), tuple(made))


def table_label(caption: str) -> str:
    """`Table 3` of a caption that starts a line so; the last one where other tables' captions stand before it."""
    found: list[str] = re.findall(r"(?m)^\s*(Table\s+[\dIVX]+)\b\s*[:.]?", caption)
    return " ".join(found[-1].split()) if found else ""


def caption_alone(caption: str) -> str:
    """The caption without the table's own lines, where a reader of PDFs has run them together."""
    found = list(re.finditer(r"(?m)^\s*Table\s+[\dIVX]+\s*[:.]", caption))
    if not found:
        return "" if _numbers(caption) > 3 else caption
    start = found[0].start()
    return caption[start:].split("\n\n", 1)[0]


def _numbers(text: str) -> int:
    return sum(bool(SCORE.fullmatch(word)) for word in text.split())


def _table(index: int, record: Mapping[str, Any]) -> Table:
    caption = str(record.get("caption", ""))[:20_000]
    cells = []
    found = record.get("numberCells", [])
    for cell in found[:MAX_CELLS] if isinstance(found, list) else []:
        score = score_of(str(cell.get("number", ""))[:40]) if isinstance(cell, Mapping) else ""
        if score:
            cells.append(
                Cell(
                    score,
                    _labels(cell.get("associatedRows")),
                    _labels(cell.get("associatedColumns")),
                    _labels(cell.get("associatedMergedColumns")),
                    bool(cell.get("isBolded")),
                )
            )
    return Table(index, caption, tuple(cells), label=table_label(caption))


def _labels(value: object) -> tuple[str, ...]:
    items: Iterable[object] = value if isinstance(value, list) else ()
    return tuple(str(item)[:300] for item in items if str(item).strip(" -"))[:30]
