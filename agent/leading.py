"""Who leads a board beside us, by the board as it was last read.

Called by the notes of a rejection (`agent.gap_notes`) and by `ask`. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.standings import Snapshot


def best_of_the_others(snapshot: Snapshot, ours: str) -> tuple[str, float] | None:
    """Name and score of the best counted entry that is not ours; None where there is none."""
    from tools.leaderboards import ranking
    from tools.leaderboards.names import same_name

    others = [(entry, score) for entry, score in ranking.scored(snapshot) if not same_name(entry.name, ours)]
    best = max(others, key=lambda pair: ranking.oriented(snapshot, pair[1]), default=None)
    return (best[0].name, best[1]) if best is not None else None
