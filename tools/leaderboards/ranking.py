"""Who stands where: competition ranking and our own position. Pure.

Excluded entries are listed with the rank they would have; they move nobody else, set no gap and are not counted.
"""

from __future__ import annotations

from bisect import bisect_left

from registry.standings import Entry, Position, Snapshot, Standing
from tools.leaderboards.names import same_name


def oriented(snapshot: Snapshot, score: float) -> float:
    """The score turned so that larger is better."""
    return score if snapshot.higher_is_better else -score


def scored(snapshot: Snapshot, *, counted_only: bool = True) -> list[tuple[Entry, float]]:
    """Entries that have a score on the primary metric, in the board's order."""
    found = []
    for entry in snapshot.entries:
        score = entry.scores.get(snapshot.metric)
        if score is not None and not (counted_only and entry.excluded):
            found.append((entry, score))
    return found


def standings(snapshot: Snapshot) -> list[Standing]:
    """Every scored entry with its rank (1, 2, 2, 4), best first; excluded ones after counted ones of their rank."""
    losses = sorted(-oriented(snapshot, score) for _, score in scored(snapshot))
    ranked = [
        Standing(
            rank=1 + bisect_left(losses, -oriented(snapshot, score)),
            name=entry.name,
            qualifier=entry.qualifier,
            score=score,
            excluded=entry.excluded,
        )
        for entry, score in scored(snapshot, counted_only=False)
    ]
    return sorted(
        ranked, key=lambda standing: (standing.rank, bool(standing.excluded), standing.name, standing.qualifier)
    )


def our_entry(snapshot: Snapshot, our_name: str) -> tuple[Entry, float] | None:
    """Our best scored entry, a counted one before an excluded one."""
    ours = [(entry, score) for entry, score in scored(snapshot, counted_only=False) if same_name(entry.name, our_name)]
    return max(ours, key=lambda pair: (not pair[0].excluded, oriented(snapshot, pair[1])), default=None)


def position(snapshot: Snapshot, our_name: str, our_score: float | None = None) -> Position:
    """Where we stand. `our_score` places us on a board that does not list us; the board's own word wins."""
    listed = our_entry(snapshot, our_name)
    score = listed[1] if listed else our_score
    if score is None:
        return Position(rank=None, score=None, gap_to_first=None, counted=len(scored(snapshot)))
    ours = oriented(snapshot, score)
    others = [
        oriented(snapshot, value) for entry, value in scored(snapshot) if listed is None or entry is not listed[0]
    ]
    behind = [value for value in others if value <= ours]
    return Position(
        rank=1 + sum(value > ours for value in others),
        score=score,
        gap_to_first=ours - max(others) if others else None,
        gap_to_next=ours - max(behind) if behind else None,
        counted=len(others) + 1,
        excluded=listed[0].excluded if listed else "",
    )
