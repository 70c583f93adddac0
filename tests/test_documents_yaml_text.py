"""Reading and rewriting hand-edited YAML: hostile input is refused with its line, rewrites touch nothing else."""

from __future__ import annotations

import copy
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from registry.errors import BadInput
from registry.yaml_nodes import NodePath
from registry.yaml_parsing import MAX_BYTES, parse
from registry.yaml_scalars import is_control, number_token, resolve, same, token
from registry.yaml_text import append_item, insert_key, splice

BRIEF = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=12).filter(
    lambda text: not any(map(is_control, text))
)
WORDS = st.sampled_from(
    ["MemoryBench", "our system", "yes", "no", "null", "1.0", "2026-02-01", "a: b", "x #1", "-", "é"]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(10**6), 10**6), FLOATS, TEXTS, WORDS)
KEYS = st.text(string.ascii_letters + string.digits + "_ .-", min_size=1, max_size=6).filter(
    lambda key: key == key.strip() and key[0] not in "-."
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(KEYS, inner, min_size=1, max_size=3),
    max_leaves=10,
)
DOCUMENTS = st.dictionaries(KEYS, TREES, min_size=1, max_size=4)


class Writer:
    """Writes data as a person might: quotes, comments, blank lines, braces and indentation as they come."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw

    def one_of(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def scalar(self, value: Any) -> str:
        if isinstance(value, float) and not isinstance(value, bool):
            return number_token(value, self.one_of("", "+0.5", "0.500", ".5"))
        return token(value, self.one_of("", "'", '"'))

    def flow(self, value: Any) -> str:
        gap = self.one_of("", " ")
        if isinstance(value, dict):
            return (
                "{" + gap + self.one_of(",", ", ").join(f"{token(k)}: {self.flow(v)}" for k, v in value.items()) + "}"
            )
        if isinstance(value, list):
            return "[" + self.one_of(",", ", ").join(map(self.flow, value)) + gap + "]"
        return self.scalar(value)

    def tail(self) -> str:
        return self.one_of("", "", "", "  # note: #1 {x}", " ", "\n", "\n  # a comment, 'so'")

    def below(self, value: Any, indent: int) -> list[str]:
        """Lines of a collection in block form."""
        lead = " " * indent
        lines: list[str] = []
        pairs = (
            [(f"{token(k)}:", v) for k, v in value.items()] if isinstance(value, dict) else [("-", v) for v in value]
        )
        for head, inner in pairs:
            if isinstance(inner, (dict, list)) and self.one_of(True, False):
                lines += [lead + head + self.one_of("", " # why"), *self.below(inner, indent + self.one_of(1, 2, 4))]
            elif inner is None and self.one_of(True, False):
                lines.append(lead + head)
            else:
                lines.append(lead + head + self.one_of(" ", "   ") + self.flow(inner) + self.tail())
        return lines

    def document(self, data: dict[str, Any]) -> str:
        lines = [*self.one_of([], ["# about", ""], ["---"]), *self.below(data, 0)]
        text = "\n".join(lines) + self.one_of("", "\n", "\n\n# end\n")
        return self.one_of("", "\ufeff") + (text.replace("\n", "\r\n") if self.one_of(True, False, False) else text)


@st.composite
def written(draw: Any) -> tuple[str, dict[str, Any]]:
    data = draw(DOCUMENTS)
    return Writer(draw).document(data), data


def paths(data: Any, kind: type | tuple[type, ...], path: NodePath = ()) -> list[NodePath]:
    here = [path] if isinstance(data, kind) else []
    steps = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else []
    return here + [found for step, inner in steps for found in paths(inner, kind, (*path, step))]


def at(data: Any, path: NodePath) -> Any:
    for step in path:
        data = data[step]
    return data


@BRIEF
@given(written())
def test_a_document_reads_back_as_what_was_written(case: tuple[str, dict[str, Any]]) -> None:
    text, data = case
    assert same(parse(text, "f").data, data)


@BRIEF
@given(written(), st.data())
def test_a_splice_changes_the_named_values_and_no_other_character(case: tuple[str, dict[str, Any]], data: Any) -> None:
    text, wanted = case
    leaves = paths(wanted, (bool, int, float, str, type(None)))
    assume(leaves)
    changes = data.draw(st.dictionaries(st.sampled_from(leaves), SCALARS, min_size=1, max_size=3))
    before = parse(text, "f")

    after_text = splice(text, changes)

    for path, value in changes.items():
        at(wanted, path[:-1])[path[-1]] = value
    after = parse(after_text, "f")
    assert same(after.data, wanted)
    # What lies between the changed values is the same text, piece by piece.
    ordered = sorted(changes, key=lambda path: before.nodes[path].start)
    old_gaps, new_gaps = [], []
    old_at = new_at = 0
    for path in ordered:
        old, new = before.nodes[path], after.nodes[path]
        old_gaps.append(text[old_at : old.start])
        gap = after_text[new_at : new.start]
        new_gaps.append(gap[:-1] if old.start == old.end and gap.endswith(" ") and gap != old_gaps[-1] else gap)
        old_at, new_at = old.end, new.end
    assert [*old_gaps, text[old_at:]] == [*new_gaps, after_text[new_at:]]


@BRIEF
@given(written(), KEYS, SCALARS, st.data())
def test_an_inserted_key_adds_one_pair_and_removes_no_character(
    case: tuple[str, dict[str, Any]], key: str, value: Any, data: Any
) -> None:
    text, wanted = case
    path = data.draw(st.sampled_from(paths(wanted, dict)))
    assume(key not in at(wanted, path))
    after = insert_key(text, path, key, value)
    at(wanted, path)[key] = value
    assert same(parse(after, "f").data, wanted)
    assert len(after) > len(text)
    assert _is_one_insertion(text, after)


@BRIEF
@given(written(), st.one_of(SCALARS, st.dictionaries(KEYS, SCALARS, min_size=1, max_size=3)), st.data())
def test_an_appended_item_adds_one_item_and_removes_no_character(
    case: tuple[str, dict[str, Any]], item: Any, data: Any
) -> None:
    text, wanted = case
    sequences = paths(wanted, list)
    assume(sequences)
    path = data.draw(st.sampled_from(sequences))
    after = append_item(text, path, item)
    at(wanted, path).append(copy.deepcopy(item))
    assert same(parse(after, "f").data, wanted)
    assert _is_one_insertion(text, after)


def _is_one_insertion(old: str, new: str) -> bool:
    start = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), len(old))
    return new.endswith(old[start:])


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.text(st.sampled_from(list("ab:-?[]{},&*!|>'\"%@`#~<. \n\t\r\\x0u1e+\ufeff\u2028\x00é😀")), max_size=40),
    )
)
def test_any_bytes_are_read_or_refused_and_nothing_else(content: str | bytes) -> None:
    try:
        located = parse(content, "f.yaml")
    except BadInput as error:
        problems = error.problems
    else:
        problems = ()
        assert isinstance(located.data, dict)
        for node in located.nodes.values():
            assert 0 <= node.start <= node.end <= len(located.text)
    assert all(problem.where == "f.yaml" and problem.found and problem.expected for problem in problems)
    assert not any(is_control(character) for problem in problems for character in str(problem))


@settings(max_examples=200, deadline=None)
@given(FLOATS, st.sampled_from(["", "0.823", "+0.027", ".5", "82", "-1.0", "1e-3"]))
def test_a_number_is_written_so_that_it_reads_back_exactly(value: float, like: str) -> None:
    assert resolve(number_token(value, like)) == value


@pytest.mark.parametrize(
    ("like", "value", "expected"),
    [
        ("0.823", 0.85, "0.850"),
        ("0.823", 0.8312, "0.8312"),
        ("+0.027", 0.03, "+0.030"),
        ("+0.027", -0.03, "-0.030"),
        (".823", 0.9, ".900"),
        ("82", 85.0, "85"),
        ("82", 85.5, "85.5"),
        ("null", 1e-05, "0.00001"),
        ("0.5", 1, "1.0"),
    ],
)
def test_a_number_takes_the_form_of_the_one_it_replaces(like: str, value: float, expected: str) -> None:
    assert number_token(value, like) == expected


@pytest.mark.parametrize(
    ("content", "line", "found"),
    [
        ("", 1, "empty"),
        ("# only a comment\n", 1, "empty"),
        ("- a\n- b\n", 1, "a sequence at the top"),
        ("just words\n", 1, "a scalar at the top"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: 1\nb:\n\tc: 2\n", 3, "a tab"),
        (b"a: 1\nb: \xff\n", 2, "0xff"),
        ("a: 1\nb: \x00\n", 2, "U+0000"),
        ('a: "\\0"\n', 1, "control character"),
        ("a: 1\nb: x\u202ey\n", 2, "U+202E"),
        ("a: 1\n\nb: [1, 2\n", 4, "end of the file"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "tag"),
        ("a: 1\nb: *gone\n", 2, "alias *gone"),
        ("a: &x [*x]\n", 1, "alias *x"),
        ("a: &x {c: 1}\n<<: *x\n", 2, "merge key"),
        ("a: .nan\n", 1, "not finite"),
        ("a: 1e999\n", 1, "too large"),
        ("a: " + "9" * 5000, 1, "5000 characters"),
        ("[a, b]: 1\n", 1, "as a key"),
        ("a: 1\n: 2\n", 2, "empty key"),
        ("a: " + "[" * 100, 1, "nested too deeply"),
        ("a: " + "x" * MAX_BYTES, None, "more than"),
    ],
)
def test_text_that_is_no_document_of_ours_is_refused_with_its_line(
    content: str | bytes, line: int | None, found: str
) -> None:
    with pytest.raises(BadInput) as caught:
        parse(content, "f.yaml")
    (problem,) = caught.value.problems
    assert found in problem.found
    assert problem.line == line
    assert problem.where == "f.yaml"


def test_every_duplicate_key_is_reported_with_both_lines() -> None:
    with pytest.raises(BadInput) as caught:
        parse("a: 1\nb: {c: 1, c: 2}\na: 3\n", "f.yaml")
    assert [(problem.line, problem.found) for problem in caught.value.problems] == [
        (2, 'the key "c" a second time (first on line 2)'),
        (3, 'the key "a" a second time (first on line 1)'),
    ]


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    layers = "a: &a0 [x, x, x, x, x, x, x, x, x]\n"
    layers += "".join(f"b{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))
    with pytest.raises(BadInput, match="aliases expanded"):
        parse(layers, "f.yaml")


def test_an_ordinary_alias_is_read_and_never_rewritten() -> None:
    text = "a: &x {n: 1}\nb: *x\n"
    assert parse(text, "f").data == {"a": {"n": 1}, "b": {"n": 1}}
    for path in [("b", "n"), ("a", "n")]:
        with pytest.raises(BadInput, match="an alias"):
            splice(text, {path: 2})


def test_keys_are_text_and_dates_stay_text() -> None:
    assert parse("2026: 1\ntrue: 2\nd: 2026-02-01\n", "f").data == {"2026": 1, "true": 2, "d": "2026-02-01"}


@pytest.mark.parametrize("value", [{"a": 1}, [1], "x\x00y", float("nan"), "x" * 5000])
def test_a_value_that_is_no_single_token_is_refused(value: Any) -> None:
    with pytest.raises(BadInput):
        splice("a: 1\n", {("a",): value})


@pytest.mark.parametrize(
    ("text", "path", "problem"),
    [
        ("a: 1\n", ("b",), "nothing"),
        ("a: {b: 1}\n", ("a",), "a mapping"),
        ("a: !!str 1\n", ("a",), "a tag"),
        ("a: |\n  text\n", ("a",), "several lines"),
    ],
)
def test_a_place_that_cannot_be_rewritten_is_refused(text: str, path: NodePath, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        splice(text, {path: 2})


def test_quotes_comments_and_spacing_stay_around_a_new_value() -> None:
    text = "a:   'x'   # keep\nb: {c:  \"y\" , d: 0.50}\n# end"
    after = splice(text, {("a",): "it's", ("b", "c"): 'say "hi"', ("b", "d"): 0.6})
    assert after == "a:   'it''s'   # keep\nb: {c:  \"say \\\"hi\\\"\" , d: 0.60}\n# end"


def test_an_empty_value_is_filled_on_its_own_line() -> None:
    assert splice("a:\nb:  # none yet\n", {("a",): 1, ("b",): 2}) == "a: 1\nb: 2  # none yet\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s:\n    A: 1  # one\n    # more here\nz: 1\n", "s:\n    A: 1  # one\n    B: 2\n    # more here\nz: 1\n"),
        ("s:\n  A: 1", "s:\n  A: 1\n  B: 2"),
        ("s:\r\n  A: 1\r\n", "s:\r\n  A: 1\r\n  B: 2\r\n"),
        ("s: {A: 1,}\n", "s: {A: 1, B: 2,}\n"),
        ("s: {}  # none\n", "s: {B: 2}  # none\n"),
        ("s:\nt:\n    x: 1\n", "s:\n    B: 2\nt:\n    x: 1\n"),
        ("s:  # none yet", "s:  # none yet\n  B: 2"),
        ("s:\n  A: |\n    text\n\nz: 1\n", "s:\n  A: |\n    text\n\n  B: 2\nz: 1\n"),
    ],
)
def test_a_new_key_follows_its_neighbours(text: str, expected: str) -> None:
    assert insert_key(text, ("s",), "B", 2) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c:\n- name: A\n  s: 1\nz: 1\n", "c:\n- name: A\n  s: 1\n- name: B\n  s: 0.5\nz: 1\n"),
        ("c:\n  -   name: A\n      s: 1\n", "c:\n  -   name: A\n      s: 1\n  -   name: B\n      s: 0.5\n"),
        ("c:\n  - {name: A, s: 1}  # x", "c:\n  - {name: A, s: 1}  # x\n  - {name: B, s: 0.5}"),
        ("c: [{name: A, s: 1}]\n", "c: [{name: A, s: 1}, {name: B, s: 0.5}]\n"),
        ("c: []\r\n", "c: [{name: B, s: 0.5}]\r\n"),
        ("c:\n", "c:\n  - name: B\n    s: 0.5\n"),
    ],
)
def test_a_new_item_follows_its_neighbours(text: str, expected: str) -> None:
    assert append_item(text, ("c",), {"name": "B", "s": 0.5}) == expected


def test_a_key_that_exists_is_not_inserted_again() -> None:
    with pytest.raises(BadInput, match="there already"):
        insert_key("a: {b: 1}\n", ("a",), "b", 2)
