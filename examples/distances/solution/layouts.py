"""Where the points are to begin with."""

from __future__ import annotations

import math
import random

Point = tuple[float, float]


def grid(count: int) -> list[Point]:
    """Rows and columns at a distance of one."""
    side = math.ceil(math.sqrt(count))
    return [(float(n % side), float(n // side)) for n in range(count)]


def hexagonal(count: int) -> list[Point]:
    """The points of a hexagonal lattice that are closest to a point between three of them."""
    lattice = [(x + y / 2 - 0.5, y * math.sqrt(3) / 2 - math.sqrt(3) / 6) for x in range(-6, 7) for y in range(-6, 7)]
    return sorted(lattice, key=lambda point: (round(math.hypot(*point), 9), point))[:count]


def rings(count: int) -> list[Point]:
    """A point, a ring of five around it, and the rest on a ring around that."""
    sizes = [1, min(5, count - 1), max(0, count - 6)]
    points = []
    for ring, size in enumerate(sizes):
        points += [_on_circle(float(ring), n / size) for n in range(size)]
    return points


def _on_circle(radius: float, turn: float) -> Point:
    return radius * math.cos(2 * math.pi * turn), radius * math.sin(2 * math.pi * turn)


def scattered(count: int, seed: int) -> list[Point]:
    """Anywhere in a square; the same places for the same seed."""
    draw = random.Random(seed)
    return [(draw.uniform(-2, 2), draw.uniform(-2, 2)) for _ in range(count)]


LAYOUTS = {"grid": grid, "hexagonal": hexagonal, "rings": rings}
