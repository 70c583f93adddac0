"""What the gate reads: the raw values of every run of one candidate, and the facts they are judged under.

Built by the judge node from the run records and the season, or by `experiments.gate.record` from the audit log.
Plain frozen records without validation of their own: `experiments.gate.soundness` names whatever is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.runs import Arm, RunStatus

EVIDENCE_VERSION = 1


@dataclass(frozen=True, slots=True)
class RunValue:
    """One finished run as the gate sees it."""

    seed: int
    arm: Arm
    commit: str
    tree: str
    environment: str
    evaluator: str
    status: RunStatus
    primary: float | None
    secondary: Mapping[str, float] = field(default_factory=dict)
    run_id: str = ""
    isolation: str = ""
    outputs_sha256: str = ""
    attempts: int = 1
    """How often the run was tried; a crash counts only after its one retry."""
    items_sha256: str = ""
    """`experiments.items.items_digest` of the run's per-item scores; empty where it has none."""

    @property
    def ok(self) -> bool:
        return self.status == "ok"


@dataclass(frozen=True, slots=True)
class Pair:
    """Both arms on one seed. Production may be absent where the policy screens against a baseline, and where the
    candidate failed."""

    seed: int
    candidate: RunValue | None
    production: RunValue | None = None


@dataclass(frozen=True, slots=True)
class SeasonFacts:
    """The candidate's place in its season, fixed at its start."""

    id: int
    t: int
    planned: int
    """N."""
    promotions: int
    """R, frozen at the candidate's start."""
    alpha: float
    counted_t: int | None = None
    """What the audit log itself counts for t; None where the log was not asked."""
    counted_promotions: int | None = None

    @property
    def level(self) -> float:
        """alpha (R + 1) / N."""
        return self.alpha * (self.promotions + 1) / self.planned


@dataclass(frozen=True, slots=True)
class Readmission:
    """A parked candidate comes back after a promotion: it is the `position`-th of those let in at once, and
    `promotions` were decided by then. Its evidence must reach N / (alpha (promotions + position))."""

    promotions: int
    position: int


@dataclass(frozen=True, slots=True)
class ItemScores:
    """Scores of every item of the split in both arms, in the order of the ids; for the policy `per-item` only."""

    ids: tuple[str, ...]
    candidate: tuple[float, ...]
    production: tuple[float, ...]
    clusters: tuple[str, ...] = ()
    """The cluster each item belongs to, where items are not independent; empty where none is declared."""


@dataclass(frozen=True, slots=True)
class Plausibility:
    """What a result is held against before it is promoted without a person (`experiments.gate.plausibility`)."""

    best: float | None = None
    """The best value that the target calls plausible; None where it declares none."""
    leader: float | None = None
    """The best score of another on the metric's leaderboard, in the metric's unit; None where none is known."""
    season_gain: float = 0.0
    """The largest mean gain of the season's decided candidates, without those that were held; 0 before the first."""
    released: bool = False
    """Whether a person has looked at it and let it go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything one decision depends on."""

    hypothesis: str
    metric: str
    higher_is_better: bool
    threshold: float
    """Smallest gain worth a promotion (tau), in the metric's unit."""
    season: SeasonFacts
    stage_seeds: tuple[int, ...]
    fresh_seeds: tuple[int, ...]
    stage: tuple[Pair, ...] = ()
    fresh: tuple[Pair, ...] = ()
    costs: tuple[Pair, ...] = ()
    """Pair k ran on `stage_seeds[k]` with nothing beside it; only its `secondary` values are read."""
    cost_limits: Mapping[str, float] = field(default_factory=dict)
    """Declared costs and the largest relative increase allowed (0.10 for ten percent)."""
    baseline: tuple[RunValue, ...] = ()
    """Production on seeds of its own, for the cached screen only."""
    projected_rank: int | None = None
    required_rank: int | None = None
    """Rank that the victory condition asks for; None where none is declared."""
    empty_diff: bool = False
    identical_outputs: bool = False
    production_commit_now: str = ""
    production_commit_paired: str = ""
    environments: tuple[str, str] | None = None
    """What production and the candidate run in, where the change under test is one of the environment; None where both
    must run in the same."""
    uncommitted: bool = False
    split: str = "dev"
    evaluator: str = ""
    """Hash of the evaluator that was pinned when the candidate started; empty where none was."""
    board_higher_is_better: bool | None = None
    """Direction that the metric's leaderboard states, where it states one."""
    seeds_derived: bool = True
    """Whether the seed lists are those `experiments.seeds` gives (season, t); an outside file may declare its own."""
    readmission: Readmission | None = None
    items: ItemScores | None = None
    plausibility: Plausibility | None = None
    """None in evidence from before there was this question, which is then not asked."""

    @property
    def log_bar(self) -> float:
        """Log of the evidence a promotion needs."""
        if self.readmission is None:
            return -math.log(self.season.level)
        back = self.readmission
        return math.log(self.season.planned / (self.season.alpha * (back.promotions + back.position)))

    def oriented(self, difference: float) -> float:
        """The difference with "better" as positive."""
        return difference if self.higher_is_better else -difference


def primary(run: RunValue | None) -> float:
    """The primary value of a run that soundness has accepted."""
    if run is None or run.primary is None:
        raise ValueError("a run without a value was read; soundness must be checked first")
    return run.primary


def differences(evidence: Evidence, pairs: tuple[Pair, ...]) -> tuple[float, ...]:
    """Candidate minus production on each seed, oriented so that positive is better."""
    sign = 1.0 if evidence.higher_is_better else -1.0
    return tuple(sign * (primary(pair.candidate) - primary(pair.production)) for pair in pairs)


def largest_value(pairs: tuple[Pair, ...]) -> float:
    """Largest absolute raw value of both arms, the scale below which a spread is rounding."""
    return max(max(abs(primary(pair.candidate)), abs(primary(pair.production))) for pair in pairs)


def first_failure(pairs: tuple[Pair, ...]) -> int | None:
    """Index of the first pair whose candidate failed."""
    for index, pair in enumerate(pairs):
        if pair.candidate is not None and pair.candidate.status != "ok":
            return index
    return None
