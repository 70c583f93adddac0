"""Minimise a smooth function of many numbers, by steps that remember the last gradients (L-BFGS)."""

from __future__ import annotations

from collections.abc import Callable

Vector = list[float]
Function = Callable[[Vector], tuple[float, Vector]]
"""Gives the value and the gradient."""

MEMORY = 8


def minimise(function: Function, start: Vector, steps: int, tolerance: float, longest: float) -> Vector:
    """The best point after at most `steps` steps, none of which moves a number by more than `longest`.

    Ends earlier where a step gains less than `tolerance`.
    """
    place, (value, gradient) = start, function(start)
    kept: list[tuple[Vector, Vector, float]] = []
    for _ in range(steps):
        way = _direction(gradient, kept)
        slope, furthest = _dot(gradient, way), max(map(abs, way))
        size = min(1.0, longest / furthest) if furthest > 0 else 0.0
        found = _search(function, place, value, way, slope, size) if slope > 0 else None
        if found is None:
            if not kept:
                break
            kept = []  # the remembered gradients mislead here
            continue
        after, after_value, after_gradient = found
        moved = [new - old for new, old in zip(after, place, strict=True)]
        turned = [new - old for new, old in zip(after_gradient, gradient, strict=True)]
        bend = _dot(moved, turned)
        if bend > 1e-18:
            kept = [*kept, (moved, turned, 1 / bend)][-MEMORY:]
        gained = value - after_value
        place, value, gradient = after, after_value, after_gradient
        if gained < tolerance:
            break
    return place


def _direction(gradient: Vector, kept: list[tuple[Vector, Vector, float]]) -> Vector:
    """The gradient, bent by what the last steps showed of the function's curvature."""
    way = gradient[:]
    shares = []
    for moved, turned, inverse in reversed(kept):
        share = inverse * _dot(moved, way)
        shares.append(share)
        way = [w - share * t for w, t in zip(way, turned, strict=True)]
    if kept:
        _, turned, inverse = kept[-1]
        scale = 1 / (inverse * _dot(turned, turned))
    else:
        scale = 1e-3 / max(1e-300, *map(abs, gradient))
    way = [scale * w for w in way]
    for (moved, turned, inverse), share in zip(kept, reversed(shares), strict=True):
        back = share - inverse * _dot(turned, way)
        way = [w + back * m for w, m in zip(way, moved, strict=True)]
    return way


def _search(
    function: Function, place: Vector, value: float, way: Vector, slope: float, size: float
) -> tuple[Vector, float, Vector] | None:
    """The first of ever shorter steps that gains enough; None where none does."""
    for _ in range(25):
        after = [p - size * w for p, w in zip(place, way, strict=True)]
        after_value, after_gradient = function(after)
        if after_value <= value - 1e-4 * size * slope:
            return after, after_value, after_gradient
        size *= 0.5
    return None


def _dot(one: Vector, other: Vector) -> float:
    return sum(map(float.__mul__, one, other))
