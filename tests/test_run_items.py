"""Per-item scores as an evaluator leaves them: strict, ordered by id, and with a digest that every digit changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.items import items_digest
from experiments.metrics import read_items
from registry.errors import BadInput

scores = st.dictionaries(st.text(min_size=1, max_size=8).filter(str.isascii), st.floats(-1e6, 1e6), min_size=1)


def left(folder: Path, text: str) -> Path:
    (folder / "examples.jsonl").write_text(text)
    return folder


def test_an_evaluator_that_leaves_none_has_none(tmp_path: Path) -> None:
    assert read_items(tmp_path) is None


def test_items_come_in_the_order_of_their_ids_whatever_the_order_of_the_lines(tmp_path: Path) -> None:
    items = read_items(left(tmp_path, '{"id": "b", "score": 0}\n{"id": "a", "score": true}\n{"id": 3, "score": 0.5}\n'))
    assert items is not None
    assert (items.ids, items.scores, items.clusters) == (("3", "a", "b"), (0.5, 1.0, 0.0), ())


def test_clusters_are_kept_where_every_item_has_one(tmp_path: Path) -> None:
    lines = ['{"id": "a", "score": 1, "cluster": "x"}', '{"id": "b", "score": 0, "cluster": 7}']
    items = read_items(left(tmp_path, "\n".join(lines)))
    assert items is not None
    assert items.clusters == ("x", "7")
    assert items.digest() != items_digest(items.ids, items.scores)


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("", None, "no objects"),
        ("nonsense\n", 1, "expecting value"),
        ('{"id": "a", "score": 1}\n{"id": "a", "score": 1}\n', None, "twice"),
        ('{"id": "a", "score": 1}\n[1]\n', 2, "a list"),
        ('{"id": "a", "score": 1}\n{"id": "b"}\n', 2, "an object"),
        ('{"id": "a", "score": 1}\n{"id": "b", "score": "1"}\n', 2, "a text"),
        ('{"id": "a", "score": NaN}\n', None, "NaN"),
        ('{"id": "a", "score": 1e999}\n', None, "1e999"),
        ('{"id": "a", "score": 1}, {"id": "b", "score": 1}\n', None, "several on a line"),
        ('{"id": "a", "score": 1, "cluster": "x"}\n{"id": "b", "score": 1}\n', None, "some lines only"),
        ('{"id": null, "score": 1}\n', 1, "null"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, line: int | None, found: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_items(left(tmp_path, text))
    (problem,) = refused.value.problems
    assert problem.where == "examples.jsonl"
    assert found in problem.found
    assert line is None or problem.line == line


@given(scores)
def test_the_digest_follows_from_ids_and_scores_and_not_from_their_order(given_scores: dict[str, float]) -> None:
    ids = list(given_scores)
    one = items_digest(ids, [given_scores[name] for name in ids])
    ids.reverse()
    assert items_digest(ids, [given_scores[name] for name in ids]) == one


@given(scores, st.data())
def test_every_changed_score_changes_the_digest(given_scores: dict[str, float], data: st.DataObject) -> None:
    ids = sorted(given_scores)
    values = [given_scores[name] for name in ids]
    place = data.draw(st.integers(0, len(ids) - 1))
    other = [*values]
    other[place] = data.draw(st.floats(-1e6, 1e6).filter(lambda value: value != values[place]))
    assert items_digest(ids, values) != items_digest(ids, other)
    assert json.dumps(values) != json.dumps(other)
