"""Train the digit classifier: one configuration, one seed, one model file.

    python train.py --config configs/production.yaml --seed 7 --data data/train --out model/

Every setting comes from the configuration; the seed fixes initial weights, order of the data, shifts and dropout.
The same configuration and seed give the same model bit for bit on the same machine.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import mlp  # first: it fixes the number of threads before numpy is loaded
import numpy as np
import numpy.typing as npt
import yaml
from mlp import Floats


@dataclass(frozen=True)
class Settings:
    """The configuration, one field a setting: `model.hidden` in the file is `model_hidden` here."""

    model_hidden: int
    model_layers: int
    model_activation: str
    data_shifts: int
    data_standardise: bool
    data_limit: int
    train_epochs: int
    train_batch_size: int
    train_learning_rate: float
    train_schedule: str
    train_momentum: float
    train_weight_decay: float
    train_dropout: float
    train_label_smoothing: float
    predict_views: int


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: type(value) in (int, float) and low <= value <= high


def _one_of(*choices: object) -> Callable[[Any], bool]:
    return lambda value: any(value is choice or (type(value) is str and value == choice) for choice in choices)


# What each setting may be: the rule, and the rule in words for the message.
RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model.hidden": (_whole(1, 4096), "a whole number from 1 to 4096"),
    "model.layers": (_whole(0, 8), "a whole number from 0 to 8"),
    "model.activation": (_one_of("relu", "tanh"), "relu or tanh"),
    "data.shifts": (_whole(0, 3), "a whole number from 0 to 3"),
    "data.standardise": (_one_of(True, False), "true or false"),
    "data.limit": (_whole(0, 10**9), "a whole number, 0 for all"),
    "train.epochs": (_whole(1, 10_000), "a whole number from 1 to 10000"),
    "train.batch_size": (_whole(1, 4096), "a whole number from 1 to 4096"),
    "train.learning_rate": (_number(1e-9, 100), "a number above 0"),
    "train.schedule": (_one_of("constant", "cosine"), "constant or cosine"),
    "train.momentum": (_number(0, 0.9999), "a number from 0 to below 1"),
    "train.weight_decay": (_number(0, 10), "a number from 0 to 10"),
    "train.dropout": (_number(0, 0.95), "a number from 0 to 0.95"),
    "train.label_smoothing": (_number(0, 0.9), "a number from 0 to 0.9"),
    "predict.views": (_whole(1, 5), "a whole number from 1 to 5"),
}


def load_settings(path: Path) -> Settings:
    """The configuration, or a message that names every setting that is missing, unknown or out of range."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or not all(isinstance(section, dict) for section in document.values()):
        raise SystemExit(f"{path}: expected sections (model, data, train, predict) of settings")
    found = {f"{section}.{name}": value for section, settings in document.items() for name, value in settings.items()}
    problems = [f"{name}: unknown setting" for name in sorted(found.keys() - RULES.keys())]
    problems += [f"{name}: missing" for name in sorted(RULES.keys() - found.keys())]
    problems += [
        f"{name}: found {value!r}, expected {RULES[name][1]}"
        for name, value in found.items()
        if name in RULES and not RULES[name][0](value)
    ]
    if problems:
        raise SystemExit("\n".join(f"{path}: {problem}" for problem in problems))
    return Settings(**{field.name: found[field.name.replace("_", ".", 1)] for field in fields(Settings)})


def read_labels(path: Path, ids: list[str]) -> npt.NDArray[np.int64]:
    labels: dict[str, int] = {}
    with path.open("rb") as lines:
        for line in lines:
            item = json.loads(line)
            labels[item["id"]] = item["label"]
    if labels.keys() != set(ids):
        raise SystemExit(f"{path}: its ids are not those of the images")
    return np.array([labels[name] for name in ids], dtype=np.int64)


