"""What a paper is about: its datasets and tasks by how and where it names them, and what it says of each table.

Used by the readers of tables and of sentences. Pure.
"""

from __future__ import annotations

import math
import re
from collections import Counter

from agent.researcher.results.documents import Document, caption_alone
from agent.researcher.results.mentions import Mention, Vocabulary
from agent.researcher.results.words import METRIC_TASKS, normal

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\d(])|\n")
_REFERENCES = re.compile(r"^(?:\d+\.?\s*)?(?:references|bibliography)\b", re.IGNORECASE)
_SHORT_FORM = re.compile(r"\b([A-Z][^\s()]{0,40}(?: [^\s()]{1,40}){0,5}) \(([A-Z][\w.-]{0,9})\)")
_STANDS_FOR = re.compile(r"\b([A-Z][A-Z\d-]{0,7}) (?:is|denotes|stands for|refers to|means)\s(?:the\s)?([^.,;]{3,40})")
_NO_NAMES = frozenset({"this", "it", "we", "a", "f1", "em", "p", "r", "f", "our", "train", "dev", "test"})
_TABLE = re.compile(r"\bTable\s+(?:\d{1,3}|[IVX]{1,6})\b(?!\.\d)", re.IGNORECASE)
_LONG, _SAID = 1000, 5
"""Letters of a sentence, and sentences about one table, that are looked at."""
MAIN_SHARE = 0.6
"""A dataset that takes this share of all mentions is what unnamed results are about."""


