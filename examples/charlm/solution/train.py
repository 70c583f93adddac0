"""Train the character language model: one configuration, one seed, one model.

    python train.py --config configs/production.yaml --seed 7 --data data/train --out model/

Every setting comes from the configuration; the seed fixes initial weights, order of the text and dropout. The same
configuration and seed give the same model bit for bit on the same kind of processor or GPU.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from pathlib import Path

import torch
from charlm import Model, Settings, encode, load_settings, prepare
from torch import Tensor
from torch.nn import functional


def rate_at(step: int, settings: Settings) -> float:
    """Learning rate of a step."""
    if step < settings.train_warmup:
        return settings.train_learning_rate * (step + 1) / settings.train_warmup
    if settings.train_schedule == "constant":
        return settings.train_learning_rate
    progress = (step - settings.train_warmup) / max(1, settings.train_steps - settings.train_warmup)
    return settings.train_learning_rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress)))


def train(settings: Settings, text: Tensor, seed: int) -> Model:
    device = prepare(settings.run_device)
    random.seed(seed)
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed ^ 0x5EED)
    with device:  # a large model takes long to fill in on the processor
        model = Model(settings).train()
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=settings.train_learning_rate, weight_decay=settings.train_weight_decay, betas=(0.9, 0.98)
    )
    mixed = settings.run_precision == "bfloat16"
    window = torch.arange(settings.model_context + 1)
    began, last = time.monotonic(), float("nan")
    for step in range(settings.train_steps):
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, settings)
        starts = torch.randint(len(text) - len(window), (settings.train_batch_size, 1), generator=order)
        batch = text[starts + window].to(device, non_blocking=True)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed):
            logits = model(batch[:, :-1])
        loss = functional.cross_entropy(
            logits.float().flatten(0, 1), batch[:, 1:].flatten(), label_smoothing=settings.train_label_smoothing
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if settings.train_clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.train_clip)
        optimiser.step()
        if step % 100 == 0 or step == settings.train_steps - 1:
            last = loss.item() / math.log(2)
            print(f"step {step}: {last:.4f} bits", flush=True)
    if not math.isfinite(last):
        raise SystemExit("training diverged: the loss is not a finite number (lower train.learning_rate)")
    seen = settings.train_steps * settings.train_batch_size * settings.model_context
    print(f"characters per second: {seen / (time.monotonic() - began):.0f}")
    return model


def main() -> int:
    parser = argparse.ArgumentParser(description="Train the character language model.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder with text.txt")
    parser.add_argument("--out", type=Path, required=True, help="folder the model is written to")
    options = parser.parse_args()
    settings = load_settings(options.config)
    text = (options.data / "text.txt").read_text(encoding="ascii")
    model = train(settings, encode(text), options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    model.save(options.out)
    print(f"parameters: {sum(parameter.numel() for parameter in model.parameters())}")
    print(f"deterministic: {torch.are_deterministic_algorithms_enabled()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
