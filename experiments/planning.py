"""What a season means in practice: how many seeds a gain takes, what nothing costs, which gain can be found at all.

Called by `agent.doctor`. It decides nothing: the gate never reads it. The walk of `e-night` is simulated with its own
parameters and its own bar. The draws are made once from a fixed seed and shared by every question, so an answer is a
function of its arguments, and it is monotone where the walk is: path by path, a larger effect passes no later, and a
higher bar passes no sooner.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special

from experiments import statistics
from experiments.gate import ENight

Array = npt.NDArray[np.float64]

POWER = 0.8
"""Probability with which a minimum detectable gain is found."""
TRIALS = 20_000
"""Candidates simulated: a standard error of 0.0035 or less on each probability."""
_SEED = 20260101
_LARGEST_EFFECT = 64.0
_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class Prospect:
    """What becomes of a candidate with a given true effect."""

    found: float
    """Probability that the evidence reaches the season's bar within the seeds allowed."""
    promoted: float
    """The same, and the mean of the fresh pairs is above zero and at least the threshold; costs are left out."""
    median_seeds: int | None
    """Stage seeds at which half of those that are found have been found; None where none is."""
    mean_seeds: float
    """Candidate runs until the stage's verdict, on average over all of them."""


@dataclass(frozen=True, slots=True)
class _Draws:
    """Standardised runs of both arms: a difference on one seed has standard deviation 1."""

    candidates: Array
    differences: Array
    baseline_mean: Array
    baseline_sd: Array

    @classmethod
    def made(cls, pairs: int, baseline_runs: int) -> _Draws:
        """Independent Gaussian arms, each with variance 1/2: two arms that have nothing in common but their seed."""
        rng = np.random.default_rng(_SEED)
        candidates, production = rng.normal(0.0, math.sqrt(0.5), size=(2, TRIALS, pairs))
        baseline = rng.normal(0.0, math.sqrt(0.5), size=(TRIALS, max(baseline_runs, 2)))
        return cls(candidates, candidates - production, baseline.mean(axis=1), baseline.std(axis=1, ddof=1))


_draws = lru_cache(maxsize=2)(_Draws.made)


@lru_cache(maxsize=32)
def _moments(pairs: int, baseline_runs: int, n: int) -> tuple[Array, Array]:
    """Mean and standard deviation of the first n differences of every trial."""
    first = _draws(pairs, baseline_runs).differences[:, :n]
    return first.mean(axis=1), first.std(axis=1, ddof=min(1, n - 1))


def level(planned: int, alpha: float, promotions: int = 0) -> float:
    """The season's level alpha (R + 1) / N (e-LOND with gamma = 1/N, as `experiments.season.level`)."""
    return alpha * (promotions + 1) / planned


@lru_cache(maxsize=256)
def critical_t(n: int, bar: float) -> float:
    """The smallest t of n pairs whose e-value reaches the bar; infinite where none does.

    E_n rises with u = t / sqrt(n - 1 + t^2), since each M(delta sqrt(n) u) does (`statistics.log_e_value`), so
    bisection finds it.
    """
    log_bar = math.log(bar)
    if statistics.log_e_value(n, 1.0) < log_bar:
        return math.inf
    low, high = -1.0, 1.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if statistics.log_e_value(n, middle) >= log_bar else (middle, high)
    return high * math.sqrt((n - 1) / (1.0 - high * high)) if high < 1.0 else math.inf


def prospect(
    policy: ENight, season_level: float, effect: float, threshold: float = 0.0, within: int | None = None
) -> Prospect:
    """Simulate the stage of `e-night` (docs/gate.md, steps 1 to 4) at a true effect.

    `effect` and `threshold` are in standard deviations of one paired difference. `within` allows fewer seeds than the
    policy does. The fresh pairs are independent of the stage, so their part is exact:
    P(mean of m fresh pairs >= threshold) = Phi(sqrt(m) (effect - threshold)).
    """
    passed, stopped = _walk(policy, season_level, effect)
    found = passed & (stopped <= (policy.looks[-1] if within is None else within))
    share = float(found.mean())
    fresh = float(special.ndtr(math.sqrt(policy.fresh_pairs) * (effect - max(threshold, 0.0))))
    median = int(np.quantile(stopped[found], 0.5, method="inverted_cdf")) if found.any() else None
    return Prospect(share, share * fresh, median, float(stopped.mean()))


def null_seeds(policy: ENight, season_level: float) -> float:
    """Candidate runs that an idea without any effect costs on average (3.2 to 4.6 by `gate.md`'s simulations)."""
    return prospect(policy, season_level, 0.0).mean_seeds


def minimum_effect(
    policy: ENight, season_level: float, threshold: float = 0.0, within: int | None = None, power: float = POWER
) -> float | None:
    """The smallest effect that is promoted with the given probability, in standard deviations of one difference.

    None where no effect is found within so few seeds: before some look even equal gains on every seed stay below the
    bar. The probability rises with the effect, so bisection finds it.
    """

    def enough(effect: float) -> bool:
        return prospect(policy, season_level, effect, threshold, within).promoted >= power

    return _smallest(enough, max(_LARGEST_EFFECT, 2.0 * threshold + 4.0))


