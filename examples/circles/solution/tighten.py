"""Make a packing hold exactly: centres and radii as whole numbers of a very small unit, in which nothing is rounded.

The evaluator has no tolerance, so a radius that is too large by the last bit of a double is refused. Here each
coordinate becomes a whole number of 10^-15, and radii are cut until no pair overlaps and no circle leaves the square.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

DIGITS = 15
UNIT = 10**DIGITS

Circles = list[tuple[int, int, int]]
"""x, y and radius, each in units of 10^-15."""


def tightened(centres: Sequence[tuple[float, float]], radii: Sequence[float]) -> Circles:
    """The packing with every radius cut as far as needed; a larger circle gives way to a smaller one."""
    places = [(min(max(round(x * UNIT), 1), UNIT - 1), min(max(round(y * UNIT), 1), UNIT - 1)) for x, y in centres]
    cut = [min(max(round(r * UNIT), 1), x, UNIT - x, y, UNIT - y) for r, (x, y) in zip(radii, places, strict=True)]
    for i, (x, y) in enumerate(places):
        for j in range(i):
            room = math.isqrt((x - places[j][0]) ** 2 + (y - places[j][1]) ** 2)
            larger, smaller = (i, j) if cut[i] > cut[j] else (j, i)
            cut[larger] = max(1, min(cut[larger], room - cut[smaller]))
            cut[smaller] = max(1, min(cut[smaller], room - cut[larger]))
    return [(x, y, r) for (x, y), r in zip(places, cut, strict=True)]


def as_json(circles: Circles) -> str:
    """The file that the evaluator reads, every number with all of its digits."""
    rows = ",\n  ".join(f"[{', '.join(map(_decimal, circle))}]" for circle in circles)
    return f'{{"circles": [\n  {rows}\n]}}\n'


def _decimal(units: int) -> str:
    return f"{units // UNIT}.{units % UNIT:0{DIGITS}d}"
