"""Puts text from strangers into a prompt so that it stays text: cleaned, bounded, and between marks of its own.

Used for everything a prompt holds that we did not write: papers, abstracts, titles, feed entries, names on boards,
logs and errors of runs, competitors' code, files of the solution, and what a model said before. `prompts` checks the
marks when a prompt is filled.
"""

from __future__ import annotations

import re
import unicodedata

from prompts import NO_QUESTION, QUESTION, digest
from tools.pdf.text import plain

CUT = "\n[… cut here]"
MAX_WHAT = 200

_LOOKALIKES = str.maketrans(
    "\u0435\u03b5\u0454\u043e\u03bf\u03c5\u057d\u0578\u03c4\u0442\u0433\u0280\u0455\u0501\u0192\u03dd",
    "eeeoouunttrrsdff",
)
"""Letters of other scripts that look like those of our marks."""
_MARK = re.compile(r"(?:end\s+of\s+|[\[({<|#*=_-]\s*/?\s*)untrusted|untrusted\s+[0-9a-f]{4}")
_TURN = re.compile(
    r"<(?=[|｜])|(?<=[|｜])>|<(?=/?(?:s|start_of_turn|end_of_turn|bos|eos)>)|<(?=</?SYS>>)|\[(?=/?(?:INST|SYSTEM_PROMPT)\])"
)
"""Where the words begin with which chat templates part turns; some servers obey them wherever they stand."""


def fenced(what: str, text: str, limit: int, *, verbatim: bool = False) -> str:
    """The text, without control and invisible characters, at most `limit` characters, between two marks.

    The marks hold a digest of the text: a text cannot hold its own, so it cannot end the fence and speak as us. What
    looks like one of our marks, like the line that parts a prompt, or like the start of a turn is broken with a space
    or a hyphen, which checking quotes overlooks. `what` is our own word for it, such as `page 3 of the paper`.
    `verbatim` leaves the starts of turns, for files of the solution that are to be changed word for word.
    """
    cleaned = plain(text, len(text) + 1)
    if len(cleaned) > limit:
        cleaned = cleaned[:limit] + CUT
    cleaned = _unmarked(cleaned).replace(QUESTION, NO_QUESTION)
    if not verbatim:
        cleaned = _TURN.sub(lambda match: f"{match[0]} " if match[0] != ">" else " >", cleaned)
    mark = digest(cleaned)
    return f"[untrusted {mark}: {_label(what)}]\n{cleaned}\n[end of untrusted {mark}]"


def _label(what: str) -> str:
    """One short line without brackets: names of files and papers come into it."""
    line = " ".join(plain(what).split()).translate(str.maketrans("[]", "()"))
    return line if len(line) <= MAX_WHAT else line[: MAX_WHAT - 1] + "…"


def _unmarked(text: str) -> str:
    """The text with every likeness of our marks broken: `un-trusted`."""
    folded = "".join(map(_likeness, text))
    pieces, start = [], 0
    for match in _MARK.finditer(folded):
        place = match.start() + match[0].index("untrusted") + 2
        pieces += [text[start:place], "-"]
        start = place
    return "".join([*pieces, text[start:]])


def _likeness(character: str) -> str:
    """The plain small letter or bracket that a character looks like; always one character."""
    if character.isascii():
        return character.lower()
    if unicodedata.category(character) == "Ps":
        return "["
    base = unicodedata.normalize("NFKD", character)[0].lower()[:1].translate(_LOOKALIKES)
    return base or character
