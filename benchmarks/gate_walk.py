"""The walk of `e-night` over a whole night at once, for worlds of a hundred thousand candidates and more.

Called by `gate_error_control`, which never reports what this says without having `gate_check` hold it against
`experiments.gate.decide`. Every parameter is read from the policy's dataclass, log E comes from a table made by
`experiments.statistics.log_e_value`, and near the bar from that function itself. Candidates of a night start one
after the other, so the number of promotions before each is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from gate_worlds import Floats, Night
from numpy.typing import NDArray
from scipy import special

from experiments import statistics
from experiments.gate import ENight, Readmission, parked_promotions
from experiments.season import Season, level

REASONS = ("below_baseline", "futility", "out_of_seeds", "not_confirmed", "real_but_small", "promote")
BELOW, FUTILE, PARKED, NOT_CONFIRMED, SMALL, PROMOTED = range(len(REASONS))
_GRID = np.linspace(0.0, 1.0, 4001)
_NEAR = 1e-3
"""Closer to the bar than this, log E is computed exactly; the table is good to 1e-5."""


@dataclass(slots=True)
class Verdicts:
    """What became of each candidate of one night; arrays have one entry a candidate."""

    reason: NDArray[np.int8]
    pairs: NDArray[np.int64]
    """Stage pairs at the verdict."""
    fresh: NDArray[np.bool_]
    """Whether the fresh pairs were run."""
    gain: Floats
    """Mean of the fresh pairs; NaN where they were not run."""
    before: NDArray[np.int64]
    """R: promotions decided before the candidate started; also the row of the baseline it was screened against."""
    readmitted: dict[int, Readmission] = field(default_factory=dict)
    """Parked candidates that were let back in; their verdict is the one after it."""


class _Looks(NamedTuple):
    """The paired looks of a night, whatever the bar: nothing here depends on promotions."""

    log_e: Floats
    """One column a look; -inf where no pass is possible."""
    stopped: NDArray[np.int64]
    """Index of the look that archives, len(looks) where none does."""
    below: NDArray[np.bool_]
    """Whether that look was the first."""


def walk(night: Night, policy: ENight, season: Season, threshold: float) -> Verdicts:
    """The verdicts of a night whose candidates start one after the other, R accumulating, parked ones readmitted."""
    count = len(night.effects)
    gains = (night.fresh_candidate - night.fresh_production)[:, : policy.fresh_pairs].mean(axis=1)
    differences = night.candidate - night.production
    paired = _paired_looks(differences, policy)
    reach = paired.log_e.max(axis=1)
    made = Verdicts(
        np.full(count, PARKED, np.int8),
        np.full(count, policy.looks[-1]),
        np.zeros(count, np.bool_),
        np.full(count, np.nan),
        np.zeros(count, np.int64),
    )
    confirm = _Confirmation(gains, threshold, made)
    start, promotions = 0, 0
    parked: dict[int, float] = {}
    while start < count:
        bar = -math.log(level(season, promotions))
        screened = _screen(night, policy, promotions, start)
        hopeful = (reach[start:] >= bar - _NEAR) & (screened == 0)
        end = count
        for index in (start + np.flatnonzero(hopeful)).tolist():
            look = _first_pass(differences[index], paired.log_e[index], bar, policy)
            if look is None:
                continue
            made.pairs[index] = policy.looks[look]
            if confirm(index):
                end = index + 1
                break
        segment = slice(start, end)
        made.before[segment] = promotions
        _settle(made, segment, policy, paired, screened[: end - start])
        for index in (start + np.flatnonzero(made.reason[segment] == PARKED)).tolist():
            parked[index] = _exact_log_e(differences[index], policy.looks[-1])
        promoted_here = end > start and made.reason[end - 1] == PROMOTED
        if promoted_here:
            promotions = _readmit(parked, season, promotions + 1, made, confirm)
        start = end
    return made


@dataclass(slots=True)
class _Confirmation:
    """Steps 5 and 6: the fresh pairs decide, and nothing else."""

    gains: Floats
    threshold: float
    made: Verdicts

    def __call__(self, index: int) -> bool:
        gain = self.gains[index]
        reason = NOT_CONFIRMED if gain <= 0.0 else SMALL if gain < self.threshold else PROMOTED
        self.made.reason[index], self.made.fresh[index], self.made.gain[index] = reason, True, gain
        return reason == PROMOTED


def _readmit(parked: dict[int, float], season: Season, promotions: int, made: Verdicts, confirm: _Confirmation) -> int:
    """After a promotion: those let back in are confirmed one by one, and the rest is looked at again. New R.

    Production counts as unchanged, which is the case that promotes most: otherwise they end as superseded.
    """
    while True:
        names = list(parked)
        chosen = parked_promotions(list(parked.values()), season.planned, season.alpha, promotions)
        if not chosen:
            return promotions
        index = names[chosen[0]]
        del parked[index]
        made.readmitted[index] = Readmission(promotions, len(chosen))
        promotions += confirm(index)


def _settle(made: Verdicts, segment: slice, policy: ENight, paired: _Looks, screened: NDArray[np.int64]) -> None:
    """Write what the screen and futility archived, wherever evidence did not pass first."""
    looks = np.array([*policy.looks, policy.looks[-1]])
    open_still = made.reason[segment] == PARKED
    stopped = paired.stopped[segment]
    archived = open_still & (screened == 0) & (stopped < len(policy.looks))
    made.pairs[segment] = np.where(archived, looks[stopped], made.pairs[segment])
    reason = np.where(paired.below[segment], BELOW, FUTILE)
    made.reason[segment] = np.where(archived, reason, made.reason[segment])
    out = open_still & (screened > 0)
    made.pairs[segment] = np.where(out, screened, made.pairs[segment])
    reason = np.where(screened == policy.looks[0], BELOW, FUTILE)
    made.reason[segment] = np.where(out, reason, made.reason[segment])


def _screen(night: Night, policy: ENight, promotions: int, start: int) -> NDArray[np.int64]:
    """Pairs at which the cached screen archives each candidate from `start` on; 0 where it does not."""
    stopped = np.zeros(len(night.effects) - start, np.int64)
    if policy.screen != "cached":
        return stopped
    baseline = night.baselines[promotions, : policy.baseline_runs]
    centre, spread = float(baseline.mean()), float(baseline.std(ddof=1))
    first, second = policy.looks[:2]
    gain = night.candidate[start:, :second].mean(axis=1) - centre
    limit = policy.futility_limit(second)
    if limit is not None:
        statistic = gain / (spread * math.sqrt(1.0 / second + 1.0 / len(baseline)))
        stopped[special.stdtr(len(baseline) - 1, -statistic) > limit] = second
    if not policy.patient:
        stopped[night.candidate[start:, :first].mean(axis=1) - centre <= 0.0] = first
    return stopped


def _paired_looks(differences: Floats, policy: ENight) -> _Looks:
    """Futility and evidence at every paired look, of the candidates still there."""
    count, last = len(differences), len(policy.looks)
    made = _Looks(np.full((count, last), -np.inf), np.full(count, last), np.zeros(count, np.bool_))
    alive = np.arange(count)
    for position, n in enumerate(policy.looks):
        if (policy.screen == "cached" and position < 2) or (policy.patient and position == 0):
            continue
        means = differences[alive, :n].mean(axis=1)
        if position == 0:
            below = alive[means <= 0.0]
            made.stopped[below], made.below[below] = position, True
            alive = alive[means > 0.0]
            continue
        t = math.sqrt(n) * means / differences[alive, :n].std(axis=1, ddof=1)
        if n >= policy.first_pass:
            made.log_e[alive, position] = _log_e(n, t)
        limit = policy.futility_limit(n)
        if limit is None:
            continue
        futile = special.stdtr(n - 1, -t) > limit
        made.stopped[alive[futile]] = position
        alive = alive[~futile]
    return made


def _log_e(n: int, t: Floats) -> Floats:
    """Log E from the table; -inf for a mean that is not above zero, whose E is below 1 and never passes."""
    u = t / np.sqrt(n - 1 + t * t)
    return np.where(u > 0.0, np.interp(u, _GRID, _table(n)), -np.inf)


@lru_cache(maxsize=64)
def _table(n: int) -> Floats:
    return np.array([statistics.log_e_value(n, u) for u in _GRID.tolist()])


def _first_pass(differences: Floats, log_e: Floats, bar: float, policy: ENight) -> int | None:
    """Index of the first look whose evidence reaches the bar."""
    for look in np.flatnonzero(log_e >= bar - _NEAR).tolist():
        if log_e[look] > bar + _NEAR or _exact_log_e(differences, policy.looks[look]) >= bar:
            return int(look)
    return None


def _exact_log_e(differences: Floats, n: int) -> float:
    return statistics.log_e_value(n, statistics.paired_t(differences[:n].tolist()).u)
