"""What one sentence claims: which clauses praise something, and by how much they say a score improved.

Used by `agent.researcher.reading`. Rules over English, deliberately narrow: a clause that is negated, hypothetical
or about cost claims nothing, and where the wording leaves a gain open there is no gain. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.researcher.cues import COST, ERROR, QUALITY

MAX_SENTENCE = 400
"""Longer ones are lists, tables or pages whose full stops were lost; what refers to what cannot be told in them."""
REACH = 10
"""Words between what is praised and the word that praises it."""
MAX_GAIN = 0.5
"""A larger gain than half the scale is more likely a misreading than a result."""

_ABBREVIATIONS = "".join(
    rf"(?<!\b{word}\.)" for word in (r"e\.g", r"i\.e", "al", "vs", "Fig", "Eq", "Sec", "Tab", "cf", "[A-Z]")
)
_SENTENCE_END = re.compile(r"(?<=[.!?])" + _ABBREVIATIONS + r"\s(?=[\"“(]?[A-Z\d])")
_HEADING = re.compile(
    r"^(?:\d{1,2}(?:\.\d{1,2}){0,3}\.?\s+[A-Z][^.!?]{1,80}|[A-Z][A-Za-z]{2,20}(?: [A-Za-z]{2,20}){0,3})$"
)
_REFERENCES = re.compile(r"^(?:\d{1,2}\.?\s+)?(?:references|bibliography|literature cited)$", re.IGNORECASE)
_CONTRAST = re.compile(
    r";|,?\s+(?:and\s+)?\b(?:but|while|whereas|although|though|however|yet)\b|\s+and (?=(?:does|did|do) not)"
)
_OF = r"(?: (?:the|our|its|their|in|of|final|mean|dev|test|validation|classification))*"
_NEGATION = re.compile(
    r"\b(?:not(?! only)|never|neither|nor|cannot|hardly|barely|fail(?:s|ed)?)\b|n[’']t\b"
    r"|\b(?:no|without|little)(?: \w+)? (?:gains?|improvements?|benefits?|effects?|differences?|help)\b"
    r"|\b(?:hurts?|harms?|harmed|degrad\w+|worsen\w*|worse)\b"
    rf"|\b(?:reduc\w+|lower\w*|decreas\w+|drops?|dropped){_OF} {QUALITY}\b|\b(?:increas|rais)\w+{_OF} {ERROR}\b"
)
_HYPOTHETICAL = re.compile(
    r"\b(?:may|might|could|would|should|expect\w*|hypothesi[sz]e\w*|conjecture\w*|whether|if|hope\w*"
    r"|propose to|future)\b"
)
_BETTER = re.compile(
    r"\b(?:improv|rais|increas|boost|lift|gain|help|benefit|outperform)\w*\b|\b(?:better|higher|rises?|rose)\b"
)
_LESS = re.compile(r"\b(?:reduc|lower|decreas|cut|drop|fall|fell|halv)\w*\b")
_PLAIN_PRAISE = re.compile(r"\b(?:help|benefit|outperform|improv)\w*\b")
_MEANS = re.compile(r"\b(?:with|using|by|from|through|via|when|after|adding|thanks to|due to)\b")
_QUALITY, _ERROR, _COST = (re.compile(rf"\b{words}\b") for words in (QUALITY, ERROR, COST))
_SUBJECT = re.compile(rf"\b(?:(?P<quality>{QUALITY})|(?P<error>{ERROR})|(?P<cost>{COST}))\b")

_VALUE = r"(\d{1,3}(?:\.\d{1,6})?|\.\d{1,6})"
_UNIT = r"(\s?(?:%|percent(?:age points?)?\b|points?\b|pp\b))"
_FROM_TO = re.compile(rf"\bfrom (?:about )?{_VALUE}{_UNIT}? to (?:about )?{_VALUE}{_UNIT}?(?![\d.]*\d)")
_BY = re.compile(rf"\bby (?:about |up to |roughly )?\+?{_VALUE}{_UNIT}?(?![\d.]*\d)")
_AMOUNT = re.compile(rf"(?<![\w.])\+{_VALUE}{_UNIT}|\b(?:gain|improvement|increase)s? of \+?{_VALUE}{_UNIT}")


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause that praises something. `spans` are the places of numbers that belong to the gain."""

    text: str
    """Lower case, hyphens between letters as spaces."""
    gain: float | None
    spans: tuple[tuple[int, int], ...] = ()


