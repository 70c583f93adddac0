"""Candidates from tables: for each cell what its headings, caption and the text about its table say that it is.

Used by `agent.researcher.results.extraction`. A part that nothing names makes no candidate; the weights say how near
the naming stands to the cell. Pure.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agent.researcher.results import own_rows
from agent.researcher.results.documents import Cell, Table
from agent.researcher.results.mentions import words_of
from agent.researcher.results.profile import Profile, table_caption
from agent.researcher.results.taxonomy import SHORT, Metric
from agent.researcher.results.words import AVERAGE, METRIC_TASKS, METRIC_WORDS, SPLITS, normal, split_of

SIDE_TABLE = re.compile(
    r"\b(?:ablat\w*|statistics?|hyper.?parameters?|examples?|human (?:evaluation|judg\w+|ratings?)|runtime|training time|speed|effects? of|impact of"
    r"|influence|analysis|error analysis|different (?:types|numbers?|sizes?|values?|settings?|variants?|templates?)"
    r"|contributions?|variations?|per.class|breakdown|subtasks?|sensitivity|varying|number of|correlation between"
    r"|feature sets?|cross.domain|out.of.domain|oov|initiali[sz]\w+|comparison of (?:different )?embeddings)\b",
    re.IGNORECASE,
)
_PLAIN_HEADERS = frozenset(
    "model models method methods system systems approach test set results result score scores all full avg average"
    " overall mean single ensemble our work ours the on of data dataset datasets corpus corpora task tasks performance"
    " parser year unsup embed best type total main reported evaluation emb name english dev val valid validation no"
    " classification accuracy using with and for encoder".split()
)
_CAPTION = re.compile(r"^Table\s+(\w+)\s*[:.]")
_LABELS = re.compile(r"^\W*(?:data ?set|corpus|models?|methods?|systems?|approach|year|name|ids?|no)\W*$", re.IGNORECASE)
_GIVEN_OVER = re.compile(r"\b(?:human|time|speed|sec|seconds|params?|parameters|size|epochs?|#|std|depth|dim)\b", re.I)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible result. `weights` are the strengths of (dataset, metric, own) evidence, each in [0, 1]."""

    task: str
    dataset: str
    metric: Metric
    score: str
    own: float
    dataset_weight: float
    metric_weight: float
    confidence: float
    cell: Cell | None = None
    table: Table | None = None
    sentence: str = ""
    page: int = 0
    span: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class _Surroundings:
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


def candidates(table: Table, profile: Profile, own: own_rows.Own) -> Iterator[Candidate]:
    """Every cell that names a dataset, a metric and a task of the taxonomy, somewhere."""
    around = _surroundings(table, profile)
    family = _family(table, profile, around)
    found = []
    for cell in _without_outliers(_cells_of_its_own(table)):
        one = _candidate(cell, table, around, profile, own, family)
        if one is not None:
            found.append(one)
    marked = any(one.own >= 0.75 for one in found)  # a table that marks its own rows marks all of them
    yield from (one for one in found if one.own >= 0.7 or not marked)


def _cells_of_its_own(table: Table) -> list[Cell]:
    """The cells that belong to the table and not to one beside it on the page.

    A heading that is the caption of a table (`Table 1: …`) parts two tables: what stands under it is the next one.
    """
    under = {cell: labels for cell in table.cells if (labels := [_CAPTION.match(one) for one in cell.groups if _CAPTION.match(one)])}
    if not under or not table.label:
        return list(table.cells)
    number = table.label.split()[-1]
    own = [cell for cell, labels in under.items() if all(one is not None and one[1] != number for one in labels)]
    if own:
        return [replace(cell, groups=tuple(one for one in cell.groups if not _CAPTION.match(one))) for cell in own]
    return [cell for cell in table.cells if cell not in under]


