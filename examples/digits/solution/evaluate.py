"""Score predictions against labels: accuracy, and one score for each image. Protected: candidates cannot change it.

    python evaluate.py --predictions predictions/ --labels data/dev/labels --out scores/

Standard library only; it imports nothing of the candidate's and unpickles nothing. What the candidate wrote is a
stranger's text: anything but exactly one whole number from 0 to 9 for each labelled image ends with status 1 and a
message, and no metrics are written.
"""

from __future__ import annotations

import argparse
import json
import os
import stat
import sys
from pathlib import Path
from typing import NoReturn

CLASSES = 10
MAX_BYTES = 8 << 20
MAX_LINE = 1000
MAX_ID = 64


class Refused(Exception):
    """The file cannot be scored; the message says where and why."""


def _no_constants(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError("a key appears twice")
    return dict(pairs)


def _shown(value: object) -> str:
    """A stranger's value, short and without control characters."""
    return ascii(value)[:60]


def read_text(path: Path) -> str:
    """The content of a regular file of bounded size; links, pipes and devices are refused, not followed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Refused(f"{path}: cannot be opened ({error.strerror})") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Refused(f"{path}: not a regular file")
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise Refused(f"{path}: more than {MAX_BYTES} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"{path}: not UTF-8 at byte {error.start}") from error


def read_digits(path: Path, field: str) -> dict[str, int]:
    """Id → digit from lines of exactly `{"id": text, field: whole number from 0 to 9}`."""
    digits: dict[str, int] = {}
    lines = read_text(path).split("\n")
    if lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, start=1):
        where = f"{path}:{number}"
        if len(line) > MAX_LINE:
            raise Refused(f"{where}: a line of {len(line)} characters, expected at most {MAX_LINE}")
        try:
            item = json.loads(line, parse_constant=_no_constants, object_pairs_hook=_no_duplicates)
        except (ValueError, RecursionError) as error:
            raise Refused(f"{where}: not JSON ({_shown(str(error))})") from error
        if type(item) is not dict or item.keys() != {"id", field}:
            raise Refused(f"{where}: found {_shown(item)}, expected exactly the keys id and {field}")
        name, digit = item["id"], item[field]
        if type(name) is not str or not 0 < len(name) <= MAX_ID:
            raise Refused(f"{where}: id {_shown(name)} is not a text of 1 to {MAX_ID} characters")
        if name in digits:
            raise Refused(f"{where}: id {_shown(name)} appears twice")
        if type(digit) is not int or not 0 <= digit < CLASSES:
            raise Refused(f"{where}: {field} {_shown(digit)} is not a whole number from 0 to {CLASSES - 1}")
        digits[name] = digit
    if not digits:
        raise Refused(f"{path}: empty")
    return digits


def score(predictions: dict[str, int], labels: dict[str, int]) -> dict[str, int]:
    """1 or 0 for each labelled image, in the labels' order; the ids must be the same ones."""
    if missing := labels.keys() - predictions.keys():
        raise Refused(f"predictions: {len(missing)} ids are missing, the first is {_shown(min(missing))}")
    if extra := predictions.keys() - labels.keys():
        raise Refused(f"predictions: {len(extra)} ids are not among the labels, the first is {_shown(min(extra))}")
    return {name: int(predictions[name] == label) for name, label in labels.items()}


def _file(path: Path, name: str) -> Path:
    return path / name if path.is_dir() else path


def main() -> int:
    parser = argparse.ArgumentParser(description="Score predictions of digits.")
    parser.add_argument("--predictions", type=Path, required=True, help="folder with predictions.jsonl, or that file")
    parser.add_argument("--labels", type=Path, required=True, help="folder with labels.jsonl, or that file")
    parser.add_argument("--out", type=Path, required=True, help="folder for metrics.json and examples.jsonl")
    options = parser.parse_args()
    try:
        labels = read_digits(_file(options.labels, "labels.jsonl"), "label")
        predictions = read_digits(_file(options.predictions, "predictions.jsonl"), "output")
        scores = score(predictions, labels)
    except Refused as refusal:
        print(f"evaluate.py: {refusal}", file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    examples = "".join(json.dumps({"id": name, "score": value}) + "\n" for name, value in scores.items())
    (options.out / "examples.jsonl").write_text(examples, encoding="utf-8")
    metrics = {"accuracy": sum(scores.values()) / len(scores)}
    (options.out / "metrics.json").write_text(json.dumps(metrics) + "\n", encoding="utf-8")
    print(f"accuracy: {metrics['accuracy']:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