def sentences(page: str) -> list[str]:
    """Sentences of a page, headings apart; what follows the references' heading is left out."""
    blocks: list[list[str]] = [[]]
    for line in (line.strip() for line in page.splitlines()):
        if _REFERENCES.match(line):
            break
        ended = not blocks[-1] or blocks[-1][-1].endswith((".", "!", "?", ":"))
        if not line or (_HEADING.match(line) and (ended or line[0].isdigit())):
            blocks.append([])
        else:
            blocks[-1].append(line)
    found = []
    for block in blocks:
        found += [text.strip() for text in _SENTENCE_END.split(" ".join(" ".join(block).split()))]
    return [text for text in found if 0 < len(text) <= MAX_SENTENCE]


def ends_at_references(page: str) -> bool:
    """Whether the list of references starts on this page; later pages are other people's titles."""
    return any(_REFERENCES.match(line.strip()) for line in page.splitlines())


def normalised(text: str) -> str:
    """Lower case with hyphens between letters as spaces, the form in which phrases are searched."""
    return re.sub(r"(?<=[a-z])[-\u2010\u2011](?=[a-z])", " ", text.lower())


def praising(sentence: str, subject: re.Pattern[str]) -> list[Clause]:
    """The clauses that say something improves results. `subject` matches what can be praised.

    A negated clause that names no subject of its own ("but it did not help") takes the whole sentence back.
    """
    clauses = [part for part in _CONTRAST.split(normalised(sentence)) if part and part.strip()]
    found = []
    for text in clauses:
        if _NEGATION.search(text):
            if not subject.search(text):
                return []
            continue
        if _HYPOTHETICAL.search(text) or not _praises(text):
            continue
        gain, spans = _gain(text, subject)
        if gain is None or gain > 0:
            found.append(Clause(text, gain if gain is None or gain <= MAX_GAIN else None, spans))
    return found


def praised(clause: str, start: int, end: int) -> bool:
    """Whether the words at `start`..`end` are what the clause praises: "X improves …" or "… improves … with X"."""
    for match in (*_BETTER.finditer(clause), *_LESS.finditer(clause)):
        if end <= match.start():
            if len(clause[end : match.start()].split()) <= REACH:
                return True
        elif match.end() <= start:
            between = clause[match.end() : start]
            if len(between.split()) <= REACH and _MEANS.search(between):
                return True
    return False


def _praises(text: str) -> bool:
    if _QUALITY.search(text) and _BETTER.search(text):
        return True
    if _ERROR.search(text) and (_LESS.search(text) or re.search(r"\b(?:improv|better)\w*", text)):
        return True
    return bool(_PLAIN_PRAISE.search(text)) and not _COST.search(text)


def _gain(text: str, subject: re.Pattern[str]) -> tuple[float | None, tuple[tuple[int, int], ...]]:
    """The difference that the clause states, as a fraction, and where its numbers stand."""
    if "relative" in text:
        return None, tuple(match.span() for match in _BY.finditer(text))
    for match in _FROM_TO.finditer(text):
        kind = _nearest(text[: match.start()], subject)
        scale = _scale(match[1], match[3], match[4] or match[2])
        if kind in {"quality", "error"} and scale:
            change = (float(match[3]) - float(match[1])) / scale
            return round(change if kind == "quality" else -change, 6), (match.span(),)
    for match in _BY.finditer(text):
        kind = _nearest(text[: match.start()], None)
        # "reduces the error by 12 %" nearly always means 12 % of the error.
        if kind == "quality" or (
            kind == "error" and "%" not in (match[2] or "") and "cent " not in (match[2] or "") + " "
        ):
            scale = 100.0 if match[2] else (1.0 if float(match[1]) < 1 else 0.0)
            if scale:
                return round(float(match[1]) / scale, 6), (match.span(),)
    for match in _AMOUNT.finditer(text):
        if not _COST.search(text):
            return round(float(match[1] or match[3]) / 100.0, 6), (match.span(),)
    return None, ()


def _nearest(before: str, subject: re.Pattern[str] | None) -> str:
    """What the words before a number are about last: `quality`, `error`, `cost`, `subject` or nothing."""
    named = [(match.end(), match.lastgroup or "") for match in _SUBJECT.finditer(before)]
    if subject is not None:
        named += [(match.end(), "subject") for match in subject.finditer(before)]
    return max(named)[1] if named else ""


def _scale(first: str, second: str, unit: str | None) -> float:
    """1 for fractions, 100 for percentages, 0 where the pair is no pair of scores."""
    low, high = sorted((float(first), float(second)))
    if unit:
        return 100.0 if high <= 100 else 0.0
    if low > 0 and high < 1 and "." in first and "." in second:
        return 1.0
    return 0.0
