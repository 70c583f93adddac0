"""Classify images with a trained model: `inputs.jsonl` in, `predictions.jsonl` with `{id, output}` out.

    python predict.py --model model/ --inputs data/dev/inputs --out predictions/
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from perceptron import Model, read_images


def main() -> int:
    parser = argparse.ArgumentParser(description="Classify images of digits.")
    parser.add_argument("--model", type=Path, required=True, help="folder that train.py wrote, or its model file")
    parser.add_argument("--inputs", type=Path, required=True, help="folder with inputs.jsonl, or that file")
    parser.add_argument("--out", type=Path, required=True, help="folder, or the .jsonl file to write")
    options = parser.parse_args()
    model = Model.load(options.model)
    inputs = options.inputs / "inputs.jsonl" if options.inputs.is_dir() else options.inputs
    ids, images = read_images(inputs)
    out = options.out
    if out.suffix != ".jsonl":
        out.mkdir(parents=True, exist_ok=True)
        out = out / "predictions.jsonl"
    with out.open("w", encoding="utf-8", newline="\n") as file:
        for name, digit in zip(ids, model.classify(images), strict=True):
            file.write(f'{{"id":{json.dumps(name)},"output":{digit}}}\n')
    return 0


if __name__ == "__main__":
    sys.exit(main())
