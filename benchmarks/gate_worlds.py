"""Worlds for the gate: which ideas are true, and how runs vary. Draws raw values; it judges nothing.

Called by `gate_error_control`. One unit is one sigma: the standard deviation of a paired difference on one seed. Both
arms vary independently, each with a standard deviation of sqrt(1/2), around a level so high that the spread as a
share of the mean (the stability criterion) decides nothing. Every night has a random stream of its own, numbered, so
that a night is the same however many are drawn and in whatever order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ENTROPY = 20_231_003_722
"""Of every random stream; a night's own stream is (world's number, night)."""
LEVEL = 1000.0
"""Mean of production, in sigma."""
Production = Literal["own", "shared_runs", "measured_once", "measured_once_fresh_too"]
"""Each candidate's own runs, as the gate asks; or, against its rules: one run a seed for all candidates of the night;
or the mean of one baseline in the place of every stage run; or in the place of the fresh runs too."""
TRUE_EFFECTS = (0.5, 1.0, 2.0)
HARMFUL_EFFECT = -1.0
ITEMS = 1000
ITEM_ERROR = 0.5
"""Standard error of a mean over `ITEMS` items, in sigma: what varies between items and not between seeds."""
ARM_SD = math.sqrt(0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the ideas of a night are worth, and how runs vary."""

    name: str
    number: int
    """Of its random streams."""
    planned: int
    """Candidates of the season (N); every night is one whole season."""
    true_share: float = 0.0
    effects: tuple[float, ...] = TRUE_EFFECTS
    """What a true idea gains, each equally often, in sigma."""
    harmful_share: float = 0.0
    """Of the ideas that are not true."""
    tails: Literal["gaussian", "t3"] = "gaussian"
    production: Production = "own"
    failing_share: float = 0.0
    """Share of the candidate's seeds that fail..."""
    failing_depth: float = 0.0
    """...and by how much; its other seeds gain what keeps its mean."""
    threshold: float = 0.0
    """tau, in sigma."""


@dataclass(frozen=True, slots=True)
class Night:
    """Raw values of one night, one row a candidate, one column a seed; what a policy does not ask for stays unread."""

    effects: Floats
    candidate: Floats
    production: Floats
    fresh_candidate: Floats
    fresh_production: Floats
    baselines: Floats
    """One row for each production of the night: the first, then one more after every promotion."""
    item_errors: Floats
    """Standard error over items of each candidate's first difference, for rules that read items."""


def draw(world: World, night: int, *, stage: int, fresh: int, baseline: int) -> Night:
    """One night with so many stage seeds, fresh seeds and baseline runs."""
    rng = np.random.default_rng(np.random.SeedSequence(ENTROPY, spawn_key=(world.number, night)))
    count = world.planned
    effects = _effects(world, rng)
    seeds = stage + fresh
    candidate = LEVEL + effects[:, None] + _noise(world, rng, (count, seeds))
    if world.failing_share:
        failed = rng.random((count, seeds)) < world.failing_share
        candidate += world.failing_depth * (world.failing_share - failed)
    baselines = LEVEL + _noise(world, rng, (count + 1, baseline))
    shape = (1 if world.production == "shared_runs" else count, seeds)
    production = np.broadcast_to(LEVEL + _noise(world, rng, shape), (count, seeds)).copy()
    if world.production.startswith("measured_once"):
        replaced = seeds if world.production == "measured_once_fresh_too" else stage
        production[:, :replaced] = baselines[0].mean()
    item_errors = ITEM_ERROR * np.sqrt(rng.chisquare(ITEMS - 1, count) / (ITEMS - 1))
    return Night(
        effects=effects,
        candidate=candidate[:, :stage],
        production=production[:, :stage],
        fresh_candidate=candidate[:, stage:],
        fresh_production=production[:, stage:],
        baselines=baselines,
        item_errors=item_errors,
    )


def _effects(world: World, rng: np.random.Generator) -> Floats:
    """True ideas, harmful ones and nulls, in random order."""
    effects = np.zeros(world.planned)
    true = round(world.true_share * world.planned)
    harmful = round(world.harmful_share * (world.planned - true))
    effects[:true] = rng.choice(world.effects, size=true)
    effects[true : true + harmful] = HARMFUL_EFFECT
    return rng.permutation(effects)


def _noise(world: World, rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """One arm's deviations, with a standard deviation of sqrt(1/2)."""
    if world.tails == "t3":
        return rng.standard_t(3, size=shape) * (ARM_SD / math.sqrt(3.0))
    return rng.standard_normal(shape) * ARM_SD
