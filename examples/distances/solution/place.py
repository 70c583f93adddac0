"""Place 16 points in the plane so that their largest distance is a small multiple of their smallest.

    python place.py --config configs/production.json --out model

Leaves `points.json`. The same configuration gives the same points, bit for bit: what is drawn is drawn from numbers
in the configuration.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import layouts
from descent import Vector, minimise
from layouts import Point

COUNT = 16
PAIRS = [(i, j) for i in range(COUNT) for j in range(i)]
WEIGHTS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6)
"""How dear it is to break a rule, stage by stage."""


def place(settings: dict) -> list[Point]:
    """The points that the settings describe: the best of all starts, relaxed."""
    steps, starts = settings["relax"]["steps"], settings["relax"]["starts"]
    begun = [layouts.LAYOUTS[settings["layout"]["kind"]](COUNT)]
    begun += [layouts.scattered(COUNT, seed) for seed in range(1, starts)]
    return min((relaxed(points, steps) for points in begun), key=ratio)


def ratio(points: list[Point]) -> float:
    """The squared ratio, as closely as floating point tells it."""
    squares = [(points[i][0] - points[j][0]) ** 2 + (points[i][1] - points[j][1]) ** 2 for i, j in PAIRS]
    return max(squares) / min(squares)


def relaxed(points: list[Point], steps: int) -> list[Point]:
    """Points moved so that the largest squared distance shrinks while none falls below one."""
    if steps == 0:
        return points
    state = [x for x, _ in points] + [y for _, y in points] + [13.0]
    for weight in WEIGHTS:
        state = minimise(lambda at, weight=weight: _strain(at, weight), state, steps, 1e-10, 0.2)
    return list(zip(state[:COUNT], state[COUNT : 2 * COUNT], strict=True))


def _strain(state: Vector, weight: float) -> tuple[float, Vector]:
    """The largest squared distance that is allowed (the last number), and the cost of every pair that breaks a rule."""
    largest = state[-1]
    value, gradient, by_largest = largest, [0.0] * len(state), 1.0
    for i, j in PAIRS:
        dx, dy = state[i] - state[j], state[COUNT + i] - state[COUNT + j]
        square = dx * dx + dy * dy
        if square > largest:
            excess = square - largest
            pull = 4 * weight * excess
            by_largest -= 2 * weight * excess
        elif square < 1.0:
            excess = 1.0 - square
            pull = -4 * weight * excess
        else:
            continue
        value += weight * excess * excess
        gradient[i] += pull * dx
        gradient[j] -= pull * dx
        gradient[COUNT + i] += pull * dy
        gradient[COUNT + j] -= pull * dy
    gradient[-1] = by_largest
    return value, gradient


def main() -> None:
    parser = argparse.ArgumentParser(description="Place points in the plane.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder that points.json is written to")
    options = parser.parse_args()
    points = place(json.loads(options.config.read_text(encoding="utf-8")))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "points.json").write_text(json.dumps({"points": points}, indent=1) + "\n", encoding="utf-8")
    print(f"squared ratio, as placed: {ratio(points):.6f}")


if __name__ == "__main__":
    main()
