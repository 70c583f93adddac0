"""The example's text and its evaluator, which need no torch: made the same everywhere, scored without trust."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_files import ROOT
from ruamel.yaml import YAML

from registry.documents import load_competitive, load_research, load_target

EXAMPLE = ROOT / "examples" / "charlm"
ALPHABET = "\n ',.abcdefghijklmnopqrstuvwxyz"
EVEN = [1 / 31] * 31
SHA256 = "4bc802c9a29db1ac5fef81caf5b1698fa6e27cb68a89b1b60feb1aa46422947f"


def python(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-I", *map(str, words)], capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("charlm") / "data"
    done = python(EXAMPLE / "make_text.py", folder, "--train", 20_000, "--held-out", 200)
    assert done.returncode == 0, done.stderr
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_text_is_the_same_on_every_machine(data: Path) -> None:
    total = hashlib.sha256()
    for path in sorted(data.rglob("*.*")):
        total.update(path.relative_to(data).as_posix().encode() + path.read_bytes())
    assert total.hexdigest() == SHA256


def test_inputs_hold_no_answer_and_labels_no_context(data: Path) -> None:
    for split in ("dev", "test"):
        inputs, labels = rows(data / split / "inputs/inputs.jsonl"), rows(data / split / "labels/labels.jsonl")
        assert [item["id"] for item in inputs] == [item["id"] for item in labels]
        assert {*map(frozenset, inputs)} == {frozenset({"id", "context"})}
        assert {*map(frozenset, labels)} == {frozenset({"id", "next"})}
        assert {len(item["context"]) for item in inputs} == {64}
        assert set("".join(item["next"] for item in labels)) <= set(ALPHABET)
    text = (data / "train/text.txt").read_text()
    assert len(text) == 20_000
    assert set(text) <= set(ALPHABET)
    contexts = [item["context"] for split in ("dev", "test") for item in rows(data / split / "inputs/inputs.jsonl")]
    assert sum(context in text for context in contexts) == 0


def scored(data: Path, tmp_path: Path, lines: list[str] | str) -> subprocess.CompletedProcess[str]:
    given = tmp_path / "predictions.jsonl"
    given.write_text(lines if isinstance(lines, str) else "".join(f"{line}\n" for line in lines))
    return python(
        EXAMPLE / "solution/evaluate.py",
        "--predictions",
        given,
        "--labels",
        data / "dev/labels",
        "--out",
        tmp_path / "o",
    )


def even(data: Path) -> list[str]:
    return [json.dumps({"id": item["id"], "output": EVEN}) for item in rows(data / "dev/labels/labels.jsonl")]


def metric(tmp_path: Path) -> float:
    return float(json.loads((tmp_path / "o/metrics.json").read_text())["bits_per_char"])


def test_knowing_nothing_costs_the_alphabets_bits_and_knowing_everything_none(data: Path, tmp_path: Path) -> None:
    assert scored(data, tmp_path, even(data)).returncode == 0
    assert metric(tmp_path) == pytest.approx(math.log2(31))
    labels = rows(data / "dev/labels/labels.jsonl")
    sure = [[float(character == item["next"]) for character in ALPHABET] for item in labels]
    given = [json.dumps({"id": item["id"], "output": row}) for item, row in zip(labels, sure, strict=True)]
    assert scored(data, tmp_path, given).returncode == 0
    assert metric(tmp_path) == 0.0
    wrong = [
        json.dumps({"id": item["id"], "output": [row[-1], *row[:-1]]}) for item, row in zip(labels, sure, strict=True)
    ]
    assert scored(data, tmp_path, wrong).returncode == 0
    assert metric(tmp_path) == 20.0  # bounded, and worse than knowing nothing
    examples = [json.loads(line) for line in (tmp_path / "o/examples.jsonl").read_text().splitlines()]
    assert [item["id"] for item in examples] == [item["id"] for item in labels]


BAD = {
    "none": ("[]", "is 0 values"),
    "too few": (json.dumps(EVEN[:-1]), "30 values"),
    "too many": (json.dumps([*EVEN, 0.0]), "32 values"),
    "more than one in all": (json.dumps([0.5] * 31), "add up to 15.5"),
    "less than one in all": (json.dumps([0.0] * 31), "add up to 0"),
    "negative": (json.dumps([-0.5, 1.5, *[0.0] * 29]), "is not a probability"),
    "not a number": (json.dumps([math.nan, *EVEN[1:]]), "is not a number"),
    "without end": ("[1e999" + ", 0.0" * 30 + "]", "is not a probability"),
    "a long whole number": ("[1" + "0" * 400 + ", 0" * 30 + "]", "is not a probability"),
    "true": (json.dumps([True, *[0.0] * 30]), "is not a probability"),
    "text": (json.dumps("e"), "expected 31 probabilities"),
    "nested": ("[" * 1900 + "]" * 1900, "not JSON"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_distribution_is_refused_and_scores_nothing(data: Path, tmp_path: Path, name: str) -> None:
    output, said = BAD[name]
    lines = even(data)
    lines[3] = '{"id": "dev-00003", "output": ' + output + "}"
    done = scored(data, tmp_path, lines)
    assert (done.returncode, said in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "o").exists()


def test_every_item_is_answered_once(data: Path, tmp_path: Path) -> None:
    lines = even(data)
    for given, said in (
        ([], "empty"),
        (lines[:-1], "1 ids are missing"),
        ([*lines, lines[0]], "appears twice"),
        ([*lines, lines[0].replace("dev-00000", "dev-99999")], "not among the labels"),
        ([lines[0].replace('"output"', '"score": 0, "output"'), *lines[1:]], "exactly the keys"),
    ):
        done = scored(data, tmp_path, given)
        assert (done.returncode, said in done.stderr) == (1, True), done.stderr


def test_the_workspaces_documents_are_valid_and_name_settings_that_exist(tmp_path: Path) -> None:
    for name, configuration in (("target.yaml", "production"), ("target-gpu.yaml", "gpu")):
        text = (EXAMPLE / name).read_text().replace("$$", "").replace("$repository", "x").replace("$python", "y")
        (tmp_path / "target.yaml").write_text(text)
        target = load_target(tmp_path / "target.yaml")
        assert target.solution.config == f"configs/{configuration}.yaml"
        settings = YAML(typ="safe").load(EXAMPLE / "solution" / target.solution.config)
        for parameter in target.search_space.values():
            section, _, key = parameter.path.partition(".")
            assert settings[section][key] in parameter.values, parameter.path
        for path in target.fast.overrides:
            section, _, key = path.partition(".")
            assert key in settings[section]
        assert target.resources.gpus == (configuration == "gpu")
    load_competitive(EXAMPLE / "competitive_registry.yaml")
    load_research(EXAMPLE / "research_config.yaml")


def test_the_alphabet_is_one(data: Path) -> None:
    for name in ("make_text.py", "solution/charlm.py", "solution/evaluate.py"):
        assert f"ALPHABET = {json.dumps(ALPHABET)}" in (EXAMPLE / name).read_text()
