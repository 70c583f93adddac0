"""The bundled digits solution: its splits, its scripts run as real processes, its strict evaluator."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from ruamel.yaml import YAML

SOLUTION = ROOT / "examples" / "digits" / "solution"
DATA = SOLUTION / "data"
DEV_LABELS = DATA / "dev/labels/labels.jsonl"
# Dev accuracy of production: mean .92, deviation over seeds about .011; the band is four deviations wide each way.
PRODUCTION_BAND = (0.87, 0.96)


def script(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SOLUTION / name), *map(str, arguments)]
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def configured(folder: Path, **changes: object) -> Path:
    """A configuration that differs from production in these settings (`train_epochs=3`)."""
    document = YAML(typ="safe").load(SOLUTION / "configs/production.yaml")
    for path, value in changes.items():
        section, name = path.split("_", 1)
        document[section][name] = value
    file = folder / "config.yaml"
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def predictions(folder: Path, config: Path, seed: int) -> Path:
    """Train and predict dev; the folder of predictions."""
    trained = script(
        "train.py", "--config", config, "--seed", seed, "--data", DATA / "train", "--out", folder / "model"
    )
    assert trained.returncode == 0, trained.stderr
    predicted = script(
        "predict.py", "--model", folder / "model", "--inputs", DATA / "dev/inputs", "--out", folder / "out"
    )
    assert predicted.returncode == 0, predicted.stderr
    return folder / "out"


def evaluated(predicted: Path, out: Path, labels: Path = DEV_LABELS) -> subprocess.CompletedProcess[str]:
    return script("evaluate.py", "--predictions", predicted, "--labels", labels, "--out", out)


def test_the_splits_are_those_of_the_checksums() -> None:
    listed = dict(reversed(line.split("  ")) for line in (DATA / "CHECKSUMS.sha256").read_text().splitlines())
    found = {
        file.relative_to(DATA).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in DATA.rglob("*.jsonl")
    }
    assert found == listed


def test_no_image_is_in_two_splits_and_all_1797_are_in_one() -> None:
    ids = [json.loads(line)["id"] for file in DATA.rglob("inputs.jsonl") for line in file.read_text().splitlines()]
    assert len(ids) == len(set(ids)) == 1797


def test_inputs_carry_no_labels() -> None:
    for split in ("dev", "test"):
        for line in (DATA / split / "inputs/inputs.jsonl").read_text().splitlines():
            assert json.loads(line).keys() == {"id", "pixels"}


@pytest.mark.parametrize("seed", [9001, 9002])
def test_production_stands_in_its_band(tmp_path: Path, seed: int) -> None:
    predicted = predictions(tmp_path, SOLUTION / "configs/production.yaml", seed)
    assert evaluated(predicted, tmp_path / "scores").returncode == 0
    metrics = json.loads((tmp_path / "scores/metrics.json").read_text())
    assert metrics.keys() == {"accuracy"}
    assert PRODUCTION_BAND[0] < metrics["accuracy"] < PRODUCTION_BAND[1]
    scores = [json.loads(line)["score"] for line in (tmp_path / "scores/examples.jsonl").read_text().splitlines()]
    assert len(scores) == 450
    assert sum(scores) / len(scores) == metrics["accuracy"]


def test_one_seed_twice_is_equal_to_the_byte_and_two_seeds_differ(tmp_path: Path) -> None:
    config = configured(tmp_path, train_dropout=0.2, data_shifts=1, train_epochs=3)
    outputs = []
    for number, seed in enumerate((5, 5, 6)):
        folder = tmp_path / str(number)
        folder.mkdir()
        outputs.append((predictions(folder, config, seed) / "predictions.jsonl").read_bytes())
        outputs.append((folder / "model/model.npz").read_bytes())
    assert outputs[:2] == outputs[2:4]
    assert outputs[0] != outputs[4]
    assert outputs[1] != outputs[5]


def model_of(folder: Path, **changes: object) -> dict[str, np.ndarray]:
    """Arrays of a model of two epochs over few images."""
    config = configured(folder, **({"train_epochs": 2, "data_limit": 200} | changes))
    made = script("train.py", "--config", config, "--seed", 1, "--data", DATA / "train", "--out", folder)
    assert made.returncode == 0, made.stderr
    with np.load(folder / "model.npz") as model:
        return {name: model[name] for name in model.files}


@pytest.fixture(scope="module")
def plain_model(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return model_of(tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize(
    "change",
    [
        {"model_layers": 2},
        {"model_hidden": 64},
        {"model_activation": "tanh"},
        {"data_shifts": 1},
        {"data_standardise": True},
        {"data_limit": 300},
        {"train_epochs": 3},
        {"train_batch_size": 64},
        {"train_learning_rate": 0.1},
        {"train_schedule": "cosine"},
        {"train_momentum": 0.9},
        {"train_weight_decay": 0.01},
        {"train_dropout": 0.5},
        {"train_label_smoothing": 0.2},
        {"predict_views": 5},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_setting_changes_the_model(
    tmp_path: Path, plain_model: dict[str, np.ndarray], change: dict[str, object]
) -> None:
    changed = model_of(tmp_path, **change)
    assert any(not np.array_equal(plain_model[name], changed[name]) for name in plain_model)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"model_hidden": True}, "model.hidden: found True"),
        ({"train_learning_rate": "fast"}, "train.learning_rate: found 'fast'"),
        ({"train_schedule": "exponential"}, "train.schedule: found 'exponential'"),
        ({"train_warmup": 3}, "train.warmup: unknown setting"),
    ],
)
def test_a_bad_setting_is_named(tmp_path: Path, change: dict[str, object], complaint: str) -> None:
    config = configured(tmp_path, **change)
    made = script("train.py", "--config", config, "--seed", 1, "--data", DATA / "train", "--out", tmp_path)
    assert made.returncode == 1
    assert complaint in made.stderr
    assert "Traceback" not in made.stderr


def perfect() -> list[str]:
    labels = [json.loads(line) for line in DEV_LABELS.read_text().splitlines()]
    return [json.dumps({"id": item["id"], "output": item["label"]}) for item in labels]


def replaced(line: str) -> list[str]:
    return [line, *perfect()[1:]]


FIRST = json.loads(perfect()[0])["id"]


def test_perfect_predictions_score_one(tmp_path: Path) -> None:
    (tmp_path / "predictions.jsonl").write_text("\n".join(perfect()) + "\n")
    assert evaluated(tmp_path, tmp_path / "scores").returncode == 0
    assert json.loads((tmp_path / "scores/metrics.json").read_text()) == {"accuracy": 1.0}


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        pytest.param(perfect()[1:], "1 ids are missing", id="missing"),
        pytest.param([*perfect(), '{"id":"d9999","output":1}'], "not among the labels", id="extra"),
        pytest.param([*perfect(), perfect()[0]], "appears twice", id="duplicate id"),
        pytest.param(replaced(f'{{"id":"{FIRST}","output":NaN}}'), "NaN", id="NaN"),
        pytest.param(replaced(f'{{"id":"{FIRST}","output":Infinity}}'), "Infinity", id="infinity"),
        pytest.param(replaced(f'{{"id":"{FIRST}","output":1e999}}'), "not a whole number", id="overflow"),
        pytest.param(replaced(f'{{"id":"{FIRST}","output":10}}'), "from 0 to 9", id="too large"),
        pytest.param(replaced(f'{{"id":"{FIRST}","output":-1}}'), "from 0 to 9", id="negative"),
        pytest.param(replaced(f'{{"id":"{FIRST}","output":"3"}}'), "not a whole number", id="text"),
        pytest.param(replaced(f'{{"id":"{FIRST}","output":true}}'), "not a whole number", id="truth value"),
        pytest.param(replaced(f'{{"id":"{FIRST}","output":3.0}}'), "not a whole number", id="fraction"),
        pytest.param(replaced(f'{{"id":"{FIRST}","output":[3]}}'), "not a whole number", id="list"),
        pytest.param(replaced(f'{{"id":"{FIRST}","output":null}}'), "not a whole number", id="null"),
        pytest.param(replaced(f'{{"id":"{FIRST}","output":1,"output":2}}'), "a key appears twice", id="key twice"),
        pytest.param(replaced(f'{{"id":"{FIRST}","output":1,"score":1}}'), "exactly the keys", id="another key"),
        pytest.param(replaced('{"id":7,"output":1}'), "not a text", id="id is a number"),
        pytest.param(replaced(f'["{FIRST}",1]'), "exactly the keys", id="not an object"),
        pytest.param(replaced("[" * 900), "not JSON", id="deep nesting"),
        pytest.param(replaced('{"id":"' + "x" * 2000 + '"}'), "at most 1000", id="long line"),
        pytest.param(replaced(f'{{"id":"{FIRST}","output":{"9" * 900}}}'), "not a whole number", id="long number"),
        pytest.param(replaced(""), "not JSON", id="empty line"),
        pytest.param([], "empty", id="empty file"),
        pytest.param(replaced('{"id":"\\u001b[2J","output":11}'), "from 0 to 9", id="escape sequence"),
    ],
)
def test_the_evaluator_refuses(tmp_path: Path, lines: Sequence[str], complaint: str) -> None:
    (tmp_path / "predictions.jsonl").write_text("".join(line + "\n" for line in lines))
    refused = evaluated(tmp_path, tmp_path / "scores")
    assert refused.returncode == 1
    assert complaint in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "\x1b" not in refused.stderr
    assert not (tmp_path / "scores").exists()


def test_the_evaluator_follows_no_link_and_reads_no_pipe(tmp_path: Path) -> None:
    linked, piped = tmp_path / "linked", tmp_path / "piped"
    linked.mkdir()
    piped.mkdir()
    (linked / "predictions.jsonl").symlink_to(DEV_LABELS)
    os.mkfifo(piped / "predictions.jsonl")
    for folder in (linked, piped, tmp_path):
        refused = evaluated(folder, tmp_path / "scores")
        assert refused.returncode == 1
        assert "Traceback" not in refused.stderr
    assert not (tmp_path / "scores").exists()


def test_the_evaluator_refuses_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "predictions.jsonl").write_bytes(b'{"id":"\xff"}\n')
    refused = evaluated(tmp_path, tmp_path / "scores")
    assert refused.returncode == 1
    assert "not UTF-8" in refused.stderr


def test_the_evaluator_imports_only_the_standard_library() -> None:
    code = (
        "import runpy, sys; sys.argv = ['evaluate.py', '--help']\n"
        f"try: runpy.run_path({str(SOLUTION / 'evaluate.py')!r}, run_name='__main__')\n"
        "except SystemExit: pass\n"
        "outside = {name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names - {'__main__'}\n"
        "assert not outside, outside\n"
        "assert 'pickle' not in sys.modules\n"
    )
    assert subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, timeout=30).returncode == 0