def _without_outliers(cells: list[Cell]) -> list[Cell]:
    """The cells without numbers far below the rest of their column: deviations that stand beside the scores."""
    columns: dict[tuple[str, ...], list[float]] = {}
    for cell in cells:
        columns.setdefault(cell.columns, []).append(float(cell.score))
    middle = {labels: statistics.median(values) for labels, values in columns.items()}
    return [cell for cell in cells if not float(cell.score) < middle[cell.columns] / 10]


def _surroundings(table: Table, profile: Profile) -> _Surroundings:
    vocabulary = profile.vocabulary
    caption = table_caption(table.caption)
    headers = frozenset(header for cell in table.cells for header in (*cell.columns, *cell.groups))
    named = [profile.resolve(mention.items, caption) for mention in vocabulary.datasets_in(caption)]
    metrics = [base for mention in vocabulary.metrics_in(caption) for base in mention.items]
    return _Surroundings(
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


def _candidate(
    cell: Cell,
    table: Table,
    around: _Surroundings,
    profile: Profile,
    own: own_rows.Own,
    family: dict[str, tuple[str, Metric]],
) -> Candidate | None:
    headers = (*cell.columns, *cell.groups)
    split = _split(cell, around)
    of_family = [family[header] for header in cell.columns if header in family]
    if len(of_family) == 1:
        (dataset, metric), dataset_weight, metric_weight = of_family[0], 0.8, 0.8
    else:
        dataset, dataset_weight = _dataset(cell, around, profile)
        if not dataset or family:
            return None
        base, metric_weight = _base(cell, around, profile, dataset)
        if not base or not (profile.measures(base) or f" {base} " in normal(" ".join(headers))):
            return None
        chosen = _metric(base, cell, around, profile, split)
        if chosen is None:
            return None
        metric = chosen
        if len(around.caption_metrics) == 1 and not {metric.base, "f 1"} & set(around.caption_metrics):
            metric_weight *= 0.6
        if any(_unknown(one, profile) for one in headers):
            dataset_weight -= 0.35 if dataset_weight < 0.9 else 0.2
            metric_weight -= 0.35 * (metric_weight < 0.95 and dataset_weight < 0.75)
        if metric.base not in METRIC_WORDS and len(metric.base) <= SHORT and dataset_weight > 0.9:
            return None  # `CR` beside the name of a dataset is another dataset
    if split == "dev" and metric.split != "dev":
        return None
    near = " ".join([*headers, around.caption, *cell.rows[1:]])
    task, lead = profile.task_of(dataset, metric.base, near)
    if not task or not _plausible(cell, metric):
        return None
    degree = own.degree(cell, around.caption, others_cited=around.cited)
    wanted = METRIC_TASKS.get(metric.base)
    if wanted is not None and normal(task).strip() != wanted:
        lead = 0.0
    confidence = degree * dataset_weight * metric_weight * (0.4 if around.side else 1.0) * (1.0 if lead >= 0.5 else 0.7)
    if cell.bold:
        confidence *= 1.15
    return Candidate(task, dataset, metric, cell.score, degree, dataset_weight, metric_weight, confidence, cell, table)


def _dataset(cell: Cell, around: _Surroundings, profile: Profile) -> tuple[str, float]:
    """The dataset of a cell and how near it is named; nothing where two are named equally near."""
    vocabulary, context = profile.vocabulary, " ".join([*cell.columns, *cell.groups])
    best, best_weight = "", 0.0
    for labels, weight in ((cell.columns, 1.0), (cell.groups, 0.95), (cell.rows, 0.9)):
        named = {
            profile.resolve(items, f"{context} {around.caption}")
            for label in labels
            if (items := vocabulary.header_dataset(label) or (profile.short_for(label),))
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
        return _composed(cell, around, profile)
    said = {profile.resolve(mention.items, around.said) for mention in vocabulary.datasets_in(around.said)} - {""}
    if len(said) == 1:
        return said.pop(), 0.65
    main = profile.main_dataset()
    return (main, 0.6) if main and (not said or main in said) else ("", 0.0)


def _of_header_task(cell: Cell, profile: Profile) -> str:
    """The dataset of a task that a header names, where the paper names just one that is described as the task's."""
    tasks = {
        task for label in (*cell.columns, *cell.groups) for one in profile.vocabulary.tasks_in(label) for task in one.items
    }
    if len(tasks) != 1:
        return ""
    task = tasks.pop()
    fits = [name for name, count in profile.dataset_counts.items() if count > 1 and profile.described_as(name) == task]
    return fits[0] if len(fits) == 1 else ""


def _composed(cell: Cell, around: _Surroundings, profile: Profile) -> tuple[str, float]:
    """A dataset whose words stand partly in the caption and partly in the header, as `WMT 2014` over `EN-DE`."""
    header = normal(" ".join([*cell.columns, *cell.groups, *cell.rows]))
    named = [name for name in around.datasets if any(f" {word} " in header for word in normal(name).split()[1:])]
    return (named[0], 0.75) if len(named) == 1 else ("", 0.0)


def _base(cell: Cell, around: _Surroundings, profile: Profile, dataset: str) -> tuple[str, float]:
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
    said = {base for mention in vocabulary.metrics_in(around.said) for base in mention.items} - {"pos"}
    if len(said) == 1:
        return said.pop(), 0.75
    if len(about) == 1 and about[0] in profile.metrics:
        return about[0], 0.65
    return "", 0.0


def _described(profile: Profile, dataset: str) -> list[str]:
    """Metrics that the dataset's own description names."""
    about = profile.vocabulary.datasets[dataset].about
    return list(dict.fromkeys(base for mention in profile.vocabulary.metrics_in(about) for base in mention.items))


def _metric(base: str, cell: Cell, around: _Surroundings, profile: Profile, split: str) -> Metric | None:
    """The metric of the taxonomy: one whose qualifier stands at the cell, else the one without a qualifier."""
    listed = profile.vocabulary.by_base.get(base, [])
    whole = {normal(label).strip() for label in (*cell.columns, *cell.groups)}
    near = normal(" ".join([*cell.columns, *cell.groups]))
    by_words = [
        one
        for one in listed
        if one.qualifier and not one.split
        and (one.qualifier in whole or (len(one.qualifier.split()) > 1 and f" {one.qualifier} " in near))
    ]
    if len(by_words) == 1:
        return by_words[0]
    by_split = [one for one in listed if one.split and one.split == (split or "test")]
    plain = sorted((one for one in listed if not one.qualifier), key=lambda one: len(one.name))
    return plain[0] if plain else by_split[0] if by_split else None


def _split(cell: Cell, around: _Surroundings) -> str:
    for labels in (cell.columns, cell.groups):
        named = {split for label in labels if (split := split_of(normal(label)))}
        if len(named) == 1:
            return named.pop()
        if named:
            return "dev"  # two splits at one cell: its headers were misread
    return around.split


def _family(table: Table, profile: Profile, around: _Surroundings) -> dict[str, tuple[str, Metric]]:
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


def _unknown(header: str, profile: Profile) -> bool:
    """Whether a header names something that the taxonomy does not know: a part, another dataset, another language."""
    if profile.short_for(header):
        return False
    words = [word.lower() for word in words_of(header) if word.isalpha() and len(word) > 1]
    if not words or len(words) > 6:
        return False
    known = {name for names in SPLITS.values() for name in names} | _PLAIN_HEADERS
    rest = [word for word in words if word not in known]
    return bool(rest) and not profile.vocabulary.header_metric(header) and not profile.vocabulary.header_dataset(header)


def _plausible(cell: Cell, metric: Metric) -> bool:
    """Whether the number can be a score of this metric at all, and its place no count, time or size."""
    value = float(cell.score)
    if len(cell.columns) == 1 and _LABELS.match(cell.columns[0]):
        return False
    if _GIVEN_OVER.search(" ".join((*cell.columns, *cell.groups))) or value == 0.0:
        return False
    if "." not in cell.score and (len(cell.score) > 2 or value < 10):
        return False
    return value <= 100.0 or metric.base == "perplexity"
