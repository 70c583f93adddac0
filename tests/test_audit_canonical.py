"""The canonical form is one byte string per value and loses nothing."""

from __future__ import annotations

import enum
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.canonical import MAX_INT_BITS, NotCanonical, canonical, sha256_of

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)


def same(left: object, right: object) -> bool:
    """Equality that tells 1 from 1.0 and True, and 0.0 from -0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    return left == right


@given(values)
def test_a_value_comes_back_exactly(value: object) -> None:
    written = canonical(value)
    assert same(json.loads(written), value)
    assert canonical(json.loads(written)) == written
    assert b"\n" not in written


def test_the_form_is_sorted_compact_and_utf8() -> None:
    assert canonical({"b": [1, 1.0, True, None], "a": "ü€😀"}) == '{"a":"ü€😀","b":[1,1.0,true,null]}'.encode()
    assert sha256_of({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [0.1, math.nan]}, "value.a[1]"),
        (math.inf, "value"),
        (-math.inf, "value"),
        ((1, 2), "value"),
        ({1: "x"}, "value"),
        ({"a": b"x"}, "value.a"),
        ({"a": {"b": {1, 2}}}, "value.a.b"),
        ([Colour.RED], "value[0]"),
        (["\ud800"], "value[0]"),
        ({"\udfff": 1}, "value"),
        (1 << (MAX_INT_BITS + 1), "value"),
    ],
)
def test_what_json_would_change_is_refused_with_its_place(value: object, place: str) -> None:
    with pytest.raises(NotCanonical) as caught:
        canonical(value)
    assert str(caught.value).startswith(f"{place}: ")


def test_the_largest_integer_accepted_can_be_read_back() -> None:
    largest = (1 << MAX_INT_BITS) - 1
    assert json.loads(canonical(largest)) == largest


def test_bottomless_nesting_is_refused_and_never_a_recursion_error() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(NotCanonical, match="deep"):
        canonical(loop)
