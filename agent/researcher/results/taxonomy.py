"""The closed list of tasks, datasets and metrics that results are extracted for, with the names each goes by.

Built by the product from a user's own boards and metrics and by the benchmark from its files; an argument of the
extractor, which knows no dataset of its own. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.researcher.results.words import (
    DATASET_WORDS,
    LANGUAGES,
    METRIC_WORDS,
    SPLITS,
    TASK_WORDS,
    normal,
    short_years,
)

_BRACKET = re.compile(r"\s*\(([^)]*)\)")
_GENERIC_ENDS = (
    "dataset",
    "corpus",
    "benchmark",
    "shared task",
    "challenge",
    "evaluation campaign",
    "data set",
    "leaderboard",
    "board",
)
_DEFINED = re.compile(r"\b((?:[A-Z][\w-]+ ?){1,6})\(([A-Z][A-Za-z]*[A-Z][A-Za-z\d.-]*)\)")
_LINKED = re.compile(r"<a [^>]*>([^<]{4,60})</a>")
_NOT_A_NAME = re.compile(r"\bet al\b|\b(?:19|20)\d\d\)|^[^A-Z]*$|^here$|^\W")
_KNOWN_AS = re.compile(r"(?:also known as|abbreviated|called) ([\w-]{3,20})")
_LANGUAGE_PAIR = re.compile(r" ([a-z]{2}) ([a-z]{2})$")
_QUALIFIED = (
    re.compile(r"^(?P<base>.+?) on (?P<of>.+)$"),
    re.compile(r"^(?P<of>[\w-]+) \((?P<base>acc|f1)\)$", re.IGNORECASE),
    re.compile(r"^(?P<base>.+?) \((?P<of>[^)]+)\)$"),
    re.compile(r"^(?P<of>validation|test|dev) (?P<base>.+)$", re.IGNORECASE),
    re.compile(r"^(?P<of>.+?)[ -](?P<base>acc|accuracy|f1|precision|recall)(?: \([A-Z]+\))?$", re.IGNORECASE),
)
SHORT = 3
"""A one-word name counts only where it is written with capitals; one of so few letters only in capitals alone."""


@dataclass(frozen=True, slots=True)
class Task:
    """One task; `names` in normal form, its own first."""

    name: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `base` is what is measured, `qualifier` on which part: `Accuracy on Books` is accuracy, books."""

    name: str
    higher_is_better: bool
    base: str
    names: tuple[str, ...]
    qualifier: str = ""

    @property
    def split(self) -> str:
        """`dev` or `test` where the qualifier names a split of the data."""
        return next((split for split, names in SPLITS.items() if self.qualifier in names), "")


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset or board. `variant` tells it from others of the same name: `anonymized version`."""

    name: str
    names: tuple[str, ...]
    about: str = ""
    """What its description says, in normal form; empty where it has none."""
    variant: str = ""
    capitals: tuple[str, ...] = ()
    """Names that count only as they are written here."""


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Everything that a result may be about."""

    tasks: tuple[Task, ...]
    datasets: tuple[Dataset, ...]
    metrics: tuple[Metric, ...]
    complete: bool = True
    """Whether it lists what the field has. Where it does not, a number counts only with a dataset named beside it,
    because what the paper is about may be no dataset of ours; and a task is given only where one is named."""


def taxonomy(
    tasks: Iterable[str],
    datasets: Iterable[tuple[str, str]],
    metrics: Iterable[tuple[str, bool]],
    *,
    complete: bool = True,
) -> Taxonomy:
    """From names of tasks, (name, description) of datasets and (name, higher is better) of metrics."""
    listed = [_dataset(name, about) for name, about in dict(datasets).items()]
    return Taxonomy(
        tuple(_task(name) for name in dict.fromkeys(tasks)),
        tuple(listed),
        tuple(metric_named(name, higher) for name, higher in dict(metrics).items()),
        complete,
    )


def _task(name: str) -> Task:
    own = normal(name).strip()
    return Task(name, tuple(dict.fromkeys([own, *TASK_WORDS.get(own, ())])))


def metric_named(name: str, higher: bool) -> Metric:
    """A metric by its name, with what it measures and on which part."""
    base, qualifier = name, ""
    for pattern in _QUALIFIED:
        if match := pattern.match(name):
            inside = normal(match["of"]).strip()
            initials = "".join(word[0] for word in normal(match["base"]).split())
            if inside == initials:  # an abbreviation of the name and no qualifier
                base = match["base"]
            else:
                base, qualifier = match["base"], inside
            break
    key = normal(base).strip()
    for known, others in METRIC_WORDS.items():
        if key in others and known in {"accuracy", "f 1", "error"}:
            key = known
    names = [key, *METRIC_WORDS.get(key, ())]
    if not qualifier and normal(name).strip() not in names:
        names.append(normal(name).strip())
    return Metric(name, higher, key, tuple(dict.fromkeys(names)), qualifier)


def _dataset(name: str, about: str) -> Dataset:
    text = re.sub(r"<[^>]+>", " ", about)
    variant = " ".join(_BRACKET.findall(name))
    bare = _BRACKET.sub("", name)
    parts = [part for part in bare.split(" / ") if len(part.split()) > 1]
    written = [name, bare, *(parts if len(parts) == len(bare.split(" / ")) else [])]
    head = " ".join(text.split())[:400]
    for long, short in _DEFINED.findall(head):
        if _same(long, bare) or _same(short, bare):
            written += [long, short]
    written += _KNOWN_AS.findall(head)
    links = _LINKED.findall(about[:300])[:1]
    written += [one for one in links if not _NOT_A_NAME.search(one) and not normal(one).startswith(normal(bare))]
    names: list[str] = []
    for one in written:
        names += _variants(normal(one).strip())
    own = [one for one in dict.fromkeys(names) if one]
    short_ones = [one for one in own if one.isalpha()]
    capitals = [one for one in written if normal(one).strip() in short_ones and not one.islower()]
    capitals += [
        shape for one in short_ones for shape in ((one.upper(), one.capitalize())[: 1 if len(one) <= SHORT else 2])
    ]
    return Dataset(
        name,
        tuple(one for one in own if one not in short_ones),
        normal(text).strip(),
        normal(variant).strip(),
        tuple(dict.fromkeys(capitals)),
    )


def _same(first: str, second: str) -> bool:
    one, other = set(normal(first).split()), set(normal(second).split())
    generic = {"the", "dataset", "corpus", "of", "task"}
    return bool(one - generic) and bool(other - generic) and (one - generic <= other or other - generic <= one)


def _variants(own: str) -> Sequence[str]:
    found = [own, own.removeprefix("the ")]
    found += [own.removesuffix(end).strip() for end in _GENERIC_ENDS if own.endswith(f" {end}")]
    found += [re.sub(r" v (?=\d)", " ", one) for one in found if re.search(r" v \d", one)]
    for known, others in DATASET_WORDS.items():
        for one in list(found):
            if f" {known} " in f" {one} ":
                found += [f" {one} ".replace(f" {known} ", f" {other} ").strip() for other in others]
    if pair := _LANGUAGE_PAIR.search(own):
        names = [LANGUAGES.get(code, code) for code in pair.groups()]
        stem = own[: pair.start()]
        found += [f"{stem} {names[0]} {names[1]}", f"{stem} {names[0]} to {names[1]}", f"{stem} {pair[1]} to {pair[2]}"]
    return [*found, *(short_years(one) for one in found if short_years(one) != one)]
