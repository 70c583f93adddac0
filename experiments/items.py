"""Scores of single items (examples) of a split: what an evaluator may leave beside its metrics.

Read by `experiments.metrics`, compared by the gate's policy `per-item`. A digest stands for all of them in each run's
record, so that equal scores can be told from unequal ones without keeping every run's.
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
