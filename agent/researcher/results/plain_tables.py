"""Tables of plain lines of text: rows of a label and numbers beside a caption `Table N: …`.

Called by `agent.researcher.results.paper_results`, because readers of PDFs keep lines and lose cells. Where it is not
plain which number stands under which header there are no headers, and nothing follows from the row. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.researcher.results.documents import MAX_TABLES, SCORE, Cell, Table, score_of

CAPTION = re.compile(r"^\s*(Table\s+(?:\d{1,3}|[IVX]{1,6}))\s*[:.]")
MAX_ROWS = 80
MAX_LINE = 300
GAP = 2
"""Lines without numbers that may stand between a caption and its rows, or between two rows."""
_LABEL_HEADERS = frozenset({"model", "models", "method", "methods", "system", "systems", "approach", "name"})
_MARKS = re.compile(r"[*†‡§^%]+$")
_DEVIATION = re.compile(r"(?:±|\+/-)\s*\d{0,4}\.?\d{1,4}")


@dataclass(frozen=True, slots=True)
class _Row:
    label: str
    scores: tuple[str, ...]
    line: str
    place: int


def tables_of(pages: Sequence[str]) -> tuple[Table, ...]:
    """The tables of a document's pages, in order; of a caption without rows beside it there is none."""
    found: list[Table] = []
    for number, page in enumerate(pages, start=1):
        lines = page.splitlines()
        used: set[int] = set()
        for place, line in enumerate(lines if len(found) < MAX_TABLES else ()):
            if len(found) == MAX_TABLES:
                break
            match = CAPTION.match(line[:MAX_LINE])
            if match is None:
                continue
            caption = _caption(lines, place)
            above, below = _block(lines, place, -1, used), _block(lines, place + caption.count("\n"), 1, used)
            rows = above if len(above) >= max(1, len(below)) else below
            if rows:
                used.update(row.place for row in rows)
                label = " ".join(match[1].split())
                found.append(Table(len(found), caption, _cells(rows, lines, used), number, label))
    return tuple(found)


def _caption(lines: Sequence[str], place: int) -> str:
    """The caption's lines, to the end of its sentence, at most six."""
    taken = [lines[place][:MAX_LINE]]
    for line in lines[place + 1 : place + 6]:
        if taken[-1].rstrip().endswith(".") or not line.strip() or _row(line, 0) is not None or CAPTION.match(line):
            break
        taken.append(line[:MAX_LINE])
    return "\n".join(taken)


def _block(lines: Sequence[str], start: int, step: int, used: set[int]) -> list[_Row]:
    """Rows that stand next to the caption, in the order of the page."""
    rows: list[_Row] = []
    missing, place = 0, start + step
    while 0 <= place < len(lines) and missing <= GAP and len(rows) < MAX_ROWS:
        line = lines[place]
        if place in used or CAPTION.match(line[:MAX_LINE]):
            break
        row = _row(line, place)
        if row is not None:
            rows.append(row)
            missing = 0
        elif len(line.split()) > 14:  # a sentence
            break
        else:
            missing += 1
        place += step
    return sorted(rows, key=lambda row: row.place)


def _row(line: str, place: int) -> _Row | None:
    """A line that begins with words and ends in numbers alone."""
    if len(line) > MAX_LINE:
        return None
    words = _DEVIATION.sub(" ", line).split()
    scores: list[str] = []
    while words:
        written = _MARKS.sub("", words[-1])
        if not written and scores:  # marks apart from their number
            words.pop()
            continue
        score = score_of(written) if SCORE.fullmatch(written) else ("-" if written in {"-", "–", "—"} else "")
        if not score:
            break
        scores.append(score)
        words.pop()
    label = " ".join(words)
    if not any(score != "-" for score in scores) or not re.search(r"[A-Za-z]", label) or len(words) > 14:
        return None
    if label.rstrip().endswith((",", " in", " of", " by", " to", "than", " from", " and", " the", "=", "(", "Table")):
        return None
    return _Row(label, tuple(reversed(scores)), line.strip(), place)


def _cells(rows: Sequence[_Row], lines: Sequence[str], used: set[int]) -> tuple[Cell, ...]:
    """The rows' numbers under their headers; rows of another length than most have no headers."""
    lengths = [len(row.scores) for row in rows]
    width = max(set(lengths), key=lengths.count)
    headers = _headers(lines, rows[0].place, width, used)
    return tuple(
        Cell(score, (row.label,), (header,) if header else (), line=row.line, order=place)
        for place, row in enumerate(rows)
        if len(row.scores) == width
        for score, header in zip(row.scores, headers, strict=True)
        if score != "-"
    )


def _headers(lines: Sequence[str], first: int, width: int, used: set[int]) -> list[str]:
    """One header for each number, where the line over the rows gives as many; else none that says anything.

    A table of several numbers without certain headers gets the header `?`, which names no metric and no dataset.
    """
    for place in range(first - 1, max(-1, first - 1 - GAP), -1):
        words = lines[place].split() if place not in used and not CAPTION.match(lines[place][:MAX_LINE]) else []
        if not words or len(words) > 4 * width + 3:
            continue
        if words[0].lower() in _LABEL_HEADERS:
            words = words[1:]
        if width and len(words) % width == 0 and words:
            each = len(words) // width
            return [" ".join(words[at : at + each]) for at in range(0, len(words), each)]
    return [""] * width if width == 1 else ["? unknown heading"] * width
