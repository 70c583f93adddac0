"""Scores of single items (examples) of a split: what an evaluator may leave beside its metrics.

Read by `experiments.metrics`, compared by the gate's policy `per-item` and by `agent doctor --noise`. A digest stands
for all of them in each run's record, so that equal scores can be told from unequal ones without keeping every run's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Items:
    """Scores of one run's items, in the order of the ids."""

    ids: tuple[str, ...]
    scores: tuple[float, ...]
    clusters: tuple[str, ...] = ()
    """One for each item, or none at all."""

    def digest(self) -> str:
        return items_digest(self.ids, self.scores, self.clusters)


def items_digest(ids: Sequence[str], scores: Sequence[float], clusters: Sequence[str] = ()) -> str:
    """sha256 over the items sorted by id: id, score and, where there are clusters, the item's cluster.

    Scores are written with every digit, so equal digests mean scores equal to the bit. ValueError where the
    sequences have different lengths.
    """
    if len(scores) != len(ids) or len(clusters) not in {0, len(ids)}:
        raise ValueError(f"{len(ids)} items, {len(scores)} scores and {len(clusters)} clusters")
    labels = clusters or [""] * len(ids)
    items = sorted(zip(ids, (float(score) for score in scores), labels, strict=True))
    text = json.dumps(items, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ItemAgreement:
    """How the scores of the same items compare over runs."""

    items: int
    equal: bool
    """Every item has bit-equal scores in all runs."""
    varying: float
    """Share of items whose score is not the same in all runs."""
    binary: bool
    """Every score is 0 or 1."""


def agreement(runs: Sequence[Items]) -> ItemAgreement | None:
    """Compare the runs' scores; None where there are fewer than two runs or their items are not the same."""
    if len(runs) < 2 or any(run.ids != runs[0].ids for run in runs):
        return None
    varying = sum(len(set(scores)) > 1 for scores in zip(*(run.scores for run in runs), strict=True))
    binary = all(score in {0.0, 1.0} for run in runs for score in run.scores)
    count = len(runs[0].ids)
    return ItemAgreement(count, varying == 0, varying / count, binary)
