"""What papers say they reached on our boards: claims beside the board, for people to see and check.

Called by the gap's notes and the weekly digest. A claim here was measured by nobody in this house: it sets no rank, no
gap that anything is decided by and no verdict. Pure.
"""

from __future__ import annotations

from typing import Any

from registry.history import History
from registry.papers import Paper, ReportedResult
from tools.pdf.text import plain

Data = dict[str, Any]
_TITLE = 120


def best_claim(
    history: History, board: str, metric: str, ours: float | None, *, higher_is_better: bool
) -> tuple[Paper, ReportedResult] | None:
    """The best own result that any paper read so far reports on a board by a metric; only where its quote stands."""
    found = [
        (reading.paper, result)
        for reading in history.readings.values()
        for result in reading.results
        if result.whose == "own" and result.dataset == board and result.metric == metric and result.quote.verified
    ]
    sign = 1.0 if higher_is_better else -1.0
    return max(found, key=lambda one: (sign * in_unit(one[1].value, ours), one[0].key), default=None)


def in_unit(value: float, reference: float | None) -> float:
    """A score in the unit of `reference`: papers write 91.2 where our metric says 0.912."""
    fractions = reference is not None and 0.0 <= reference <= 1.0
    return value / 100.0 if fractions and 1.0 < value <= 100.0 else value


def facts(
    history: History,
    board: str,
    metric: str,
    ours: float | None,
    first: float | None = None,
    *,
    higher_is_better: bool,
) -> Data | None:
    """The best claim on a board beside our score there and the first entry's; None where no paper reports on it."""
    claim = best_claim(history, board, metric, ours, higher_is_better=higher_is_better)
    if claim is None:
        return None
    paper, result = claim
    sign = 1.0 if higher_is_better else -1.0
    difference = None  # in the metric's own unit, positive where the paper claims the better score
    if ours is not None:
        difference = round(sign * (in_unit(result.value, ours) - ours), 9)
    several = {
        reading.paper.key
        for reading in history.readings.values()
        if any(one.dataset == board and one.metric == metric and one.whose == "own" for one in reading.results)
    }
    return {
        "board": board,
        "papers": len(several),
        "paper": paper.key,
        "title": paper.title,
        "page": result.quote.page,
        "metric": result.metric,
        "score": result.score,
        "ahead_of_us": difference,
        "unit_interval": ours is not None and 0.0 <= ours <= 1.0,
        "ahead_of_first": first is not None and sign * (in_unit(result.value, first) - first) > 0,
    }


def told(found: Data | None) -> str:
    """One sentence on a claim; empty where there is none. The title is a stranger's and is not escaped here."""
    if found is None:
        return ""
    count = "1 paper reports" if found["papers"] == 1 else f"{found['papers']} papers report"
    where = f"“{plain(found['title'], _TITLE)}”, p. {found['page']}"
    return (
        f"{count} on {found['board']}: best own claim {found['metric']} {found['score']} ({where}), "
        f"unverified by us, {_beside_us(found)}."
    )


def _beside_us(found: Data) -> str:
    difference = found["ahead_of_us"]
    if difference is None:
        return "and we have no score there yet" + (", ahead of everyone on it" if found["ahead_of_first"] else "")
    if difference == 0:
        return "as good as our score"
    amount = f"{abs(difference) * 100:.2f} points" if found["unit_interval"] else f"{abs(difference):.4g}"
    first = ", ahead of everyone on the board" if found["ahead_of_first"] else ""
    return f"{amount} {'ahead of' if difference > 0 else 'behind'} our score{first}"
