"""What an evaluator may leave in place of metrics.json: each is refused in words, none is a number or a traceback."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.metrics import MAX_METRICS, MAX_METRICS_BYTES, read_items, read_metrics
from registry.errors import BadInput

CONTENTS = {
    "": "expecting value",
    "{": "expecting property name",
    "[1]": "a list",
    "0.9": "0.9",
    "null": "null",
    '{"accuracy": NaN}': "NaN",
    '{"accuracy": -Infinity}': "-Infinity",
    '{"accuracy": 1e999}': "1e999",
    '{"accuracy": "0.9"}': "a text",
    '{"accuracy": true}': "true or false",
    '{"accuracy": null}': "null",
    '{"accuracy": {"dev": 0.9}}': "an object of 1 members",
    '{"accuracy": [0.9]}': "a list",
    '{"accuracy": 0.1, "accuracy": 0.9}': "the key 'accuracy' twice",
    '{"accuracies": 0.9}': "accuracies",
    '{"accuracy": 1' + "0" * 400 + "}": "a number of 401 digits",
    "[" * 100_000: "nesting deeper than",
    '{"a":' * 50_000: "nesting deeper than",
    json.dumps({f"m{number}": 1 for number in range(MAX_METRICS + 1)}): "an object of 201 members",
    '{"accuracy": 1}' + " " * MAX_METRICS_BYTES: "bytes",
    '{"accuracy": 1, "\\ud800": 1}': "half of a surrogate pair",
}


def _complaint(folder: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read_metrics(folder, "accuracy")
    said = str(caught.value)
    assert str(folder) not in said
    assert said.startswith("metrics.json:")
    return said


@pytest.mark.parametrize("content", CONTENTS)
def test_a_hostile_document_is_refused_in_words(tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics.json").write_text(content)
    assert CONTENTS[content] in _complaint(tmp_path)


def test_a_document_that_was_never_written_is_called_that(tmp_path: Path) -> None:
    assert "evaluate left no metrics.json" in _complaint(tmp_path)


@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "pipe", "hard link"])
def test_what_is_no_plain_file_is_refused_without_the_hosts_path(tmp_path: Path, kind: str) -> None:
    for name in ("metrics.json", "examples.jsonl"):
        place = tmp_path / name
        match kind:
            case "link":
                place.symlink_to("/etc/passwd")
            case "dangling":
                place.symlink_to("gone")
            case "folder":
                place.mkdir()
            case "pipe":
                os.mkfifo(place)
            case _:
                (tmp_path / f"{name}.other").write_text('{"accuracy": 1}')
                os.link(tmp_path / f"{name}.other", place)
    assert "expected a regular file with one link" in _complaint(tmp_path)
    with pytest.raises(BadInput, match=r"^examples\.jsonl: found .*, expected a regular file with one link"):
        read_items(tmp_path)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(alphabet='{}[]",:.0123456789eE+-NaInfinitytrue ', max_size=80)))
def test_whatever_is_written_gives_finite_numbers_or_a_complaint(
    tmp_path_factory: pytest.TempPathFactory, content: bytes | str
) -> None:
    folder = tmp_path_factory.mktemp("out")
    (folder / "metrics.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        found = read_metrics(folder, "accuracy")
    except BadInput:
        return
    assert "accuracy" in found
    assert all(value - value == 0 for value in found.values())
