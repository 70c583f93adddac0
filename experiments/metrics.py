"""What an evaluator wrote, read strictly: flat finite numbers, and per-example scores where there are any.

Called by the runner after the evaluate phase; nothing of a candidate's is read here.
"""

from __future__ import annotations

import math
from pathlib import Path

from registry.errors import BadInput, Problem
from sandbox.outputs import read_output, strict_json

MAX_METRICS = 200
MAX_METRICS_BYTES = 1 << 20
MAX_EXAMPLES_BYTES = 256 << 20


def read_metrics(out: Path, primary: str) -> dict[str, float]:
    """Metrics in `out/metrics.json`; raises BadInput unless it is one flat object of finite numbers with `primary`."""
    where = "metrics.json"
    document = strict_json(read_output(out, where, MAX_METRICS_BYTES), where)
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


def has_examples(out: Path) -> bool:
    """Whether the evaluator left per-example scores (`examples.jsonl`)."""
    return (out / "examples.jsonl").is_file()


def _kind(value: object) -> str:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return f"an object of {len(value)} members"
    return {list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(type(value), repr(value)[:40])
