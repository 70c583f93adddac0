"""Tell the next character of each context: `inputs.jsonl` in, `predictions.jsonl` with `{id, output}` out.

    python predict.py --model model/ --inputs data/dev/inputs --out predictions/

`output` is the probability of every character of the alphabet, in its order.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from charlm import Model, encode

BATCH = 512


def main() -> int:
    parser = argparse.ArgumentParser(description="Predict the next character.")
    parser.add_argument("--model", type=Path, required=True, help="folder that train.py wrote")
    parser.add_argument("--inputs", type=Path, required=True, help="folder with inputs.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="folder to write predictions.jsonl into")
    parser.add_argument("--device", default=None, help="another device than the one it was trained on")
    options = parser.parse_args()
    model = Model.load(options.model, options.device)
    device = model.logits.weight.device
    mixed = model.settings.run_precision == "bfloat16"
    with (options.inputs / "inputs.jsonl").open(encoding="utf-8") as lines:
        items = [json.loads(line) for line in lines]
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "predictions.jsonl").open("w", encoding="ascii", newline="\n") as file, torch.inference_mode():
        for start in range(0, len(items), BATCH):
            part = items[start : start + BATCH]
            contexts = [encode(item["context"][-model.settings.model_context :]) for item in part]
            lengths = torch.tensor([len(context) for context in contexts])
            # Shorter ones are filled up behind their end, which a causal model does not look at.
            batch = torch.nn.utils.rnn.pad_sequence(contexts, batch_first=True).to(device)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed):
                logits = model(batch)
            last = logits[torch.arange(len(part)), lengths - 1].double().cpu()
            for item, probabilities in zip(part, torch.softmax(last, dim=1).tolist(), strict=True):
                output = [round(probability, 9) for probability in probabilities]
                file.write(json.dumps({"id": item["id"], "output": output}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
