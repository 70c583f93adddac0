"""Reads one web page or feed from standard input and writes what it says as JSON: a program of its own.

Started by `tools.pages.text` under `python -I`, because what strangers publish can make a parser loop or fill the
memory: here it can only use up this process. Nothing is fetched here, whatever a page or feed names. Bounding and
judging the answer is the parent's work.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import sys
from collections import Counter
from pathlib import Path
from typing import Any

MAX_ENTRIES = 200
MAX_FIELD = 20_000


def _limit(kind: int, soft: int) -> None:
    hard = resource.getrlimit(kind)[1]
    bound = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (bound, bound))


def _feed(data: bytes, url: str, content_type: str) -> dict[str, Any]:
    import feedparser

    if b"<!ENTITY" in data[:65536].upper():
        return {"problem": "a feed that declares entities"}
    headers = {"content-location": url, **({"content-type": content_type} if content_type else {})}
    # Bytes in a stream: a string would be taken for an address or a file's name. The markup of entries stays as it is
    # written: feedparser's own cleaning takes the attributes and style sheets that hide words and leaves the words.
    parsed = feedparser.parse(io.BytesIO(data), response_headers=headers, sanitize_html=False)
    if not parsed.get("version") and not parsed.entries:
        return {"problem": "no RSS or Atom feed"}
    broken = parsed.get("bozo_exception") if parsed.get("bozo") else None
    damage = type(broken).__name__ if broken is not None else ""
    if damage in {"CharacterEncodingOverride", "NonXMLContentType"}:
        damage = ""  # how it was labelled, not how it was written
    hidden: Counter[str] = Counter()
    return {
        "title": _words(str(parsed.feed.get("title", "")), hidden),
        "damage": f"{damage}: {broken}"[:300] if damage else "",
        "left_out": max(0, len(parsed.entries) - MAX_ENTRIES),
        "entries": [_entry(entry, hidden) for entry in parsed.entries[:MAX_ENTRIES]],
        "hidden": hidden,
    }


def _entry(entry: Any, hidden: Counter[str]) -> dict[str, Any]:
    bodies = [str(part.get("value", "")) for part in entry.get("content", [])] + [str(entry.get("summary", ""))]
    date = entry.get("published_parsed") or entry.get("updated_parsed")
    return {
        "title": _words(str(entry.get("title", "")), hidden),
        "link": _field(entry.get("link")),
        "summary": _words(max(bodies, key=len), hidden),
        "authors": [_field(author.get("name")) for author in entry.get("authors", [])[:100] if author.get("name")],
        "published": f"{date[0]:04d}-{date[1]:02d}-{date[2]:02d}" if date else "",
    }


def _field(value: Any) -> str:
    return str(value or "")[:MAX_FIELD]


def _read_page(data: bytes, url: str, content_type: str) -> dict[str, Any]:
    from tools.pages.visible_text import read_page

    return read_page(data, url, content_type)


def _words(markup: str, hidden: Counter[str]) -> str:
    """The visible words of a piece of HTML; what else it holds is counted in `hidden`, by kind."""
    markup = markup[: 4 * MAX_FIELD]
    if "<" not in markup and "&" not in markup:
        return markup[:MAX_FIELD]
    page = _read_page(f"<body>{markup}</body>".encode(), "", "text/html; charset=utf-8")
    hidden.update(page.get("hidden", {}))
    return str(page.get("text", ""))[:MAX_FIELD]


def main(arguments: list[str]) -> int:
    kind, url, content_type, memory_bytes, cpu_s = arguments
    _limit(resource.RLIMIT_AS, int(memory_bytes))
    _limit(resource.RLIMIT_CPU, int(cpu_s))
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    data = sys.stdin.buffer.read()
    try:
        answer = _feed(data, url, content_type) if kind == "feed" else _read_page(data, url, content_type)
    except (RecursionError, MemoryError) as error:
        answer = {"problem": f"more than can be read here ({type(error).__name__})"}
    sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    # An isolated interpreter knows no folder of ours but the one that this file is in.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    raise SystemExit(main(sys.argv[1:]))