class Profile:
    """One paper seen through one vocabulary."""

    def __init__(self, document: Document, vocabulary: Vocabulary) -> None:
        self.document, self.vocabulary = document, vocabulary
        sections = [one.text for one in document.sections if not _REFERENCES.match(one.heading)]
        self.text = "\n".join(sections)
        self._sentences = _SENTENCE.split(self.text)
        self._said: dict[str, list[str]] = {}
        for sentence in self._sentences:
            for match in _TABLE.finditer(sentence[:_LONG]):
                said = self._said.setdefault(" ".join(match[0].lower().split()), [])
                if len(said) < _SAID:
                    said.append(sentence[:_LONG])
        self._of_datasets: dict[str, dict[str, float]] = {}
        self.normal_text = normal(self.text)
        front = f"{document.title}\n{document.abstract}"
        self.dataset_counts: Counter[str] = Counter()
        for mention in vocabulary.datasets_in(self.text):
            self.dataset_counts[self._one(mention.items)] += 1
        self._naming = [
            (sentence, {self._one(mention.items) for mention in found})
            for sentence in self._sentences
            if (found := vocabulary.datasets_in(sentence))
        ]
        self.front_datasets = {self._one(mention.items) for mention in vocabulary.datasets_in(front)} - {""}
        self.dataset_counts.pop("", None)
        self.metrics = {base for mention in vocabulary.metrics_in(self.text) for base in mention.items}
        self._defined = self._definitions()
        self._tasks = self._task_weights(front)

    def _one(self, names: tuple[str, ...]) -> str:
        return self.resolve(names, "")

    def resolve(self, names: tuple[str, ...], context: str) -> str:
        """One dataset of several that share a name: by the variant named nearby, else the one named most."""
        if len(names) < 2:
            return names[0] if names else ""
        if near := self.vocabulary.variant_of(names, normal(context)):
            return near
        counts: Counter[str] = Counter()
        for name in names:
            variant = self.vocabulary.datasets[name].variant.removesuffix(" version")
            if variant:
                counts[name] = self.normal_text.count(f" {variant} ")
        for name in list(counts):  # "non anonymized" holds "anonymized"
            for other in counts:
                shorter = self.vocabulary.datasets[name].variant
                if other != name and shorter in self.vocabulary.datasets[other].variant:
                    counts[name] -= counts[other]
        best = counts.most_common(2)
        if best and best[0][1] > 0 and (len(best) < 2 or best[0][1] > 2 * best[1][1]):
            return best[0][0]
        return ""

    def short_for(self, label: str) -> str:
        """The dataset that the paper itself calls so: `LDC2015E86 (R1)`; empty where it defines no such name."""
        return self._defined.get(label.strip(" ."), "")

    def _definitions(self) -> dict[str, str]:
        found: dict[str, set[str]] = {}
        for match in _SHORT_FORM.finditer(self.text):
            named = self.vocabulary.datasets_in(match[1])
            if named and len(named[-1].items) == 1 and not self.vocabulary.datasets_in(match[2]):
                found.setdefault(match[2], set()).add(named[-1].items[0])
        for match in _STANDS_FOR.finditer("\n".join([self.text, *(table.caption for table in self.document.tables)])):
            named = self.vocabulary.datasets_in(match[2])
            if len(named) == 1 and len(named[0].items) == 1:
                found.setdefault(match[1], set()).add(named[0].items[0])
        taken = {short for short in found if self.vocabulary.tasks_in(short) or short.lower() in _NO_NAMES}
        return {short: names.pop() for short, names in found.items() if len(names) == 1 and short not in taken}

    def main_dataset(self) -> str:
        """The dataset that results without a dataset's name are about; empty where the paper has several."""
        if len(self.front_datasets) == 1:
            only = next(iter(self.front_datasets))
            if self.dataset_counts[only] >= MAIN_SHARE * 0.5 * max(1, self.dataset_counts.total()):
                return only
        best = self.dataset_counts.most_common(1)
        if best and best[0][1] >= 3 and best[0][1] >= MAIN_SHARE * self.dataset_counts.total():
            return best[0][0]
        return ""

    def said_of_table(self, label: str) -> str:
        """The sentences that name a table, as one text."""
        return " ".join(self._said.get(label.lower(), ()))[:3000]

    def task_of(self, dataset: str, base: str, near: str) -> tuple[str, float]:
        """The task of a result on `dataset` measured by `base`, with how far it leads the next; `near` is its place."""
        scores = dict(self._of_dataset(dataset))
        for mention in self.vocabulary.tasks_in(near):
            for task in mention.items:
                scores[task] = scores.get(task, 0.0) + 2.0
        wanted = METRIC_TASKS.get(base)
        for task in scores:
            if wanted is not None and normal(task).strip() == wanted:
                scores[task] += 6.0
        ranked = sorted(((score, task) for task, score in scores.items() if task in self._tasks), reverse=True)
        if not ranked:
            return "", 0.0
        second = ranked[1][0] if len(ranked) > 1 else 0.0
        return ranked[0][1], ranked[0][0] - second

    def _beside(self, dataset: str) -> dict[str, float]:
        """Tasks that stand in one sentence with the dataset, up to 2 each."""
        counts: Counter[str] = Counter()
        for sentence, names in self._naming:
            if dataset in names:
                counts.update({task for mention in self.vocabulary.tasks_in(sentence) for task in mention.items})
        return {task: min(2.0, 0.5 * count) for task, count in counts.items()}

    def described_by(self, near: str, base: str) -> str:
        """The dataset whose description shares the rarest words with the paper's front and with `near`, by far."""
        datasets = [one for one in self.vocabulary.taxonomy.datasets if one.about]
        words = {one.name: set(one.about.split()[:120]) for one in datasets}
        spread = Counter(word for several in words.values() for word in several)
        said = set(normal(f"{self.document.title} {self.document.abstract} {near}").split())
        weights = {
            one.name: sum(math.log(len(words) / spread[word]) for word in words[one.name] & said if len(word) > 3)
            for one in datasets
            if base in {found for mention in self.vocabulary.metrics_in(one.about) for found in mention.items}
        }
        ranked = sorted(((weight, name) for name, weight in weights.items()), reverse=True)
        if not ranked or (len(ranked) > 1 and ranked[0][0] < 1.3 * ranked[1][0]):
            return ""
        return ranked[0][1]

    def described_as(self, dataset: str) -> str:
        """The task that the dataset's description names first; empty where it names none."""
        about = self._described(f"{dataset} {self.vocabulary.datasets[dataset].about}")
        return about[0].items[0] if about else ""

    def _described(self, about: str) -> list[Mention]:
        """Tasks that a description names; those of its beginning where that names any."""
        return self.vocabulary.tasks_in(about[:300]) or self.vocabulary.tasks_in(about[:800])

    def _of_siblings(self, dataset: str) -> list[Mention]:
        """Tasks in the descriptions of datasets whose names begin with the same word, where these agree."""
        first = normal(dataset).split()[:1]
        same = [one for one in self.vocabulary.taxonomy.datasets if normal(one.name).split()[:1] == first]
        told = [found for one in same if (found := self._described(f"{one.name} {one.about}"))]
        return told[0] if len({found[0].items for found in told}) == 1 else []

    def measures(self, base: str, headers: str = "") -> bool:
        """Whether the text says in words that it measures this, or headers say it by more than a short form (`R 1`)."""
        first = base.split()[0]
        names = [name for metric in self.vocabulary.by_base.get(base, ()) for name in metric.names]
        said = normal(headers)
        if any((name == base or len(name.replace(" ", "")) > 2) and f" {name} " in said for name in names):
            return True
        return f" {first} " in self.normal_text or any(len(n) > 3 and f" {n} " in self.normal_text for n in names)

    def _of_dataset(self, dataset: str) -> dict[str, float]:
        """Task → what speaks for it wherever a result on this dataset stands."""
        if dataset not in self._of_datasets:
            scores = dict(self._tasks)
            for task, weight in self._beside(dataset).items():
                scores[task] = scores.get(task, 0.0) + weight
            about = self._described(f"{dataset} {self.vocabulary.datasets[dataset].about}")
            for place, mention in enumerate((about or self._of_siblings(dataset))[:4]):
                for task in mention.items:
                    scores[task] = scores.get(task, 0.0) + (5.0 if place == 0 else 1.0)
            self._of_datasets[dataset] = scores
        return self._of_datasets[dataset]

    def _task_weights(self, front: str) -> dict[str, float]:
        """Task → how much the paper is about it; only tasks that its text names."""
        title, abstract = (
            Counter(task for mention in self.vocabulary.tasks_in(text) for task in mention.items)
            for text in (self.document.title, front)
        )
        whole = Counter(task for mention in self.vocabulary.tasks_in(self.text) for task in mention.items)
        most = max(whole.values(), default=1)
        return {
            task: 2.0 * bool(title[task]) + 0.7 * min(abstract[task], 3) + 2.0 * count / most
            for task, count in whole.items()
        }


def table_caption(caption: str) -> str:
    """The caption proper of a table, on one line."""
    return " ".join(caption_alone(caption).replace("-\n", "").split())
