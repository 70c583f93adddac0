"""Score points in the plane: the squared ratio of their largest distance to their smallest, from coordinates alone.

    python evaluate.py --predictions model --labels data/problem --out scores

`points.json` is one object whose member `points` lists every point as `[x, y]`. Each number is taken as the decimal
that is written there, and all arithmetic is exact, on fractions: there is no tolerance, and the ratio is rounded up.
Whatever else the file says is not read. What breaks a rule is refused with the reason and exit status 1. Standard
library only; imports nothing of the solution's.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, NoReturn

POINTS = "points.json"
MOST_BYTES = 65536
MOST_CHARACTERS = 40
"""Of one number: far more than a double needs, and little enough that no fraction grows large."""
MOST_EXPONENT = 40
MOST_SHOWN = 60
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE]([+-]?\d+))?")


class Refused(Exception):
    """What was handed in is no set of points."""


class Point(NamedTuple):
    """Where it is, exactly."""

    x: Fraction
    y: Fraction


def exact(text: str) -> Fraction:
    """The number as it is written; refused where it is longer or larger than any coordinate."""
    if len(text) > MOST_CHARACTERS:
        raise Refused(f"a number of {len(text)} characters ({text[:20]}...); at most {MOST_CHARACTERS} are read")
    matched = _NUMBER.fullmatch(text)
    if matched is None:
        raise Refused(f"{_shown(text)} is no number")
    if abs(int(matched[1] or 0)) > MOST_EXPONENT:
        raise Refused(f"the number {text} has an exponent beyond {MOST_EXPONENT}")
    return Fraction(text)


def read_document(path: Path) -> object:
    """The file as data, every number exact; refused unless it is a small file of strict JSON in UTF-8."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise Refused(f"{path.name} cannot be read: {error.strerror}") from error
    if len(content) > MOST_BYTES:
        raise Refused(f"{path.name} has more than {MOST_BYTES} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"{path.name} is not UTF-8: byte {error.start}") from error
    try:
        return json.loads(
            text, parse_float=exact, parse_int=exact, parse_constant=_no_constant, object_pairs_hook=_members
        )
    except json.JSONDecodeError as error:
        raise Refused(f"{path.name} is not JSON: {error}") from error
    except RecursionError as error:
        raise Refused(f"{path.name} is nested too deeply") from error


def _no_constant(name: str) -> NoReturn:
    raise Refused(f"{name} is no finite number")


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Refused("an object has one name twice")
    return found


def _shown(value: object) -> str:
    text = json.dumps(value, default=float)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def read_count(labels: Path) -> int:
    """How many points the problem asks for."""
    document = read_document(labels / "problem.json")
    count = document.get("points") if isinstance(document, dict) else None
    if not isinstance(count, Fraction) or count.denominator != 1 or count < 2:
        raise Refused("problem.json does not say how many points there are")
    return int(count)


def read_points(path: Path, count: int) -> list[Point]:
    """Exactly `count` points of two numbers each."""
    document = read_document(path)
    listed = document.get("points") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise Refused(f'{path.name} is no object with a list "points"')
    if len(listed) != count:
        raise Refused(f"{len(listed)} points; exactly {count} are asked for")
    points = []
    for number, entry in enumerate(listed, start=1):
        if not isinstance(entry, list) or len(entry) != 2 or not all(isinstance(value, Fraction) for value in entry):
            raise Refused(f"point {number} is {_shown(entry)}, not [x, y]")
        points.append(Point(*entry))
    return points


def score(points: list[Point]) -> Fraction:
    """The exact squared ratio; refused where two points are one."""
    squares = []
    for number, one in enumerate(points, start=1):
        for other_number, other in enumerate(points[: number - 1], start=1):
            square = (one.x - other.x) ** 2 + (one.y - other.y) ** 2
            if square == 0:
                raise Refused(f"points {other_number} and {number} are in the same place")
            squares.append(square)
    return max(squares) / min(squares)


def rounded_up(value: Fraction) -> float:
    """The smallest double that is not below the value: nothing is won by rounding."""
    nearest = float(value)  # numbers of so few characters have no ratio that a double cannot hold
    return nearest if Fraction(nearest) >= value else math.nextafter(nearest, math.inf)


def main() -> int:
    parser = argparse.ArgumentParser(description="Score points by the ratio of their distances.")
    parser.add_argument("--predictions", type=Path, required=True, help=f"folder with {POINTS}")
    parser.add_argument("--labels", type=Path, required=True, help="folder with problem.json")
    parser.add_argument("--out", type=Path, required=True, help="folder for metrics.json")
    options = parser.parse_args()
    try:
        ratio = rounded_up(score(read_points(options.predictions / POINTS, read_count(options.labels))))
    except Refused as refusal:
        print(f"evaluate.py: refused: {refusal}", file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "metrics.json").write_text(json.dumps({"squared_ratio": ratio}) + "\n", encoding="utf-8")
    print(f"squared_ratio: {ratio!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
