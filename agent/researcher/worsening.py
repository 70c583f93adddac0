"""Whether the change that a text states makes results worse, or is denied: such a change is no gain.

Used by `agent.researcher.evidence`, which looks for a claimed gain in its quote. Rules over English: the word of
change that stands nearest to the number decides, with what the number measures. Pure.
"""

from __future__ import annotations

import re
from typing import Literal

Measure = Literal["quality", "error", "cost", ""]

_CHANGE = re.compile(
    r"\b(?:(?P<good>improv\w*|better|gain\w*|boost\w*|outperform\w*|help\w*|benefit\w*)"
    r"|(?P<up>rais\w*|increas\w*|lift\w*|higher|rises?|rising|rose|grow\w*|grew)"
    r"|(?P<down>reduc\w*|lower\w*|decreas\w*|cuts?|cutting|drop(?!out)\w*|falls?|falling|fell|halv\w*|declin\w*|less)"
    r"|(?P<harm>hurt\w*|harm\w*|degrad\w*|wors\w*|loses|lost|losing|sacrific\w*|suffer\w*"
    r"|loss(?:es)? of(?: (?:about|up to|roughly|around|nearly|over))?$))\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(?:not(?! only)|never|neither|nor|cannot|hardly|fail(?:s|ed)?(?: to)?|without|no)\b|n[’']t\b", re.IGNORECASE
)
_BOUNDARY = re.compile(
    r"[,;:()]|\.\s|\b(?:but|while|whereas|although|though|however|yet|and|which|that)\b", re.IGNORECASE
)


def worsens(before: str, after: str, measure: Measure) -> bool:
    """Whether what is said around a number makes it a loss.

    `before`: the text up to the number; `after`: the word of change that belongs to the number and follows it, such as
    `lower`, or nothing; `measure`: what the number measures.
    """
    named = list(_CHANGE.finditer(after)) or list(_CHANGE.finditer(before.rstrip()))
    kind = named[-1].lastgroup if named else None
    return kind == "harm" or (kind == "down" and measure == "quality") or (kind == "up" and measure == "error")


def denied(before: str) -> bool:
    """Whether the words before a number, back to where their clause starts, say that it was not so."""
    clause = _BOUNDARY.split(before)[-1]
    return bool(_DENIED.search(clause))
