"""How noisy production is: what its own runs say of the metric's spread over seeds, of one seed twice, and of costs.

Called by `agent.doctor.noise` with runs that are in the log. Pure: values in, figures out. Values that differ by less
than anybody could measure still differ here, because policies that need equal values need equal bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import special

from experiments import planning, statistics

FAR_OFF, FAR_OFF_IN_FEW = 5.0, 40.0
"""A seed is far off where its robust z is above 5 + 40/n. The median deviation of few values is itself uncertain: at 5
alone 3 % of Gaussian dozens would raise the alarm; simulated with this, 2 % do at n = 5 and 0.3 % from n = 12 on."""
COST_PAIRS = 20
"""Pairs at the gate's last look at costs."""
INTERVAL = 0.90


@dataclass(frozen=True, slots=True)
class Outlier:
    """A seed whose value is far from the others'."""

    seed: int
    value: float
    z: float


@dataclass(frozen=True, slots=True)
class Repeats:
    """Seeds that were run twice."""

    runs: int
    equal: bool
    """The primary metric is bit-equal on every seed."""
    outputs_equal: bool
    sd: float
    """Standard deviation of one run around its seed's own mean: rms(difference) / sqrt(2)."""
    correlation: float | None
    """Pearson's r of the two runs over seeds; None below three seeds or where nothing varies."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The primary metric over seeds."""

    n: int
    mean: float
    sd: float
    sd_low: float
    sd_high: float
    """Two-sided 90 % interval of a Gaussian standard deviation."""
    equal: bool
    """All seeds gave bit-equal values."""
    outputs_equal: bool
    outliers: tuple[Outlier, ...]

    @property
    def difference_sd(self) -> float:
        """Of two runs on different seeds: sqrt(2) sigma, what a pair has whose arms share nothing but the seed."""
        return math.sqrt(2.0) * self.sd


@dataclass(frozen=True, slots=True)
class Pairing:
    """Pairs of real candidates and production that the log has, each candidate centred on its own mean."""

    candidates: int
    pairs: int
    correlation: float | None
    difference_sd: float


@dataclass(frozen=True, slots=True)
class CostNoise:
    """One cost on repeated runs of the same thing with nothing beside it."""

    name: str
    runs: int
    mean: float
    cv: float
    """Standard deviation over the mean of all runs."""
    sd_log_ratio: float
    """Of log(second / first) on one seed: what the gate's pairs have where a candidate costs what production costs."""
    limit: float
    confirmed: float
    """Probability that 20 such pairs show that the limit is kept."""
    smallest_limit: float
    """The increase that they can rule out four times in five."""


def spread(values: Mapping[int, float], outputs: Sequence[str]) -> Spread:
    """The metric over seeds; needs two seeds or more."""
    numbers = list(values.values())
    n = len(numbers)
    if n < 2 or not all(map(math.isfinite, numbers)):
        raise ValueError("spread needs two finite values or more")
    sd = statistics.standard_deviation(numbers)
    tail = 0.5 * (1.0 - INTERVAL)
    low, high = (math.sqrt((n - 1) / float(special.chdtri(n - 1, p))) for p in (tail, 1.0 - tail))
    return Spread(
        n=n,
        mean=statistics.mean(numbers),
        sd=sd,
        sd_low=sd * low,
        sd_high=sd * high,
        equal=len(set(numbers)) == 1,
        outputs_equal="" not in outputs and len(set(outputs)) == 1,
        outliers=outliers(values),
    )


def outliers(values: Mapping[int, float]) -> tuple[Outlier, ...]:
    """Seeds with |z| > 5 + 40/n, z = (x - median) / (1.4826 MAD), the scale being sigma for a Gaussian.

    Where more than half of the values are equal the MAD is 0, and 1.2533 times the mean absolute deviation takes its
    place (Iglewicz & Hoaglin 1993, How to Detect and Handle Outliers).
    """
    centre = _median(list(values.values()))
    distances = [abs(value - centre) for value in values.values()]
    scale = 1.4826 * _median(distances) or 1.2533 * statistics.mean(distances)
    if scale == 0.0:
        return ()
    scored = (Outlier(seed, value, (value - centre) / scale) for seed, value in values.items())
    return tuple(one for one in scored if abs(one.z) > FAR_OFF + FAR_OFF_IN_FEW / len(values))


def repeats(pairs: Sequence[tuple[float, float]], outputs: Sequence[tuple[str, str]]) -> Repeats:
    """Two runs on each seed."""
    differences = [second - first for first, second in pairs]
    rms = math.sqrt(math.fsum(d * d for d in differences) / len(differences))
    return Repeats(
        runs=len(pairs),
        equal=all(first == second for first, second in pairs),
        outputs_equal=all(first == second != "" for first, second in outputs),
        sd=rms / math.sqrt(2.0),
        correlation=correlation([[first for first, _ in pairs]], [[second for _, second in pairs]]),
    )


def correlation(ones: Sequence[Sequence[float]], others: Sequence[Sequence[float]]) -> float | None:
    """Pearson's r within groups: each group is centred on its own means, then sums are pooled.

    None below three values, or where one side does not vary.
    """
    products = squares = other_squares = 0.0
    rounding = statistics.ZERO_VARIANCE * max((abs(x) for group in (*ones, *others) for x in group), default=0.0)
    for one, other in zip(ones, others, strict=True):
        a, b = statistics.mean(one), statistics.mean(other)
        products += math.fsum((x - a) * (y - b) for x, y in zip(one, other, strict=True))
        squares += math.fsum((x - a) ** 2 for x in one)
        other_squares += math.fsum((y - b) ** 2 for y in other)
    if sum(map(len, ones)) < 3 or min(squares, other_squares) <= rounding * rounding:
        return None
    return max(-1.0, min(1.0, products / math.sqrt(squares * other_squares)))


def pairing(groups: Sequence[Sequence[tuple[float, float]]]) -> Pairing | None:
    """(candidate, production) values on the same seeds, a group for each candidate; None without three degrees left.

    Candidates that the gate went on with are among them more often, which favours pairs with a gain; each one is
    centred on its own mean, so that a gain is no noise.
    """
    used = [group for group in groups if len(group) >= 2]
    freedom = sum(len(group) - 1 for group in used)
    if freedom < 3:
        return None
    total = 0.0
    for group in used:
        differences = [candidate - production for candidate, production in group]
        total += (len(group) - 1) * statistics.standard_deviation(differences) ** 2
    return Pairing(
        candidates=len(used),
        pairs=sum(map(len, used)),
        correlation=correlation([[c for c, _ in g] for g in used], [[p for _, p in g] for g in used]),
        difference_sd=math.sqrt(total / freedom),
    )


def cost(name: str, pairs: Sequence[tuple[float, float]], limit: float) -> CostNoise:
    """One cost over seeds that were timed twice; needs two seeds or more, and values above zero."""
    values = [value for pair in pairs for value in pair]
    sd = statistics.standard_deviation([math.log(second) - math.log(first) for first, second in pairs])
    return CostNoise(
        name=name,
        runs=len(values),
        mean=statistics.mean(values),
        cv=statistics.standard_deviation(values) / statistics.mean(values),
        sd_log_ratio=sd,
        limit=limit,
        confirmed=planning.cost_confirmed(sd, limit, COST_PAIRS),
        smallest_limit=planning.smallest_limit(sd, COST_PAIRS),
    )


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else 0.5 * (ordered[middle - 1] + ordered[middle])
