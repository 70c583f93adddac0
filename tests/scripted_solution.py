"""A small solution of standard-library Python for the tests of init and doctor, and the command line run in here."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from git_repositories import make

TRAIN = """\
import argparse, json, os, random
parser = argparse.ArgumentParser()
parser.add_argument("--config", default="configs/production.yaml")
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--data", required=True)
parser.add_argument("--out", required=True)
given = parser.parse_args()
settings = dict(line.strip().split(": ") for line in open(given.config) if ": " in line)
lines = open(os.path.join(given.data, "items.txt")).read().split()
noise = random.Random(given.seed).gauss(0, float(settings["noise"]))
with open(os.path.join(given.out, "model.json"), "w") as file:
    json.dump({"bias": noise, "items": len(lines)}, file)
print("trained on", len(lines))
"""
PREDICT = """\
import argparse, json, os
parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--inputs", required=True)
parser.add_argument("--out", required=True)
given = parser.parse_args()
bias = json.load(open(os.path.join(given.model, "model.json")))["bias"]
with open(os.path.join(given.out, "predictions.jsonl"), "w") as file:
    for line in open(os.path.join(given.inputs, "inputs.jsonl")):
        item = json.loads(line)
        file.write(json.dumps({"id": item["id"], "output": item["value"] + bias}) + "\\n")
"""
EVALUATE = """\
import argparse, json, os
parser = argparse.ArgumentParser()
parser.add_argument("--predictions", required=True)
parser.add_argument("--labels", required=True)
parser.add_argument("--out", required=True)
given = parser.parse_args()
labels = json.load(open(os.path.join(given.labels, "labels.json")))
wrong = 0.0
for line in open(os.path.join(given.predictions, "predictions.jsonl")):
    item = json.loads(line)
    wrong += abs(item["output"] - labels[item["id"]]) / len(labels)
with open(os.path.join(given.out, "metrics.json"), "w") as file:
    json.dump({"accuracy": 1 - wrong}, file)
"""
CONFIG = "# Every setting.\nmodel:\n  hidden: 32\n  noise: 0.01\ntrain:\n  epochs: 10\n  learning_rate: 0.1\n"
INPUTS, LABELS = '{"id": "a", "value": 1.0}\n{"id": "b", "value": 2.0}\n', '{"a": 1.0, "b": 2.0}\n'
FILES = {
    "train.py": TRAIN,
    "predict.py": PREDICT,
    "evaluate.py": EVALUATE,
    "configs/production.yaml": CONFIG,
    "data/train/items.txt": "one two three\n",
    "data/dev/inputs/inputs.jsonl": INPUTS,
    "data/test/inputs/inputs.jsonl": INPUTS,
    "data/dev/labels/labels.json": LABELS,
    "data/test/labels/labels.json": LABELS,
    ".gitignore": ".venv\n",
}


@dataclass(frozen=True)
class Said:
    """What a command came to."""

    status: int
    out: str
    err: str


def agent(capsys: pytest.CaptureFixture[str], *words: str) -> Said:
    """The command line, run in this process; an error that it does not handle fails the test by itself."""
    from agent.cli.main import main

    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    captured = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return Said(ended.value.code, captured.out, captured.err)


def make_solution(root: Path, python: Path | None = None, **changed: str) -> Path:
    """The solution as a repository, with some files replaced (`train="…"` for train.py); its `.venv` leads to
    `python`'s environment."""
    make(root, FILES | {f"{name}.py": text for name, text in changed.items()})
    if python is not None:
        (root / ".venv").symlink_to(python.parent.parent)
    return root


@pytest.fixture(scope="session")
def solution_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a real environment without packages."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="session")
def needs_sandbox(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips where bubblewrap cannot be had; fails where REQUIRE_SANDBOX says that it must."""
    from sandbox.backends import choose
    from sandbox.contract import SandboxUnavailable

    try:
        choose(tmp_path_factory.mktemp("sandbox"))
    except SandboxUnavailable as error:
        if "bwrap" in os.environ.get("REQUIRE_SANDBOX", ""):
            pytest.fail(str(error))
        pytest.skip(str(error))
