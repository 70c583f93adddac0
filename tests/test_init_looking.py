"""What `agent init` reads out of scripts, folders and settings, piece by piece."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.scaffolding import folders, scripts, settings

ARGPARSE = """
import argparse
p = argparse.ArgumentParser()
p.add_argument("-c", "--cfg", default="conf/base.yaml")
p.add_argument("--random-seed", type=int)
p.add_argument("--data-dir")
p.add_argument("--save_dir", required=True)
p.add_argument("--verbose", action="store_true")
"""
CLICK = """
import click
@click.command()
@click.option("--config", "-c")
@click.option("--output", required=True)
@click.argument("dataset")
def main(config, output, dataset): ...
"""


def test_options_of_argparse_become_placeholders() -> None:
    script = scripts.read_script("train.py", ARGPARSE, "train")
    words = "python train.py --cfg {config} --random-seed {seed} --data-dir {data} --save_dir {out}"
    assert " ".join(script.command) == words
    assert script.config_default == "conf/base.yaml"


def test_options_of_click_and_positional_arguments_become_placeholders() -> None:
    script = scripts.read_script("fit.py", CLICK, "train")
    assert " ".join(script.command) == "python fit.py --config {config} --output {out} {data}"


def test_one_option_stands_for_one_placeholder_only() -> None:
    source = 'p.add_argument("--model")\np.add_argument("--out")\n'
    command = scripts.read_script("train.py", source, "train").command
    assert command == ("python", "train.py", "--out", "{out}")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ('p.add_argument("--lr")\n', "no option for its output folder (found --lr)"),
        ('p.add_argument("--out")\np.add_argument("--fold", required=True)\n', "also needs --fold"),
        ('p.add_argument("--out")\np.add_argument("mystery")\n', "also needs mystery"),
        ("def broken(:\n", "does not parse"),
        ("\0", "does not parse"),
        ("x = " + "(" * 10_000, "does not parse"),
    ],
)
def test_a_script_whose_command_cannot_be_told_says_why(source: str, why: str) -> None:
    script = scripts.read_script("train.py", source, "train")
    assert script.command == ()
    assert why in script.why_not


@pytest.mark.parametrize(
    ("paths", "role", "likeliest"),
    [
        (["tests/train.py", "src/train.py", "train_model.py"], "train", "train_model.py"),
        (["scripts/run_eval.py", "evaluate.py", "eval.py"], "evaluate", "evaluate.py"),
        (["infer.py", "a/b/predict.py"], "predict", "infer.py"),
        (["trainer.txt", "constrain.py", ".hidden/train.py"], "train", None),
    ],
)
def test_the_likeliest_script_comes_first(paths: list[str], role: str, likeliest: str | None) -> None:
    assert next(iter(scripts.candidates(paths, role)), None) == likeliest


@pytest.mark.parametrize(
    ("source", "metric"),
    [
        ('out = {"id": 1, "score": 2}\nprint({"accuracy": 3})\n', "accuracy"),
        ('m["rmse"] = 3\n', "rmse"),
        ("m = dict(loss=1, macro_f1=2)\n", "macro_f1"),
        ('m = {"score": 1}\n', "score"),
        ('m = {"zebra": 1, **other}\n', ""),
        ("not python at all (", ""),
    ],
)
def test_the_metric_that_evaluate_writes_is_recognised(source: str, metric: str) -> None:
    assert scripts.metric_in(source) == metric


def test_imports_of_the_repository_are_found_and_others_are_not() -> None:
    paths = frozenset({"lib/__init__.py", "lib/text.py", "src/near.py", "json.py.txt"})
    source = "import json\nimport near\nfrom lib import text\nfrom os import path\n"
    assert scripts.local_imports(source, "src/run.py", paths) == ["src/near.py", "lib/__init__.py", "lib/text.py"]


@pytest.mark.parametrize(
    ("names", "train", "inputs", "labels"),
    [
        (
            ["data/train", "data/dev/inputs", "data/dev/labels", "data/test/inputs", "data/test/labels"],
            "data/train",
            {"dev": "data/dev/inputs", "test": "data/test/inputs"},
            {"dev": "data/dev/labels", "test": "data/test/labels"},
        ),
        (
            ["datasets/inputs/val", "datasets/gold/val", "datasets/x_test", "datasets/y_test", "tests/labels/dev"],
            "",
            {"dev": "datasets/inputs/val", "test": "datasets/x_test"},
            {"dev": "datasets/gold/val", "test": "datasets/y_test"},
        ),
        (["data/train/inputs", "data/training", "src/labels"], "data/training", {}, {}),
        ([], "", {}, {}),
    ],
)
def test_folders_are_known_by_their_names(
    names: list[str], train: str, inputs: dict[str, str], labels: dict[str, str]
) -> None:
    found = folders.classify(names)
    assert (found.train, found.inputs, found.labels) == (train, inputs, labels)


def test_the_likeliest_configuration_comes_first() -> None:
    paths = [
        "package.json",
        "configs/big.yaml",
        "configs/production.yaml",
        ".github/x.yaml",
        "src/config.yaml",
        "a.toml",
    ]
    assert settings.candidates(paths) == ["configs/production.yaml", "configs/big.yaml"]


@pytest.mark.parametrize(
    ("name", "text", "paths"),
    [
        ("c.yaml", "a:\n  width: 8\n  name: x\n  lr: 0.1\nlist: [1, 2]\n", {"a.width", "a.lr"}),
        ("c.json", '{"a": {"width": 8, "flag": true}, "seed": 3}', {"a.width", "a.flag"}),
        ("c.toml", "width = 8\n[opt]\nlr = 0.1\nnum_workers = 4\n", {"width", "opt.lr"}),
        ("c.py", "LR = 0.1  # agent: train.lr\nSIZE = 8\n", {"train.lr"}),
    ],
)
def test_numbers_and_switches_of_each_format_are_proposed(name: str, text: str, paths: set[str]) -> None:
    assert {one.path for one in settings.search_space(name, text, settings.scalars(name, text))} == paths


def test_tags_come_from_the_words_of_the_name() -> None:
    assert settings.tags("model.hidden") == ("hidden", "width", "capacity", "model")
    assert "learning-rate" in settings.tags("train.lr")


def test_two_settings_of_one_name_get_two_names() -> None:
    text = "a: {width: 8}\nb: {width: 4}\n"
    names = [one.name for one in settings.search_space("c.yaml", text, settings.scalars("c.yaml", text))]
    assert names == ["width", "b_width"]


@given(
    name=st.sampled_from(["hidden", "lr", "dropout", "momentum", "epochs", "temperature", "weight_decay"]),
    value=st.one_of(st.booleans(), st.integers(-5, 10**9), st.floats(-5, 1e9, allow_nan=False)),
)
def test_neighbours_hold_the_value_once_in_order_and_of_its_kind(name: str, value: bool | int | float) -> None:
    values = settings.neighbours(name, value)
    assert values.count(value) == 1
    assert list(values) == sorted(values)
    assert len(set(values)) == len(values)
    assert {type(one) for one in values} <= ({type(value)} if value != 0 else {type(value), float})
    assert all(math.isfinite(one) and (value < 0 or one >= 0) for one in values)


@given(value=st.floats(0.001, 0.999))
def test_shares_stay_below_one(value: float) -> None:
    assert all(0 < one < 1 for one in settings.neighbours("dropout", value))
