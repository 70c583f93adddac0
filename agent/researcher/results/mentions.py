"""Where text names something of the taxonomy: the longest names win, whatever separates their words.

Used by the readers of tables and of sentences. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from agent.researcher.results.taxonomy import Dataset, Metric, Taxonomy
from agent.researcher.results.words import CACHED, WHOLE_HEADERS, stands

_TOKEN = re.compile(r"[A-Za-z]+|\d+|[@%±]")
_YEAR_WORDS = frozenset({"19", "20"})


@dataclass(frozen=True, slots=True)
class Mention:
    """A name at words `start`..`end` of the text, and what goes by it."""

    start: int
    end: int
    items: tuple[str, ...]


def words_of(text: str) -> tuple[str, ...]:
    """Words and numbers of a text as written; letters and digits apart."""
    return _words_of(text) if len(text) <= CACHED else _words_of.__wrapped__(text)


@lru_cache(maxsize=20_000)
def _words_of(text: str) -> tuple[str, ...]:
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text))
    return tuple(_TOKEN.findall("".join(c for c in folded if not unicodedata.combining(c))))


class Names:
    """Finds names in texts. `exact` names count only in their own letters."""

    def __init__(
        self, names: Iterable[tuple[str, str]], exact: Iterable[tuple[str, str]] = (), *, capitals: bool = False
    ) -> None:
        """Pairs of (name in normal form, what it stands for) and of (name as written, what it stands for).

        `capitals`: a name in small letters alone does not count, unless a number is part of it.
        """
        self._capitals = capitals
        self._by_first: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        for name, item in names:
            if parts := tuple(name.split()):
                self._by_first.setdefault(parts[0], []).append((parts, item))
        self._exact: dict[str, list[str]] = {}
        for name, item in exact:
            self._exact.setdefault(name, []).append(item)

    def find(self, text: str) -> list[Mention]:
        """Names in their order; of names that overlap only the longest."""
        written = words_of(text)
        lower = [word.lower() for word in written]
        found: dict[tuple[int, int], list[str]] = {}
        for start, word in enumerate(lower):
            for parts, item in self._by_first.get(word, ()):
                if tuple(lower[start : start + len(parts)]) == parts:
                    found.setdefault((start, start + len(parts)), []).append(item)
            for item in self._exact.get(written[start], ()):
                found.setdefault((start, start + 1), []).append(item)
        kept: list[Mention] = []
        taken: set[int] = set()
        if self._capitals:
            found = {
                span: items
                for span, items in found.items()
                if not "".join(written[span[0] : span[1]]).islower()
                or any(word.isdigit() for word in written[span[0] : span[1]])
            }
        for (start, end), items in sorted(found.items(), key=lambda one: (one[0][0] - one[0][1], one[0][0])):
            if taken.isdisjoint(range(start, end)):
                taken.update(range(start, end))
                kept.append(Mention(start, end, tuple(dict.fromkeys(items))))
        return sorted(kept, key=lambda one: one.start)


class Vocabulary:
    """The taxonomy made ready for looking its names up."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self.datasets = {dataset.name: dataset for dataset in taxonomy.datasets}
        self.by_base: dict[str, list[Metric]] = {}
        for metric in taxonomy.metrics:
            self.by_base.setdefault(metric.base, []).append(metric)
        self._dataset_names = Names(
            ((name, dataset.name) for dataset in taxonomy.datasets for name in dataset.names),
            ((name, dataset.name) for dataset in taxonomy.datasets for name in dataset.capitals),
            capitals=True,
        )
        tasks = {word for task in taxonomy.tasks for name in task.names for word in (name, name.split()[0])}
        self._metric_names = Names(
            (name, metric.base) for metric in taxonomy.metrics for name in metric.names if name not in tasks
        )
        self._task_names = Names((name, task.name) for task in taxonomy.tasks for name in task.names)
        firsts: dict[str, list[str]] = {}
        for dataset in taxonomy.datasets:
            firsts.setdefault(words_of(dataset.name)[0] if words_of(dataset.name) else "", []).append(dataset.name)
        self._first_words = {word: names[0] for word, names in firsts.items() if len(names) == 1 and word.isupper()}

    def datasets_in(self, text: str) -> list[Mention]:
        return self._dataset_names.find(text)

    def metrics_in(self, text: str) -> list[Mention]:
        return self._metric_names.find(text)

    def tasks_in(self, text: str) -> list[Mention]:
        return self._task_names.find(text)

    def header_dataset(self, header: str) -> tuple[str, ...]:
        """Datasets that a header names; the first word of one name in capitals (`AG`) is enough where it is all."""
        found = self.datasets_in(header)
        if len(found) == 1:
            return found[0].items
        first = self._first_words.get(header.strip()) if not found else None
        return (first,) if first is not None else ()

    def header_metric(self, header: str) -> str:
        """What a header says is measured; empty where it says nothing or two things."""
        lower = header.strip(" .").lower()
        if lower in WHOLE_HEADERS and WHOLE_HEADERS[lower] in self.by_base:
            return WHOLE_HEADERS[lower]
        bases = {base for mention in self.metrics_in(header) for base in mention.items}
        return bases.pop() if len(bases) == 1 else ""

    def variant_of(self, names: Iterable[str], context: str) -> str:
        """The one of several datasets of one name whose variant `context` (normal form) names; empty if none."""
        several = [self.datasets[name] for name in names]
        if len(several) == 1:
            return several[0].name
        named = [dataset for dataset in several if dataset.variant and _variant_stands(dataset, context)]
        if len(named) > 1:  # "non anonymized version" holds "anonymized version"
            longest = max(named, key=lambda one: len(one.variant))
            named = [longest] if all(one is longest or one.variant in longest.variant for one in named) else []
        return named[0].name if named else ""


def _variant_stands(dataset: Dataset, context: str) -> bool:
    variant = dataset.variant.removesuffix(" version")
    return stands(variant, context)
