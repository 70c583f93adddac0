"""YAML scalars both ways: what a plain word means (the 1.2 core schema), and how a value is written as one token.

Used by `registry.yaml_nodes` to read and by `registry.yaml_text` and the dumps to write. Dates stay text, and
numbers that are not finite are nobody's score, so they are no numbers here.
"""

from __future__ import annotations

import math
import re
import unicodedata
from decimal import Decimal

from registry.hypotheses import Scalar

Value = Scalar | None

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]+")
_RADIX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_DECIMALS = re.compile(r"([-+]?)([0-9]*)\.([0-9]+)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Words that some YAML 1.1 reader takes for something other than text; written quoted for its sake.
_OLD_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "null", "true", "false"})
_PLAIN = re.compile(r"[^\W\d_][\w./+()@%-]*(?:[ :][\w./+()@%-]+)*")
MAX_DIGITS = 400
_MAX_DECIMALS = 17
_MAX_RESTYLED = 1e15


def is_control(character: str) -> bool:
    """Whether a character has no place in text for people: controls, lone surrogates, separators, bidi overrides."""
    return (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or "\u202a" <= character <= "\u202e"
        or "\u2066" <= character <= "\u2069"
        or character == "\ufeff"
    )


def cleaned(text: str) -> str:
    """The text with every character that may not be shown replaced by a space; line feeds and tabs stay."""
    return "".join(" " if is_control(c) and c not in "\n\t" else c for c in text)


def resolve(text: str) -> Value:
    """The value of an unquoted scalar. Raises ValueError for a number that is not finite or absurdly long."""
    if text in _NULLS:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("a number that is not finite")
    number = _FLOAT.fullmatch(text) or _RADIX.fullmatch(text)
    if number is None:
        return text
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} characters")
    if _INTEGER.fullmatch(text):
        return int(text)
    if _RADIX.fullmatch(text):
        return int(text, 0)
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number too large to hold")
    return value


def same(left: object, right: object) -> bool:
    """Equality of documents in which true is not 1; 85 and 85.0 are the same number."""
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def number_token(value: float, like: str = "") -> str:
    """A number that reads back exactly, with the decimals, sign and bare dot of `like` where they can hold it."""
    if not math.isfinite(value):
        raise ValueError("a finite number is expected")
    token = str(value) if isinstance(value, int) else _shortest(value)
    old = _DECIMALS.fullmatch(like)
    if abs(value) >= _MAX_RESTYLED:
        pass
    elif old is not None and len(old[3]) <= _MAX_DECIMALS:
        token = _kept(format(value, f".{len(old[3])}f"), value, token)
        if not old[2]:
            token = re.sub(r"^([-+]?)0\.", r"\1.", token)
    elif _INTEGER.fullmatch(like):
        token = _kept(format(value, ".0f"), value, token)
    return "+" + token if like.startswith("+") and not token.startswith("-") else token


def _kept(candidate: str, value: float, fallback: str) -> str:
    return candidate if float(candidate) == value else fallback


def _shortest(value: float) -> str:
    """`repr` without an exponent where that stays short, because YAML 1.1 readers take `1e-05` for text."""
    return format(Decimal(repr(value)), "f") if value == 0 or 1e-9 < abs(value) < 1e16 else repr(value)


def is_plain(text: str) -> bool:
    """Whether text may stand unquoted in every place and for every reader."""
    return _DATE.fullmatch(text) is not None or (
        len(text) <= MAX_DIGITS and _PLAIN.fullmatch(text) is not None and text.lower() not in _OLD_WORDS
    )


def quoted(text: str) -> str:
    """Double-quoted, on one line; what has no printable form is escaped only for line feed and tab."""
    body = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{body}"'


def token(value: Value, like: str = "") -> str:
    """A value as one token of a line, in the manner of the token `like` it replaces."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_token(value, like)
    if any(is_control(c) and c not in "\n\t" for c in value):
        raise ValueError("text without control characters is expected")
    if like.startswith("'") and "\n" not in value and "\t" not in value:
        return "'" + value.replace("'", "''") + "'"
    if like.startswith('"') or not is_plain(value):
        return quoted(value)
    return value
