"""One byte string for one value: the JSON that hashes are taken over.

Called by the audit log, by whoever identifies content by its digest, and by checks that recompute either. It
accepts only what comes back equal from JSON (exact dict, list, str, int, float, bool and None), so a value and
what the log says about it can never differ. It reads no files and knows no events.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from registry.errors import AgentError

MAX_DEPTH = 100
MAX_INT_BITS = 14_000
"""Python refuses to print or read integers of more than 4300 digits; this stays below that."""


class NotCanonical(AgentError):
    """A value that has no exact JSON form; the message names the place inside it."""


def canonical(value: Any) -> bytes:
    """Sorted keys, no spaces, UTF-8, floats by repr, integers exact; raises NotCanonical for anything lossy."""
    _check(value, "value", 0)
    return encode_checked(value)


def sha256_of(value: Any) -> str:
    """Hexadecimal SHA-256 of the canonical form."""
    return hashlib.sha256(canonical(value)).hexdigest()


def encode_checked(value: Any) -> bytes:
    """Canonical bytes of a value that JSON itself produced; raises ValueError for NaN, infinities and surrogates."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def _check(value: Any, place: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotCanonical(f"{place}: nested more than {MAX_DEPTH} deep")
    # Exact types: a subclass (an enumeration, numpy's float64) would come back as something else.
    kind = type(value)
    if value is None or kind is bool:
        return
    if kind is str:
        _check_text(value, place)
    elif kind is float:
        if not math.isfinite(value):
            raise NotCanonical(f"{place}: {value!r} has no JSON form; a finite number is expected")
    elif kind is int:
        if value.bit_length() > MAX_INT_BITS:
            raise NotCanonical(f"{place}: an integer of {value.bit_length()} bits; at most {MAX_INT_BITS} are expected")
    elif kind is list:
        for index, item in enumerate(value):
            _check(item, f"{place}[{index}]", depth + 1)
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise NotCanonical(f"{place}: the key {key!r} is a {type(key).__name__}; a str is expected")
            _check_text(key, place)
            _check(item, f"{place}.{key}", depth + 1)
    else:
        expected = "dict, list, str, int, float, bool or None"
        raise NotCanonical(f"{place}: found a {kind.__name__}, expected exactly {expected}")


def _check_text(text: str, place: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise NotCanonical(f"{place}: holds half of a surrogate pair, which UTF-8 cannot say") from None
