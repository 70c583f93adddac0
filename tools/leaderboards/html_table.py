"""Boards shown as HTML tables: `scrape_method: html_table`.

Reads every table of the page into plain rows (spans unfolded, badges and hidden sort keys removed) with the names it
may be chosen by. Which table and which columns are meant is `tools.leaderboards.mapping`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree, html

from registry.errors import BadInput
from tools.leaderboards import page_damage
from tools.leaderboards.cells import Cell
from tools.leaderboards.names import printable
from tools.leaderboards.sources import (
    MOST_CELLS,
    MOST_COLUMNS,
    MOST_ROWS,
    BoardSpec,
    Document,
    Findings,
    Table,
    charset,
)

MOST_TABLES = 200
LONGEST_TEXT = 2_000
CUT_EXPECTED = "a page that was not cut short"
LONGEST_FOOTNOTE = 40
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_INVISIBLE = ("script", "style", "template", "noscript", "svg", "button", "select")
_BADGES = ("span", "sup", "small", "b", "em", "i", "label", "mark", "strong", "div")
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that lxml reads from a page and refuses to move within it."""
_FOOTNOTE = re.compile(r"^[\s\[(]*(?:\d{1,2}|[a-z*†‡§¶])(?:\s*,\s*(?:\d{1,2}|[a-z*†‡§¶]))*[\s\])]*$")


def looks_like_markup(body: bytes) -> bool:
    """Whether bytes begin as a page does (and neither JSON nor separated values do)."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def parse_page(document: Document) -> html.HtmlElement | None:
    """The page's root element, None where there is nothing that could be one.

    A page that the parser gives up on (too deep, too long a text) is refused: what it had read so far would look like
    a board that the rest has left.
    """
    declared = charset(document.content_type) or ("utf-8" if _is_utf8(document.body) else "")
    try:
        parser = html.HTMLParser(encoding=declared or None, no_network=True, huge_tree=True)
    except LookupError:
        parser = html.HTMLParser(no_network=True, huge_tree=True)
    try:
        root = html.document_fromstring(document.body, parser=parser)
    except (etree.LxmlError, ValueError):
        return None
    for error in parser.error_log:
        if error.level == etree.ErrorLevels.FATAL:
            raise document.unreadable(f"a page that cannot be read to its end ({error.message})", "a page of tables")
    return root


def _is_utf8(body: bytes) -> bool:
    """Whether the bytes are UTF-8, which lxml would not guess for a page that does not say."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def described_page(document: Document) -> str:
    """A page in words: its title, its tables, the JSON it carries and whether it asks for a password."""
    root = parse_page(document)
    if root is None:
        return "a page that cannot be parsed"
    title = printable(root.findtext(".//title") or "")[:120]
    parts = [f"a page titled “{title}”" if title else "a page without a title"]
    parts.append(f"{sum(1 for _ in root.iter('table'))} tables")
    if scripts := sum(1 for script in root.iter("script") if "json" in (script.get("type") or "")):
        parts.append(f"{scripts} scripts of embedded JSON")
    if any((field.get("type") or "").lower() == "password" for field in root.iter("input")):
        parts.append("a password field")
    return " with ".join((parts[0], ", ".join(parts[1:])))


def tables(document: Document, spec: BoardSpec) -> Findings:
    """Every table of the page that is whole."""
    saw = described_page(document)
    hint = ""
    if "embedded JSON" in saw:
        hint = "the page may carry its table as JSON now: try scrape_method embedded_json"
    elif "password" in saw:
        hint = "the page asks for a login: use scrape_method manual with an exported file"
    root = parse_page(document)
    if root is None:
        return Findings((), saw, hint)
    cut = _cut_tables(root, document, spec)
    _tidy(root)
    broken = page_damage.broken_tables(root, MOST_TABLES)
    found: list[Table] = []
    refused: list[BadInput] = []
    heading = ""
    for element in root.iter():
        if element.tag in _HEADINGS:
            heading = _text(element)
        elif element.tag == "table" and len(found) < MOST_TABLES:
            try:
                if element in cut:
                    raise document.unreadable(f"a table under “{heading}” without its end tag", CUT_EXPECTED)
                if element in broken:
                    raise document.unreadable(f"broken markup in a table under “{heading}”", "rows inside tables")
                found.extend(_read_table(element, heading, document))
            except BadInput as refusal:  # of a table that may not be the one meant
                refused.append(refusal)
    if refused and not found:
        raise refused[0]
    if refused:
        saw += f", {len(refused)} of which cannot be read ({refused[0].problems[0].found})"
    return Findings(tuple(found), saw, hint)


def _cut_tables(root: html.HtmlElement, document: Document, spec: BoardSpec) -> list[html.HtmlElement]:
    """Tables without an end tag. Where none is asked for by name, one of them makes the page no base for a choice."""
    cuts = page_damage.find_cuts(document.body)
    if not cuts.open_tables:
        return []
    if not spec.table:
        raise document.unreadable(
            f"{len(cuts.open_tables)} of {cuts.tables} tables without an end tag (</table>)",
            CUT_EXPECTED,
            place=spec.name,
            fix="the page was cut short; if it always looks like this, name the table that is meant: table",
        )
    elements = list(root.iter("table"))
    return [one for number, one in enumerate(elements) if number in cuts.open_tables or len(elements) != cuts.tables]


