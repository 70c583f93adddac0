"""Plays the nights of every world under every policy, checks the verdicts against the gate, and adds them up.

Called by `gate_error_control`. Work is cut into pieces of a few nights, which run beside each other; a night has its
own random stream, so the sums do not depend on how they were cut.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import gate_check
import numpy as np
from gate_rules import RULES, Ruled
from gate_walk import PARKED, PROMOTED, Verdicts, walk
from gate_worlds import Floats, Night, World, draw

from experiments.gate import ENight
from experiments.season import Season

E_NIGHTS = {"e-night": ENight(), "e-night, paired screen": ENight(screen="paired")}
"""The policy with each of its screens; the cached one is the default."""
CACHED, PAIRED = E_NIGHTS
FIELDS = ("promotions", "false", "true gain", "claimed", "nulls", "null promotions", "null seeds", "ones", "ones found")
"""What one night under one policy is reduced to. `ones` are the ideas of one sigma."""
STEPWISE = 4
"""One verdict of so many is reached run by run, the others are judged on the evidence at their end."""
_PIECE = 30_000
"""Candidates of one piece of work."""


@dataclass(frozen=True, slots=True)
class Checking:
    """Which verdicts the gate judges again, in each world."""

    sample: int | None
    """So many of each policy, from every kind of verdict; None for all of them."""
    decided: bool
    """Every promotion and everything parked under `e-night`, beside the sample."""


@dataclass(frozen=True, slots=True)
class Job:
    """So many nights of one world, under these policies."""

    world: World
    nights: int
    policies: tuple[str, ...]
    checking: Checking


@dataclass(slots=True)
class Played:
    """The nights of one world."""

    world: World
    nights: dict[str, Floats]
    """By policy, one row a night with `FIELDS`."""
    checked: int = 0
    differences: list[str] = field(default_factory=list)

    def column(self, policy: str, name: str) -> Floats:
        """One value a night."""
        return self.nights[policy][:, FIELDS.index(name)]


@dataclass(frozen=True, slots=True)
class _Piece:
    job: Job
    first: int
    last: int


def play(jobs: Iterable[Job], alpha: float, workers: int) -> dict[str, Played]:
    """Every job's nights, by the world's name."""
    pieces = [piece for job in jobs for piece in _cut(job)]
    made: dict[str, Played] = {}
    with ProcessPoolExecutor(workers) as pool:
        for piece in pool.map(_play_piece, pieces, [alpha] * len(pieces)):
            whole = made.get(piece.world.name)
            if whole is None:
                made[piece.world.name] = piece
                continue
            whole.nights = {name: np.concatenate([rows, piece.nights[name]]) for name, rows in whole.nights.items()}
            whole.checked += piece.checked
            whole.differences += piece.differences
    return made


def _cut(job: Job) -> Iterable[_Piece]:
    step = max(1, _PIECE // job.world.planned)
    return (_Piece(job, first, min(first + step, job.nights)) for first in range(0, job.nights, step))


def _play_piece(piece: _Piece, alpha: float) -> Played:
    job, world = piece.job, piece.job.world
    season = Season(1, world.planned, alpha, "2026-01-01", "2026-12-31")
    widest = ENight()
    rows: dict[str, list[list[float]]] = {name: [] for name in job.policies}
    played = Played(world, {})
    for number in range(piece.first, piece.last):
        night = draw(world, number, stage=widest.looks[-1], fresh=widest.fresh_pairs, baseline=widest.baseline_runs)
        sample = _Sample(job, number)
        for name in job.policies:
            if name in E_NIGHTS:
                policy = E_NIGHTS[name]
                made = walk(night, policy, season, world.threshold)
                decided = np.isin(made.reason, (PROMOTED, PARKED)) & job.checking.decided
                again = sample.of(_kinds(made)), np.flatnonzero(decided).tolist()
                _check_walk(played, night, made, policy, alpha, *again)
                ruled = Ruled(made.reason == PROMOTED, made.pairs + policy.fresh_pairs * made.fresh, made.gain)
            else:
                ruled = RULES[name](night, world.threshold)
                if name in gate_check.CHECKED_RULES:
                    kinds = list(zip(ruled.promoted.tolist(), ruled.seeds.tolist(), strict=True))
                    _check_ruled(played, night, ruled, name, sample.of(kinds))
            rows[name].append(_sums(night, ruled))
    played.nights = {name: np.array(made_rows) for name, made_rows in rows.items()}
    return played


class _Sample:
    """Which candidates of one night are judged again."""

    def __init__(self, job: Job, number: int) -> None:
        self.all = job.checking.sample is None
        checked = job.checking.sample or 0
        self.count = checked * (number + 1) // job.nights - checked * number // job.nights
        self.rng = np.random.default_rng([job.world.number, number])

    def of(self, kinds: list[tuple[int, int]]) -> list[int]:
        return list(range(len(kinds))) if self.all else gate_check.chosen(kinds, self.count, self.rng)


def _kinds(made: Verdicts) -> list[tuple[int, int]]:
    return list(zip(made.reason.tolist(), made.pairs.tolist(), strict=True))


def _check_walk(
    played: Played, night: Night, made: Verdicts, policy: ENight, alpha: float, sample: list[int], decided: list[int]
) -> None:
    """Some of the sample is run step by step, as a night would; the rest is judged at its end."""
    for index in sorted({*sample, *decided}):
        stepwise = index % STEPWISE == 0 and index not in decided
        found = gate_check.check_e_night(played.world, night, made, policy, alpha, index, stepwise=stepwise)
        played.differences += [found] if found else []
        played.checked += 1


def _check_ruled(played: Played, night: Night, ruled: Ruled, name: str, sample: list[int]) -> None:
    for index in sample:
        policy, stepwise = gate_check.CHECKED_RULES[name], index % STEPWISE == 0
        found = gate_check.check_rule(played.world, night, ruled, policy, index, stepwise=stepwise)
        played.differences += [found] if found else []
        played.checked += 1


def _sums(night: Night, ruled: Ruled) -> list[float]:
    promoted, effects = ruled.promoted, night.effects
    null, one = effects == 0.0, effects == 1.0
    return [
        float(np.count_nonzero(promoted)),
        float(np.count_nonzero(promoted & (effects <= 0.0))),
        float(effects[promoted].sum()),
        float(ruled.claimed[promoted].sum()),
        float(np.count_nonzero(null)),
        float(np.count_nonzero(promoted & null)),
        float(ruled.seeds[null].sum()),
        float(np.count_nonzero(one)),
        float(np.count_nonzero(promoted & one)),
    ]
