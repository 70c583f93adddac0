"""Make the splits of scikit-learn's digits, or check that the files at hand are what it makes.

    python make_splits.py --check            # exit 1 where a file differs
    python make_splits.py --write            # write solution/data anew

Not part of the solution: candidates never need it. Runs with the rivals' environment (it needs scikit-learn). The
1,797 images are ordered by Python's own shuffle with a fixed seed and cut into train, dev and test.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
from pathlib import Path

SEED = 0
SIZES = {"train": 897, "dev": 450, "test": 450}
FOLDERS = {"train": ("train", "train"), "dev": ("dev/inputs", "dev/labels"), "test": ("test/inputs", "test/labels")}
CHECKSUMS = "CHECKSUMS.sha256"
DATA = Path(__file__).resolve().parent / "solution" / "data"


def split_files() -> dict[str, bytes]:
    """Path under `data/` → content, for every file of the three splits and their checksums."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = digits.data.astype(int).tolist(), digits.target.astype(int).tolist()
    order = list(range(len(labels)))
    random.Random(SEED).shuffle(order)
    files: dict[str, bytes] = {}
    start = 0
    for split, size in SIZES.items():
        part = order[start : start + size]
        start += size
        inputs_folder, labels_folder = FOLDERS[split]
        files[f"{inputs_folder}/inputs.jsonl"] = _lines([{"id": _name(i), "pixels": images[i]} for i in part])
        files[f"{labels_folder}/labels.jsonl"] = _lines([{"id": _name(i), "label": labels[i]} for i in part])
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in sorted(files.items()))
    return files | {CHECKSUMS: sums.encode()}


def _name(index: int) -> str:
    """The id is the image's place in scikit-learn's own order."""
    return f"d{index:04d}"


def _lines(items: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(item, separators=(",", ":")) + "\n" for item in items).encode()


def main() -> int:
    parser = argparse.ArgumentParser(description="Make or check the splits of the digits.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true")
    action.add_argument("--write", action="store_true")
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    different = 0
    for path, content in split_files().items():
        file = options.data / path
        if options.write:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        elif not file.is_file() or file.read_bytes() != content:
            different += 1
            print(f"{file}: not what scikit-learn's digits and seed {SEED} make")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