def _tidy(root: html.HtmlElement) -> None:
    """Drops what a reader of the page does not see or must not read as part of a value."""
    doomed = []
    for element in root.iter():
        if element.tail and _NOT_XML.search(element.tail):
            element.tail = _NOT_XML.sub("", element.tail)
        if isinstance(element.tag, str) and element.text and _NOT_XML.search(element.text):
            element.text = _NOT_XML.sub("", element.text)
        if not isinstance(element.tag, str) or _unread(element):
            doomed.append(element)
        elif element.tag in ("br", "div", "p", "li", "sup", "sub", "small"):
            element.tail = " " + (element.tail or "")
            if element.tag != "br":
                element.text = " " + (element.text or "")
    for element in doomed:
        if element.getparent() is not None:
            element.drop_tree()


def _unread(element: html.HtmlElement) -> bool:
    """Whether an element is hidden, a "new" badge or the mark of a footnote."""
    if element.tag in _INVISIBLE or element.get("hidden") is not None:
        return True
    if element.tag in _BADGES and len(element) == 0 and (element.text or "").strip(" !\n\t").lower() == "new":
        return True
    if element.tag == "sup" and _inside_data_cell(element):
        return _FOOTNOTE.match(str(element.text_content())[:LONGEST_FOOTNOTE]) is not None
    return _HIDDEN_STYLE.search(element.get("style") or "") is not None


def _inside_data_cell(element: html.HtmlElement) -> bool:
    return any(cell.tag == "td" for cell in element.iterancestors("td", "th"))


def _text(element: html.HtmlElement) -> str:
    return printable(str(element.text_content())[:LONGEST_TEXT])


def _read_table(element: html.HtmlElement, heading: str, document: Document) -> list[Table]:
    """One table, or none where it has no cell of its own."""
    caption = element.find("caption")
    labels = (_text(caption) if caption is not None else "", element.get("id") or "", heading)
    header, body = _split_header(element)
    columns = _joined_headers(_grid(header, document))
    if not columns:
        return []
    rows: list[tuple[Cell, ...]] = []
    for row in _grid(body, document):
        cells = row + [""] * (len(columns) - len(row))
        if len({id(cell) for cell in cells}) == 1 and len(columns) > 1:
            continue  # one cell across all columns is a heading between rows, not an entry
        texts = tuple(str(cell) for cell in cells)
        if not any(texts) or texts[: len(columns)] == columns:
            continue
        if any(texts[len(columns) :]):
            raise document.unreadable(
                f"{len(texts)} cells in a row of “{next(filter(None, labels), 'a table')}”", f"{len(columns)} cells"
            )
        rows.append(texts[: len(columns)])
    return [Table(tuple(label for label in labels if label), columns, tuple(rows))]


def _own_rows(element: html.HtmlElement) -> Iterator[html.HtmlElement]:
    """Rows of this table and not of one nested in it; the footer's averages are no entries."""
    for child in element:
        if child.tag == "tr":
            yield child
        elif child.tag in ("thead", "tbody"):
            yield from child.iterchildren("tr")


def _split_header(element: html.HtmlElement) -> tuple[list[html.HtmlElement], list[html.HtmlElement]]:
    rows = [row for row in _own_rows(element) if len(row)]
    heads = [row for row in rows if (parent := row.getparent()) is not None and parent.tag == "thead"]
    if not heads:
        leading = 0
        while leading < len(rows) and all(cell.tag == "th" for cell in rows[leading].iterchildren("td", "th")):
            leading += 1
        heads = rows[: max(leading, 1)]
    chosen = {id(row) for row in heads}
    return heads, [row for row in rows if id(row) not in chosen]


def _grid(rows: list[html.HtmlElement], document: Document) -> list[list[str]]:
    """Rows with spans unfolded: a cell over several rows or columns stands in each (as the same object)."""
    grid: list[list[str]] = []
    hanging: dict[int, tuple[int, str]] = {}
    cells = 0
    for row in rows:
        line: list[str] = []
        pending = iter(list(row.iterchildren("td", "th")))
        while True:
            if len(line) in hanging:
                left, text = hanging.pop(len(line))
                if left > 1:
                    hanging[len(line)] = (left - 1, text)
                line.append(text)
                continue
            cell = next(pending, None)
            if cell is None:
                break
            text = _fresh(_text(cell))
            for _ in range(_span(cell, "colspan")):
                if (rowspan := _span(cell, "rowspan")) > 1:
                    hanging[len(line)] = (rowspan - 1, text)
                line.append(text)
        cells += len(line)
        if len(grid) >= MOST_ROWS or cells > MOST_CELLS or len(line) > MOST_COLUMNS:
            raise document.unreadable(
                f"a table of more than {len(grid)} rows or {len(line)} columns", "a smaller table"
            )
        grid.append(line)
    return grid


class _Spanned(str):
    """Text of one cell, so that the same cell in several places can be told from equal texts."""

    __slots__ = ()


def _fresh(text: str) -> str:
    return _Spanned(text)


def _span(cell: html.HtmlElement, kind: str) -> int:
    text = (cell.get(kind) or "1").strip()
    if not (text.isascii() and text.isdigit()):
        return 1
    return max(1, min(int(text[:9]), MOST_COLUMNS))


def _joined_headers(grid: list[list[str]]) -> tuple[str, ...]:
    """One header a column; groups above become `Group / member`."""
    width = max((len(row) for row in grid), default=0)
    joined = []
    for index in range(width):
        texts = dict.fromkeys(str(row[index]) for row in grid if index < len(row) and row[index])
        joined.append(" / ".join(texts))
    return tuple(joined)
