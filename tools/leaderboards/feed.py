"""Boards announced by RSS or Atom: `scrape_method: rss`.

One item is one entry: its elements (`title`, `pubDate`, …) are the columns, and so is every `name: number` pair that
its title or description states, such as `accuracy: 0.861`.
"""

from __future__ import annotations

import re

from lxml import etree

from tools.leaderboards.cells import Cell
from tools.leaderboards.names import printable
from tools.leaderboards.sources import MOST_ROWS, BoardSpec, Document, Findings, Table

LONGEST_TEXT = 20_000

_PAIR = re.compile(r"(?<![\w.])([A-Za-z][\w@+.\- ]{0,40}?)\s{0,3}[:=]\s{0,3}([+-]?\d[\d.,]{0,20}%?)")
_TAGS = re.compile(r"<[^>]{0,500}>")
_TEXTS = ("title", "description", "summary", "content", "encoded")


def tables(document: Document, spec: BoardSpec) -> Findings:
    """The feed's items as one table."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(document.body, parser)
    except (etree.LxmlError, ValueError) as error:
        raise document.unreadable(str(error), "an RSS or Atom feed", place=spec.name) from None
    items = [element for element in root.iter() if _local(element) in ("item", "entry")]
    if len(items) > MOST_ROWS:
        raise document.unreadable(f"{len(items)} items", f"at most {MOST_ROWS}", place=spec.name)
    saw = f"a feed whose root is {printable(str(root.tag))[:60]} with {len(items)} items"
    if not items:
        return Findings((), saw)
    rows = [_row(item) for item in items]
    columns = dict.fromkeys(column for row in rows for column in row)
    ordered = {"title": None, **columns}
    names = tuple("name" if column == "title" else column for column in ordered)
    table = Table(("feed", "title"), names, tuple(tuple(row.get(column) for column in ordered) for row in rows))
    return Findings((table,), saw)


def _local(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]  # a comment's tag is a function, whose text is no name we look for


def _row(item: etree._Element) -> dict[str, Cell]:
    row: dict[str, Cell] = {}
    for child in item:
        if name := _local(child):
            row.setdefault(name, printable("".join(str(text) for text in child.itertext())[:LONGEST_TEXT]))
    for source in _TEXTS:
        text = row.get(source)
        if isinstance(text, str):
            for match in _PAIR.finditer(_TAGS.sub(" ", text)):
                row.setdefault(match[1].strip(), match[2])
    return row
