"""Strangers' text in Markdown: spans, cells, blocks and words of a command where it means nothing.

Markdown, HTML, mentions, closing keywords, links and control characters do nothing there. Used by
`tools.pull_requests`.
"""

from __future__ import annotations

import re
import shlex
import unicodedata

MAX_LINE, MAX_BLOCK = 300, 2000


def code(text: str) -> str:
    """A stranger's text as one code span: one line, bounded, nothing in it means anything to a renderer."""
    line = " ".join(_visible(text).split()).replace("`", "'")
    return f"`{_bounded(line, MAX_LINE) or ' '}`"


def cell(text: str) -> str:
    """The same for a cell of a table, where a bar would end the cell even in a code span."""
    return code(text.replace("|", "¦").replace("\\", "/"))


def fenced(text: str) -> str:
    """A stranger's text as a block, fenced longer than any run of backticks in it."""
    body = _bounded("\n".join(line.rstrip() for line in _visible(text).strip().split("\n")), MAX_BLOCK)
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{body}\n{fence}"


def argument(text: str) -> str:
    """One word of a shell command inside a fence: one line, no backticks to end the fence with."""
    return shlex.quote(" ".join(_visible(text).split()).replace("`", "'"))


def sha(text: str) -> str:
    """A commit or another hash: what is no digit of one is left out."""
    return re.sub(r"[^0-9a-f]", "", text)[:64] or "unknown"


def _visible(text: str) -> str:
    """Without control, format and private characters; line ends become plain line feeds."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return "".join(
        character if character == "\n" or unicodedata.category(character)[0] != "C" else " " for character in unified
    )


def _bounded(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
