"""Classify images with a trained model: `inputs.jsonl` in, `predictions.jsonl` with `{id, output}` out.

    python predict.py --model model/ --inputs data/dev/inputs --out predictions/

Images are read, classified and written one by one, so memory does not grow with their number.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from mlp import BRIGHTEST, PIXELS, Model


def main() -> int:
    parser = argparse.ArgumentParser(description="Classify images of digits.")
    parser.add_argument("--model", type=Path, required=True, help="folder that train.py wrote, or its model file")
    parser.add_argument("--inputs", type=Path, required=True, help="folder with inputs.jsonl, or that file")
    parser.add_argument("--out", type=Path, required=True, help="folder, or the .jsonl file to write")
    options = parser.parse_args()
    classify = Model.load(options.model).classifier()
    inputs = options.inputs / "inputs.jsonl" if options.inputs.is_dir() else options.inputs
    out = options.out
    if out.suffix != ".jsonl":
        out.mkdir(parents=True, exist_ok=True)
        out = out / "predictions.jsonl"
    with inputs.open("rb") as lines, out.open("w", encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(lines, start=1):
            item = json.loads(line)
            pixels = item["pixels"]
            if len(pixels) != PIXELS or min(pixels) < 0 or max(pixels) > BRIGHTEST:
                raise SystemExit(f"{inputs}:{number}: expected {PIXELS} pixels from 0 to {BRIGHTEST}")
            file.write(json.dumps({"id": item["id"], "output": classify(pixels)}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
