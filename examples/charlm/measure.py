"""Measure what each change of the configuration is worth, alone against production: the table in README.md.

    .venv/bin/python ../measure.py --data data --seeds 6        # in the solution, with its own environment

Trains and predicts in one process, so that torch starts once; scores dev with the solution's evaluate.py. Not part of
the solution: candidates never need it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

SOLUTION = Path(__file__).resolve().parent / "solution"
sys.path.insert(0, str(SOLUTION))

import charlm  # noqa: E402 - the solution's own modules, beside this file and not installed
import evaluate  # noqa: E402
import predict  # noqa: E402
import train  # noqa: E402

CHANGES: dict[str, object] = {
    "train.learning_rate": 0.002,
    "train.learning_rate ": 0.004,
    "train.learning_rate  ": 0.008,
    "model.width": 96,
    "model.width ": 128,
    "model.layers": 2,
    "model.context": 48,
    "model.heads": 4,
    "train.batch_size": 32,
    "train.schedule": "cosine",
    "model.dropout": 0.1,
    "train.label_smoothing": 0.1,
    "train.weight_decay": 0.1,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure changes of the configuration.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=6)
    options = parser.parse_args()
    base = charlm.load_settings(SOLUTION / "configs" / "production.yaml")
    plain = _bits(base, options.data, options.seeds)
    print(f"| production | {_spread(plain)} |  |")
    for name, value in CHANGES.items():
        changed = replace(base, **{name.strip().replace(".", "_", 1): value})
        bits = _bits(changed, options.data, options.seeds)
        gains = [before - after for before, after in zip(plain, bits, strict=True)]
        print(f"| `{name.strip()}: {value}` | {_spread(bits)} | {statistics.mean(gains):+.4f} |", flush=True)
    return 0


def _bits(settings: charlm.Settings, data: Path, seeds: int) -> list[float]:
    text = charlm.encode((data / "train" / "text.txt").read_text(encoding="ascii"))
    labels = evaluate.read_labels(data / "dev" / "labels" / "labels.jsonl")
    found = []
    for seed in range(1000, 1000 + seeds):
        with tempfile.TemporaryDirectory() as folder:
            train.train(settings, text, seed).save(Path(folder))
            sys.argv = ["predict", "--model", folder, "--inputs", str(data / "dev" / "inputs"), "--out", folder]
            predict.main()
            scores = evaluate.score(Path(folder, "predictions.jsonl"), labels)
        found.append(sum(scores.values()) / len(scores))
    return found


def _spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"


if __name__ == "__main__":
    sys.exit(main())
