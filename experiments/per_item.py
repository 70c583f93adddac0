"""Scores of single items: what an evaluator may leave beside its metrics, one line for each item.

Called where runs are compared item by item. A file that cannot be read as scores is no evidence: BadInput says why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.metrics import MAX_EXAMPLES_BYTES
from registry.errors import BadInput, Problem
from sandbox.outputs import read_output, strict_json

EXAMPLES = "examples.jsonl"


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


def read_scores(folder: Path) -> dict[str, float] | None:
    """Id → score from `examples.jsonl` in a run's folder; None where there is none.

    Raises BadInput unless every line is an object with an `id` of its own and a finite number `score`.
    """
    if not (folder / EXAMPLES).is_file():
        return None
    scores: dict[str, float] = {}
    for number, line in enumerate(read_output(folder, EXAMPLES, MAX_EXAMPLES_BYTES).splitlines(), start=1):
        item = strict_json(line, EXAMPLES)
        name = item.get("id") if isinstance(item, dict) else None
        score = item.get("score") if isinstance(item, dict) else None
        if not isinstance(name, str) or isinstance(score, bool) or not isinstance(score, (int, float)):
            raise BadInput(Problem(EXAMPLES, repr(line[:60]), "an id and a number as score", line=number))
        if name in scores or not math.isfinite(score):
            raise BadInput(Problem(EXAMPLES, f"{name[:60]!r}: {score}", "each id once, and finite scores", line=number))
        scores[name] = float(score)
    return scores or None


def agreement(runs: Sequence[Mapping[str, float]]) -> ItemAgreement | None:
    """Compare the runs' scores; None where there are fewer than two runs or their items are not the same."""
    if len(runs) < 2 or any(run.keys() != runs[0].keys() for run in runs):
        return None
    first = runs[0]
    varying = sum(any(run[name] != score for run in runs) for name, score in first.items())
    binary = all(score in {0.0, 1.0} for run in runs for score in run.values())
    return ItemAgreement(len(first), varying == 0, varying / len(first), binary)
