"""Where the centres of the circles are to begin with, and how large circles can be around them."""

from __future__ import annotations

import math

Point = tuple[float, float]


def grid(count: int, columns: int, margin: float) -> list[Point]:
    """Rows of equally many, from the lower left; the last row may have gaps."""
    rows = math.ceil(count / columns)
    return [(_at(n % columns, columns, margin), _at(n // columns, rows, margin)) for n in range(count)]


def hexagonal(count: int, columns: int, margin: float) -> list[Point]:
    """Rows of `columns` and of one fewer in turn, each row in the gaps of the one below."""
    sizes: list[int] = []
    while sum(sizes) < count:
        sizes.append(min(columns - len(sizes) % 2, count - sum(sizes)))
    points = []
    for row, size in enumerate(sizes):
        shift = 0.5 * (row % 2)
        points += [(_at(n + shift, columns, margin), _at(row, len(sizes), margin)) for n in range(size)]
    return points


def _at(place: float, places: int, margin: float) -> float:
    """Where one of several places between the margins is; the first and the last are `margin` off the sides."""
    return margin + (1 - 2 * margin) * place / max(1, places - 1)


LAYOUTS = {"grid": grid, "hexagonal": hexagonal}


def equal(centres: list[Point]) -> list[float]:
    """All radii the same, as large as the closest two centres and the closest side allow."""
    side = min(min(x, 1 - x, y, 1 - y) for x, y in centres)
    pair = min(math.dist(one, other) for n, one in enumerate(centres) for other in centres[:n])
    return [min(side, pair / 2)] * len(centres)


def greedy(centres: list[Point]) -> list[float]:
    """Equal radii first; then each circle in turn takes all the room that the others leave it."""
    radii = equal(centres)
    for n, (x, y) in enumerate(centres):
        others = (math.dist((x, y), centre) - radii[k] for k, centre in enumerate(centres) if k != n)
        radii[n] = min(x, 1 - x, y, 1 - y, *others)
    return radii


RADII = {"equal": equal, "greedy": greedy}
