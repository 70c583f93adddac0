"""What the headings of a table, its caption and the text about it say of one cell: dataset, metric, split.

Used by `agent.researcher.results.table_results`. Each answer comes with a weight, from 1 for a header of the cell's
own column down to what the paper is mostly about; two answers equally near are none. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from agent.researcher.results import own_rows
from agent.researcher.results.documents import Cell, Table
from agent.researcher.results.mentions import words_of
from agent.researcher.results.profile import Profile, table_caption
from agent.researcher.results.taxonomy import Metric
from agent.researcher.results.words import AVERAGE, SPLITS, normal, split_of

SIDE_TABLE = re.compile(
    r"\b(?:ablat\w*|statistics?|hyper.?parameters?|examples?|human (?:evaluation|judg\w+|ratings?)|runtime"
    r"|training time|speed|effects? of|impact of"
    r"|influence|analysis|error analysis|different (?:types|numbers?|sizes?|values?|settings?|variants?|templates?)"
    r"|contributions?|variations?|per.class|breakdown|subtasks?|sensitivity|varying|number of|correlation between"
    r"|feature sets?|cross.domain|out.of.domain|oov|initiali[sz]\w+|comparison of (?:different )?embeddings)\b",
    re.IGNORECASE,
)
_PLAIN_HEADERS = frozenset(
    """
    model models method methods system systems approach test set results result score scores all full avg
    average overall mean single ensemble our work ours the on of data dataset datasets corpus corpora task tasks
    performance parser year unsup embed best type total main reported evaluation emb name english dev val valid
    validation no classification accuracy using with and for encoder
    """.split()  # noqa: SIM905  (a list of words is read as one)
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a table says of all its cells."""

    caption: str
    datasets: tuple[str, ...]
    caption_metrics: tuple[str, ...]
    said: str
    split: str
    columns: frozenset[str]
    splits: frozenset[str]
    cited: bool
    side: bool


def surroundings_of(table: Table, profile: Profile) -> Surroundings:
    vocabulary = profile.vocabulary
    caption = table_caption(table.caption)
    headers = frozenset(header for cell in table.cells for header in (*cell.columns, *cell.groups))
    named = [profile.resolve(mention.items, caption) for mention in vocabulary.datasets_in(caption)]
    metrics = [base for mention in vocabulary.metrics_in(caption) for base in mention.items]
    return Surroundings(
        caption,
        tuple(dict.fromkeys(name for name in named if name)),
        tuple(dict.fromkeys(metrics)),
        profile.said_of_table(table.label),
        split_of(normal(caption)),
        headers,
        frozenset(split for header in headers if (split := split_of(normal(header)))),
        own_rows.others_cited(table.cells),
        bool(SIDE_TABLE.search(caption)),
    )


def dataset_of(cell: Cell, around: Surroundings, profile: Profile) -> tuple[str, float]:
    """The dataset of a cell and how near it is named; nothing where two are named equally near."""
    vocabulary, context = profile.vocabulary, " ".join([*cell.columns, *cell.groups])
    best, best_weight = "", 0.0
    for labels, weight in ((cell.columns, 1.0), (cell.groups, 0.95), (cell.rows, 0.9)):
        named = {
            profile.resolve(items, f"{context} {around.caption}")
            for label in labels
            if (items := vocabulary.header_dataset(label) or tuple(filter(None, [profile.short_for(label)])))
        } - {"", best}
        if len(named) > 1 or (named and best):
            return "", 0.0
        if named:
            best, best_weight = named.pop(), weight
    if best:
        return best, best_weight
    if of_task := _of_header_task(cell, profile):
        return of_task, 0.8
    if len(around.datasets) == 1:
        return around.datasets[0], 0.85
    if around.datasets:
        return _composed(cell, around)
    said = {profile.resolve(mention.items, around.said) for mention in vocabulary.datasets_in(around.said)} - {""}
    if len(said) == 1:
        return said.pop(), 0.65
    main = profile.main_dataset() if vocabulary.taxonomy.complete else ""
    return (main, 0.6) if main and (not said or main in said) else ("", 0.0)


def _of_header_task(cell: Cell, profile: Profile) -> str:
    """The dataset of a task that a header names, where the paper names just one that is described as the task's."""
    tasks = {
        task
        for label in (*cell.columns, *cell.groups)
        for one in profile.vocabulary.tasks_in(label)
        for task in one.items
    }
    if len(tasks) != 1:
        return ""
    task = tasks.pop()
    fits = [name for name, count in profile.dataset_counts.items() if count > 1 and profile.described_as(name) == task]
    return fits[0] if len(fits) == 1 else ""


def _composed(cell: Cell, around: Surroundings) -> tuple[str, float]:
    """A dataset whose words stand partly in the caption and partly in the header, as `WMT 2014` over `EN-DE`."""
    header = normal(" ".join([*cell.columns, *cell.groups, *cell.rows]))
    named = [name for name in around.datasets if any(f" {word} " in header for word in normal(name).split()[1:])]
    return (named[0], 0.75) if len(named) == 1 else ("", 0.0)


