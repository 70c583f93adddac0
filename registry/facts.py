"""The facts that a fold of the audit log keeps: production, tests under way, verdicts, boards, nights, cycles.

Records only, changed by `registry.history` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from registry.hypotheses import Scalar
from registry.runs import RunRecord

Data = dict[str, Any]


@dataclass(slots=True)
class Production:
    """A commit that is or was production."""

    commit: str
    tree: str
    index: int
    """How many commits were production before this one."""
    configuration: dict[str, Scalar]
    """Values of the search space's paths at this commit."""
    why: str
    seq: int


@dataclass(slots=True)
class Test:
    """One hypothesis on its way from a patch to a verdict, against one production commit."""

    hypothesis: str
    production: str
    production_tree: str
    started_at: str
    branch: str = ""
    commit: str = ""
    tree: str = ""
    diff: str = ""
    """Content address of the patch."""
    empty: bool = False
    environment_files: tuple[str, ...] = ()
    """Files that an environment is built from and that the patch changes."""
    restarts: int = 0
    """How often its runs were set aside because the environment changed."""
    validated: bool = False
    gate: Data | None = None
    """Frozen facts of the test: season, t, R, policy, seeds (event `gate_entered`)."""
    runs: dict[tuple[str, str, int], RunRecord] = field(default_factory=dict)
    """(arm, purpose, seed) → the record that counts."""
    looks: int = 0
    last_look: Data | None = None
    decided: str = ""
    """Outcome once there is one."""


@dataclass(slots=True)
class Postponement:
    """A hypothesis whose patch could not be written for a fault that is not its own, and that waits in the queue."""

    cycle: int
    night: str
    times: int
    """How often in all."""
    tonight: int
    """How often in that night."""
    why: str


@dataclass(slots=True)
class Verdict:
    """A closed test in the few facts that later decisions read."""

    hypothesis: str
    outcome: Literal["promote", "archive", "extend", "park"]
    reason: str
    explanation: str
    gain: float | None
    settings: dict[str, Scalar]
    family: str
    production: str
    seq: int
    log_e: float | None = None
    mean: float | None = None
    """Mean paired difference of the stage, where there was one."""
    gain_on: str = ""
    """What the gain was measured on, such as `5 fresh seeds`."""


@dataclass(slots=True)
class BoardState:
    """The latest reading of one leaderboard."""

    snapshot: str = ""
    """Content address of the snapshot."""
    track: str = ""
    slot: str = ""
    """Scheduled moment the reading belongs to."""
    tried_slot: str = ""
    tried_cycle: int = 0
    """The latest attempt, read or not; a board that was not read is tried again in the next cycle."""
    stood: bool = False
    """Whether our standing was drawn at least once; rank and gap may be None even then."""
    rank: int | None = None
    gap: float | None = None
    gap_points: float | None = None
    trigger: str = ""
    strategy: str = ""
    at_top_cycles: int = 0
    watched: Sequence[str] = ()
    """Who stood close behind us when we were first, nearest first."""
    delta: Data | None = None
    """What the last reading changed, until a standing has drawn its trigger from it."""


@dataclass(slots=True)
class Night:
    """One `agent run`, kept open over crashes until it ends by itself or is ended by a person."""

    id: str
    started_at: str
    goal: Data
    runs: int = 0
    run_seconds: float = 0.0
    cycles: int = 0
    first_seq: int = 0
    ended: str = ""
    rank_before: dict[str, int | None] = field(default_factory=dict)


@dataclass(slots=True)
class OpenCycle:
    """A cycle that was started and not yet finished."""

    number: int
    thread: str
    fingerprint: str
