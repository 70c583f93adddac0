"""The results that a paper reports: candidates from tables and sentences, and of each kind the one that is meant.

Called by the rule-based reading and by `benchmarks/extraction.py`. One score for each dataset and metric, the
paper's own best; a candidate whose evidence is thin, or that another of equal evidence contradicts, is left out.
Pure: a document and a taxonomy in, records out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from agent.researcher.results import table_results, text_results
from agent.researcher.results.documents import Document
from agent.researcher.results.mentions import Vocabulary
from agent.researcher.results.own_rows import Own
from agent.researcher.results.profile import Profile
from agent.researcher.results.table_results import Candidate
from agent.researcher.results.taxonomy import Taxonomy

LEAST_CONFIDENCE = 0.35
"""Below it a part is named too far from its number, or the row may be another's; flat around it."""
_PARTS_OF_F1 = frozenset({"precision", "recall"})
"""Reported beside F1 and meant by it; the row with the best of one is not the row with the best result."""


def extract(document: Document, taxonomy: Taxonomy) -> list[Candidate]:
    """The results that the paper reports as its own; none where nothing is named near enough to its number."""
    return chosen(found_candidates(document, taxonomy))


def found_candidates(document: Document, taxonomy: Taxonomy) -> list[Candidate]:
    """Every candidate, chosen or not."""
    vocabulary = Vocabulary(taxonomy)
    profile = Profile(document, vocabulary)
    taken = {name for dataset in taxonomy.datasets for name in (*dataset.names, *map(str.lower, dataset.capitals))}
    taken |= {name for metric in taxonomy.metrics for name in metric.names}
    own = Own(
        document,
        frozenset(taken),
        lambda label: bool(vocabulary.header_dataset(label) or vocabulary.header_metric(label)),
    )
    found = [one for table in document.tables for one in table_results.candidates(table, profile, own)]
    return found + list(text_results.candidates(profile))


def chosen(found: Iterable[Candidate], least: float = LEAST_CONFIDENCE) -> list[Candidate]:
    """For each dataset and metric the best own score of the table that speaks clearest."""
    groups: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for one in found:
        if one.confidence >= least:
            groups[one.dataset, one.metric.name].append(one)
    best = [_best(group) for group in groups.values()]
    summed = {one.dataset for one in best if one.metric.base == "f 1"}
    return _once_each([one for one in best if not (one.metric.base in _PARTS_OF_F1 and one.dataset in summed)])


def _once_each(best: list[Candidate]) -> list[Candidate]:
    """One score stands for one result: where two are read from equal numbers, the one whose evidence is nearer."""

    def nearness(one: Candidate) -> float:
        return one.dataset_weight * one.metric_weight

    kept: list[Candidate] = []
    for one in sorted(best, key=nearness, reverse=True):
        same = [other for other in kept if other.score == one.score and len(one.score.replace(".", "")) > 2]
        if not any(other.metric.base != one.metric.base for other in same):
            kept.append(one)
    return kept


def _best(group: list[Candidate]) -> Candidate:
    """The best score among the own rows of the place whose evidence is the strongest."""
    clearest = max(group, key=lambda one: one.confidence)
    same = [one for one in group if one.table is clearest.table and one.own >= min(0.7, clearest.own)]
    sign = 1.0 if clearest.metric.higher_is_better else -1.0
    return max(same, key=lambda one: (sign * float(one.score), one.confidence))
