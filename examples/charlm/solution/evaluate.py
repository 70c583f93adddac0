"""Score predictions against labels: bits per character, lower is better. Protected: candidates cannot change it.

    python evaluate.py --predictions predictions/ --labels data/dev/labels --out scores/

Standard library only; it imports nothing of the candidate's and unpickles nothing. What the candidate wrote is a
stranger's text: anything but one probability for each character of the alphabet, for each labelled item, ends with
status 1 and a message, and no metrics are written. The bits are computed here, from the labels: the mean of
-log2(p), where p is the probability that was given to the character that did follow. A probability below
2 ** -MOST_BITS counts as that much, so that one item can cost no more than MOST_BITS.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

ALPHABET = "\n ',.abcdefghijklmnopqrstuvwxyz"
TOLERANCE = 1e-4
"""How far from 1 the sum of an item's probabilities may be; they are divided by their sum."""
MOST_BITS = 20.0
MAX_BYTES = 256 << 20
MAX_LINE = 4000
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


def _rows(path: Path, field: str) -> Iterator[tuple[str, str, Any]]:
    """Place, id and value of every line, from a regular file; links, pipes and devices are refused, not followed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Refused(f"{path}: cannot be opened ({error.strerror})") from error
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise Refused(f"{path}: not a regular file")
        if state.st_size > MAX_BYTES:
            raise Refused(f"{path}: more than {MAX_BYTES} bytes")
        seen: set[str] = set()
        number = 0
        while line := file.readline(MAX_LINE + 1):
            number += 1
            where = f"{path}:{number}"
            if len(line) > MAX_LINE:
                raise Refused(f"{where}: a line of more than {MAX_LINE} bytes")
            name, value = _row(line, field, where)
            if name in seen:
                raise Refused(f"{where}: id {_shown(name)} appears twice")
            seen.add(name)
            yield where, name, value
        if not seen:
            raise Refused(f"{path}: empty")


def _row(line: bytes, field: str, where: str) -> tuple[str, object]:
    try:
        item = json.loads(line.decode("utf-8"), parse_constant=_no_constants, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{where}: not JSON ({_shown(str(error))})") from error
    if type(item) is not dict or item.keys() != {"id", field}:
        raise Refused(f"{where}: found {_shown(item)}, expected exactly the keys id and {field}")
    name = item["id"]
    if type(name) is not str or not 0 < len(name) <= MAX_ID:
        raise Refused(f"{where}: id {_shown(name)} is not a text of 1 to {MAX_ID} characters")
    return name, item[field]


def read_labels(path: Path) -> dict[str, int]:
    """Id → place in the alphabet of the character that follows."""
    labels = {}
    for where, name, character in _rows(path, "next"):
        if type(character) is not str or len(character) != 1 or character not in ALPHABET:
            raise Refused(f"{where}: {_shown(character)} is no character of the alphabet")
        labels[name] = ALPHABET.index(character)
    return labels


def probability(output: object, place: int, where: str) -> float:
    """What a prediction gives to the character at `place`, after every one of its numbers is checked."""
    if type(output) is not list or len(output) != len(ALPHABET):
        size = f"{len(output)} values" if type(output) is list else _shown(output)
        raise Refused(f"{where}: output is {size}, expected {len(ALPHABET)} probabilities")
    for value in output:
        # Whole numbers are compared, never turned into floats first: a long one would not fit.
        if type(value) not in (int, float) or not 0 <= value <= 1:
            raise Refused(f"{where}: {_shown(value)} is not a probability")
    total = math.fsum(output)
    if abs(total - 1) > TOLERANCE:
        raise Refused(f"{where}: the probabilities add up to {total:.6g} and not to 1")
    return float(output[place]) / total


def score(predictions: Path, labels: dict[str, int]) -> dict[str, float]:
    """Bits of each labelled item, in the labels' order; the ids must be the same ones."""
    bits: dict[str, float] = {}
    for where, name, output in _rows(predictions, "output"):
        if name not in labels:
            raise Refused(f"{where}: id {_shown(name)} is not among the labels")
        bits[name] = -math.log2(max(probability(output, labels[name], where), 2.0**-MOST_BITS)) + 0.0
    if missing := labels.keys() - bits.keys():
        raise Refused(f"{predictions}: {len(missing)} ids are missing, the first is {_shown(min(missing))}")
    return {name: bits[name] for name in labels}


def _file(path: Path, name: str) -> Path:
    return path / name if path.is_dir() else path


def main() -> int:
    parser = argparse.ArgumentParser(description="Score predictions of the next character.")
    parser.add_argument("--predictions", type=Path, required=True, help="folder with predictions.jsonl, or that file")
    parser.add_argument("--labels", type=Path, required=True, help="folder with labels.jsonl, or that file")
    parser.add_argument("--out", type=Path, required=True, help="folder for metrics.json and examples.jsonl")
    options = parser.parse_args()
    try:
        labels = read_labels(_file(options.labels, "labels.jsonl"))
        scores = score(_file(options.predictions, "predictions.jsonl"), labels)
    except Refused as refusal:
        print(f"evaluate.py: {refusal}", file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    examples = "".join(json.dumps({"id": name, "score": value}) + "\n" for name, value in scores.items())
    (options.out / "examples.jsonl").write_text(examples, encoding="utf-8")
    metrics = {"bits_per_char": math.fsum(scores.values()) / len(scores)}
    (options.out / "metrics.json").write_text(json.dumps(metrics) + "\n", encoding="utf-8")
    print(f"bits_per_char: {metrics['bits_per_char']:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
