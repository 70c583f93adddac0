"""Web pages and feeds as records: read in a process of its own with limits, bounded and stripped here.

Called by `tools.feeds`. What a page hides from its reader is cut out and told (`PdfText.hidden`), as with PDFs; a
page's text is a document of one page, so that a quote from it is checked like any other.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.errors import BadInput, Problem
from tools.clean_environment import clean_environment
from tools.pdf.text import PdfText, plain

MAX_BYTES = 10 << 20
MEMORY_BYTES = 1 << 30
CPU_S = 30
WALL_S = 45.0
_LINE = 300
_ADDRESS = 2000


@dataclass(frozen=True, slots=True)
class Link:
    """An address that a page or feed names, with the words it stands under."""

    url: str
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a feed."""

    title: str
    link: str
    summary: str
    authors: tuple[str, ...]
    published: str
    """ISO date, empty where unknown."""


@dataclass(frozen=True, slots=True)
class Feed:
    """An RSS or Atom feed."""

    title: str
    entries: tuple[Entry, ...]
    damage: str
    """What is wrong with it as XML; empty where nothing is."""
    left_out: int
    hidden: tuple[str, ...] = ()
    """What its entries hide from their reader and was cut out, one line a kind."""


@dataclass(frozen=True, slots=True)
class Page:
    """A web page as its reader sees it."""

    text: PdfText
    feeds: tuple[str, ...]
    links: tuple[Link, ...]


def looks_like_a_feed(body: bytes, content_type: str) -> bool:
    """Whether bytes are worth reading as RSS or Atom: by their first elements, whatever they are labelled."""
    start = body[:4000].lower()
    if any(mark in start for mark in (b"<rss", b"<feed", b"<rdf:rdf")):
        return True
    return "xml" in content_type.lower() and "html" not in content_type.lower() and b"<html" not in start


def read_feed(body: bytes, url: str, content_type: str = "") -> Feed:
    """The entries of a feed. Raises BadInput where it is none that can be read."""
    answer = _extract("feed", body, url, content_type, "an RSS or Atom feed")
    entries = tuple(
        Entry(
            title=_line(entry["title"]),
            link=str(entry["link"]),
            summary=plain(str(entry["summary"]).strip()),
            authors=tuple(_line(name) for name in entry["authors"]),
            published=str(entry["published"]),
        )
        for entry in answer["entries"]
        if len(str(entry["link"])) <= _ADDRESS
    )
    hidden = tuple(f"{count} word(s) hidden by {kind} removed" for kind, count in sorted(answer["hidden"].items()))
    return Feed(_line(answer["title"]), entries, plain(str(answer["damage"]), _LINE), int(answer["left_out"]), hidden)


def read_page(body: bytes, url: str, content_type: str = "") -> Page:
    """What a reader sees of a page. Raises BadInput where it cannot be read; its text may be empty."""
    answer = _extract("page", body, url, content_type, "a web page")
    raw = str(answer["text"])
    seen = plain(raw)
    hidden = [f"page 1: {count} word(s) hidden by {kind} removed" for kind, count in sorted(answer["hidden"].items())]
    if len(seen) < len(raw):
        hidden.append(f"page 1: {len(raw) - len(seen)} zero-width, direction or control character(s) removed")
    text = PdfText(
        sha256=hashlib.sha256(body).hexdigest(),
        title=_line(answer["title"]),
        pages=(seen,),
        hidden=tuple(hidden),
        extent="page",
    )
    links = tuple(Link(str(one["link"]), _line(one["text"])) for one in answer["links"] if len(one["link"]) <= _ADDRESS)
    return Page(text, tuple(str(one) for one in answer["feeds"]), links)


def _line(text: object) -> str:
    return plain(" ".join(str(text).split()), _LINE)


def _extract(kind: str, body: bytes, url: str, content_type: str, expected: str) -> dict[str, Any]:
    where = plain(url, _LINE)
    if not body.strip():
        raise BadInput(Problem(where, "an empty answer", expected))
    if len(body) > MAX_BYTES:
        raise BadInput(Problem(where, f"more than {MAX_BYTES >> 20} MiB", expected))
    program = Path(__file__).with_name("extraction.py")
    # Text that came from outside and goes into an argument: no NUL, no other control characters.
    words = [kind, plain(url, _ADDRESS), plain(content_type, 200), str(MEMORY_BYTES), str(CPU_S)]
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(program), *words],
            input=body,
            capture_output=True,
            check=False,
            timeout=WALL_S,
            env=clean_environment(),
            start_new_session=True,  # Ctrl-C is for the night
        )
    except subprocess.TimeoutExpired:
        raise BadInput(Problem(where, f"something that is not read within {WALL_S:g} s", expected)) from None
    if done.returncode != 0:
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"])[-1]
        found = f"something that ended its reader ({plain(last, 200)}, status {done.returncode})"
        raise BadInput(Problem(where, found, expected))
    answer: dict[str, Any] = json.loads(done.stdout)
    if "problem" in answer:
        raise BadInput(Problem(where, plain(str(answer["problem"]), _LINE), expected))
    return answer
