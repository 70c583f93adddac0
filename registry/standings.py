"""What leaderboards say: entries, snapshots of one board, and the differences between two snapshots.

Records only. `tools.leaderboards` reads boards into snapshots and compares them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

ChangeKind = Literal["new_entrant", "removed", "score_up", "corrected_down", "order"]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(Frozen):
    """One row of a board. Its identity is (name, qualifier), never the name alone."""

    name: str
    """Display name with glyphs (medals, emoji, "new" marks) stripped."""
    qualifier: str = ""
    """Date or folder that tells two entries of one name apart, where the board has one."""
    scores: dict[str, float | None]
    """Metric → value, the primary metric in our unit (`scale`) and others in the board's; None where none is shown."""
    excluded: str = ""
    """Why the entry never sets the gap (unverified, excluded by the board or by us); empty when it counts."""

    @property
    def identity(self) -> tuple[str, str]:
        return (self.name, self.qualifier)


class Standing(Frozen):
    """An entry with its competition rank (1, 2, 2, 4) on the board's primary metric."""

    rank: int
    name: str
    qualifier: str = ""
    score: float
    excluded: str = ""


class Snapshot(Frozen):
    """One board as read at one moment."""

    board: str
    track: str
    """Release of the benchmark; snapshots of different tracks are never compared."""
    metric: str
    higher_is_better: bool
    taken_at: str
    raw_sha256: str
    """Content address of the raw answer the snapshot was read from."""
    entries: list[Entry]


class Change(Frozen):
    """One difference between two snapshots of one track."""

    kind: ChangeKind
    name: str
    qualifier: str = ""
    old_score: float | None = None
    new_score: float | None = None
    old_rank: int | None = None
    new_rank: int | None = None
    overtook: list[str] = []
    """For `order`: names, present in both snapshots, that this entry was behind and is now ahead of."""
    excluded: str = ""
    """Why the entry does not count (any more), as in `Entry.excluded`; empty for counted entries."""


class Position(Frozen):
    """Where our own entry stands. Gaps are oriented: negative means behind."""

    rank: int | None
    score: float | None
    gap_to_first: float | None
    """Our score minus the best other counted score, oriented so that negative is behind."""
    gap_to_next: float | None = None
    """Our lead over the best counted entry that is not ahead of us; None where nobody is level or behind."""
    counted: int = 0
    """Entries that the rank is among: counted ones with a score, ours included."""
    excluded: str = ""
    """Why our own entry does not count on this board; its rank is then the one it would have."""


class Delta(Frozen):
    """What changed on one board between two snapshots, and what it means for us."""

    board: str
    changes: list[Change]
    before: Position
    after: Position
    entrants_ahead: list[str]
    """New entries that stand ahead of us."""
    overtaken_by: list[str]
    """Entries present in both snapshots that were behind us and are now ahead."""
    metric: str = ""
    higher_is_better: bool = True


class TrackChanged(Frozen):
    """Two snapshots that say different things and are never compared: another release, metric or direction."""

    board: str
    old: str
    """What the older snapshot measures: metric, and track where it has one."""
    new: str
    after: Position
    """Where we stand in the new track; there is no position before."""
