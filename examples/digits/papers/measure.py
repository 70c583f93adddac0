"""Measure the figures that the demonstration's papers quote, on this machine, through the solution's own commands.

    python papers/measure.py        # writes figures.json beside this file; some minutes

Each setting is trained, applied and scored with the same seeds on the dev split; nothing here reads the test split.
Needs the solution's environment. Run by hand when the solution changes, then papers/make_papers.py.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
SOLUTION = HERE.parent / "solution"
SEEDS = range(9001, 9013)
WIDE = {"model.hidden": 256, "train.momentum": 0.9}
LARGE = {
    "model.hidden": 256,
    "data.shifts": 1,
    "train.momentum": 0.9,
    "train.epochs": 80,
    "train.schedule": "cosine",
}
SETTINGS: dict[str, dict[str, object]] = {
    "production": {},
    "hidden_128": {"model.hidden": 128},
    "hidden_256": {"model.hidden": 256},
    "epochs_40": {"train.epochs": 40},
    "shifts_1": {"data.shifts": 1},
    "wide": WIDE,
    "wide_shifts_1": WIDE | {"data.shifts": 1},
    "wide_shifts_2": WIDE | {"data.shifts": 2},
    "large": LARGE,
    "large_dropout_05": LARGE | {"train.dropout": 0.5},
    "large_weight_decay_0001": LARGE | {"train.weight_decay": 0.001},
}


def configuration(changes: dict[str, object]) -> str:
    document = yaml.safe_load((SOLUTION / "configs/production.yaml").read_text(encoding="utf-8"))
    for path, value in changes.items():
        section, name = path.split(".")
        document[section][name] = value
    return yaml.safe_dump(document)


def accuracy(changes: dict[str, object], seed: int) -> float:
    """Dev accuracy of one configuration and seed: train, predict, evaluate."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.yaml").write_text(configuration(changes), encoding="utf-8")
        phases = {
            "train.py": ["--config", "config.yaml", "--seed", str(seed), "--data", SOLUTION / "data/train"],
            "predict.py": ["--model", "train.py.out", "--inputs", SOLUTION / "data/dev/inputs"],
            "evaluate.py": ["--predictions", "predict.py.out", "--labels", SOLUTION / "data/dev/labels"],
        }
        for script, options in phases.items():
            command = [sys.executable, SOLUTION / script, *options, "--out", f"{script}.out"]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return float(json.loads((folder / "evaluate.py.out/metrics.json").read_text(encoding="utf-8"))["accuracy"])


def main() -> int:
    figures = {}
    for name, changes in SETTINGS.items():
        values = [accuracy(changes, seed) for seed in SEEDS]
        mean, deviation = round(statistics.fmean(values), 4), round(statistics.stdev(values), 4)
        figures[name] = {"settings": changes, "seeds": len(values), "mean": mean, "deviation": deviation}
        print(f"{name}: {mean:.4f} ± {deviation:.4f}", flush=True)
    (HERE / "figures.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
