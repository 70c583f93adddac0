"""Plane geometry of a PDF page: matrices, boxes and the areas that were painted. Used by `tools.pdf.visibility`. Pure.

A matrix is PDF's six numbers; a point is a row that is multiplied from the left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

Matrix = tuple[float, float, float, float, float, float]
Point = tuple[float, float]
Colour = tuple[float, float, float]
"""Red, green and blue from 0 to 1."""

IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
WHITE: Colour = (1.0, 1.0, 1.0)
BLACK: Colour = (0.0, 0.0, 0.0)
SAME_COLOUR = 0.08
"""Colours whose parts all differ by no more than this are one colour to a reader."""
MAX_CORNERS = 400
"""A shape with more corners is taken as its box."""
EDGE = 0.5


class Box(NamedTuple):
    """Left, bottom, right, top."""

    left: float
    bottom: float
    right: float
    top: float

    def meet(self, other: Box) -> Box:
        """What both hold; empty where the right is left of the left, or the top below the bottom."""
        return Box(
            max(self.left, other.left),
            max(self.bottom, other.bottom),
            min(self.right, other.right),
            min(self.top, other.top),
        )

    def holds(self, other: Box) -> bool:
        return (
            self.left - EDGE <= other.left
            and self.bottom - EDGE <= other.bottom
            and self.right + EDGE >= other.right
            and self.top + EDGE >= other.top
        )

    def share(self, other: Box) -> float:
        """How much of this box, from 0 to 1, lies in the other."""
        common = self.meet(other)
        wide = max(common.right - common.left, 0.0) / max(self.right - self.left, 1e-9)
        high = max(common.top - common.bottom, 0.0) / max(self.top - self.bottom, 1e-9)
        return min(wide, 1.0) * min(high, 1.0)


def times(first: Matrix, second: Matrix) -> Matrix:
    """First `first`, then `second`."""
    a, b, c, d, e, f = first
    g, h, i, j, k, m = second
    return (a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + m)


def moved(point: Point, matrix: Matrix) -> Point:
    x, y = point
    return (matrix[0] * x + matrix[2] * y + matrix[4], matrix[1] * x + matrix[3] * y + matrix[5])


def box_of(points: Iterable[Point]) -> Box:
    xs, ys = zip(*points, strict=True)
    return Box(min(xs), min(ys), max(xs), max(ys))


def corners(box: Box) -> tuple[Point, Point, Point, Point]:
    return (box.left, box.bottom), (box.right, box.bottom), (box.right, box.top), (box.left, box.top)


def upright(points: Sequence[Point]) -> bool:
    """Whether the points are the corners of a rectangle whose sides are those of the page."""
    distinct = list(dict.fromkeys((round(x, 3), round(y, 3)) for x, y in points))
    return len(distinct) == 4 and len({x for x, _ in distinct}) == 2 and len({y for _, y in distinct}) == 2


@dataclass(frozen=True, slots=True)
class Area:
    """Something painted. `colour` is None where it cannot be told (an image, a pattern, a shading)."""

    box: Box
    shapes: tuple[tuple[Point, ...], ...]
    colour: Colour | None
    alpha: float
    exact: bool
    """Whether the box is the shape, so that what lies in the box is covered."""
    order: int

    def holds(self, point: Point) -> bool:
        x, y = point
        if not (self.box.left <= x <= self.box.right and self.box.bottom <= y <= self.box.top):
            return False
        if self.exact or any(len(shape) > MAX_CORNERS for shape in self.shapes):
            return True
        return sum(_crossings(shape, x, y) for shape in self.shapes) % 2 == 1


def _crossings(shape: Sequence[Point], x: float, y: float) -> int:
    """Sides of the closed shape that a ray from the point to the right meets."""
    count = 0
    for (x1, y1), (x2, y2) in zip(shape, (*shape[1:], shape[0]), strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            count += 1
    return count


def below(areas: Sequence[Area], point: Point) -> Colour | None:
    """The colour of the page at a point; None where something of unknown colour was painted there."""
    layers: list[tuple[Colour, float]] = []
    colour = WHITE
    for area in reversed(areas):
        if area.holds(point):
            if area.colour is None:
                return None
            if area.alpha >= 0.99:
                colour = area.colour
                break
            layers.append((area.colour, area.alpha))
    for upper, alpha in reversed(layers):
        r, g, b = (alpha * up + (1 - alpha) * down for up, down in zip(upper, colour, strict=True))
        colour = (r, g, b)
    return colour


def alike(one: Colour, other: Colour) -> bool:
    return all(abs(a - b) <= SAME_COLOUR for a, b in zip(one, other, strict=True))
