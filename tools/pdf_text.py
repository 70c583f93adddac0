"""Text of PDFs, page by page, bounded and mended: what the reading nodes and the quote check work from.

Called by `tools.papers`. Ligatures become letters, words broken at line ends are joined, characters that show
nothing are taken out and reported. Parsing happens in a process of its own with limits on memory and time
(`tools.pdf_extraction`), because papers come from strangers. Does not judge what the text says, does not read
scanned pages.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from registry.errors import BadInput, Problem

MAX_BYTES = 50 << 20
MAX_TITLE = 300
TAIL_BYTES = 4096
"""How far from the end the end-of-file mark of a whole PDF may stand."""

_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\u00a0": " "}
)
# Every repetition is bounded: the text is a stranger's, and an open one would take quadratic time on it.
_BROKEN_WORD = re.compile(r"(\w[\w-]{0,60})[-\u2010\u00ad][ \t]{0,8}\n[ \t]{0,8}(\w{1,60})")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")

Extent = Literal["full text", "abstract", "page"]
"""`page` is a web page's visible text."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What reading one PDF may take."""

    pages: int = 200
    chars: int = 4_000_000
    memory_bytes: int = 1 << 30
    cpu_s: int = 60
    wall_s: float = 90.0


@dataclass(frozen=True, slots=True)
class PdfText:
    """The text of one document. `pages[0]` is page 1; quotes name pages by that number."""

    sha256: str
    title: str
    """From the document's own metadata; empty where it has none."""
    pages: tuple[str, ...]
    hidden: tuple[str, ...] = ()
    """What was found and taken out because a reader would not see it, one line a finding."""
    extent: Extent = "full text"
    """How much of the document this is."""


def plain(text: str, limit: int | None = None) -> str:
    """`text` without control, zero-width and direction characters, cut to `limit`; tabs and line ends stay."""
    kept = "".join(ch for ch in text if ch in "\n\t" or unicodedata.category(ch) not in {"Cc", "Cf", "Cs", "Co", "Cn"})
    return kept if limit is None or len(kept) <= limit else kept[: limit - 1] + "…"


def pages(source: Path | bytes, name: str = "", bounds: Bounds = Bounds()) -> PdfText:
    """The text of a PDF file or of its bytes; `BadInput` says what was found where there is no such text."""
    where = name or (str(source) if isinstance(source, Path) else "PDF")
    data = _bytes(source, where)
    title, raw = _extract(data, where, bounds)
    if not any(page.strip() for page in raw):
        raise _bad(
            where, f"{len(raw)} page(s) without any text", "a PDF with a text layer", "scanned pages need OCR first"
        )
    return PdfText(
        sha256=hashlib.sha256(data).hexdigest(),
        title=" ".join(plain(title, MAX_TITLE).split()),
        pages=mend(raw),
        hidden=_hidden(raw),
    )


def mend(raw: Sequence[str]) -> tuple[str, ...]:
    """Pages with ligatures spelled out, broken words joined and unseen characters removed.

    A hyphen at a line's end is kept where the document elsewhere writes the word with a hyphen and never without.
    """
    spelled = [page.replace("\r\n", "\n").replace("\r", "\n").translate(_LIGATURES) for page in raw]
    known = Counter(word.lower() for page in spelled for word in _WORD.findall(page))

    def join(match: re.Match[str]) -> str:
        left, right = match[1], match[2]
        if not (left[-1].isalpha() and right[0].islower()):
            return f"{left}-{right}"
        joined, hyphened = (left + right).lower(), f"{left}-{right}".lower()
        return f"{left}-{right}" if known[hyphened] and not known[joined] else left + right

    return tuple(plain(_BROKEN_WORD.sub(join, page)) for page in spelled)


def _bytes(source: Path | bytes, where: str) -> bytes:
    if isinstance(source, bytes):
        data = source[: MAX_BYTES + 1]
    else:
        try:
            with source.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise _bad(where, error.strerror or type(error).__name__, "a readable PDF file") from None
    if not data:
        raise _bad(where, "an empty file", "a PDF")
    if len(data) > MAX_BYTES:
        raise _bad(where, f"more than {MAX_BYTES >> 20} MiB", f"a PDF of at most {MAX_BYTES >> 20} MiB")
    if b"%PDF-" not in data[:1024]:
        start = plain(data[:24].decode("latin-1")).strip()
        raise _bad(where, f"a file that starts with {start!r}", "a PDF")
    if b"%%EOF" not in data[-TAIL_BYTES:]:
        raise _bad(where, "a truncated PDF (its end-of-file mark is missing)", "a whole PDF", "fetch it again")
    return data


def _extract(data: bytes, where: str, bounds: Bounds) -> tuple[str, list[str]]:
    program = Path(__file__).with_name("pdf_extraction.py")
    limits = [str(number) for number in (bounds.pages, bounds.chars, bounds.memory_bytes, bounds.cpu_s)]
    expected = f"a PDF of at most {bounds.pages} pages that can be read"
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(program), *limits],
            input=data,
            capture_output=True,
            check=False,
            timeout=bounds.wall_s,
            start_new_session=True,  # Ctrl-C is for the night: a reader that it ends would look like a bad PDF
        )
    except subprocess.TimeoutExpired:
        raise _bad(where, f"a PDF that is not read within {bounds.wall_s:g} s", expected) from None
    if done.returncode < 0:
        raise _bad(where, f"a PDF that ended its reader (signal {-done.returncode})", expected)
    if done.returncode > 0:
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"])[-1]
        raise _bad(where, f"a malformed PDF ({plain(last, 200)})", expected)
    answer: dict[str, Any] = json.loads(done.stdout)
    if "problem" in answer:
        raise _bad(where, plain(str(answer["problem"]), 200), expected)
    return str(answer["title"]), [str(page) for page in answer["pages"]]


def _hidden(raw: Sequence[str]) -> tuple[str, ...]:
    """Characters that show nothing but carry meaning for a program: zero-width and direction characters."""
    found = []
    for number, page in enumerate(raw, start=1):
        count = sum(unicodedata.category(ch) == "Cf" and ch != "\u00ad" for ch in page)
        if count:
            found.append(f"page {number}: {count} zero-width or direction character(s) removed")
    return tuple(found)


def _bad(where: str, found: str, expected: str, fix: str = "") -> BadInput:
    return BadInput(Problem(where=where, found=found, expected=expected, fix=fix))
