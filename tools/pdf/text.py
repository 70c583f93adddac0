"""Text of PDFs, page by page, bounded and mended: what the reading nodes and the quote check work from.

Called by `tools.papers`. Text that a reader of the page would not see is cut out and reported
(`tools.pdf.visibility`), as are characters that show nothing and a title in the metadata that the first page does
not bear out; ligatures become letters, words broken at line ends are joined. Parsing happens in a process of its own
with limits on memory and time (`tools.pdf.extraction`), because papers come from strangers. Does not judge what the
text says, does not read scanned pages.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from registry.errors import BadInput, Problem
from tools.clean_environment import clean_environment

MAX_BYTES = 50 << 20
MAX_TITLE = 300
TITLE_WORDS = 4
"""A shorter title is often a program's (`main.dvi`) and holds no sentence; it need not be printed."""
NO_TITLES = frozenset({"untitled", "untitled document", "no title", "unknown", "anonymous", "title", "document"})
"""What programs write where nobody gave a title."""
MAX_HIDDEN = 50
SAMPLE = 60
"""Findings of hidden text told for one document, and characters shown of each."""
TAIL_BYTES = 4096
"""How far from the end the end-of-file mark of a whole PDF may stand."""

_REMEDIES = {"encrypted": "save it without its password", " pages": "put the pages that matter there as a file"}

_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\u00a0": " "}
)
# Every repetition is bounded: the text is a stranger's, and an open one would take quadratic time on it.
_BROKEN_WORD = re.compile(r"(\w[\w-]{0,60})[-\u2010\u00ad][ \t]{0,8}\n[ \t]{0,8}(\w{1,60})")
# Fillers and variation selectors: no category names them, and they print as nothing.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
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
    """From the document's own metadata; empty where it has none, or a sentence that the first page does not print."""
    pages: tuple[str, ...]
    hidden: tuple[str, ...] = ()
    """What was found and taken out because a reader would not see it, one line a finding, with the beginning of what
    was hidden: for people, never for a prompt."""
    extent: Extent = "full text"
    """How much of the document this is."""


def plain(text: str, limit: int | None = None) -> str:
    """`text` without control, zero-width and direction characters, cut to `limit`; tabs and line ends stay."""
    kept = "".join(ch for ch in text if ch in "\n\t" or unicodedata.category(ch) not in {"Cc", "Cf", "Cs", "Co", "Cn"})
    kept = _BLANK.sub("", kept)
    return kept if limit is None or len(kept) <= limit else kept[: limit - 1] + "…"


def pages(source: Path | bytes, name: str = "", bounds: Bounds = Bounds()) -> PdfText:
    """The text of a PDF file or of its bytes; `BadInput` says what was found where there is no such text."""
    where = name or (str(source) if isinstance(source, Path) else "PDF")
    data = _bytes(source, where)
    title, raw, cut = _extract(data, where, bounds)
    if not any(page.strip() for page in raw):
        found = f"{len(raw)} page(s) without any text" + (" that a reader sees" if cut else "")
        raise _bad(where, found, "a PDF with a text layer", "scanned pages need OCR first")
    mended, named = mend(raw), " ".join(plain(title, MAX_TITLE).split())
    named = "" if named.casefold().strip("()[]<>.") in NO_TITLES else named
    printed = len(named.split()) < TITLE_WORDS or _letters(named) in _letters(mended[0])
    if not printed:
        cut.append(f"metadata: a title that the first page does not print: {named[:SAMPLE]!a}")
    return PdfText(
        sha256=hashlib.sha256(data).hexdigest(),
        title=named if printed else "",
        pages=mended,
        hidden=_told([*cut, *unseen(raw)]),
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


def _letters(text: str) -> str:
    """Letters and digits alone, in which a title is the same however it is set."""
    return "".join(ch for ch in unicodedata.normalize("NFKC", text).casefold() if ch.isalnum())


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


def _extract(data: bytes, where: str, bounds: Bounds) -> tuple[str, list[str], list[str]]:
    """Title, raw pages, and a line for each finding of hidden text, which the pages do not hold."""
    program = Path(__file__).with_name("extraction.py")
    limits = [str(number) for number in (bounds.pages, bounds.chars, bounds.memory_bytes, bounds.cpu_s)]
    expected = f"a PDF of at most {bounds.pages} pages that can be read"
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(program), *limits],
            input=data,
            capture_output=True,
            check=False,
            timeout=bounds.wall_s,
            env=clean_environment(),
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
        problem = plain(str(answer["problem"]), 200)
        fix = next((remedy for words, remedy in _REMEDIES.items() if words in problem), "")
        raise _bad(where, problem, expected, fix)
    return str(answer["title"]), [str(page) for page in answer["pages"]], [_cut(one) for one in answer["hidden"]]


def _cut(finding: Mapping[str, Any]) -> str:
    """One finding of the reader, with the beginning of what was hidden as a quoted, escaped line."""
    kind, sample = plain(str(finding["kind"]), 60), " ".join(plain(str(finding["sample"])).split())
    if not sample:
        return f"page {finding['page']}: {kind}, {finding['strings']} piece(s) of text cut out"
    return f"page {finding['page']}: {kind}, {finding['characters']} character(s) cut out: {sample[:SAMPLE]!a}"


def _told(findings: Sequence[str]) -> tuple[str, ...]:
    more = [f"{len(findings) - MAX_HIDDEN} more finding(s) of hidden text"] if len(findings) > MAX_HIDDEN else []
    return (*findings[:MAX_HIDDEN], *more)


def unseen(raw: Sequence[str]) -> tuple[str, ...]:
    """Characters that show nothing but carry meaning for a program: zero-width and direction characters."""
    found = []
    for number, page in enumerate(raw, start=1):
        count = sum(unicodedata.category(ch) == "Cf" and ch != "\u00ad" for ch in page) + len(_BLANK.findall(page))
        if count:
            found.append(f"page {number}: {count} zero-width or direction character(s) removed")
    return tuple(found)


def _bad(where: str, found: str, expected: str, fix: str = "") -> BadInput:
    return BadInput(Problem(where=where, found=found, expected=expected, fix=fix))
