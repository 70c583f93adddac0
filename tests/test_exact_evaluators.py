"""The evaluators of circles and distances: exact, without tolerance, and closed to whatever is no packing."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from markdown_files import ROOT

EXAMPLES = ROOT / "examples"


def module(example: str, name: str) -> ModuleType:
    """A file of an example's solution as a module of its own."""
    path = EXAMPLES / example / "solution" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{example}_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


circles = module("circles", "evaluate")
distances = module("distances", "evaluate")
tighten = module("circles", "tighten")

Rows = list[list[Any]]
Score = Callable[[str | bytes], float]


@pytest.fixture
def packed(tmp_path: Path) -> Score:
    """Scores the text of a packing as the command does; raises Refused."""

    def score(text: str | bytes) -> float:
        path = tmp_path / "packing.json"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return float(circles.rounded_down(circles.score(circles.read_circles(path, 26))))

    return score


@pytest.fixture
def placed(tmp_path: Path) -> Score:
    """The same for points."""

    def score(text: str | bytes) -> float:
        path = tmp_path / "points.json"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return float(distances.rounded_up(distances.score(distances.read_points(path, 16))))

    return score


def grid() -> Rows:
    """Sixteen circles that touch each other and the sides, nine in the holes between them, and one in a corner."""
    rows: Rows = [[f"{0.125 + 0.25 * x}", f"{0.125 + 0.25 * y}", "0.125"] for x in range(4) for y in range(4)]
    holes = [(x, y) for x in (0.25, 0.5, 0.75) for y in (0.25, 0.5, 0.75)]
    rows += [[str(x), str(y), "0.05"] for x, y in holes]
    return [*rows, ["0.0000001", "0.0000001", "0.0000001"]]


def text(rows: Rows, **more: Any) -> str:
    """The file; every number stands in it as it is written in the row."""
    listed = ", ".join(f"[{', '.join(map(str, row))}]" for row in rows)
    extra = "".join(f', "{name}": {json.dumps(value)}' for name, value in more.items())
    return f'{{"circles": [{listed}]{extra}}}'


def with_row(number: int, row: list[Any]) -> Rows:
    rows = grid()
    rows[number] = row
    return rows


def test_touching_circles_are_a_packing_and_the_sum_is_the_radii_s(packed: Score) -> None:
    total = 16 * Fraction(1, 8) + 9 * Fraction(5, 100) + Fraction(1, 10**7)
    assert Fraction(packed(text(grid()))) <= total
    assert packed(text(grid())) == pytest.approx(float(total), rel=1e-15)


def test_what_a_file_says_of_its_own_sum_is_not_read(packed: Score) -> None:
    assert packed(text(grid(), sum=99, sum_of_radii=2.7, score=[1])) == packed(text(grid()))


@pytest.mark.parametrize(
    ("number", "row", "why"),
    [
        (0, ["0.125", "0.125", "0.1250000000000000000000000001"], "beyond the left side"),
        (0, ["0.125", "0.375", "0.12499"], "overlap"),
        (16, ["0.25", "0.25", "0.0517766952966368811002110905262"], ""),
        (16, ["0.25", "0.25", "0.0517766952966368811002110905263"], r"overlap by [1-9][0-9.]*e-3"),
        (16, ["0.5", "0.5", "0.05"], "overlap"),
        (3, ["0.125", "0.875", "0"], "above 0 is asked for"),
        (3, ["0.125", "0.875", "-0.1"], "above 0 is asked for"),
        (3, ["0.125", "0.875", "NaN"], "NaN is no finite number"),
        (3, ["0.125", "0.875", "Infinity"], "Infinity is no finite number"),
        (3, ["0.125", "0.875", "-Infinity"], "no finite number"),
        (3, ["0.125", "0.875", "1e400"], "exponent beyond"),
        (3, ["0.125", "0.875", "1e-400"], "exponent beyond"),
        (3, ["0.125", "0.875", "1e99999999999999999999999999999999999999999"], "characters"),
        (3, ["0.125", "0.875", "0." + "1" * 5000], "characters"),
        (3, ["0.125", "0.875", "1" * 5000], "characters"),
        (3, ["1.125", "0.875", "0.1"], "beyond the right side"),
        (3, ["0.125", "0.875", "true"], r"circle 4 is \["),
        (3, ["0.125", "0.875", '"0.125"'], r"circle 4 is \["),
        (3, ["0.125", "0.875", "null"], r"circle 4 is \["),
        (3, ["0.125", "0.875"], "not .x, y, radius"),
        (3, ["0.125", "0.875", "0.1", "0.1"], "not .x, y, radius"),
        (3, ["0.125", "0.875", "[0.1]"], "not .x, y, radius"),
    ],
)
def test_what_breaks_a_rule_by_anything_is_refused_with_the_reason(
    packed: Score, number: int, row: list[Any], why: str
) -> None:
    if not why:
        assert packed(text(with_row(number, row))) > 0  # a distance that the decimal stays below: no tolerance used
        return
    with pytest.raises(circles.Refused, match=why):
        packed(text(with_row(number, row)))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (text(grid()[:25]), "25 circles; exactly 26"),
        (text([*grid(), ["0.5", "0.1", "0.0001"]]), "27 circles; exactly 26"),
        (text([grid()[0]] * 26), "overlap"),
        ("", "not JSON"),
        ("[]", "no object"),
        ('{"circles": {}}', "no object"),
        ("[" * 30000, "not JSON|nested"),
        ('{"circles": ' + "[" * 20000 + "]" * 20000 + "}", "nested|circles; exactly"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"\xef\xbb\xbf" + text(grid()).encode(), "not JSON"),
        ('{"circles": [], "circles": []}', "twice"),
        (text(grid()) + " " * 70000, "more than 65536 bytes"),
        (text(grid(), more={"a": 10**60}), "characters"),
        (text(grid()).replace("0.125,", "0x1,", 1), "not JSON"),
    ],
)
def test_what_is_no_packing_is_refused_with_the_reason(packed: Score, content: str | bytes, why: str) -> None:
    with pytest.raises(circles.Refused, match=why):
        packed(content)


