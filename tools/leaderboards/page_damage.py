"""Whether the tables of a page are whole: closed where the page ends, with rows and cells where a table has them.

Called by the readers of pages. A parser closes what a cut page left open, and what it then shows looks like a board
that the rest has left, or like a score of which only the first digits came. The end tags of tables and scripts are
among those that HTML lets nobody omit, so their absence tells a cut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lxml import html

_PLACES = {
    "td": ("tr",),
    "th": ("tr",),
    "tr": ("table", "thead", "tbody", "tfoot"),
    "thead": ("table",),
    "tbody": ("table",),
    "tfoot": ("table",),
}
_RAW = ("script", "style", "textarea", "title")
"""Elements whose text is no markup: what looks like a tag in them is none."""
_TOKEN = re.compile(rf"<!--|<(?:table|{'|'.join(_RAW)})(?=[\s/>])|</table\s{{0,50}}>", re.IGNORECASE)

_ENDS = {"comment": re.compile("-->")} | {name: re.compile(f"</{name}", re.IGNORECASE) for name in _RAW}


@dataclass(frozen=True, slots=True)
class Cuts:
    """What a page opens and does not close."""

    tables: int
    """Start tags of tables in the whole page."""
    open_tables: frozenset[int]
    """0-based numbers of the tables that have no end tag."""
    inside: str = ""
    """The element that the page ends within: `script`, …; empty where it ends within none of those."""


def find_cuts(body: bytes) -> Cuts:
    """One pass over the page; time grows with its length."""
    wide = body.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = body.decode("utf-16", errors="replace") if wide else body.decode("latin-1")
    count, position, inside = 0, 0, ""
    stack: list[int] = []
    while (match := _TOKEN.search(text, position)) is not None:
        piece, position = match[0].lower(), match.end()
        if piece == "<table":
            stack.append(count)
            count += 1
        elif piece.startswith("</"):
            if stack:
                stack.pop()
        else:
            name = "comment" if piece == "<!--" else piece[1:]
            end = _ENDS[name].search(text, position)
            if end is None:
                inside = name
                break
            position = end.end()
    return Cuts(count, frozenset(stack), inside)


def broken_tables(root: html.HtmlElement, most: int) -> list[html.HtmlElement]:
    """Tables with rows or cells in places where a table has none, as unclosed tags leave them.

    The parser does not mend those as a browser does, and reading what is in place would lose the entries that are not.
    """
    broken: list[html.HtmlElement] = []
    misplaced = 0
    for element in root.iter(*_PLACES):
        parent = element.getparent()
        if parent is None or parent.tag in _PLACES[str(element.tag)]:
            continue
        table = next(element.iterancestors("table"), None)
        misplaced += 1
        if table is not None and table not in broken:
            broken.append(table)
        if misplaced > most:
            break
    return broken
