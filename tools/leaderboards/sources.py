"""What a caller says about a board, and what a source hands on: the records between the parts of this package.

`BoardSpec` is made by the caller from the competitive registry. Each source module (`html_table`, `embedded_json`,
`api`, `delimited`, `feed`, `by_hand`) implements `Reader`; `tools.leaderboards.reading` picks one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from registry.errors import BadInput, Problem
from tools.leaderboards.cells import Cell
from tools.leaderboards.names import printable

ScrapeMethod = Literal["html_table", "embedded_json", "api", "csv", "rss", "git_file", "manual"]

MOST_ROWS = 20_000
MOST_CELLS = 2_000_000
MOST_COLUMNS = 1_000


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column holds what, by header; JSON boards name nested values by dotted path."""

    name: str | None = None
    """None: the unnamed first column, a JSON object's keys, or a usual header such as `Model`."""
    score: str | None = None
    """None: the column called like the primary metric."""
    qualifier: str | None = None
    """Date or folder that tells entries of one name apart."""
    metrics: Mapping[str, str] = field(default_factory=dict)
    """Further metrics to keep: metric → column."""


@dataclass(frozen=True, slots=True)
class Exclude:
    """Entries that are listed but never set the gap."""

    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Column → values that mark an entry as not counting, such as `mode: [community]`."""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Victory:
    """What winning this board means."""

    rank: int = 1
    margin: float = 0.0
    """Lead over the next entry, in the metric's own unit."""
    sustained_cycles: int = 1


@dataclass(frozen=True, slots=True)
class BoardSpec:
    """One leaderboard as the registry describes it."""

    name: str
    url: str
    scrape_method: ScrapeMethod
    primary_metric: str
    higher_is_better: bool = True
    columns: Columns = field(default_factory=Columns)
    table: str = ""
    """Caption, id, heading or 1-based index of an HTML table; path into JSON such as `results.rows`."""
    track: str = ""
    """Release of the benchmark. Another release is another track."""
    exclude: Exclude = field(default_factory=Exclude)
    our_entry: str = ""
    victory: Victory = field(default_factory=Victory)
    widen_threshold: float | None = None
    scale: float = 1.0
    """What the board's numbers for the primary metric are multiplied by to be in our metric's unit."""
    values: Mapping[str, float] = field(default_factory=dict)
    """For `manual`: name → score typed into the registry instead of a file."""


@dataclass(frozen=True, slots=True)
class Document:
    """The raw answer a board is read from."""

    where: str
    """Address as it may be shown: without credentials."""
    body: bytes
    content_type: str = ""

    def unreadable(
        self, found: str, expected: str, *, place: str = "", line: int | None = None, fix: str = ""
    ) -> BadInput:
        return BadInput(Problem(self.where, printable(found)[:1500], expected, place=place, line=line, fix=fix))


@dataclass(frozen=True, slots=True)
class Table:
    """Rows found in a document, before anyone knows which column is the score."""

    labels: tuple[str, ...]
    """What it may be called by: caption, id and heading, or the path inside a JSON document."""
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def described(self) -> str:
        title = self.labels[0] if self.labels else "untitled"
        shown = ", ".join(column or "(unnamed)" for column in self.columns[:12])
        more = f", … {len(self.columns) - 12} more" if len(self.columns) > 12 else ""
        return f"“{printable(title)[:80]}” with {len(self.rows)} rows and columns {printable(shown)[:400]}{more}"


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything a reader could make of a document."""

    tables: tuple[Table, ...]
    saw: str
    """The document in words, for the complaint when no table will do."""
    hint: str = ""


class Reader(Protocol):
    """One source module."""

    def tables(self, document: Document, spec: BoardSpec, /) -> Findings: ...


_CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9_.:-]+)", re.IGNORECASE)


def charset(content_type: str) -> str:
    """The character set a content type declares, empty where it declares none."""
    match = _CHARSET.search(content_type)
    return match[1] if match else ""


def text_of(document: Document) -> str:
    """The body as text: byte order mark, then the declared character set, then UTF-8."""
    declared = charset(document.content_type)
    if document.body.startswith((b"\xff\xfe", b"\xfe\xff")):
        declared = "utf-16"
    elif document.body.startswith(b"\xef\xbb\xbf") or not declared:
        declared = "utf-8-sig"
    try:
        return document.body.decode(declared)
    except LookupError:
        raise document.unreadable(f"the character set {declared}", "a known character set, best UTF-8") from None
    except UnicodeError as error:
        raise document.unreadable(f"bytes that are not {declared} ({error})", "text in UTF-8") from None
