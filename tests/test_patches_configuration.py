"""Settings written into configurations: the wanted values change, every other byte stays."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BadInput
from registry.hypotheses import Scalar
from tools.configuration_edit import read_value, set_values

JSON = (
    '{\n  "train": {"rate": 1e-3 , "epochs":3},\n\t"layers": [16, 32], "name": "a\\u00e9", "seed": null, "on": true }\n'
)
TOML = """\
title = 'plain'   # a name
[train]
rate = 1e-3 # tuned by hand
"odd key" = 7
sched.kind = "cosine"
note = '''
[other]
rate = 5
'''
list = [1, 2]
[other]
rate = 5
on = true
"""
PYTHON = '''\
"""Docs: RATE = 0.5  # agent: train.rate"""
RATE: "é" = 0.1  # agent: train.rate
TEXT = "# agent: train.fake"
OFFSET = -3 # agent: train.offset
NAME = 'wide'  #agent: name
ITEMS = [1, 2]  # agent: items
COMPUTED = RATE * 2  # agent: computed
'''


@pytest.mark.parametrize(
    ("name", "text", "path", "value", "old", "new"),
    [
        ("a.json", JSON, "train.rate", 0.01, "1e-3", "0.01"),
        ("a.json", JSON, "layers.1", 64, "32", "64"),
        ("a.json", JSON, "name", 'q"ü', '"a\\u00e9"', '"q\\"ü"'),
        ("a.json", JSON, "seed", 5, "null", "5"),
        ("a.json", JSON, "on", False, "true", "false"),
        ("a.toml", TOML, "train.rate", 1e-05, "1e-3", "1e-05"),
        ("a.toml", TOML, "title", "it's\n", "'plain'", '"it\'s\\n"'),
        ("a.toml", TOML, "train.odd key", 8, "7", "8"),
        ("a.toml", TOML, "train.sched.kind", "step", '"cosine"', '"step"'),
        ("a.toml", TOML, "other.on", False, "true", "false"),
        ("a.py", PYTHON, "train.rate", 0.25, "0.1", "0.25"),
        ("a.py", PYTHON, "train.offset", 4, "-3", "4"),
        ("a.py", PYTHON, "name", "it's", "'wide'", '"it\'s"'),
    ],
)
def test_one_value_changes_and_nothing_else(name: str, text: str, path: str, value: Scalar, old: str, new: str) -> None:
    changed = set_values(name, text, {path: value})
    assert changed == text.replace(old, new, 1)
    assert read_value(name, changed, path) == value


def test_several_values_are_set_at_once_whatever_their_order() -> None:
    changed = set_values("c/a.json", JSON, {"on": False, "train.rate": 123456.5, "layers.0": 8})
    document = json.loads(changed)
    assert (document["on"], document["train"]["rate"], document["layers"]) == (False, 123456.5, [8, 32])


def test_an_equal_value_leaves_the_way_it_is_written() -> None:
    assert set_values("a.json", JSON, {"train.rate": 0.001}) == JSON
    assert set_values("a.toml", TOML, {"train.rate": 0.001}) == TOML


@pytest.mark.parametrize(
    ("name", "text", "path"),
    [
        ("a.json", JSON, "train.width"),
        ("a.json", JSON, "train"),
        ("a.json", JSON, "layers.2"),
        ("a.toml", TOML, "train.list"),
        ("a.toml", TOML, "other.missing"),
        ("a.py", PYTHON, "train.fake"),
        ("a.py", PYTHON, "items"),
        ("a.py", PYTHON, "computed"),
    ],
)
def test_a_path_that_holds_no_single_value_is_refused_by_name(name: str, text: str, path: str) -> None:
    with pytest.raises(BadInput) as caught:
        set_values(name, text, {path: 1})
    assert caught.value.problems[0].place == path
    assert caught.value.problems[0].where == name


def test_a_value_that_also_stands_in_a_multi_line_string_is_not_guessed_at() -> None:
    with pytest.raises(BadInput, match=r"other\.rate"):
        set_values("a.toml", TOML, {"other.rate": 6})
    hidden = 'a = {b = 1}\ns = """\na.b = 1\n"""\n'
    with pytest.raises(BadInput):
        set_values("a.toml", hidden, {"a.b": 2})


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.json", "{", "parses"),
        ("a.json", '{"a": 1, "a": 2}', "twice"),
        ("a.json", '{"a.b": 1, "a": {"b": 2}}', "two values"),
        ("a.json", "[" * 100_000, "parses"),
        ("a.toml", "a = = 1", "parses"),
        ("a.py", "a = = 1", "syntax error"),
        ("a.py", "A = 1  # agent: x\nB = 2  # agent: x\n", "two constants"),
        ("a.py", "A = 1; B = 2  # agent: x\n", "two constants"),
        ("a.ini", "a = 1", "kind ini"),
        ("Makefile", "a = 1", "kind none"),
        ("a.yaml", "a: 1", "no YAML"),
    ],
)
def test_files_that_cannot_be_edited_say_why(name: str, text: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        set_values(name, text, {"x": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(BadInput, match="finite"):
        set_values("a.py", PYTHON, {"train.rate": value})


def test_yaml_goes_through_the_splice_with_its_path_in_parts() -> None:
    asked: list[tuple[str, Mapping[tuple[str, ...], Scalar]]] = []

    def splice(text: str, values: Mapping[tuple[str, ...], Scalar]) -> str:
        asked.append((text, values))
        return "spliced"

    def load(_: str) -> object:
        return {"train": {"epochs": 3}}

    assert set_values("c.yml", "text", {"train.epochs": 9}, splice, load) == "spliced"
    assert asked == [("text", {("train", "epochs"): 9})]
    assert read_value("c.yml", "text", "train.epochs", load) == 3
    with pytest.raises(BadInput, match=r"train\.width"):
        set_values("c.yml", "text", {"train.width": 9}, splice, load)
    with pytest.raises(BadInput, match=r"train\.width"):
        read_value("c.yml", "text", "train.width", load)


KEYS = st.text(alphabet="abé_-", min_size=1, max_size=3)
SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=6)
)
TREES = st.recursive(SCALARS, lambda child: st.dictionaries(KEYS, child, max_size=4), max_leaves=8)


def leaves(tree: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(tree, dict):
        return [path]
    return [leaf for key, child in tree.items() for leaf in leaves(child, (*path, key))]


@given(
    tree=st.dictionaries(KEYS, TREES, max_size=4), value=SCALARS, data=st.data(), indent=st.sampled_from([None, 1, 4])
)
def test_any_json_value_can_be_set_and_the_rest_reads_as_before(
    tree: dict[str, object], value: Scalar, data: st.DataObject, indent: int | None
) -> None:
    paths = leaves(tree)
    if not paths:
        return
    path = data.draw(st.sampled_from(paths))
    text = json.dumps(tree, indent=indent, ensure_ascii=data.draw(st.booleans()))
    changed = set_values("a.json", text, {".".join(path): value})
    node: dict[str, object] = tree
    for key in path[:-1]:
        child = node[key]
        assert isinstance(child, dict)
        node = child
    node[path[-1]] = value
    assert repr(json.loads(changed)) == repr(tree)


@given(before=SCALARS, after=SCALARS)
def test_any_marked_constant_and_any_toml_value_takes_any_scalar(before: Scalar, after: Scalar) -> None:
    source = f"A = {before!r}  # agent: train.a\nB = 1\n"
    changed = set_values("a.py", source, {"train.a": after})
    assert changed.endswith("  # agent: train.a\nB = 1\n")
    scope: dict[str, object] = {}
    exec(changed, scope)
    assert repr(scope["A"]) == repr(after)
    toml = set_values("a.toml", "[train]\na = 1 # why\nb = 2\n", {"train.a": after})
    assert repr(tomllib.loads(toml)) == repr({"train": {"a": after, "b": 2}})
