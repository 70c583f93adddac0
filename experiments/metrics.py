"""What an evaluator wrote, read strictly: flat finite numbers, and per-example scores where there are any.

Called by the runner after the evaluate phase; nothing of a candidate's is read here.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from experiments.items import Items
from registry.errors import BadInput, Problem
from sandbox.outputs import read_output, strict_json

MAX_METRICS = 200
MAX_METRICS_BYTES = 1 << 20
MAX_EXAMPLES_BYTES = 256 << 20
EXAMPLES = "examples.jsonl"
MAX_ID = 200
"""Characters of an item's id or cluster."""


def read_metrics(out: Path, primary: str) -> dict[str, float]:
    """Metrics in `out/metrics.json`; raises BadInput unless it is one flat object of finite numbers with `primary`."""
    where = "metrics.json"
    if not os.path.lexists(out / where):
        raise BadInput(
            Problem(where, "nothing: evaluate left no metrics.json", f"that file with {primary!r} in {{out}}")
        )
    document = strict_json(_content(out, where, MAX_METRICS_BYTES), where)
    if not isinstance(document, dict) or len(document) > MAX_METRICS:
        raise BadInput(Problem(where, _kind(document), f"one object of at most {MAX_METRICS} numbers"))
    problems = [
        Problem(where, _kind(value), "a finite number", str(name)[:100])
        for name, value in document.items()
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)
    ]
    if primary not in document:
        names = ", ".join(sorted(str(name)[:40] for name in document)[:10]) or "nothing"
        problems.append(Problem(where, names, f"the primary metric {primary!r}", fix="see metrics.primary.name"))
    if problems:
        raise BadInput(*problems)
    return {str(name): float(value) for name, value in document.items()}


def read_items(out: Path) -> Items | None:
    """Per-item scores in `out/examples.jsonl`, in the order of the ids; None where the evaluator left none.

    One object a line: `id` (text or whole number, once each), `score` (finite, or true and false for 1 and 0) and,
    where items are not independent, `cluster` on every line. BadInput names the line.
    """
    if not os.path.lexists(out / EXAMPLES):
        return None
    lines = _content(out, EXAMPLES, MAX_EXAMPLES_BYTES).split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    document = strict_json(b"[" + b",\n".join(lines) + b"]", EXAMPLES)
    if not isinstance(document, list) or not document or len(document) != len(lines):
        raise BadInput(Problem(EXAMPLES, "no objects, or several on a line", "one object with id and score a line"))
    items = sorted(_item(value, number) for number, value in enumerate(document, start=1))
    ids = tuple(name for name, _, _ in items)
    if twice := next((one for one, other in pairwise(ids) if one == other), None):
        raise BadInput(Problem(EXAMPLES, f"the id {twice[:60]!r} twice", "every item once"))
    clusters = tuple(cluster for _, _, cluster in items)
    if any(clusters) and not all(clusters):
        raise BadInput(Problem(EXAMPLES, "a cluster on some lines only", "a cluster on every line, or on none"))
    return Items(ids, tuple(score for _, score, _ in items), clusters if any(clusters) else ())


def _content(out: Path, name: str, most: int) -> bytes:
    """A file's bytes; a complaint names the file and not the folder that the host had made for it."""
    try:
        return read_output(out, name, most)
    except BadInput as error:
        raise BadInput(*(replace(problem, where=name) for problem in error.problems)) from error


def _item(value: object, line: int) -> tuple[str, float, str]:
    if not isinstance(value, dict) or not {"id", "score"} <= value.keys():
        raise BadInput(Problem(EXAMPLES, _kind(value), "an object with id and score", line=line))
    name, score, cluster = value["id"], value["score"], value.get("cluster", "")
    for part, found in (("id", name), ("cluster", cluster)):
        if isinstance(found, bool) or not isinstance(found, (str, int)) or len(str(found)) > MAX_ID:
            raise BadInput(Problem(EXAMPLES, _kind(found), f"text of at most {MAX_ID} characters", part, line=line))
    if not isinstance(score, (int, float)) or not math.isfinite(score):
        raise BadInput(Problem(EXAMPLES, _kind(score), "a finite number", "score", line=line))
    return str(name), float(score), str(cluster)


def _kind(value: object) -> str:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return f"an object of {len(value)} members"
    return {list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(type(value), repr(value)[:40])
