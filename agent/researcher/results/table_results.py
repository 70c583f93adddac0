"""Candidates from tables: for each cell what its headings, caption and the text about its table say that it is.

Used by `agent.researcher.results.extraction`. A part that nothing names makes no candidate; the weights say how near
the naming stands to the cell. Pure.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace

from agent.researcher.results import own_rows
from agent.researcher.results.documents import Cell, Table
from agent.researcher.results.headings import (
    Surroundings,
    base_of,
    dataset_of,
    metric_of,
    parts_of_one_dataset,
    split_at,
    surroundings_of,
    unknown,
)
from agent.researcher.results.profile import Profile
from agent.researcher.results.taxonomy import SHORT, Metric
from agent.researcher.results.words import METRIC_TASKS, METRIC_WORDS, normal

_CAPTION = re.compile(r"^Table\s+(\w+)\s*[:.]")
_LABELS = re.compile(
    r"^\W*(?:data ?set|corpus|models?|methods?|systems?|approach|year|name|ids?|no)\W*$", re.IGNORECASE
)
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


def candidates(table: Table, profile: Profile, own: own_rows.Own) -> Iterator[Candidate]:
    """Every cell that names a dataset, a metric and a task of the taxonomy, somewhere."""
    around = surroundings_of(table, profile)
    family = parts_of_one_dataset(profile, around)
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
    under = {
        cell: labels
        for cell in table.cells
        if (labels := [_CAPTION.match(one) for one in cell.groups if _CAPTION.match(one)])
    }
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


def _candidate(
    cell: Cell,
    table: Table,
    around: Surroundings,
    profile: Profile,
    own: own_rows.Own,
    family: dict[str, tuple[str, Metric]],
) -> Candidate | None:
    headers = (*cell.columns, *cell.groups)
    split = split_at(cell, around)
    of_family = [family[header] for header in cell.columns if header in family]
    if len(of_family) == 1:
        (dataset, metric), dataset_weight, metric_weight = of_family[0], 0.8, 0.8
    else:
        dataset, dataset_weight = dataset_of(cell, around, profile)
        if not dataset or family:
            return None
        base, metric_weight = base_of(cell, around, profile, dataset)
        if not base or not profile.measures(base, " ".join(headers)):
            return None
        chosen = metric_of(base, cell, profile, split)
        if chosen is None:
            return None
        metric = chosen
        if len(around.caption_metrics) == 1 and not {metric.base, "f 1"} & set(around.caption_metrics):
            metric_weight *= 0.6
        if any(unknown(one, profile) for one in headers):
            if dataset_weight < 0.9 and not profile.vocabulary.taxonomy.complete:
                return None  # the caption names our board and the header something else
            dataset_weight -= 0.35 if dataset_weight < 0.9 else 0.2
            metric_weight -= 0.35 * (metric_weight < 0.95 and dataset_weight < 0.75)
        if metric.base not in METRIC_WORDS and len(metric.base) <= SHORT and dataset_weight > 0.9:
            return None  # `CR` beside the name of a dataset is another dataset
    if split == "dev" and metric.split != "dev":
        return None
    near = " ".join([*headers, around.caption, *cell.rows[1:]])
    task, lead = profile.task_of(dataset, metric.base, near)
    if (not task and profile.vocabulary.taxonomy.complete) or not _plausible(cell, metric):
        return None
    degree = own.degree(cell, around.caption, others_cited=around.cited)
    wanted = METRIC_TASKS.get(metric.base)
    if wanted is not None and normal(task).strip() != wanted:
        lead = 0.0
    confidence = degree * dataset_weight * metric_weight * (0.4 if around.side else 1.0) * (1.0 if lead >= 0.5 else 0.7)
    if cell.bold:
        confidence *= 1.15
    return Candidate(task, dataset, metric, cell.score, degree, dataset_weight, metric_weight, confidence, cell, table)


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
