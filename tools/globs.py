"""The glob rules of `target.yaml`: `*` and `?` within a folder, `**` across folders.

Called by `tools.patches` (what may be edited) and `tools.trees` (what is hashed or left out). Pure; it knows
nothing of files on disk and nothing of git's own pathspecs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

WILDCARDS = frozenset("*?")


def is_literal(pattern: str) -> bool:
    """Whether the pattern names one path and no more."""
    return not WILDCARDS & set(pattern)


def fold(path: str) -> str:
    """The spelling under which a case-insensitive or normalising file system would keep the path."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether the path itself matches one of the patterns, spelled exactly."""
    return any(_compiled(pattern).fullmatch(path) for pattern in patterns)


def covers(path: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern matches the path or a folder above it, however it is capitalised.

    For what is protected: `data` protects everything under it, and `Data/x` does not get around `data/**`.
    """
    folded = [fold(pattern) for pattern in patterns]
    return any(matches(ancestor, folded) for ancestor in _self_and_ancestors(fold(path)))


def _self_and_ancestors(path: str) -> Sequence[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = [part for part in pattern.split("/") if part != "."]
    if not parts or parts[-1] == "":
        parts = [*parts[:-1], "**"]
    expression = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            expression += "(?s:.+)" if last else "(?:[^/]+/)*"
        else:
            expression += _segment(part) + ("" if last else "/")
    return re.compile(expression)


def _segment(part: str) -> str:
    out = ""
    for character in re.sub(r"\*+", "*", part):
        out += {"*": "[^/]*", "?": "[^/]"}.get(character, re.escape(character))
    return out
