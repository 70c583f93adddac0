"""Reads one PDF from standard input and writes its raw text as JSON: a program of its own.

Started by `tools.pdf.text` under `python -I`, because a hostile PDF can make a parser loop for ever or fill the
memory: here it can only use up this process. Whatever goes wrong ends as `{"problem": ...}` or as a dead process;
mending and checking the text is the parent's work.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import resource
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tools.pdf.layers import Layers
    from tools.pdf.shapes import Box
    from tools.pdf.visibility import Watcher

MAX_TITLE = 2000
MAX_SAMPLE = 200
_FAR = 1e9
MAX_SAMPLED = 40
"""Findings of hidden text that are shown with their beginning; each takes reading the page once more."""


def _limit(kind: int, soft: int) -> None:
    hard = resource.getrlimit(kind)[1]
    bound = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
    # Some systems (macOS) refuse RLIMIT_AS; the parent's clock still ends the process there.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (bound, bound))


def _read(data: bytes, max_pages: int, max_chars: int) -> dict[str, Any]:
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, PyPdfError

    from tools.pdf.layers import Layers

    try:
        reader = PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            return {"problem": "an encrypted PDF"}
        count = len(reader.pages)
        if count > max_pages:
            return {"problem": f"{count} pages"}
        title = reader.metadata.title if reader.metadata else None
        texts: list[str] = []
        hidden: list[dict[str, Any]] = []
        layers = Layers(reader.root_object)
        room = max_chars
        for number, page in enumerate(reader.pages, start=1):
            text, found = _visible(page, layers, samples=len(hidden) < MAX_SAMPLED)
            room -= len(text)
            if room < 0:
                return {"problem": f"more than {max_chars} characters of text"}
            texts.append(text)
            hidden += [{"page": number, **one} for one in found]
    except DependencyError:
        return {"problem": "an encrypted PDF"}
    except PyPdfError as error:
        return {"problem": f"a malformed PDF ({type(error).__name__}: {error})"}
    except RecursionError:
        return {"problem": "a malformed PDF (endless nesting)"}
    except MemoryError:
        return {"problem": "a PDF that unpacks to more than the memory allowed"}
    return {"title": title[:MAX_TITLE] if isinstance(title, str) else "", "pages": texts, "hidden": hidden}


def _visible(page: Any, layers: Layers, *, samples: bool) -> tuple[str, list[dict[str, Any]]]:
    """The text of a page that a reader sees, and what else it holds: kind, number of characters, the beginning."""

    from tools.pdf.visibility import Watcher

    def extracted(covered: frozenset[int], wanted: str | None = None) -> tuple[str, Watcher]:
        watcher = Watcher(box, unit, page.get("/Resources"), layers, covered, wanted)
        text = page.extract_text(visitor_operand_before=watcher.before, visitor_operand_after=watcher.after)
        return text, watcher

    box, unit = _sheet(page)
    text, watcher = extracted(frozenset())
    if covered := watcher.covered():
        text, watcher = extracted(covered)
    found = []
    for kind, strings in watcher.found.items():
        hidden = "".join(extracted(covered, kind)[0].split("\n")).strip() if samples else ""
        if hidden or not samples:
            found.append({"kind": kind, "strings": strings, "characters": len(hidden), "sample": hidden[:MAX_SAMPLE]})
    return text, found


def _sheet(page: Any) -> tuple[Box, float]:
    """What of the plane is the page, all of it where that is not said, and the points of one unit."""
    from tools.pdf.shapes import Box

    unit = page.get("/UserUnit", 1)
    scale = float(unit) if isinstance(unit, (int, float)) and unit > 0 else 1.0
    if page.get("/MediaBox") is None:
        return Box(-_FAR, -_FAR, _FAR, _FAR), scale
    sides = [sorted((float(box[i]), float(box[i + 2]))) for box in (page.mediabox, page.cropbox) for i in (0, 1)]
    left, bottom = max(sides[0][0], sides[2][0]), max(sides[1][0], sides[3][0])
    right, top = min(sides[0][1], sides[2][1]), min(sides[1][1], sides[3][1])
    return Box(left, bottom, right, top), scale


def main(arguments: list[str]) -> int:
    max_pages, max_chars, memory_bytes, cpu_s = (int(word) for word in arguments)
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_CPU, cpu_s)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    # The parser warns once for each fault it meets; a file made of faults would flood the parent.
    logging.disable(logging.CRITICAL)
    answer = _read(sys.stdin.buffer.read(), max_pages, max_chars)
    # ASCII escapes carry even lone surrogates, which some fonts' tables produce.
    sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
