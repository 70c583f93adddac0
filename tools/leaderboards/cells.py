"""The text of one cell read as a number, or as the absence of one.

Called by `tools.leaderboards.mapping` for every score. A cell that is neither raises ValueError: guessing a score,
or dropping it, would show a rival as gone.
"""

from __future__ import annotations

import math
import re

from tools.leaderboards.names import printable

Cell = str | int | float | bool | None

ABSENT = frozenset(
    {"", "-", "--", "–", "—", "n/a", "na", "nan", "none", "null", "nil", "n.a.", "n.r.", "nr", "not reported", "tbd"}
    | {"tba", "pending", "?", ".", "…", "...", "x", "×", "✗", "✘", "dnf", "oom", "timeout", "*"}
)
LONGEST_CELL = 200

_NUMBER = re.compile(r"^[+-]?(?:\d[\d.,'’ ]*|\.\d+)(?:[eE][+-]?\d+)?")
_AFTER = re.compile(
    r"^\s*(?:%|pts?\.?|points?|ms|s)?\s*"
    r"(?:(?:±|\+/-|\+-)\s*[\d.,]+\s*%?|[+-]\s?[\d.]+\s*[/, ]\s*[+-]\s?[\d.]+)?\s*"
    r"(?:\([^()]{0,60}\)|\[[^\[\]]{0,60}\])?"
    r"[\s*†‡§¶^#↑↓▲▼⬆⬇🥇🥈🥉🏆⭐★✨\ufe0f]*$"
)
_BEFORE = re.compile(r"^[\s*_`~≈↑↓▲▼⬆⬇🥇🥈🥉🏆⭐★✨\ufe0f]+")
_EMPHASIS = re.compile(r"\*\*|__|`")
_PLAIN = re.compile(r"^[+-]?(?:\d+(?:\.\d*)?|\.\d+)$")
_COMMA_GROUPS = re.compile(r"^[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?$")
_DOT_GROUPS = re.compile(r"^[+-]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)$|^[+-]?[1-9]\d{0,2}(?:\.\d{3}){2,}$")
_DECIMAL_COMMA = re.compile(r"^[+-]?\d+,\d+$")
_SPACE_GROUPS = re.compile(r"^[+-]?[1-9]\d{0,2}(?:[ '’]\d{3})+(?:[.,]\d+)?$")


def read_number(cell: Cell) -> float | None:
    """The number in a cell in the board's own unit (`84.7%` is 84.7), None where the board shows none."""
    match cell:
        case None:
            return None
        case bool():
            raise ValueError("a truth value is no score")
        case int() | float():
            return _finite(cell)
    text = _readable(cell)
    if text.casefold() in ABSENT:
        return None
    number = _NUMBER.match(text)
    if number is None or _AFTER.match(text[number.end() :]) is None:
        raise ValueError("no number")
    mantissa, exponent = _split_exponent(number[0].rstrip())
    return _finite(float(_without_groups(mantissa.rstrip(" .,'’")) + exponent))


def _readable(cell: str) -> str:
    if len(cell) > LONGEST_CELL:
        raise ValueError("too long for a score")
    spaced = cell.replace("\u00a0", " ").replace("\u202f", " ").replace("\u2009", " ").replace("\u2212", "-")
    text = printable(_EMPHASIS.sub("", spaced))
    stripped = _BEFORE.sub("", text)
    return stripped or text


def _split_exponent(number: str) -> tuple[str, str]:
    for mark in "eE":
        if mark in number:
            mantissa, exponent = number.split(mark)
            return mantissa, "e" + exponent
    return number, ""


def _without_groups(number: str) -> str:
    """`1,234.5`, `1.234,5`, `1 234,5` and `0,847` as Python writes them."""
    if _PLAIN.match(number):
        return number
    if _COMMA_GROUPS.match(number):
        return number.replace(",", "")
    if _DOT_GROUPS.match(number):
        return number.replace(".", "").replace(",", ".")
    if _DECIMAL_COMMA.match(number):
        return number.replace(",", ".")
    if _SPACE_GROUPS.match(number):
        return re.sub(r"[ '’]", "", number).replace(",", ".")
    raise ValueError("digits in groups that do not make a number")


def _finite(value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("a number too large for a score") from None
    if not math.isfinite(number):
        raise ValueError(f"{number} is no score")
    return number
