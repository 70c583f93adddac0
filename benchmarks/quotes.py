"""Altered numbers in quotes of real papers: how many an approximate comparison accepts, and how many ours does.

    python benchmarks/quotes.py PAPER.pdf... [--json]

Every sentence with a number becomes a quote in which one digit is changed. Approximate comparison (the ratio of
`difflib` at 0.9, as fuzzy quote checks use) is shown for what it is worth; exact comparison after folding is ours.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from agent.researcher.claims import sentences
from agent.researcher.quotes import MIN_WORDS, fold, numbers, quote_stands
from registry.hypotheses import Quote
from tools.pdf import text as pdf_text

RATIO = 0.9
STEP = 7
"""Added to each digit in turn, modulo ten; it never leaves a digit as it was."""


@dataclass(frozen=True)
class Counted:
    """What became of one paper's quotes."""

    paper: str
    quotes: int
    standing: int
    """Unaltered quotes that stand, which all should."""
    altered: int
    fuzzy_accepted: int
    exact_accepted: int
    exact_us: float
    """Mean time of one exact check, in microseconds."""


def altered(text: str) -> list[str]:
    """The text once for each of its numbers, with that number's first digit changed."""
    found = []
    for token in dict.fromkeys(numbers(text)):
        place = text.find(token.lstrip("-"))
        if place >= 0:
            digit = str((int(text[place]) + STEP) % 10) if text[place].isascii() and text[place].isdigit() else ""
            found.append(text[:place] + digit + text[place + 1 :])
    return found


def count(path: Path) -> Counted:
    """Every sentence with a number of one paper, as it stands and altered."""
    document = pdf_text.pages(path)
    quotes = standing = changed = fuzzy = exact = 0
    spent = 0.0
    for page, text in enumerate(document.pages, start=1):
        whole = fold(text)
        for sentence in sentences(text):
            if not numbers(sentence) or len(sentence.split()) < MIN_WORDS:
                continue
            quotes += 1
            standing += _stands(document, page, sentence)
            for lie in altered(sentence):
                if fold(lie) in whole:
                    continue
                changed += 1
                fuzzy += SequenceMatcher(None, fold(sentence), fold(lie), autojunk=False).ratio() >= RATIO
                started = time.perf_counter()
                exact += _stands(document, page, lie)
                spent += time.perf_counter() - started
    return Counted(path.name, quotes, standing, changed, fuzzy, exact, round(1e6 * spent / max(changed, 1), 1))


def _stands(document: pdf_text.PdfText, page: int, text: str) -> bool:
    quote = Quote(document="", file_sha256=document.sha256, page=page, text=text[:2000], verified=False)
    return quote_stands(quote, document.pages)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("papers", nargs="+", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    counted = [count(path) for path in arguments.papers]
    if arguments.json:
        print(json.dumps([asdict(one) for one in counted], indent=2))
    else:
        for one in counted:
            print(
                f"{one.paper}: {one.standing} of {one.quotes} quotes stand; of {one.altered} altered numbers "
                f"approximate comparison accepts {one.fuzzy_accepted}, exact {one.exact_accepted} "
                f"({one.exact_us} µs each)"
            )
    return 0 if all(one.exact_accepted == 0 and one.standing == one.quotes for one in counted) else 1


if __name__ == "__main__":
    raise SystemExit(main())
