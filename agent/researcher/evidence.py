"""Whether a technique's evidence holds: its quote stands, and every number it claims stands in the quote.

Every reading, by rules or by a model, passes its techniques through `check` before they may count; `quoted` makes
the quote, with document, version and hash of the file filled in by code. What fails is kept, marked unverified with
the reason, and adds nothing to priority. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from operator import itemgetter

from agent.researcher.cues import COST, ERROR, QUALITY
from agent.researcher.quotes import fold, numbers_stand, quote_stands, verified
from agent.researcher.worsening import Measure, denied, worsens
from registry.hypotheses import Impact, Quote
from registry.papers import Paper, Technique
from tools.pdf.text import PdfText, plain

MAX_GAIN = 0.5
"""A larger gain than half the scale is more likely a misreading than a result."""
MAX_QUOTE = 2000
SAME = 5e-7
"""Gains are kept to six decimals."""
_NEAR = 40
"""Characters after a number in which the thing it measures may be named."""

_VALUE = r"[-+]?(?:\d{1,3}(?:\.\d{1,6})?|\.\d{1,6})(?![\d.]*\d|,\d|\s?[\^×*\u00b7\u22c5]|\s?x\s?\d)"
_UNIT = r"[\s-]?(?:%|percent(?:age points?)?\b|points?\b|pp\b)"
_APPROXIMATELY = r"(?:about |up to |roughly |around |nearly |over )?"
_STATED = re.compile(
    rf"(?P<cue>\b(?:by|(?:gain|improvement|increase|boost|rise|reduction|drop)s? of) {_APPROXIMATELY}|(?=\+))?"
    rf"(?<![\w.,^])(?<!\d\.\s)(?P<value>{_VALUE})(?P<unit>{_UNIT})?"
    r"(?P<after>,?\s(?:absolute |accuracy )?(?:improvement|gain|increase|boost|reduction|higher|better|lower)s?\b)?"
)
_POINTS = re.compile(r"point|pp$")
_CHANGED = re.compile(
    rf"\bfrom (?:about )?(?P<before>{_VALUE})(?P<unit>{_UNIT})? to (?:about )?(?P<after>{_VALUE})(?P<last>{_UNIT})?"
)
_QUALITY, _ERROR, _COST = (re.compile(rf"\b{words}\b", re.IGNORECASE) for words in (QUALITY, ERROR, COST))
_MEASURES = (_QUALITY, _ERROR, _COST)
_NAMES: dict[re.Pattern[str] | None, Measure] = {_QUALITY: "quality", _ERROR: "error", _COST: "cost"}
_RELATIVE = re.compile(r"\brelative(?:ly)?\b", re.IGNORECASE)


def document_name(paper: Paper) -> str:
    """What a quote calls its document: the key with its version where it has one, else the title."""
    versioned = paper.key.startswith("arxiv:") or bool(paper.version)
    return paper.key + paper.version if versioned else paper.title


def quoted(paper: Paper, document: PdfText, page: int, text: str) -> Quote:
    """A quote from a document that was read, verified or not.

    A page is often told wrong by one: where the text stands on one other page alone, that page is the quote's.
    """
    said = plain(text)[:MAX_QUOTE]
    quote = Quote(
        document=document_name(paper), file_sha256=document.sha256, page=max(page, 1), text=said, verified=False
    )
    if not quote_stands(quote, document.pages):
        numbers = range(1, len(document.pages) + 1)
        places = [quote.model_copy(update={"page": number}) for number in numbers]
        standing = [place for place in places if quote_stands(place, document.pages)]
        quote = standing[0] if len(standing) == 1 else quote
    return verified(quote, document)


def check(technique: Technique, document: PdfText, *, own_name: bool = True) -> Technique:
    """The technique with `quote.verified`, `doubt` and `impact` as its evidence allows, whatever they were before.

    `document` is the text of the file that was read, without what was hidden in it. `own_name`: a technique with
    settings is called as we call the setting, so that numbers in its name are ours and no claim.
    """
    quote = verified(technique.quote, document)
    doubt = _doubt(technique, quote, "" if own_name and technique.settings else technique.name)
    return technique.model_copy(
        update={
            "quote": quote.model_copy(update={"verified": not doubt}),
            "doubt": doubt,
            "impact": impact_of(technique.claimed_gain),
        }
    )


def impact_of(gain: float | None) -> Impact:
    """Low below one point, Medium to three, High above; a claim without a number is Low."""
    points = 0.0 if gain is None else round(gain * 100.0, 6)
    return "High" if points > 3.0 else "Medium" if points >= 1.0 else "Low"


def gain_stands(gain: float, quote: str) -> bool:
    """Whether the quote states this gain, or a change of a score from one number to another that makes it.

    A relative change, a number that measures a cost, a loss and what is denied state no gain.
    """
    if not 0.0 < gain <= MAX_GAIN:
        return False
    text = fold(quote)
    return any(abs(stated - gain) <= SAME for stated in (*_stated(text), *_changes(text)))


def _doubt(technique: Technique, quote: Quote, name: str) -> str:
    """Why the technique does not count, for people; empty where it does."""
    if not quote.verified:
        return f"the quote does not stand word for word on page {quote.page} of the file"
    if technique.claimed_gain is not None and not gain_stands(technique.claimed_gain, quote.text):
        return f"the quote states no gain of {technique.claimed_gain:g}"
    for what, words in (("name", name), ("change", technique.change)):
        if not numbers_stand(words, quote.text):
            return f"the {what} holds a number that is not in the quote"
    return ""


def _stated(text: str) -> Iterator[float]:
    """Gains that the text states as such: by so much, a gain of so much, so many points, so much better."""
    for match in _STATED.finditer(text):
        points = _POINTS.search(match["unit"] or "")
        if match["cue"] is None and not match["after"] and not points:
            continue
        measure = _measured(text, match.start("value"), match.end())
        if measure is _COST or _is_relative(text, match.start(), match.end()):
            continue
        before = text[: match.start("value")]
        beside = "" if match["value"].startswith("+") else before
        if denied(before) or worsens(beside, match["after"] or "", _NAMES.get(measure, "")):
            continue
        if match["unit"] and not points and _last_named(text, match.start("value")) is _ERROR:
            continue  # 12 % less error is nearly always 12 % of the error
        value = float(match["value"])
        yield value if not match["unit"] and value < 1.0 and "." in match["value"] else value / 100.0


def _changes(text: str) -> Iterator[float]:
    if _RELATIVE.search(text):
        return
    for match in _CHANGED.finditer(text):
        before, after = float(match["before"]), float(match["after"])
        fractions = 0 < before < 1 and 0 < after < 1
        scores = (match["unit"] or match["last"]) or ("." in match["before"] and "." in match["after"])
        measure = _measured(text, match.start(), match.end())
        if not (fractions or scores) or measure is _COST or denied(text[: match.start()]):
            continue
        change = (after - before) / (1.0 if fractions and not (match["unit"] or match["last"]) else 100.0)
        yield -change if measure is _ERROR else change


def _measured(text: str, start: int, end: int) -> re.Pattern[str] | None:
    """Which kind of thing a number measures: the last one named before it, or else the first after it."""
    last = _last_named(text, start)
    if last is not None:
        return last
    after = [(found.start(), kind) for kind in _MEASURES for found in kind.finditer(text, end, end + _NEAR)]
    return min(after, key=itemgetter(0))[1] if after else None


def _last_named(text: str, end: int) -> re.Pattern[str] | None:
    """Which kind of thing that is measured the text before `end` names last."""
    found = [(match.end(), kind) for kind in _MEASURES for match in kind.finditer(text, 0, end)]
    return max(found, key=itemgetter(0))[1] if found else None


def _is_relative(text: str, start: int, end: int) -> bool:
    return bool(_RELATIVE.search(text, max(0, start - _NEAR), end + _NEAR))