def with_shifted_copies(
    images: Floats, labels: npt.NDArray[np.int64], furthest: int
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The images and a copy of each for every step of up to `furthest` pixels along rows or columns."""
    moves = [(0, 0)]
    for step in range(1, furthest + 1):
        moves += [(step, 0), (-step, 0), (0, step), (0, -step)]
    return np.concatenate([mlp.shifted(images, *move) for move in moves]), np.tile(labels, len(moves))


def rate_at(progress: float, settings: Settings) -> float:
    """Learning rate after this share of all steps."""
    if settings.train_schedule == "cosine":
        return settings.train_learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
    return settings.train_learning_rate


def initial_parameters(sizes: list[int], rng: np.random.Generator) -> Floats:
    """He's scale for each weight, zero for each bias."""
    flat = np.zeros(mlp.parameter_count(sizes), dtype=np.float32)
    for layer in mlp.views_of(flat, sizes):
        inputs = layer.weight.shape[0]
        layer.weight[:] = rng.standard_normal(layer.weight.shape, dtype=np.float32) * math.sqrt(2 / inputs)
    return flat


class Trainer:
    """Stochastic gradient descent with momentum on the cross-entropy."""

    def __init__(self, settings: Settings, sizes: list[int], streams: list[np.random.Generator]) -> None:
        weights_rng, self._order_rng, self._dropout_rng = streams
        self._settings = settings
        self.flat = initial_parameters(sizes, weights_rng)
        self._gradient = np.zeros_like(self.flat)
        self._velocity = np.zeros_like(self.flat)
        self._layers = mlp.views_of(self.flat, sizes)
        self._gradients = mlp.views_of(self._gradient, sizes)
        decayed = np.zeros_like(self.flat)
        for layer in mlp.views_of(decayed, sizes):
            layer.weight[:] = settings.train_weight_decay
        self._decay = decayed if settings.train_weight_decay else None

    def fit(self, images: Floats, targets: Floats) -> None:
        """All epochs, each over the images in an order of its own; what does not fill a batch waits for the next."""
        settings, count = self._settings, len(images)
        size = min(settings.train_batch_size, count)
        starts = range(0, count - size + 1, size)
        total = settings.train_epochs * len(starts)
        step = 0
        for _ in range(settings.train_epochs):
            order = self._order_rng.permutation(count)
            images_now, targets_now = images[order], targets[order]
            for start in starts:
                end = start + size
                self._differentiate(images_now[start:end], targets_now[start:end])
                self._step(rate_at(step / total, settings))
                step += 1

    def _differentiate(self, images: Floats, targets: Floats) -> None:
        """Fill the gradient of the mean cross-entropy over one batch."""
        settings = self._settings
        inputs, masks = [images], []
        for layer in self._layers[:-1]:
            values = mlp.activate(inputs[-1] @ layer.weight + layer.bias, settings.model_activation)
            if settings.train_dropout:
                kept = self._dropout_rng.random(values.shape, dtype=np.float32) >= settings.train_dropout
                mask = kept.astype(np.float32) / np.float32(1 - settings.train_dropout)
                masks.append(mask)
                values = values * mask
            inputs.append(values)
        top = self._layers[-1]
        error = inputs[-1] @ top.weight + top.bias
        error -= error.max(axis=1, keepdims=True)
        np.exp(error, out=error)
        error /= error.sum(axis=1, keepdims=True)
        error -= targets
        error /= np.float32(len(images))
        for depth in range(len(self._layers) - 1, -1, -1):
            np.matmul(inputs[depth].T, error, out=self._gradients[depth].weight)
            error.sum(axis=0, out=self._gradients[depth].bias)
            if depth:
                error = self._through_activation(error @ self._layers[depth].weight.T, inputs[depth], masks, depth)

    def _through_activation(self, error: Floats, values: Floats, masks: list[Floats], depth: int) -> Floats:
        if self._settings.model_activation == "relu":
            slope = (values > 0).astype(np.float32)
        elif masks:  # values are tanh times the mask; the slope is of tanh alone
            slope = 1 - (values * (1 - np.float32(self._settings.train_dropout))) ** 2
        else:
            slope = 1 - values * values
        error *= slope
        if masks:
            error *= masks[depth - 1]
        return error

    def _step(self, rate: float) -> None:
        gradient, velocity = self._gradient, self._velocity
        if self._decay is not None:
            gradient += self._decay * self.flat
        velocity *= np.float32(self._settings.train_momentum)
        gradient *= np.float32(rate)
        velocity -= gradient
        self.flat += velocity


def train(settings: Settings, images: Floats, labels: npt.NDArray[np.int64], seed: int) -> mlp.Model:
    if settings.data_limit:
        images, labels = images[: settings.data_limit], labels[: settings.data_limit]
    images, labels = with_shifted_copies(images, labels, settings.data_shifts)
    mean, scale = np.zeros(1, dtype=np.float32), np.ones(1, dtype=np.float32)
    if settings.data_standardise:
        mean = images.mean(axis=0)
        scale = (1 / np.maximum(images.std(axis=0), 0.1)).astype(np.float32)
    targets = np.full((len(labels), mlp.CLASSES), settings.train_label_smoothing / mlp.CLASSES, dtype=np.float32)
    targets[np.arange(len(labels)), labels] += np.float32(1 - settings.train_label_smoothing)
    sizes = mlp.layer_sizes(settings.model_hidden, settings.model_layers)
    random.seed(seed)
    # A stream for each use: a setting that draws more from one does not change what another draws.
    streams = [np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(3)]
    trainer = Trainer(settings, sizes, streams)
    trainer.fit((images - mean) * scale, targets)
    if not np.isfinite(trainer.flat).all():
        raise SystemExit("training diverged: a weight is not a finite number (lower train.learning_rate)")
    return mlp.Model(trainer.flat, sizes, settings.model_activation, mean, scale, settings.predict_views)


def main() -> int:
    parser = argparse.ArgumentParser(description="Train the digit classifier.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder with inputs.jsonl and labels.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="folder the model is written to")
    options = parser.parse_args()
    settings = load_settings(options.config)
    ids, images = mlp.read_images(options.data / "inputs.jsonl")
    model = train(settings, images, read_labels(options.data / "labels.jsonl", ids), options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    model.save(options.out)
    print(f"parameters: {model.flat.size}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
