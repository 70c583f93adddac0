"""The example's scripts with torch: real processes in the solution's own environment, and one seed that is one value.

Skipped where that environment is not there: `make_workspace.py` makes it in .venv-charlm, and CHARLM_PYTHON names
another interpreter with torch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_files import ROOT
from ruamel.yaml import YAML

EXAMPLE = ROOT / "examples" / "charlm"
SOLUTION = EXAMPLE / "solution"


@pytest.fixture(scope="module")
def interpreter() -> Path:
    named = os.environ.get("CHARLM_PYTHON")
    made = [Path(named)] if named else sorted(ROOT.glob(".venv-charlm/solution-*/bin/python"))
    if not made or not made[-1].exists():
        pytest.skip("the example's environment with torch is not there (examples/charlm/make_workspace.py makes it)")
    return made[-1]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("charlm") / "data"
    words = [str(EXAMPLE / "make_text.py"), str(folder), "--train", "20000", "--held-out", "60"]
    subprocess.run([sys.executable, *words], check=True)
    return folder


def script(interpreter: Path, name: str, *words: object) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    command = [str(interpreter), str(SOLUTION / name), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


def configured(folder: Path, **changes: object) -> Path:
    document = YAML(typ="safe").load(SOLUTION / "configs/production.yaml")
    for path, value in changes.items():
        section, name = path.split("_", 1)
        document[section][name] = value
    file = folder / "config.yaml"
    file.write_text(json.dumps(document))
    return file


def predicted(interpreter: Path, folder: Path, data: Path, config: Path, seed: int) -> bytes:
    words = ["--config", config, "--seed", seed, "--data", data / "train", "--out", folder / "model"]
    trained = script(interpreter, "train.py", *words)
    assert trained.returncode == 0, trained.stderr
    assert "deterministic: True" in trained.stdout
    words = ["--model", folder / "model", "--inputs", data / "dev/inputs", "--out", folder / "out"]
    done = script(interpreter, "predict.py", *words)
    assert done.returncode == 0, done.stderr
    return (folder / "out/predictions.jsonl").read_bytes()


def test_a_seed_gives_the_same_predictions_byte_for_byte_and_they_can_be_scored(
    interpreter: Path, data: Path, tmp_path: Path
) -> None:
    config = configured(tmp_path, train_steps=8, model_dropout=0.1)
    one, again = (predicted(interpreter, tmp_path / name, data, config, 7) for name in ("one", "again"))
    assert one == again
    words = ["--predictions", tmp_path / "one/out", "--labels", data / "dev/labels", "--out", tmp_path / "scores"]
    done = script(Path(sys.executable), "evaluate.py", *words)
    assert done.returncode == 0, done.stderr
    assert 2.0 < json.loads((tmp_path / "scores/metrics.json").read_text())["bits_per_char"] < 5.5


def test_settings_that_are_wrong_and_a_gpu_that_is_missing_are_told(
    interpreter: Path, data: Path, tmp_path: Path
) -> None:
    bad = configured(tmp_path, model_heads=3, train_steps=0)
    done = script(interpreter, "train.py", "--config", bad, "--seed", 1, "--data", data, "--out", tmp_path / "m")
    assert done.returncode == 1
    assert "train.steps: found 0" in done.stderr
    probe = "import sys, torch; sys.exit(torch.cuda.is_available())"
    if subprocess.run([str(interpreter), "-c", probe]).returncode == 0:
        config = configured(tmp_path, run_device="cuda")
        words = ["--config", config, "--seed", 1, "--data", data / "train", "--out", tmp_path / "m"]
        done = script(interpreter, "train.py", *words)
        assert done.returncode == 1
        assert "torch sees no GPU here" in done.stderr
