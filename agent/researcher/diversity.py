"""Whether an idea is a variant of another: keeps the queue from ten forms of one thought.

Used by the researcher that asks a model and by `agent.admission`. Deterministic: words and paths are compared, nothing
is guessed. Two ideas about settings are variants where they change the same settings and the other one is still open:
its verdict says which value to try next. Two changes of code are variants where they share a file and most of their
words, numbers apart. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent.researcher.contract import Idea, Trial
from registry.hypotheses import Scalar

SIMILAR = 0.5
"""Share of common words (Jaccard) from which two changes of the same files are one idea."""
RETRIED = frozenset({"superseded"})
"""Verdicts that say nothing of the idea: production moved on during its test."""
_WORD = re.compile(r"[^\W_]+")
_LITTLE = frozenset(
    {"a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "in", "into", "instead", "is", "it", "its", "more"}
    | {"of", "on", "one", "or", "our", "so", "such", "than", "that", "the", "them", "then", "this", "to", "via", "we"}
    | {"when", "which", "with", "add", "change", "replace", "set", "try", "use", "using"}
)
_SHORTEST_STEM = 4


@dataclass(frozen=True, slots=True)
class Known:
    """An idea that was there before, as far as variants are told apart by it."""

    name: str
    """For people: `H-012`, or the title of another idea of the batch."""
    settings: frozenset[str]
    files: frozenset[str]
    words: frozenset[str]
    canonical: str
    open: bool


def canonical(change: str, files: Iterable[str]) -> str:
    """One text for a change of code however it is spaced, capitalised and punctuated, with its files in order."""
    folded = unicodedata.normalize("NFKC", change).casefold()
    return " ".join(_WORD.findall(folded)) + " @ " + " ".join(sorted(set(files)))


def words(*texts: str) -> frozenset[str]:
    """What a text is about: its words without little ones, numbers and endings."""
    found = _WORD.findall(unicodedata.normalize("NFKC", " ".join(texts)).casefold())
    return frozenset(_stem(word) for word in found if word not in _LITTLE and not word.isdecimal())


def of_trial(trial: Trial) -> Known:
    """A trial as a known idea."""
    return _known(trial.hypothesis, trial.settings, trial.files, trial.title, trial.change, trial.verdict == "open")


def of_idea(idea: Idea) -> Known:
    """An idea of the same batch: it waits as well."""
    return _known(f"“{idea.title}”", idea.settings, idea.files, idea.title, idea.change, is_open=True)


def variant(idea: Idea, others: Sequence[Known]) -> str:
    """Of which idea this is a variant, for people; empty where it is a new one."""
    mine = of_idea(idea)
    for other in others:
        if mine.files:
            if mine.canonical == other.canonical:
                return f"the same change of the same files as {other.name}"
            if mine.files & other.files and similarity(mine.words, other.words) >= SIMILAR:
                return f"a variant of {other.name}, in the same files and mostly the same words"
        elif not other.files and other.open and mine.settings == other.settings:
            return f"another value of what {other.name} changes, which has no verdict yet"
    return ""


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """Common words over all words; 0 where there is none."""
    return len(one & other) / len(one | other) if one | other else 0.0


def _known(
    name: str, settings: Mapping[str, Scalar], files: Iterable[str], title: str, change: str, is_open: bool
) -> Known:
    paths = frozenset(files)
    return Known(name, frozenset(settings), paths, words(title, change), canonical(change, paths), is_open)


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            return word.removesuffix(ending)
    return word