def _smallest(enough: Callable[[float], bool], largest: float) -> float | None:
    if not enough(largest):
        return None
    low, high = 0.0, largest
    while high - low > 1e-4 * high:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


# -- the walk -----------------------------------------------------------------------------------------------


def _walk(policy: ENight, season_level: float, effect: float) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """(passed, seeds used) for every simulated candidate: pass is tested before futility, the first stop counts."""
    draws = _draws(policy.looks[-1], policy.baseline_runs)
    walking = np.ones(TRIALS, dtype=bool)
    passed = np.zeros(TRIALS, dtype=bool)
    stopped = np.full(TRIALS, policy.looks[-1], dtype=np.int64)
    for index, n in enumerate(policy.looks):
        if policy.patient and index == 0:
            continue
        passing, futile = _look(policy, season_level, effect, n, draws)
        now_passed = walking & passing
        ends = now_passed | (walking & futile)
        passed |= now_passed
        stopped[ends] = n
        walking &= ~ends
    return passed, stopped


def _look(
    policy: ENight, season_level: float, effect: float, n: int, draws: _Draws
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """(passing, futile) at n seeds, whatever happened before."""
    nobody = np.zeros(TRIALS, dtype=bool)
    limit = policy.futility_limit(n)
    if policy.screen == "cached" and n <= policy.looks[1]:
        gain = draws.candidates[:, :n].mean(axis=1) + effect - draws.baseline_mean
        if limit is None:
            return nobody, gain <= 0.0
        statistic = gain / (draws.baseline_sd * math.sqrt(1.0 / n + 1.0 / policy.baseline_runs))
        return nobody, statistic < -float(special.stdtrit(policy.baseline_runs - 1, limit))
    mean, sd = _moments(policy.looks[-1], policy.baseline_runs, n)
    mean = mean + effect
    if n == policy.looks[0]:
        return nobody, mean <= 0.0
    t = math.sqrt(n) * mean / sd
    passing = t >= critical_t(n, 1.0 / season_level) if n >= policy.first_pass else nobody
    futile = t < -float(special.stdtrit(n - 1, limit)) if limit is not None else nobody
    return passing, futile


# -- costs --------------------------------------------------------------------------------------------------


def cost_confirmed(sd: float, limit: float, pairs: int, confidence: float = 0.95) -> float:
    """Probability that a candidate which costs what production costs is shown to stay within a limit.

    `sd` is of one log ratio of two runs of the same thing, `limit` the relative increase allowed. The gate asks for
    m + t_{confidence, n-1} s / sqrt(n) <= log(1 + limit), so this is P(T > t_{confidence, n-1}) for a noncentral t
    with n - 1 degrees of freedom and noncentrality sqrt(n) log(1 + limit) / sd (Johnson, Kotz & Balakrishnan 1995,
    chapter 31).
    """
    if sd <= 0.0:
        return 1.0
    needed = float(special.stdtrit(pairs - 1, confidence))
    noncentrality = math.sqrt(pairs) * math.log1p(limit) / sd
    if noncentrality > needed + 30.0:  # beyond what the library's series covers, and certain
        return 1.0
    return 1.0 - float(special.nctdtr(pairs - 1, noncentrality, needed))


def smallest_limit(sd: float, pairs: int, confidence: float = 0.95, power: float = POWER) -> float:
    """The smallest relative increase that many pairs can rule out with the given probability, for equal costs."""
    if sd <= 0.0:
        return 0.0
    found = _smallest(lambda log_limit: cost_confirmed(sd, math.expm1(log_limit), pairs, confidence) >= power, 50 * sd)
    return math.expm1(found) if found is not None else math.inf


# -- items --------------------------------------------------------------------------------------------------


def fewest_items_gained(season_level: float) -> int:
    """Items that a change must win, losing none, for the exact one-sided test: 2^-b <= level."""
    return math.ceil(-math.log2(season_level) - 1e-12)


def item_gain(items: int, changed: float, season_level: float, power: float = POWER) -> float | None:
    """Share of items that a change must gain net, where it changes that share of all items, to be found by `per-item`.

    The exact one-sided sign test on the b + c changed items (McNemar 1947, in its exact form), with the power of the
    binomial: b ~ Bin(k, (1 + g/q)/2) at k = q * items changed ones. None where even k gained and none lost is too few.
    """
    k = round(items * changed)
    if k < fewest_items_gained(season_level):
        return None
    # The smallest b with P(Bin(k, 1/2) >= b) <= level; bdtrc(b - 1, k, p) is P(Bin > b - 1).
    low, high = k // 2, k
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if special.bdtrc(middle - 1, k, 0.5) <= season_level else (middle + 1, high)
    needed = high
    share = _smallest(lambda net: float(special.bdtrc(needed - 1, k, min(0.5 + 0.5 * net, 1.0))) >= power, 1.0)
    return None if share is None else share * k / items
