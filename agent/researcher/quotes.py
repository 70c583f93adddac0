"""Whether a quote really stands in the paper, and whether a claim's numbers really stand in its quote.

Used by every researcher before a technique or a gain may count. The comparison is exact after folding what a
rendering changes without changing the meaning (Unicode compatibility forms, hyphens at line ends, white space);
nothing is matched approximately, because approximate matching accepts altered numbers. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from agent.researcher.cues import NUMBER_WORDS
from registry.hypotheses import Quote
from tools.pdf.text import PdfText, plain

MIN_WORDS = 3
"""Fewer words than this stand on almost any page and support nothing."""

_DASHES = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
_WORD_HYPHEN = re.compile(r"(?<=[^\W\d_])-\s?(?=[^\W\d_])")
_NUMBER = re.compile(r"(?:(?<![\w.])|(?<=\b[xX]))[-+]?(?:\d+(?:[.,'\u2019\u00b7\u066b]\d+)*|\.\d+)(?:[eE][-+]?\d+)?")
_NUMBER_WORD = re.compile(r"\b(?:" + "|".join(word for word in NUMBER_WORDS if word != "one") + r")\b")
"""`one` is hardly ever a number."""
_CUT_BEFORE = re.compile(
    r"(?:\w|[.,^+/\u00b1-]|\d[:'\u2019\u00b7\u066b]|[^\s.:;!?]\s?[-+\u00b1]\s|(?<![\d.,])\d{1,6}\.\s)$"
)
"""What stands before a number of which it is a part: a sign, a range, the digits before a point that lost its line."""
_CUT_AFTER = re.compile(
    r"\w|[.,:/'\u2019\u00b7\u066b-]\d|\s?-\s?\d|\s?(?:[%‰°]|per\s?cent)|[\^×]|\s?[×x*\u00b7\u22c5]\s?\d"
    r"|\s(?:hundred|thousand|million|billion)\b"
)
_WORD_CUT_AFTER = re.compile(r"\w|[.,:/-]\d|\s?[%‰°]|[\^×]")
_BEFORE_GROUP = re.compile(r"(?<![\w.,])\d{1,3}(?: \d{3})* $")
_GROUP = re.compile(r"\d{3}(?![\d.,]*\d)")
"""Three digits that a space parts from the rest of their number: `1 000`."""
_INTEGER_END = re.compile(r"(?<![\d.,])\d{1,6}$")
_DECIMALS = re.compile(r"\s\d{1,6}(?![\d.]|\s[A-Z])")
"""What may be the rest of a number whose point ends a line; the number of a heading or of a list's item is not."""
_NEAR = 24
"""Characters beside a quote that are looked at."""


@lru_cache(maxsize=32)
def fold(text: str) -> str:
    """The canonical form in which quotes are compared. Case, digits and signs are left as they are."""
    composed = text if text.isascii() else _compatible(text)
    single_spaced = " ".join(_DASHES.sub("-", plain(composed)).split())
    return _WORD_HYPHEN.sub("", single_spaced)


def quote_stands(quote: Quote, pages: Sequence[str]) -> bool:
    """Whether the quote's text stands, whole words and whole numbers, on the page that it names."""
    if not 1 <= quote.page <= len(pages):
        return False
    wanted = fold(quote.text)
    if len(wanted.split()) < MIN_WORDS:
        return False
    page = fold(pages[quote.page - 1])
    start = page.find(wanted)
    while start >= 0:
        if _stands_whole(page, start, start + len(wanted)):
            return True
        start = page.find(wanted, start + 1)
    return False


def verified(quote: Quote, document: PdfText) -> Quote:
    """The quote with `verified` set by comparing it with the very file that it names."""
    stands = quote.file_sha256 == document.sha256 and quote_stands(quote, document.pages)
    return quote.model_copy(update={"verified": stands})


def numbers(text: str) -> tuple[str, ...]:
    """Every number as written, without a leading plus sign; `.95` is written `0.95`."""
    tokens = (token.removeprefix("+") for token in _NUMBER.findall(fold(text)))
    return tuple(re.sub(r"^(-?)\.", r"\g<1>0.", token) for token in tokens)


def numbers_stand(claim: str, quote: str) -> bool:
    """Whether every number of the claim stands, digit for digit, in the quote; `four` and `4` are the same."""
    return set(numbers(claim)) | _spelled(claim) <= set(numbers(quote)) | _spelled(quote)


def _spelled(text: str) -> set[str]:
    return {f"{NUMBER_WORDS[word]:g}" for word in _NUMBER_WORD.findall(fold(text).lower())}


def _compatible(text: str) -> str:
    characters = []
    for character in plain(text):
        canonical = unicodedata.normalize("NFKC", character)
        # 10² would otherwise become 102, and ½ the two numbers 1 and 2.
        flattened = canonical != character and not character.isdecimal() and any(c.isdecimal() for c in canonical)
        characters.append(f"^{canonical}" if flattened else canonical)
    return unicodedata.normalize("NFC", "".join(characters))


def _stands_whole(page: str, start: int, end: int) -> bool:
    """Neither end cuts through a word or a number: `0.95` does not stand in `0.958`, nor `5` in `-5`."""
    first, last = page[start], page[end - 1]
    before, after = page[max(0, start - _NEAR) : start], page[end : end + _NEAR]
    if (first.isalnum() or first in "+-.") and _cuts(before, first, page[start:end]):
        return False
    quoted = page[max(start, end - _NEAR) : end]
    if last.isdecimal():
        return not (_CUT_AFTER.match(after) or _goes_on(quoted, after))
    if last in ".,-/" and quoted[-2:-1].isdecimal():
        split = last == "-" or (last == "." and _INTEGER_END.search(quoted[:-1]))
        return not (re.match(r"\d", after) or (split and _DECIMALS.match(after)))
    return not (last.isalnum() and _WORD_CUT_AFTER.match(after))


def _goes_on(quoted: str, after: str) -> bool:
    """Whether the integer at the end of the quote has further digits: after a space, or a point and a space."""
    if _BEFORE_GROUP.search(quoted + " ") and after[:1] == " " and _GROUP.match(after[1:]):
        return True
    return bool(_INTEGER_END.search(quoted) and after[:1] == "." and _DECIMALS.match(after[1:]))


def _cuts(before: str, first: str, quoted: str) -> bool:
    if first.isdecimal() or first in "+-.":
        return bool(_CUT_BEFORE.search(before) or (_GROUP.match(quoted) and _BEFORE_GROUP.search(before)))
    return before[-1:].isalnum() or before.endswith("_")
