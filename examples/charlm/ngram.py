"""The rivals of the character language model: counts of what followed the last few characters, and their board.

Called by `make_workspace.py`. Each rival is measured on the test split with the solution's own evaluate.py. Standard
library only. A rival of order n mixes what followed the last n - 1 characters with what the rival of order n - 1
says, by Witten and Bell: the more different characters followed, the more the shorter memory counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from make_text import ALPHABET

ORDERS = (2, 3, 5, 8)
MOST_TEXT = 2_000_000
"""Characters that are counted; more take minutes and gigabytes."""


def board(data: Path, evaluate: Path) -> list[dict[str, object]]:
    """Name and bits per character of each rival."""
    text = (data / "train" / "text.txt").read_text(encoding="ascii")[:MOST_TEXT]
    counts = [_counted(text, length) for length in range(max(ORDERS))]
    return [
        {"name": f"{order}-gram", "bits_per_char": _measured(counts[:order], data / "test", evaluate)}
        for order in ORDERS
    ]


def _counted(text: str, length: int) -> dict[str, Counter[str]]:
    """Memory of this many characters → how often each character followed it."""
    following: dict[str, Counter[str]] = defaultdict(Counter)
    for place in range(length, len(text)):
        following[text[place - length : place]][text[place]] += 1
    return following


def _probabilities(counts: list[dict[str, Counter[str]]], context: str) -> list[float]:
    values = [1 / len(ALPHABET)] * len(ALPHABET)
    for length, following in enumerate(counts):
        seen = following.get(context[len(context) - length :])
        if seen is None:
            break
        weight = len(seen)
        total = seen.total() + weight
        values = [(seen[character] + weight * value) / total for character, value in zip(ALPHABET, values, strict=True)]
    return values


def _measured(counts: list[dict[str, Counter[str]]], split: Path, evaluate: Path) -> float:
    with tempfile.TemporaryDirectory() as folder:
        with (split / "inputs" / "inputs.jsonl").open() as lines, Path(folder, "predictions.jsonl").open("w") as out:
            for item in map(json.loads, lines):
                values = [round(value, 9) for value in _probabilities(counts, item["context"])]
                out.write(json.dumps({"id": item["id"], "output": values}) + "\n")
        words = ["--predictions", folder, "--labels", str(split / "labels"), "--out", folder]
        subprocess.run([sys.executable, "-I", "-S", str(evaluate), *words], check=True, stdout=subprocess.DEVNULL)
        return float(json.loads(Path(folder, "metrics.json").read_text())["bits_per_char"])
