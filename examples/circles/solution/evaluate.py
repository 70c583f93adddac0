"""Score a packing of circles in the unit square: the sum of the radii, recomputed from the coordinates alone.

    python evaluate.py --predictions model --labels data/problem --out scores

`packing.json` is one object whose member `circles` lists every circle as `[x, y, radius]`. Each number is taken as the
decimal that is written there, and all arithmetic is exact, on fractions: there is no tolerance. Circles may touch each
other and the sides. Whatever else the file says, a sum for example, is not read. What breaks a rule is refused with
the reason and exit status 1. Standard library only; imports nothing of the solution's.
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

PACKING = "packing.json"
MOST_BYTES = 65536
MOST_CHARACTERS = 40
"""Of one number: far more than a double needs, and little enough that no fraction grows large."""
MOST_EXPONENT = 40
MOST_SHOWN = 60
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE]([+-]?\d+))?")


class Refused(Exception):
    """What was handed in is no packing."""


class Circle(NamedTuple):
    """Centre and radius, exactly."""

    x: Fraction
    y: Fraction
    radius: Fraction


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
    """How many circles the problem asks for."""
    document = read_document(labels / "problem.json")
    count = document.get("circles") if isinstance(document, dict) else None
    if not isinstance(count, Fraction) or count.denominator != 1 or count < 1:
        raise Refused("problem.json does not say how many circles there are")
    return int(count)


def read_circles(path: Path, count: int) -> list[Circle]:
    """Exactly `count` circles of three numbers each; where they lie is not looked at yet."""
    document = read_document(path)
    listed = document.get("circles") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise Refused(f'{path.name} is no object with a list "circles"')
    if len(listed) != count:
        raise Refused(f"{len(listed)} circles; exactly {count} are asked for")
    circles = []
    for number, entry in enumerate(listed, start=1):
        if not isinstance(entry, list) or len(entry) != 3 or not all(isinstance(value, Fraction) for value in entry):
            raise Refused(f"circle {number} is {_shown(entry)}, not [x, y, radius]")
        circles.append(Circle(*entry))
    return circles


def score(circles: list[Circle]) -> Fraction:
    """The exact sum of the radii of a packing; refused where it is none."""
    for number, circle in enumerate(circles, start=1):
        if circle.radius <= 0:
            raise Refused(f"circle {number} has the radius {float(circle.radius):g}; above 0 is asked for")
        for side, room in (("left", circle.x), ("right", 1 - circle.x), ("lower", circle.y), ("upper", 1 - circle.y)):
            if room < circle.radius:
                raise Refused(f"circle {number} reaches {float(circle.radius - room):.3g} beyond the {side} side")
    for number, one in enumerate(circles, start=1):
        for other_number, other in enumerate(circles[: number - 1], start=1):
            distance_squared = (one.x - other.x) ** 2 + (one.y - other.y) ** 2
            reach = one.radius + other.radius
            if distance_squared < reach**2:
                # The difference of the squares is exact, so that the least overlap does not read as 0.
                overlap = float(reach**2 - distance_squared) / (float(reach) + math.sqrt(distance_squared))
                raise Refused(f"circles {other_number} and {number} overlap by {overlap:.3g}")
    return sum((circle.radius for circle in circles), Fraction(0))


def rounded_down(value: Fraction) -> float:
    """The largest double that is not above the value: nothing is won by rounding."""
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)


def main() -> int:
    parser = argparse.ArgumentParser(description="Score a packing of circles in the unit square.")
    parser.add_argument("--predictions", type=Path, required=True, help=f"folder with {PACKING}")
    parser.add_argument("--labels", type=Path, required=True, help="folder with problem.json")
    parser.add_argument("--out", type=Path, required=True, help="folder for metrics.json")
    options = parser.parse_args()
    try:
        total = score(read_circles(options.predictions / PACKING, read_count(options.labels)))
    except Refused as refusal:
        print(f"evaluate.py: refused: {refusal}", file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    metrics = {"sum_of_radii": rounded_down(total)}
    (options.out / "metrics.json").write_text(json.dumps(metrics) + "\n", encoding="utf-8")
    print(f"sum_of_radii: {metrics['sum_of_radii']!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
