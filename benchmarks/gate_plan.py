"""Which worlds are played, for how many nights, under which policies.

Called by `gate_error_control` and, for the names, by `gate_figures`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from gate_nights import CACHED, PAIRED, Checking, Job
from gate_rules import RULES
from gate_worlds import World

SCREENS = (PAIRED, CACHED)
CARD, EXTENDED = "seed-card", "seed-card-extend"
EVERY_RULE = (*RULES, PAIRED, CACHED)
LARGE = 700
"""Candidates of the large season; there are as many in every world, or more."""

COMPARED = World(name="5 % true, N = 700", number=1, planned=LARGE, true_share=0.05)
"""Where all rules see the same ideas."""
MIXED = (
    COMPARED,
    replace(COMPARED, name="20 % true, N = 700", number=2, true_share=0.20),
    replace(COMPARED, name="5 % true, half the rest harmful, N = 700", number=3, harmful_share=0.5),
    replace(COMPARED, name="5 % true, heavy tails (t3), N = 700", number=4, tails="t3"),
)
NULLS = tuple(
    World(name=f"all null, N = {planned}", number=number, planned=planned)
    for number, planned in ((5, 20), (6, 100), (7, LARGE))
)
THRESHOLDS = tuple(
    replace(COMPARED, name=f"5 % true, tau = {tau} sigma, N = 700", number=number, threshold=tau)
    for number, tau in ((8, 0.5), (9, 1.0))
)
RATCHET = World(name="ratchet of 200 nulls", number=10, planned=200)
ONES = World(name="every idea worth 1 sigma", number=11, planned=LARGE, true_share=1.0, effects=(1.0,))


def _every_size(number: int, world: World) -> tuple[World, ...]:
    return tuple(
        replace(world, name=f"{world.name}, N = {null.planned}", number=number + size, planned=null.planned)
        for size, null in enumerate(NULLS)
    )


def _null(name: str) -> World:
    return World(name=name, number=0, planned=LARGE)


SHARED_RUNS = _every_size(
    20, replace(_null("production runs shared by all candidates of the night"), production="shared_runs")
)
MEASURED_ONCE = _every_size(
    23, replace(_null("production measured once for all stage pairs"), production="measured_once")
)
MEASURED_ONCE_FRESH_TOO = _every_size(
    26, replace(_null("production measured once, for fresh pairs too"), production="measured_once_fresh_too")
)
FAILING_BY_5 = _every_size(29, replace(_null("5 % of seeds at -5 sd"), failing_share=0.05, failing_depth=5.0))
FAILING_BY_10 = _every_size(32, replace(_null("5 % of seeds fail by 10 sd"), failing_share=0.05, failing_depth=10.0))
LIMITS = (*SHARED_RUNS, *MEASURED_ONCE, *MEASURED_ONCE_FRESH_TOO, *FAILING_BY_5, *FAILING_BY_10)
"""Where an assumption of the guarantee is broken."""


def jobs(nights: int, checking: Checking) -> Iterable[Job]:
    """Everything that is played; no world has fewer nights, and those of small chances or narrow limits have more."""
    for world in MIXED:
        yield Job(world, nights, EVERY_RULE if world is COMPARED else SCREENS, checking)
    for world in NULLS:
        yield Job(world, _many(nights, world), (CARD, EXTENDED, *SCREENS), checking)
    for world in THRESHOLDS:
        yield Job(world, _many(nights, world), SCREENS, checking)
    yield Job(RATCHET, _many(nights, RATCHET), EVERY_RULE, checking)
    yield Job(ONES, nights, (CARD, EXTENDED), checking)
    for world in LIMITS:
        yield Job(world, _many(nights, world), SCREENS, checking)


def _many(nights: int, world: World) -> int:
    """For chances of any promotion, which are small, and for ratios that must lie between narrow limits."""
    return math.ceil(nights * max(5, LARGE / world.planned))
