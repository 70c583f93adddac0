"""Puts text from strangers into a prompt so that it stays text: cleaned, bounded, and between marks of its own.

Used for everything a prompt holds that we did not write: papers, abstracts, titles, feed entries, names on boards,
logs and errors of runs, competitors' code, files of the solution, and what a model said before.
"""

from __future__ import annotations

import hashlib

from tools.pdf_text import plain

CUT = "\n[… cut here]"


def fenced(what: str, text: str, limit: int) -> str:
    """The text, without control and invisible characters, at most `limit` characters, between two marks.

    The marks hold a digest of the text: a text cannot hold its own, so it cannot end the fence and speak as us.
    `what` is our own word for it, such as `page 3 of the paper`.
    """
    cleaned = plain(text, len(text) + 1)
    if len(cleaned) > limit:
        cleaned = cleaned[:limit] + CUT
    mark = hashlib.sha256(cleaned.encode("utf-8", "replace")).hexdigest()[:16]
    return f"[untrusted {mark}: {what}]\n{cleaned}\n[end of untrusted {mark}]"
