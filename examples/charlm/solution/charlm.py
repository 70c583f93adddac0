"""The character language model and its settings, shared by train.py and predict.py.

A small decoder of the usual kind: characters and places embedded, then layers of causal attention and a feed-forward
network. Everything it needs to be the same twice is set here, before torch computes anything.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional

ALPHABET = "\n ',.abcdefghijklmnopqrstuvwxyz"
_UNKNOWN = 255
_PLACES = bytes(ALPHABET.find(chr(code)) % 256 for code in range(256))
"""Code of a character → its place; -1, which is 255 here, for one that is not in the alphabet."""
WEIGHTS, SETTINGS = "weights.pt", "settings.json"


@dataclass(frozen=True)
class Settings:
    """The configuration, one field a setting: `model.width` in the file is `model_width` here."""

    model_width: int
    model_layers: int
    model_heads: int
    model_context: int
    model_dropout: float
    train_steps: int
    train_batch_size: int
    train_learning_rate: float
    train_warmup: int
    train_schedule: str
    train_weight_decay: float
    train_clip: float
    train_label_smoothing: float
    run_device: str
    run_precision: str


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: type(value) in (int, float) and low <= value <= high


def _one_of(*words: str) -> Callable[[Any], bool]:
    return lambda value: type(value) is str and value in words


# What each setting may be: the rule, and the rule in words for the message.
RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model.width": (_whole(8, 8192), "a whole number from 8 to 8192"),
    "model.layers": (_whole(1, 96), "a whole number from 1 to 96"),
    "model.heads": (_whole(1, 128), "a whole number from 1 to 128 that divides the width"),
    "model.context": (_whole(2, 4096), "a whole number from 2 to 4096"),
    "model.dropout": (_number(0, 0.9), "a number from 0 to 0.9"),
    "train.steps": (_whole(1, 10**7), "a whole number above 0"),
    "train.batch_size": (_whole(1, 65536), "a whole number above 0"),
    "train.learning_rate": (_number(1e-9, 10), "a number above 0"),
    "train.warmup": (_whole(0, 10**6), "a whole number of steps"),
    "train.schedule": (_one_of("constant", "cosine"), "constant or cosine"),
    "train.weight_decay": (_number(0, 10), "a number from 0 to 10"),
    "train.clip": (_number(0, 1e6), "a number, 0 for none"),
    "train.label_smoothing": (_number(0, 0.9), "a number from 0 to 0.9"),
    "run.device": (_one_of("cpu", "cuda"), "cpu or cuda"),
    "run.precision": (_one_of("float32", "bfloat16"), "float32 or bfloat16"),
}


def load_settings(path: Path) -> Settings:
    """The configuration, or a message that names every setting that is missing, unknown or out of range."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or not all(isinstance(section, dict) for section in document.values()):
        raise SystemExit(f"{path}: expected sections (model, train, run) of settings")
    found = {f"{section}.{name}": value for section, settings in document.items() for name, value in settings.items()}
    problems = [f"{name}: unknown setting" for name in sorted(found.keys() - RULES.keys())]
    problems += [f"{name}: missing" for name in sorted(RULES.keys() - found.keys())]
    problems += [
        f"{name}: found {value!r}, expected {RULES[name][1]}"
        for name, value in found.items()
        if name in RULES and not RULES[name][0](value)
    ]
    if not problems and found["model.width"] % found["model.heads"]:
        problems.append(f"model.heads: {found['model.heads']} does not divide model.width {found['model.width']}")
    if problems:
        raise SystemExit("\n".join(f"{path}: {problem}" for problem in problems))
    return Settings(**{field.name: found[field.name.replace("_", ".", 1)] for field in fields(Settings)})


def prepare(device: str) -> torch.device:
    """Make torch deterministic, with the threads this process may use; ends with a message where the device is not."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts; torch insists on it
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("run.device is cuda, and torch sees no GPU here (run.device: cpu trains without)")
    return torch.device(device)


def encode(text: str) -> Tensor:
    """Places in the alphabet; a character outside it is an error."""
    places = bytearray(text.encode("latin-1", errors="replace").translate(_PLACES))
    if _UNKNOWN in places:
        raise ValueError(f"{text[places.index(_UNKNOWN)]!r} is not in the alphabet")
    return torch.frombuffer(places, dtype=torch.uint8).long()


class Layer(nn.Module):
    """Attention over what came before, then a feed-forward network; each adds to what it was given."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        width = settings.model_width
        self.heads = settings.model_heads
        self.dropout = settings.model_dropout
        self.before_attention = nn.LayerNorm(width)
        self.attention = nn.Linear(width, 3 * width)
        self.mixed = nn.Linear(width, width)
        self.before_network = nn.LayerNorm(width)
        self.network = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.drop = nn.Dropout(settings.model_dropout)

    def forward(self, values: Tensor) -> Tensor:
        batch, length, width = values.shape
        parts = self.attention(self.before_attention(values)).chunk(3, dim=2)
        query, key, value = (
            part.view(batch, length, self.heads, width // self.heads).transpose(1, 2) for part in parts
        )
        rate = self.dropout if self.training else 0.0
        seen = functional.scaled_dot_product_attention(query, key, value, dropout_p=rate, is_causal=True)
        values = values + self.drop(self.mixed(seen.transpose(1, 2).reshape(batch, length, width)))
        return values + self.drop(self.network(self.before_network(values)))


class Model(nn.Module):
    """Logits of the next character at every place."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.characters = nn.Embedding(len(ALPHABET), settings.model_width)
        self.places = nn.Embedding(settings.model_context, settings.model_width)
        self.layers = nn.ModuleList(Layer(settings) for _ in range(settings.model_layers))
        self.last = nn.LayerNorm(settings.model_width)
        self.logits = nn.Linear(settings.model_width, len(ALPHABET), bias=False)
        self.apply(_initial)

    def forward(self, text: Tensor) -> Tensor:
        values = self.characters(text) + self.places.weight[: text.shape[1]]
        for layer in self.layers:
            values = layer(values)
        logits: Tensor = self.logits(self.last(values))
        return logits

    def save(self, folder: Path) -> None:
        exact = torch.bfloat16 if self.settings.run_precision == "bfloat16" else torch.float32
        torch.save({name: value.to(exact) for name, value in self.state_dict().items()}, folder / WEIGHTS)
        (folder / SETTINGS).write_text(json.dumps(asdict(self.settings)) + "\n", encoding="utf-8")

    @staticmethod
    def load(folder: Path, device: str | None = None) -> Model:
        """The model that train.py left, on the device of its settings or on another."""
        settings = Settings(**json.loads((folder / SETTINGS).read_text(encoding="utf-8")))
        where = prepare(device or settings.run_device)
        with where:
            model = Model(settings)
        model.load_state_dict(torch.load(folder / WEIGHTS, map_location=where, weights_only=True))
        return model.eval()


def _initial(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
