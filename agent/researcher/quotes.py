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
from tools.pdf_text import PdfText, plain

MIN_WORDS = 3
"""Fewer words than this stand on almost any page and support nothing."""

_DASHES = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
_WORD_HYPHEN = re.compile(r"(?<=[^\W\d_])-\s?(?=[^\W\d_])")
_NUMBER = re.compile(r"(?:(?<![\w.])|(?<=\b[xX]))[-+]?(?:\d+(?:[.,]\d+)*|\.\d+)(?:[eE][-+]?\d+)?")
_NUMBER_WORD = re.compile(r"\b(?:" + "|".join(word for word in NUMBER_WORDS if word != "one") + r")\b")
"""`one` is hardly ever a number."""
_CUT_BEFORE = re.compile(r"(?:\w|[.,^+/-])$")
_CUT_AFTER = re.compile(r"^(?:\w|[.,:/-]\d|\s?[%‰°]|[\^×])")


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
    before, after = page[max(0, start - 1) : start], page[end : end + 2]
    starts_whole = not (first.isalnum() or first in "+-.") or not _cuts(before, first)
    return starts_whole and not (last.isalnum() and _CUT_AFTER.match(after))


def _cuts(before: str, first: str) -> bool:
    if first.isdecimal() or first in "+-.":
        return bool(_CUT_BEFORE.search(before))
    return before.isalnum() or before == "_"
