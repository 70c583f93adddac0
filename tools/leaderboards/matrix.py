"""The gap matrix: every competitor's score on every board beside ours, as a Markdown table. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from registry.standings import Snapshot
from tools.leaderboards.names import clean_name, escape_cell
from tools.leaderboards.numbers_shown import decimals_for, signed
from tools.leaderboards.ranking import oriented, position, scored, standings

NOTHING = "—"


def gap_matrix(
    snapshots: Sequence[Snapshot],
    our_name: str,
    our_scores: Mapping[str, float],
    aliases: Mapping[str, Mapping[str, str]] | None = None,
    *,
    limit: int | None = None,
) -> str:
    """One row a competitor, ranked by the first board; the last column is our score there minus theirs, oriented.

    `our_scores` (board → score) stands in where a board does not list us. `aliases` (board → name there → name) join
    a competitor's names over boards; what a name means on one board says nothing of another. `limit` keeps that many
    rows, and always ours. Excluded entries have no rank.
    """
    if not snapshots:
        return ""
    joined = [_joined(snapshot, (aliases or {}).get(snapshot.board, {})) for snapshot in snapshots]
    rows = _rows(joined, clean_name(our_name), our_scores)
    header = ["Rank", "System", *(snapshot.board for snapshot in snapshots), "Δ to Our Score"]
    lines = ["| " + " | ".join(escape_cell(cell) for cell in header) + " |"]
    lines.append("|" + "|".join("-" * (len(cell) + 2) for cell in header) + "|")
    kept = [row for number, row in enumerate(rows) if limit is None or number < limit or row.ours]
    lines += ["| " + " | ".join(row.cells) + " |" for row in kept]
    if len(kept) < len(rows):
        lines.append("")
        lines.append(f"{len(rows) - len(kept)} further entries are not shown.")
    return "\n".join(lines) + "\n"


class _Row:
    def __init__(self, order: tuple[float, int, str], cells: list[str], *, ours: bool) -> None:
        self.order = order
        self.cells = cells
        self.ours = ours


def _joined(snapshot: Snapshot, aliases: Mapping[str, str]) -> Snapshot:
    """The board with every competitor under one name, whatever the board itself calls it."""
    names = {clean_name(there).casefold(): clean_name(name) for there, name in aliases.items()}
    entries = []
    for entry in snapshot.entries:
        name = clean_name(entry.name)
        entries.append(entry.model_copy(update={"name": names.get(name.casefold(), name)}))
    return snapshot.model_copy(update={"entries": entries})


def _rows(snapshots: Sequence[Snapshot], our_name: str, our_scores: Mapping[str, float]) -> list[_Row]:
    first = snapshots[0]
    columns = [_best(snapshot, our_name, our_scores) for snapshot in snapshots]
    digits = [decimals_for(*best.values()) if best else 3 for best in columns]
    ours = columns[0].get(our_name.casefold())
    rows: list[_Row] = []
    shown: set[str] = set()
    for order, rank, name, label, score, excluded in _entries_of_first(first, our_name, our_scores):
        key = name.casefold()
        is_ours = key == our_name.casefold()
        cells = [f"#{rank}" if not excluded else NOTHING, escape_cell(label), f"{score:.{digits[0]}f}"]
        cells += [_shown(best.get(key), places) for best, places in zip(columns[1:], digits[1:], strict=True)]
        cells.append(_delta(first, ours, score, digits[0], mine=is_ours and score == ours))
        rows.append(_Row((order, 1 if excluded else 0, label), cells, ours=is_ours))
        shown.add(key)
    names = {entry.name.casefold(): entry.name for s in snapshots[1:] for entry, _ in scored(s)}
    if any(best.get(our_name.casefold()) is not None for best in columns):
        names.setdefault(our_name.casefold(), our_name)
    for key in sorted(names.keys() - shown):
        cells = [NOTHING, escape_cell(names[key]), NOTHING]
        cells += [_shown(best.get(key), places) for best, places in zip(columns[1:], digits[1:], strict=True)]
        cells.append(NOTHING)
        rows.append(_Row((float("inf"), 2, names[key]), cells, ours=key == our_name.casefold()))
    return sorted(rows, key=lambda row: row.order)


def _entries_of_first(
    first: Snapshot, our_name: str, our_scores: Mapping[str, float]
) -> list[tuple[float, int, str, str, float, str]]:
    """(order, rank, name, label, score, why excluded) of every entry of the first board, and of us."""
    listed = standings(first)
    names = [standing.name for standing in listed]
    times = Counter(name.casefold() for name in names)
    found = []
    our_rank = None
    ours = our_scores.get(first.board)
    if ours is not None and our_name.casefold() not in times:
        our_rank = position(first, our_name, ours).rank or 1
        found.append((float(our_rank), our_rank, our_name, our_name, ours, ""))
    for standing, name in zip(listed, names, strict=True):
        behind_us = (
            ours is not None and our_rank is not None and oriented(first, standing.score) < oriented(first, ours)
        )
        rank = standing.rank + (1 if behind_us else 0)
        repeated = times[name.casefold()] > 1
        label = f"{name} ({standing.qualifier})" if repeated and standing.qualifier else name
        label = f"{label} (not counted: {standing.excluded})" if standing.excluded else label
        found.append((float(rank), rank, name, label, standing.score, standing.excluded))
    return found


def _best(snapshot: Snapshot, our_name: str, our_scores: Mapping[str, float]) -> dict[str, float]:
    """Best counted score of each competitor on one board, ours from the registry where the board has none."""
    best: dict[str, float] = {}
    for entry, score in scored(snapshot):
        key = entry.name.casefold()
        if key not in best or oriented(snapshot, score) > oriented(snapshot, best[key]):
            best[key] = score
    if snapshot.board in our_scores:
        best.setdefault(our_name.casefold(), our_scores[snapshot.board])
    return best


def _shown(score: float | None, digits: int) -> str:
    return NOTHING if score is None else f"{score:.{digits}f}"


def _delta(first: Snapshot, ours: float | None, score: float, digits: int, *, mine: bool) -> str:
    if ours is None or mine:
        return NOTHING
    return signed(oriented(first, ours) - oriented(first, score), digits)
