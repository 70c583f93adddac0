"""Which file holds the settings, which scalars stand in it, and which neighbouring values are worth trying.

Called by `agent.scaffolding.looking`. A proposal is a start for people to edit: numbers and switches only, never
words, because only their author knows which words a program understands.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry import yaml_text
from registry.errors import BadInput, Problem
from registry.hypotheses import Scalar
from registry.yaml_parsing import parse
from tools import configuration_edit

SUFFIXES = frozenset({"yaml", "yml", "json", "toml"})
MOST_PARAMETERS = 24
_STEMS = ("production", "config", "default", "defaults", "params", "hparams", "train", "base", "settings")
_FOLDERS = ("configs", "config", "conf", "")
_NO_SETTINGS = frozenset(
    {
        *("package", "package-lock", "pyproject", "poetry", "uv", "tsconfig", "environment", "mkdocs", "citation"),
        *("docker-compose", "compose", "codecov", "dvc", "manifest"),
        *("target", "competitive_registry", "research_config"),
    }
)
_PATH = re.compile(r"[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*")
_FIXED = frozenset(
    {
        *("seed", "verbose", "debug", "log", "logging", "print", "save", "every", "interval", "limit", "project"),
        *("device", "gpu", "gpus", "cuda", "worker", "workers", "threads", "host", "port", "user", "url", "version"),
        *("path", "dir", "file", "name", "id", "cache", "classes", "vocab", "input_dim", "output_dim"),
    }
)
"""Words of settings that say where and how a program runs, or that the data decides."""
_RATES = frozenset({"learning_rate", "lr", "weight_decay", "step_size", "l2", "wd"})
_SHARES = frozenset(
    {
        *("dropout", "dropout_rate", "attn_dropout", "label_smoothing", "smoothing", "mixup"),
        *("momentum", "beta", "beta1", "beta2", "ema", "ema_decay"),
    }
)
_FROM_ZERO: Mapping[str, tuple[float, ...]] = {
    "dropout": (0.1, 0.2, 0.5),
    "dropout_rate": (0.1, 0.2, 0.5),
    "label_smoothing": (0.1, 0.2),
    "momentum": (0.5, 0.9),
    "weight_decay": (0.0001, 0.001),
    "wd": (0.0001, 0.001),
    "l2": (0.0001, 0.001),
}
_TAGS: Mapping[str, tuple[str, ...]] = {
    "optimisation": (
        "lr",
        "learning_rate",
        "batch_size",
        "momentum",
        "optimizer",
        "beta1",
        "beta2",
        "grad_clip",
        "batch",
    ),
    "learning-rate": ("lr", "learning_rate", "step_size"),
    "training-length": ("epochs", "epoch", "steps", "max_steps", "iterations", "num_epochs", "max_epochs"),
    "regularisation": ("dropout", "dropout_rate", "weight_decay", "wd", "l2", "label_smoothing", "mixup"),
    "width": ("hidden", "hidden_size", "hidden_dim", "width", "units", "d_model", "embed_dim", "channels"),
    "depth": ("layers", "num_layers", "n_layers", "depth", "blocks"),
    "capacity": (
        "hidden",
        "hidden_size",
        "hidden_dim",
        "width",
        "units",
        "d_model",
        "layers",
        "num_layers",
        "n_layers",
    ),
    "schedule": ("warmup", "warmup_steps", "warmup_epochs", "schedule", "scheduler"),
    "augmentation": ("augment", "augmentation", "shifts", "jitter", "crop", "flip"),
}
_LENGTH = frozenset(_TAGS["training-length"])


@dataclass(frozen=True, slots=True)
class Tunable:
    """A proposed entry of `search_space`."""

    name: str
    path: str
    values: tuple[Scalar, ...]
    tags: tuple[str, ...]


def candidates(paths: Iterable[str]) -> list[str]:
    """Files that look like a configuration, the likeliest first."""
    ranked = []
    for path in paths:
        folder, _, name = path.rpartition("/")
        stem, dot, suffix = name.rpartition(".")
        hidden = any(part.startswith(".") for part in path.split("/"))
        if not dot or suffix.lower() not in SUFFIXES or hidden or stem.lower() in _NO_SETTINGS:
            continue
        if folder not in _FOLDERS and folder.split("/")[0] not in _FOLDERS[:3]:
            continue
        known = stem.lower() in _STEMS
        if folder == "" and not known:
            continue
        rank = _STEMS.index(stem.lower()) if known else len(_STEMS)
        ranked.append((rank, _FOLDERS.index(folder) if folder in _FOLDERS else len(_FOLDERS), path))
    return [path for _, _, path in sorted(ranked)]


def scalars(path: str, text: str) -> dict[str, Scalar]:
    """Every scalar with a dotted path. Raises BadInput where the file does not parse."""
    suffix = path.rpartition(".")[2].lower()
    if suffix == "py":
        marks = (configuration_edit.MARK.search(line) for line in text.splitlines())
        found = {mark[1]: configuration_edit.read_value(path, text, mark[1]) for mark in marks if mark}
        return {name: value for name, value in found.items() if value is not None}
    return {name: value for name, value in _flat(load(path, text)) if _PATH.fullmatch(name)}


def load(path: str, text: str) -> Any:
    """The document of a configuration file. Raises BadInput."""
    suffix = path.rpartition(".")[2].lower()
    if suffix in {"yaml", "yml"}:
        return parse(text, path).data
    try:
        return json.loads(text) if suffix == "json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(Problem(path, str(error)[:200], f"a {suffix.upper()} file that parses")) from error


def _flat(value: object, before: str = "") -> Iterable[tuple[str, Scalar]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{before}.{key}" if before else str(key))
    elif isinstance(value, (bool, int, float, str)):
        yield before, value


def search_space(path: str, text: str, found: Mapping[str, Scalar]) -> list[Tunable]:
    """Neighbouring values for what can be tuned and rewritten in place, with tags from the words of its name."""
    proposals: list[Tunable] = []
    names: set[str] = set()
    for place, value in found.items():
        values = neighbours(place.rpartition(".")[2], value)
        if len(values) < 2 or not _can_be_set(path, text, place, next(v for v in values if v != value)):
            continue
        last = place.rpartition(".")[2].replace("-", "_")
        name = last if last not in names else place.replace(".", "_").replace("-", "_")
        names.add(name)
        proposals.append(Tunable(name, place, values, tags(place)))
    return proposals[:MOST_PARAMETERS]


def _can_be_set(path: str, text: str, place: str, value: Scalar) -> bool:
    try:
        configuration_edit.set_values(path, text, {place: value}, _splice, lambda content: parse(content, path).data)
    except BadInput:
        return False
    return True


def _splice(text: str, values: Mapping[tuple[str, ...], Scalar]) -> str:
    return yaml_text.splice(text, dict(values.items()))


def neighbours(name: str, value: Scalar) -> tuple[Scalar, ...]:
    """The value and those beside it, in order; only the value itself where nothing should be proposed."""
    key = name.lower().replace("-", "_")
    if key in _FIXED or set(key.split("_")) & _FIXED:
        return (value,)
    if isinstance(value, bool):
        return (False, True)
    if isinstance(value, str):
        return (value,)
    if value == 0:
        return (value, *_FROM_ZERO.get(key, ()))
    if value < 0:
        return (value,)
    if isinstance(value, int):
        return _whole(value)
    if key in _SHARES and value < 1:
        return _ordered(value, (value / 2, min(2 * value, (1 + value) / 2)))
    if key in _RATES:
        return _ordered(value, (value / 10, value / 3, value * 3, value * 10))
    upper = (2 * value,) if value >= 1 or 2 * value <= 1 else ((1 + value) / 2,)
    return _ordered(value, (value / 2, *upper))


def _whole(value: int) -> tuple[Scalar, ...]:
    near = (value - 1, value + 1) if value < 4 else (value // 2,)
    return tuple(sorted({value, 2 * value, *(number for number in near if number > 0)}))


def _ordered(value: float, others: Sequence[float]) -> tuple[Scalar, ...]:
    rounded = {_rounded(number) for number in others} - {value}
    return tuple(sorted({value, *rounded}))


def _rounded(number: float) -> float:
    """Three digits, counted from one where a share is near it: 0.9995 stays itself."""
    if 0.9 < number < 1:
        return float(f"{1 - float(f'{1 - number:.3g}'):.12g}")
    return float(f"{number:.3g}")


def tags(place: str) -> tuple[str, ...]:
    """Words for the ideas a setting belongs to."""
    parts = [part.lower().replace("-", "_") for part in place.split(".")]
    known = [tag for tag, names in _TAGS.items() if parts[-1] in names]
    return tuple(dict.fromkeys([parts[-1].replace("_", "-"), *known, *([parts[-2]] if len(parts) > 1 else [])]))


def fast_overrides(found: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """A shorter training for the fast run, where a setting says how long it is."""
    for place, value in found.items():
        key = place.rpartition(".")[2].lower().replace("-", "_")
        if key in _LENGTH and isinstance(value, int) and not isinstance(value, bool) and value > 1:
            return {place: max(1, value // 5)}
    return {}
