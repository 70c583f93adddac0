"""The rules that `e-night` is compared with, over a whole night at once: the documents' and those other loops use.

Called by `gate_error_control`; `gate_check` holds the policies among them against `experiments.gate.decide`, whose
dataclasses their parameters come from. A rule reads a prefix of the same runs, so all are compared on the same ideas.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from gate_worlds import Floats, Night
from numpy.typing import NDArray
from scipy import special

from experiments.gate import SeedCard, SeedCardExtend

BOOTSTRAP_BETTER = 0.95
ITEM_ERRORS = 2.0
"""The k of "better by k standard errors over items"."""


class Ruled(NamedTuple):
    """One entry a candidate."""

    promoted: NDArray[np.bool_]
    seeds: NDArray[np.int64]
    """Runs of the candidate."""
    claimed: Floats
    """Gain that the rule reports for what it promotes."""


Rule = Callable[[Night, float], Ruled]


def single_run(night: Night, threshold: float) -> Ruled:
    """Keep what is better in one run."""
    return _mean_above(night, threshold, 1)


def three_run_mean(night: Night, threshold: float) -> Ruled:
    """Keep what is better in the mean of three runs."""
    return _mean_above(night, threshold, 3)


def bootstrap(night: Night, threshold: float) -> Ruled:
    """Keep what is better in at least 95 % of the bootstrap samples of three paired differences, all 27 of them."""
    differences = _differences(night, 3)
    means = [differences[:, list(chosen)].mean(axis=1) for chosen in itertools.product(range(3), repeat=3)]
    better = (np.array(means) > 0.0).mean(axis=0)
    mean = differences.mean(axis=1)
    return Ruled((better >= BOOTSTRAP_BETTER) & (mean >= threshold), np.full(len(mean), 3), mean)


def item_errors(night: Night, threshold: float) -> Ruled:
    """Keep what is better by two standard errors over the items of one run; they do not see how runs vary."""
    gain = _differences(night, 1)[:, 0]
    kept = (gain > ITEM_ERRORS * night.item_errors) & (gain >= threshold)
    return Ruled(kept, np.ones(len(gain), np.int64), gain)


def seed_card(night: Night, threshold: float) -> Ruled:
    """The documents' rule."""
    policy = SeedCard()
    return _climb(night, threshold, policy, (policy.pairs,))


def seed_card_extend(night: Night, threshold: float) -> Ruled:
    """The documents' rule, looked at again with more seeds where the gain is there and the t-test not significant."""
    policy = SeedCardExtend()
    return _climb(night, threshold, policy, policy.looks)


def _climb(night: Night, threshold: float, policy: SeedCard | SeedCardExtend, looks: tuple[int, ...]) -> Ruled:
    count = len(night.effects)
    made = Ruled(np.zeros(count, np.bool_), np.zeros(count, np.int64), np.full(count, np.nan))
    alive = np.arange(count)
    for n in looks:
        differences = _differences(night, n)[alive]
        values = night.candidate[alive, :n]
        mean = differences.mean(axis=1)
        t = math.sqrt(n) * mean / differences.std(axis=1, ddof=1)
        significant = 2.0 * special.stdtr(n - 1, -np.abs(t)) < policy.significance
        gained = (mean > 0.0) & (mean >= threshold)
        stable = values.std(axis=1, ddof=1) / np.abs(values.mean(axis=1)) < policy.stability
        made.promoted[alive], made.seeds[alive], made.claimed[alive] = gained & significant & stable, n, mean
        alive = alive[gained & ~significant]
    return made


def _mean_above(night: Night, threshold: float, n: int) -> Ruled:
    mean = _differences(night, n).mean(axis=1)
    return Ruled((mean > 0.0) & (mean >= threshold), np.full(len(mean), n), mean)


def _differences(night: Night, n: int) -> Floats:
    return night.candidate[:, :n] - night.production[:, :n]


RULES: dict[str, Rule] = {
    "keep the best single run": single_run,
    "three-run mean": three_run_mean,
    "bootstrap P(better) >= .95, 3 seeds": bootstrap,
    "better by 2 SE over items, one run": item_errors,
    "seed-card": seed_card,
    "seed-card-extend": seed_card_extend,
}
