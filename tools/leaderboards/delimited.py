"""Boards in comma, semicolon, tab or bar separated text: `scrape_method: csv`.

The first line names the columns; an unnamed first column holds the names. A row of another width is a file that was
cut or is no such table, and is refused; so is a last line that has no line end and no last value. What cannot be told
is a file that was cut within its last value (`A,0` of `A,0.9123`): a whole file may end like that too. Over HTTP the
announced length guards against it; a file on disk should be written under another name and then renamed.
"""

from __future__ import annotations

import csv
import io

from tools.leaderboards.html_table import described_page, looks_like_markup
from tools.leaderboards.sources import (
    MOST_CELLS,
    MOST_COLUMNS,
    MOST_ROWS,
    BoardSpec,
    Document,
    Findings,
    Table,
    text_of,
)

DELIMITERS = (",", ";", "\t", "|")


def tables(document: Document, spec: BoardSpec) -> Findings:
    """The file as one table."""
    if looks_like_markup(document.body):
        raise document.unreadable(described_page(document), "comma separated values", place=spec.name)
    text = text_of(document)
    rows = _rows(text, _delimiter(text), document)
    if not rows:
        return Findings((), "a file without a line of values")
    (_, header), *body = rows
    columns = tuple(column.strip() for column in header)
    cells: list[tuple[str, ...]] = []
    for line, row in body:
        while len(row) > len(columns) and not row[-1].strip():
            row.pop()
        if len(row) != len(columns):
            raise document.unreadable(
                f"{len(row)} values",
                f"{len(columns)}, as in the header",
                line=line,
                fix="the file was cut short, or a value holds an unquoted separator",
            )
        cells.append(tuple(row))
    if body and not text.endswith(("\n", "\r")) and not body[-1][1][-1].strip():
        raise document.unreadable(
            "a last line without a last value and without a line end",
            "a whole file",
            line=body[-1][0],
            fix="the file was cut short; if its last value is meant to be empty, end the file with a line end",
        )
    table = Table((spec.table or "file",), columns, tuple(cells))
    return Findings((table,), "a file of separated values")


def _delimiter(text: str) -> str:
    """The separator the header line uses most; csv.Sniffer guesses from letters too, which names are full of."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(DELIMITERS, key=lambda delimiter: (header.count(delimiter), -DELIMITERS.index(delimiter)))


def _rows(text: str, delimiter: str, document: Document) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    cells = 0
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            cells += len(row)
            if len(rows) > MOST_ROWS or cells > MOST_CELLS or len(row) > MOST_COLUMNS:
                raise document.unreadable(f"more than {MOST_ROWS} rows", f"at most {MOST_ROWS} rows")
            rows.append((reader.line_num, row))
    except csv.Error as error:
        raise document.unreadable(str(error), "comma separated values", line=reader.line_num) from None
    return rows
