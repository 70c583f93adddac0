"""Measure the rivals on the test split: four methods of scikit-learn with sensible standard settings.

    python rivals/measure.py --solution solution --out standings.json

Runs with the rivals' environment (requirements.lock beside this file). Each rival is fitted on the training images
only, its predictions are written to a file, and the solution's own evaluate.py scores them in a process of its own:
what stands on the board is what that command said. Called by the demo before its board is served.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

BRIGHTEST = 16
EVALUATION_TIMEOUT_S = 60


def rivals() -> dict[str, tuple[Any, str]]:
    """Name → (classifier, its settings in words). The settings are the library's own defaults but for iterations."""
    return {
        "Support vectors": (SVC(), "SVC, radial basis functions, C=1"),
        "Nearest neighbours": (KNeighborsClassifier(), "5 nearest neighbours"),
        "Random forest": (RandomForestClassifier(random_state=0), "100 trees"),
        "Logistic regression": (LogisticRegression(max_iter=1000), "L2 penalty, C=1"),
    }


def read_images(path: Path) -> tuple[list[str], npt.NDArray[np.float64]]:
    items = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [item["id"] for item in items], np.array([item["pixels"] for item in items]) / BRIGHTEST


def read_labels(path: Path) -> dict[str, int]:
    items = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {item["id"]: item["label"] for item in items}


def accuracy_of(ids: list[str], outputs: list[int], solution: Path) -> float:
    """What evaluate.py says of these outputs on the test split."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = (json.dumps({"id": i, "output": output}) + "\n" for i, output in zip(ids, outputs, strict=True))
        (folder / "predictions.jsonl").write_text("".join(lines), encoding="utf-8")
        command = [sys.executable, str(solution / "evaluate.py"), "--predictions", str(folder)]
        command += ["--labels", str(solution / "data/test/labels"), "--out", str(folder / "scores")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=EVALUATION_TIMEOUT_S)
        return float(json.loads((folder / "scores/metrics.json").read_text(encoding="utf-8"))["accuracy"])


def measure(solution: Path) -> dict[str, Any]:
    """The standings: every rival with its accuracy, best first."""
    train_ids, train_images = read_images(solution / "data/train/inputs.jsonl")
    labels = read_labels(solution / "data/train/labels.jsonl")
    test_ids, test_images = read_images(solution / "data/test/inputs/inputs.jsonl")
    entries = []
    for name, (classifier, settings) in rivals().items():
        classifier.fit(train_images, [labels[i] for i in train_ids])
        outputs = [int(digit) for digit in classifier.predict(test_images)]
        accuracy = accuracy_of(test_ids, outputs, solution)
        entries.append({"name": name, "accuracy": accuracy, "method": settings})
        print(f"{name}: {accuracy:.4f}", flush=True)
    entries.sort(key=lambda entry: (-entry["accuracy"], entry["name"]))
    library = f"scikit-learn {sklearn.__version__}"
    return {"board": "Digits", "metric": "accuracy", "split": "test", "library": library, "entries": entries}


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the rivals on the test split.")
    parser.add_argument("--solution", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    options = parser.parse_args()
    standings = measure(options.solution.resolve())
    options.out.write_text(json.dumps(standings, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
