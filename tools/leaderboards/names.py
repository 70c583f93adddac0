"""Names as people write them on boards, made comparable and safe to show.

Used by every reader (an entry's identity is its cleaned name) and by everything that prints a name. Does not decide
which names belong to one competitor; aliases do (`tools.leaderboards.matrix`).
"""

from __future__ import annotations

import re
import unicodedata

LONGEST_NAME = 200
LONGEST_TEXT = 2_000
"""Characters of a name that are looked at: a cell can hold a whole page."""

_UNSHOWABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_KEYCAP = re.compile(r"[0-9#*]\ufe0f?\u20e3")
_GLYPH = re.compile(
    "[\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2b00-\u2bff\u3030\u303d\u3297\u3299\ufe0e\ufe0f\u20e3"
    "\U0001f000-\U0001faff]"
)
_NEW_MARK = re.compile(r"[(\[]\s*(?i:new)\s*!*\s*[)\]]|(?<!\S)NEW!*$|^NEW!+(?!\S)|(?<!\S)[Nn]ew!+$")
_EMPHASIS = re.compile(r"^(\*\*|__|`)(.+)\1$")
_FOOTNOTE = re.compile(r"[†‡§¶]+$")
_SPACES = re.compile(r"\s+")
_MARKDOWN = re.compile(r"([\\`*|<>\[\]])")


def printable(text: str) -> str:
    """One line without control, bidirectional, invisible or unassigned characters."""
    flat = _SPACES.sub(" ", text)
    return "".join(char for char in flat if unicodedata.category(char) not in _UNSHOWABLE).strip()


def clean_name(text: str) -> str:
    """A display name without medals, emoji, "new" marks, footnote daggers and emphasis; may come out empty."""
    text = text[:LONGEST_TEXT]
    without_glyphs = _GLYPH.sub(" ", _KEYCAP.sub(" ", unicodedata.normalize("NFC", text)))
    name = _SPACES.sub(" ", printable(without_glyphs)).strip()
    before = None
    while before != name:
        before = name
        name = _FOOTNOTE.sub("", _NEW_MARK.sub("", name)).strip()
        if match := _EMPHASIS.match(name):
            name = match[2].strip()
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def same_name(one: str, other: str) -> bool:
    """Whether two spellings are one name: glyphs, spacing and case do not count."""
    return clean_name(one).casefold() == clean_name(other).casefold()


def escape_cell(text: str) -> str:
    """A stranger's text as one Markdown table cell: no cell break, markup, link or HTML survives."""
    return _MARKDOWN.sub(r"\\\1", printable(text))
