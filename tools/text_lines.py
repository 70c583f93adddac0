"""Lines of a file as a patch sees them: content and line end apart, and where a passage stands.

Called by `tools.search_replace` and `tools.unified_diff`. Pure. A line ends with \\n alone, so that a form feed or
another character that Python takes for a line's end stays inside its line, as git has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from registry.errors import BadInput, Problem
from tools.pdf.text import plain

SHOWN_CHARACTERS = 120
"""Of a line of a file or of a patch, in a reason."""
SHOWN_BEFORE = 40
"""Of two long lines, before the place where they differ."""
SHOWN_PLACES = 8
_COMMON = 40
"""A line that stands in a file more often than this says nothing about where a passage is."""
_SEARCHED = 4000
"""Lines of a file that are looked at for one that resembles a line which is not there."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `end` is \\n, \\r\\n, or nothing for a last line without an end."""

    text: str
    end: str


def split(text: str) -> list[Line]:
    """The lines of a file; joined again they are the file."""
    *pieces, last = text.split("\n")
    lines = [Line(each.removesuffix("\r"), "\r\n" if each.endswith("\r") else "\n") for each in pieces]
    return [*lines, Line(last, "")] if last else lines


def joined(lines: Sequence[Line]) -> str:
    """The text again."""
    return "".join(line.text + line.end for line in lines)


def decoded(path: str, content: bytes) -> str:
    """A file's text; BadInput where it is none."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        found = f"bytes that are no UTF-8 text (at byte {error.start})"
        raise BadInput(Problem(shown_path(path), found, "a text file, which a patch can change")) from error


def places(lines: Sequence[str], wanted: Sequence[str], most: int = SHOWN_PLACES) -> list[int]:
    """Where the wanted lines stand one after another, counted from 0; the first so many."""
    found: list[int] = []
    if not wanted:
        return found
    for start in range(len(lines) - len(wanted) + 1):
        if lines[start] == wanted[0] and list(lines[start : start + len(wanted)]) == list(wanted):
            found.append(start)
            if len(found) == most:
                break
    return found


def nearest(lines: Sequence[str], wanted: Sequence[str]) -> tuple[int, str]:
    """(line from 1, words) of what comes closest to lines that stand nowhere; (0, words) where nothing does."""
    wanted_at = [(place, line.strip()) for place, line in enumerate(wanted) if line.strip()]
    if not wanted_at:
        return 0, "only blank lines were given"
    known: dict[str, list[int]] = {}
    for number, line in enumerate(lines):
        known.setdefault(line.strip(), []).append(number)
    votes: Counter[int] = Counter()
    for place, line in wanted_at:
        found = known.get(line, ())
        if len(found) <= _COMMON:
            votes.update(number - place for number in found)
    if votes:
        start = max(votes, key=lambda offset: (votes[offset], -offset))
        return _difference(lines, wanted, start)
    first = wanted_at[0][1]
    searched = [line.strip()[:400] for line in lines[:_SEARCHED]]
    if close := get_close_matches(first[:400], [line for line in searched if line], n=1, cutoff=0.6):
        number = searched.index(close[0])
        return number + 1, f"the nearest to {shown(first)} is {shown(lines[number])}"
    return 0, f"no line of the file resembles {shown(first)}"


def _difference(lines: Sequence[str], wanted: Sequence[str], start: int) -> tuple[int, str]:
    """The first line that differs where most of the passage stands."""
    for place, line in enumerate(wanted):
        number = start + place
        there = lines[number] if 0 <= number < len(lines) else None
        if there != line:
            has, wants = ("no such line", shown(line)) if there is None else _told_apart(there, line)
            return max(number, 0) + 1, f"nearest at line {max(start, 0) + 1}, but the file has {has} for {wants}"
    return max(start, 0) + 1, "nearest here"


def _told_apart(there: str, line: str) -> tuple[str, str]:
    """Two lines that differ, each from a little before the difference, which is among what is shown of them."""
    same = next((at for at, pair in enumerate(zip(there, line, strict=False)) if pair[0] != pair[1]), None)
    at = min(len(there), len(line)) if same is None else same
    start = max(at - SHOWN_BEFORE, 0) if at > SHOWN_CHARACTERS - SHOWN_BEFORE else 0
    pieces = [("..." if start else "") + each[start : start + SHOWN_CHARACTERS - 3] for each in (there, line)]
    one, other = map(shown, pieces)
    # Characters that nobody sees make the difference: these are spelled out.
    return (one, other) if one != other else (ascii(pieces[0]), ascii(pieces[1]))


def shown(line: str) -> str:
    """A line of a stranger's in a reason: plain, bounded, spaces and tabs told apart."""
    return repr(plain(line, SHOWN_CHARACTERS))


def shown_path(path: str) -> str:
    """A path of a stranger's in a reason."""
    return plain(" ".join(path.split()), 240) or "patch"