def base_of(cell: Cell, around: Surroundings, profile: Profile, dataset: str) -> tuple[str, float]:
    """What is measured, by the nearest naming."""
    vocabulary = profile.vocabulary
    for labels, weight in ((cell.columns, 1.0), (cell.groups, 0.95), (cell.rows[1:] + cell.rows[:1], 0.85)):
        named = {base for label in labels if not profile.short_for(label) and (base := vocabulary.header_metric(label))}
        if len(named) == 1:
            return named.pop(), weight
        if named:
            return "", 0.0
    if len(around.caption_metrics) == 1:
        return around.caption_metrics[0], 0.9
    about = _described(profile, dataset)
    if around.caption_metrics:
        shared = [base for base in around.caption_metrics if base in about]
        return (shared[0], 0.7) if len(shared) == 1 else ("", 0.0)
    said = {base for mention in vocabulary.metrics_in(around.said) for base in mention.items}
    if len(said) == 1:
        return said.pop(), 0.75
    if len(about) == 1 and about[0] in profile.metrics:
        return about[0], 0.65
    return "", 0.0


def _described(profile: Profile, dataset: str) -> list[str]:
    """Metrics that the dataset's own description names."""
    about = profile.vocabulary.datasets[dataset].about
    return list(dict.fromkeys(base for mention in profile.vocabulary.metrics_in(about) for base in mention.items))


def metric_of(base: str, cell: Cell, profile: Profile, split: str) -> Metric | None:
    """The metric of the taxonomy: one whose qualifier stands at the cell, else the one without a qualifier."""
    listed = profile.vocabulary.by_base.get(base, [])
    whole = {normal(label).strip() for label in (*cell.columns, *cell.groups)}
    near = normal(" ".join([*cell.columns, *cell.groups]))
    by_words = [
        one
        for one in listed
        if one.qualifier
        and not one.split
        and (one.qualifier in whole or (len(one.qualifier.split()) > 1 and f" {one.qualifier} " in near))
    ]
    if len(by_words) == 1:
        return by_words[0]
    by_split = [one for one in listed if one.split and one.split == (split or "test")]
    plain = sorted((one for one in listed if not one.qualifier), key=lambda one: len(one.name))
    return plain[0] if plain else by_split[0] if by_split else None


def split_at(cell: Cell, around: Surroundings) -> str:
    for labels in (cell.columns, cell.groups):
        named = {split for label in labels if (split := split_of(normal(label)))}
        if len(named) == 1:
            return named.pop()
        if named:
            return "dev"  # two splits at one cell: its headers were misread
    return around.split


def parts_of_one_dataset(profile: Profile, around: Surroundings) -> dict[str, tuple[str, Metric]]:
    """Headers that are the parts of one dataset: `B D E K Avg` for accuracy on books, DVDs, electronics, kitchen.

    At least three headers must be parts, and one dataset's description must fit the paper best by far.
    """
    vocabulary = profile.vocabulary
    found: dict[str, tuple[str, Metric]] = {}
    for base, metrics in vocabulary.by_base.items():
        parts = [one for one in metrics if one.qualifier and not one.split]
        if len(parts) < 3 or base not in profile.metrics:
            continue
        single = {header for header in around.columns if re.fullmatch(r"[A-Za-z]", header)}
        matched = {header: one for header in around.columns if (one := _part(header, parts, bool(single)))}
        qualifiers = {one.qualifier for one in matched.values()}
        if len(qualifiers) < 3:
            continue
        forms = Counter(_form(one) for one in matched.values())
        matched = {header: one for header, one in matched.items() if _form(one) == forms.most_common(1)[0][0]}
        if dataset := profile.described_by(f"{around.caption} {around.said} {' '.join(qualifiers)}", base):
            found.update({header: (dataset, one) for header, one in matched.items()})
    return found


def _part(header: str, parts: Sequence[Metric], initials: bool) -> Metric | None:
    word = normal(header).strip()
    if word in AVERAGE:
        several = [one for one in parts if one.qualifier in AVERAGE]
        return max(several, key=lambda one: sum(_form(one) == _form(other) for other in parts), default=None)
    fits = [one for one in parts if one.qualifier == word or (len(word) >= 3 and one.qualifier.startswith(word))]
    if not fits and initials and len(word) == 1:
        fits = [one for one in parts if one.qualifier.startswith(word) and " " not in one.qualifier]
    return fits[0] if len(fits) == 1 else None


def _form(metric: Metric) -> str:
    """How the metric's name is built around its qualifier: `accuracy on …`."""
    return normal(metric.name).replace(f" {metric.qualifier} ", " … ")


def unknown(header: str, profile: Profile) -> bool:
    """Whether a header names something that the taxonomy does not know: a part, another dataset, another language."""
    if profile.short_for(header):
        return False
    words = [word.lower() for word in words_of(header) if word.isalpha() and len(word) > 1]
    if not words or len(words) > 6:
        return False
    known = {name for names in SPLITS.values() for name in names} | _PLAIN_HEADERS
    rest = [word for word in words if word not in known]
    vocabulary = profile.vocabulary
    if not rest or vocabulary.header_dataset(header):
        return False
    base = vocabulary.header_metric(header)
    if not base or vocabulary.taxonomy.complete:
        return not base
    names = " ".join(name for metric in vocabulary.by_base[base] for name in metric.names).split()
    return any(word not in names for word in rest)  # `ImageNet Acc`: a dataset that is none of ours
