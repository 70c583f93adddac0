"""What a position on a board calls for: urgency, research, defence, and how far to search. Pure.

The monitor asks `classify` once a board and cycle; it decides nothing about hypotheses themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from registry.standings import Delta, Position, Snapshot
from tools.leaderboards.names import same_name
from tools.leaderboards.ranking import oriented, scored
from tools.leaderboards.sources import Victory

FINE_BELOW = 1.0
ABLATION_UP_TO = 5.0
WATCH_WITHIN = 5.0
ROUNDING = 1e-9
"""Differences of decimal fractions miss their value by the last bits; thresholds are not decided by those."""

Strategy = Literal["fine_search", "ablation", "try_queue", "escalate"]


@dataclass(frozen=True, slots=True)
class Trigger:
    """Everything that one board calls for now; several may hold at once."""

    urgent: bool = False
    """Our rank was lost: straight to experiments."""
    ingest: bool = False
    """The gap widened past the threshold: read what others publish."""
    defend: bool = False
    """First by the margin: re-run production and watch those who come near."""
    won: bool = False
    """The victory condition holds for as many cycles as it asks."""
    strategy: Strategy | None = None
    """How to search for the missing points; None where there is no gap to close."""
    reasons: tuple[str, ...] = ()


def unit_interval(snapshot: Snapshot) -> bool:
    """Whether the board's metric lives in [0, 1], judged by every score it shows."""
    return all(0.0 <= score <= 1.0 for _, score in scored(snapshot, counted_only=False))


def gap_points(snapshot: Snapshot, position: Position) -> float | None:
    """Points missing to first place (0 when nobody is ahead): 100 × difference in [0, 1], else % of the leader."""
    if position.gap_to_first is None:
        return None if position.score is None else 0.0
    return points(snapshot, -position.gap_to_first) if position.gap_to_first < 0 else 0.0


def points(snapshot: Snapshot, difference: float) -> float | None:
    """A difference of scores in points; None where the leader's score is 0, of which nothing is a share."""
    unit = _point(snapshot)
    return None if unit is None else round(difference / unit, 9)


def _point(snapshot: Snapshot) -> float | None:
    """One point in the metric's own unit."""
    if unit_interval(snapshot):
        return 0.01
    best = max((oriented(snapshot, score) for _, score in scored(snapshot)), default=0.0)
    return abs(best) / 100.0 or None


def holds(position: Position, victory: Victory) -> bool:
    """Whether we stand where the victory condition asks, by its margin, with an entry that counts."""
    if position.rank is None or position.excluded or position.rank > victory.rank:
        return False
    return position.gap_to_next is None or position.gap_to_next >= victory.margin - ROUNDING


def classify(
    delta: Delta | None,
    position: Position,
    victory: Victory,
    gap_points: float | None,
    widen_threshold: float | None,
    queued_projection: float | None,
    *,
    cycles_held: int = 0,
) -> Trigger:
    """What to do about one board.

    `gap_points` is what is missing to first place; `widen_threshold` is in points too. `queued_projection` is the
    largest gain in points that a queued hypothesis is projected to bring, None where none is queued. `cycles_held`
    counts the cycles before this one, without a break, in which the victory condition held.
    """
    reasons: list[str] = []
    urgent = _rank_lost(delta, reasons)
    ingest = _widened(delta, gap_points, widen_threshold, reasons)
    defend = holds(position, victory)
    won = defend and cycles_held + 1 >= victory.sustained_cycles
    if defend:
        reasons.append(f"rank {position.rank} held for {cycles_held + 1} of {victory.sustained_cycles} cycles")
    strategy = None if defend else _strategy(position, gap_points, queued_projection, reasons)
    return Trigger(urgent, ingest, defend, won, strategy, tuple(reasons))


def _rank_lost(delta: Delta | None, reasons: list[str]) -> bool:
    if delta is None or delta.before.rank is None or delta.after.rank is None or delta.after.rank <= delta.before.rank:
        return False
    ahead = [*delta.overtaken_by, *delta.entrants_ahead]
    because = f" ({', '.join(ahead[:5])} ahead)" if ahead else ""
    reasons.append(f"rank fell from {delta.before.rank} to {delta.after.rank}{because}")
    return True


def _widened(delta: Delta | None, gap: float | None, threshold: float | None, reasons: list[str]) -> bool:
    """Whether the gap grew by more than the threshold; both gaps are counted in today's points."""
    if delta is None or threshold is None or gap is None:
        return False
    before, after = delta.before.gap_to_first, delta.after.gap_to_first
    if before is None or after is None or after >= 0:
        return False
    widening = round((before - after) * gap / -after, 9)
    if widening <= threshold:
        return False
    reasons.append(f"gap to first widened by {widening:.2f} points, more than {threshold:g}")
    return True


def _strategy(position: Position, gap: float | None, queued: float | None, reasons: list[str]) -> Strategy | None:
    if position.rank is None or gap is None:
        return None
    said = f"gap of {gap:.2f} points"
    if gap < FINE_BELOW:
        reasons.append(f"{said}: fine search")
        return "fine_search"
    if gap <= ABLATION_UP_TO:
        reasons.append(f"{said}: ablation of components")
        return "ablation"
    if queued is not None and queued >= gap:
        reasons.append(f"{said}: a queued hypothesis is projected to bring {queued:.2f}")
        return "try_queue"
    reasons.append(f"{said}: nothing queued is projected to close it")
    return "escalate"


def approaching(snapshot: Snapshot, our_name: str, position: Position, within: float = WATCH_WITHIN) -> list[str]:
    """Counted entries behind us or level by at most `within` points, nearest first: who to watch in defence."""
    unit = _point(snapshot)
    if position.score is None or unit is None:
        return []
    ours = oriented(snapshot, position.score)
    near: list[tuple[float, str]] = []
    for entry, score in scored(snapshot):
        lead = round((ours - oriented(snapshot, score)) / unit, 9)
        if 0 <= lead <= within and not same_name(entry.name, our_name):
            near.append((lead, entry.name))
    return [name for _, name in sorted(near)]