def test_a_refusal_is_a_line_of_plain_text_however_strange_the_file(packed: Score) -> None:
    rows = with_row(3, ['"\\u001b[31m\\u202e' + "x" * 5000 + '"', "1", "1"])
    with pytest.raises(circles.Refused) as refused:
        packed(text(rows))
    assert str(refused.value).isascii()
    assert len(str(refused.value)) < 200


def test_a_file_that_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(circles.Refused, match="cannot be read"):
        circles.read_circles(tmp_path / "packing.json", 26)
    (tmp_path / "packing.json").mkdir()
    with pytest.raises(circles.Refused, match="cannot be read"):
        circles.read_circles(tmp_path / "packing.json", 26)


@given(st.fractions(min_value=0, max_value=3))
@settings(max_examples=200, deadline=None)
def test_sums_are_rounded_down_and_ratios_up_and_by_less_than_one_step(value: Fraction) -> None:
    down, up = circles.rounded_down(value), distances.rounded_up(value)
    assert Fraction(down) <= value <= Fraction(up)
    assert Fraction(math.nextafter(down, math.inf)) > value
    assert Fraction(math.nextafter(up, -math.inf)) < value


unit = st.floats(0.0, 1.0)


@given(st.lists(st.tuples(unit, unit, st.floats(0.0, 0.5)), min_size=26, max_size=26, unique_by=lambda c: c[:2]))
@settings(max_examples=60, deadline=None, phases=(Phase.explicit, Phase.generate))
def test_what_the_solution_tightens_is_a_packing_wherever_the_centres_are(
    given_circles: list[tuple[float, float, float]],
) -> None:
    made = tighten.tightened([(x, y) for x, y, _ in given_circles], [r for _, _, r in given_circles])
    document = json.loads(tighten.as_json(made), parse_float=circles.exact)
    rows = [circles.Circle(*row) for row in document["circles"]]
    nearest = min((x - u) ** 2 + (y - v) ** 2 for n, (x, y, _) in enumerate(made) for u, v, _ in made[:n])
    if nearest < 4:  # no two of the smallest circles fit there, and the evaluator says so
        with pytest.raises(circles.Refused, match="overlap"):
            circles.score(rows)
    else:
        assert circles.score(rows) == Fraction(sum(r for _, _, r in made), 10**15)


def points() -> Rows:
    return [[x, y] for x in range(4) for y in range(4)]


def listed(rows: Rows) -> str:
    return json.dumps({"points": rows})


def test_the_grid_has_the_ratio_eighteen_wherever_it_lies_and_however_large_it_is(placed: Score) -> None:
    assert placed(listed(points())) == 18.0
    assert placed(listed([[x * 0.5 - 7, y * 0.5 + 3] for x, y in points()])) == 18.0


def test_a_ratio_is_that_of_the_decimals_as_they_are_written(placed: Score) -> None:
    further = [*points()[:-1], ["3", "3.000000000000000000000000000001"]]
    rows = "[" + ", ".join(f"[{x}, {y}]" for x, y in further) + "]"
    assert placed(f'{{"points": {rows}}}') == math.nextafter(18.0, math.inf)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (points()[:15], "15 points; exactly 16"),
        ([*points(), [9, 9]], "17 points; exactly 16"),
        ([*points()[:-1], [0, 0]], "points 1 and 16 are in the same place"),
        ([*points()[:-1], [math.nan, 0]], "NaN is no finite number"),
        ([*points()[:-1], [math.inf, 0]], "Infinity is no finite number"),
        ([*points()[:-1], [10**60, 0]], "characters"),
        ([*points()[:-1], [True, 0]], "point 16 is"),
        ([*points()[:-1], [0, 0, 0]], "point 16 is"),
        ([*points()[:-1], "3, 3"], "point 16 is"),
    ],
)
def test_what_are_no_sixteen_points_is_refused_with_the_reason(placed: Score, rows: Rows, why: str) -> None:
    with pytest.raises(distances.Refused, match=why):
        placed(listed(rows))


def test_the_largest_ratio_that_can_be_written_down_is_a_number(placed: Score) -> None:
    far, near = "9" * 36 + "e40", f"0.{'0' * 33}1e-40"
    rows = [*points()[:-3], [near, 0], [0, far], [f"-{far[1:]}", f"-{far[1:]}"]]
    assert 1e290 < placed('{"points": [' + ", ".join(f"[{x}, {y}]" for x, y in rows) + "]}") < 1e308


@pytest.fixture(params=["circles", "distances"])
def example(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_best_known_value_is_plausible_and_anything_better_is_held(example: str) -> None:
    from registry.documents import load_target

    target = load_target(EXAMPLES / example / "target.yaml")
    (best,) = json.loads((EXAMPLES / example / "board.json").read_text())
    metric = target.metrics.primary
    assert target.gate.policy == "exact"
    assert metric.plausible_best is not None
    slack = metric.plausible_best - best[metric.name]
    assert 0 <= (slack if metric.higher_is_better else -slack) < 0.001
