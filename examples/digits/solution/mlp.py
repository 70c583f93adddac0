"""The model: a multi-layer perceptron in numpy, its settings and its file. Used by train.py and predict.py.

Parameters live in one flat float32 vector with a view for each matrix, so that an optimiser step is a handful of
vector operations whatever the number of layers.
"""

from __future__ import annotations

import os

# One thread: sums must not depend on how many cores the machine has. Must be set before numpy is imported.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

SIDE = 8
PIXELS = SIDE * SIDE
BRIGHTEST = 16
CLASSES = 10
MODEL_FILE = "model.npz"
NEIGHBOURS = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))


@dataclass(frozen=True)
class Layer:
    """One affine map; both arrays are views into the flat vector of parameters."""

    weight: Floats
    bias: Floats


def read_images(path: Path) -> tuple[list[str], Floats]:
    """Ids and pixels, scaled to [0, 1], of a file with `{"id": ..., "pixels": [64 whole numbers 0..16]}` a line."""
    ids: list[str] = []
    rows: list[list[int]] = []
    with path.open("rb") as lines:
        for line in lines:
            item = json.loads(line)
            ids.append(item["id"])
            rows.append(item["pixels"])
    images = np.array(rows, dtype=np.float32)
    if images.shape != (len(ids), PIXELS):
        raise SystemExit(f"{path}: found images of shape {images.shape}, expected {PIXELS} pixels each")
    images /= BRIGHTEST
    return ids, images


def shifted(images: Floats, down: int, right: int) -> Floats:
    """The images moved by whole pixels; what moves in from the border is background."""
    grid = np.zeros((len(images), SIDE, SIDE), dtype=np.float32)
    source = images.reshape(-1, SIDE, SIDE)
    kept_rows, kept_columns = SIDE - abs(down), SIDE - abs(right)
    to_row, to_column, from_row, from_column = max(down, 0), max(right, 0), max(-down, 0), max(-right, 0)
    grid[:, to_row : to_row + kept_rows, to_column : to_column + kept_columns] = source[
        :, from_row : from_row + kept_rows, from_column : from_column + kept_columns
    ]
    return grid.reshape(len(images), PIXELS)


def places_of_views(count: int) -> npt.NDArray[np.int64]:
    """Which of (background, pixel 1, ..., pixel 64) stands at each place of the first `count` views of an image."""
    numbered = np.arange(1, PIXELS + 1, dtype=np.float32)[np.newaxis]
    places = [shifted(numbered, down, right)[0].astype(np.int64) for down, right in NEIGHBOURS[:count]]
    return places[0] if count == 1 else np.stack(places)


def layer_sizes(hidden: int, layers: int) -> list[int]:
    return [PIXELS, *[hidden] * layers, CLASSES]


def views_of(flat: Floats, sizes: list[int]) -> list[Layer]:
    """A layer for each pair of neighbouring sizes, as views into `flat`."""
    layers: list[Layer] = []
    start = 0
    for inputs, outputs in pairwise(sizes):
        middle, end = start + inputs * outputs, start + inputs * outputs + outputs
        layers.append(Layer(flat[start:middle].reshape(inputs, outputs), flat[middle:end]))
        start = end
    return layers


def parameter_count(sizes: list[int]) -> int:
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))


def activate(values: Floats, activation: str) -> Floats:
    """In place: the caller does not need the values before activation."""
    return np.maximum(values, 0, out=values) if activation == "relu" else np.tanh(values, out=values)


@dataclass(frozen=True)
class Model:
    """What train leaves and predict reads: plain arrays, never pickled objects."""

    flat: Floats
    sizes: list[int]
    activation: str
    mean: Floats
    scale: Floats
    views: int

    def save(self, folder: Path) -> None:
        np.savez(
            folder / MODEL_FILE,
            flat=self.flat,
            sizes=np.array(self.sizes, dtype=np.int64),
            activation=np.array(self.activation),
            mean=self.mean,
            scale=self.scale,
            views=np.array(self.views, dtype=np.int64),
        )

    @classmethod
    def load(cls, path: Path) -> Model:
        with np.load(path / MODEL_FILE if path.is_dir() else path, allow_pickle=False) as file:
            return cls(
                flat=file["flat"],
                sizes=[int(size) for size in file["sizes"]],
                activation=str(file["activation"]),
                mean=file["mean"],
                scale=file["scale"],
                views=int(file["views"]),
            )

    def classifier(self) -> Callable[[Sequence[int]], int]:
        """A function from the pixels of one image to its most likely digit.

        One image at a time, as they would arrive: an answer cannot depend on what else stands in the file.
        """
        *hidden, top = views_of(self.flat, self.sizes)
        bordered = np.zeros(1 + PIXELS, dtype=np.float32)  # place 0 stays background
        places = places_of_views(self.views)
        factor = self.scale / np.float32(BRIGHTEST)
        offset = self.mean * self.scale

        def classify(pixels: Sequence[int]) -> int:
            bordered[1:] = pixels
            values = bordered[places] * factor - offset
            for layer in hidden:
                values = values @ layer.weight
                values += layer.bias
                activate(values, self.activation)
            values = values @ top.weight
            values += top.bias
            return int(values.sum(axis=0).argmax() if values.ndim == 2 else values.argmax())

        return classify
