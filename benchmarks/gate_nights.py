"""Plays the nights of every world under every policy, checks the verdicts against the gate, and adds them up.

Called by `gate_error_control`. Work is cut into pieces of a few nights, which run beside each other; a night has its
own random stream, so the sums do not depend on how they were cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter

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
"""One of so many of the sample is reached run by run; all others are judged on the evidence at their end."""
_PIECE = 30_000
"""Candidates of one piece of work."""


@dataclass(frozen=True, slots=True)
class Checking:
    """Which verdicts the gate gives, in each world; the engine alone says the rest."""

    whole: int
    """The first so many nights: every candidate's, under every policy that the gate has."""
    sample: int
    """Of the nights after those, so many of each policy, from every kind of verdict, reached run by run in part."""
    decided: bool
    """Of the nights after those, every promotion and everything parked under `e-night`, beside the sample."""


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


_Check = tuple[int, bool, Callable[..., str | None]]
"""A candidate, whether it is judged step by step, and what says how engine and gate differ."""


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
    checks: list[_Check] = []
    for number in range(piece.first, piece.last):
        night = draw(world, number, stage=widest.looks[-1], fresh=widest.fresh_pairs, baseline=widest.baseline_runs)
        sample = _Sample(job, number)
        whole = number < job.checking.whole
        for name in job.policies:
            if name in E_NIGHTS:
                policy = E_NIGHTS[name]
                made = walk(night, policy, season, world.threshold)
                decided = np.isin(made.reason, (PROMOTED, PARKED)) & job.checking.decided
                judged = range(len(decided)) if whole else np.flatnonzero(decided).tolist()
                check = partial(gate_check.check_e_night, world, night, made, policy, alpha)
                checks += _checks(check, sample.of(_kinds(made)), judged)
                ruled = Ruled(made.reason == PROMOTED, made.pairs + policy.fresh_pairs * made.fresh, made.gain)
            else:
                ruled = RULES[name](night, world.threshold)
                if name in gate_check.CHECKED_RULES:
                    kinds = list(zip(ruled.promoted.tolist(), ruled.seeds.tolist(), strict=True))
                    check = partial(gate_check.check_rule, world, night, ruled, gate_check.CHECKED_RULES[name])
                    checks += _checks(check, sample.of(kinds), range(len(kinds)) if whole else [])
            rows[name].append(_sums(night, ruled))
    # One candidate after the other: the gate derives a candidate's seeds once for all nights.
    found = [check(index, stepwise=stepwise) for index, stepwise, check in sorted(checks, key=itemgetter(0))]
    differences = [difference for difference in found if difference is not None]
    return Played(world, {name: np.array(made_rows) for name, made_rows in rows.items()}, len(found), differences)


def _checks(check: Callable[..., str | None], sample: Sequence[int], judged: Sequence[int]) -> list[_Check]:
    """Some of the sample is run step by step, as a night would; the rest is judged at its end."""
    stepwise = {index for index in sample if index % STEPWISE == 0}
    return [(index, index in stepwise, check) for index in sorted({*sample, *judged})]


class _Sample:
    """Which candidates of one night are judged beside those that are judged anyway."""

    def __init__(self, job: Job, number: int) -> None:
        checked = job.checking.sample
        self.count = checked * (number + 1) // job.nights - checked * number // job.nights
        self.rng = np.random.default_rng([job.world.number, number])

    def of(self, kinds: list[tuple[int, int]]) -> list[int]:
        return gate_check.chosen(kinds, self.count, self.rng)


def _kinds(made: Verdicts) -> list[tuple[int, int]]:
    return list(zip(made.reason.tolist(), made.pairs.tolist(), strict=True))


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
