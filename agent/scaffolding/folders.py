"""Which folders hold training data, inputs and labels, and which interpreter is the solution's own.

Called by `agent.scaffolding.looking`. Names decide; contents are not read.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from registry.errors import BadInput
from sandbox.interpreters import discover

SPLITS: dict[str, frozenset[str]] = {
    "dev": frozenset({"dev", "val", "valid", "validation", "development"}),
    "test": frozenset({"test", "testing", "heldout", "holdout"}),
}
_TRAIN = frozenset({"train", "training"})
_INPUTS = frozenset({"inputs", "input", "features", "questions", "images", "x"})
_LABELS = frozenset({"labels", "label", "targets", "truth", "gold", "answers", "references", "y"})
_DATA = frozenset({"data", "dataset", "datasets", "splits", "corpus"})
_SKIPPED = frozenset({"node_modules", "__pycache__", "venv", "env", "build", "dist", "runs", "wandb", "mlruns"})
_DEPTH, _MOST = 4, 5000
_PLACES = (".venv/bin/python", "venv/bin/python", "env/bin/python", ".venv/bin/python3", "venv/bin/python3")


@dataclass(frozen=True, slots=True)
class DataFolders:
    """Folders by what they hold; empty where none was found."""

    train: str = ""
    inputs: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The solution's interpreter as `target.yaml` writes it, or why there is none."""

    written: str = ""
    why_not: str = ""


def of_paths(paths: Iterable[str]) -> set[str]:
    """Every folder that the files stand in."""
    found: set[str] = set()
    for path in paths:
        parts = path.split("/")[:-1]
        found.update("/".join(parts[: count + 1]) for count in range(len(parts)))
    return found


def in_checkout(root: Path) -> set[str]:
    """Folders of the checkout, tracked or not, down to a modest depth; links are not followed."""
    return set(_walk(root))


def _walk(root: Path) -> Iterator[str]:
    seen = 0
    for folder, names, _ in os.walk(root):
        depth = len(Path(folder).relative_to(root).parts)
        names[:] = sorted(name for name in names if not name.startswith(".") and name not in _SKIPPED)
        for name in names:
            if (seen := seen + 1) > _MOST:
                return
            yield Path(folder, name).relative_to(root).as_posix()
        if depth + 1 >= _DEPTH:
            names.clear()


def classify(folders: Iterable[str]) -> DataFolders:
    """The likeliest folder for each part that data has."""
    known = sorted(folders, key=lambda path: (path.count("/"), path))
    split_words = {path: frozenset(re.split(r"[/_.\-]+", path.lower())) for path in known}
    # Folders of tests carry the same words, so where some folder says that it is data, only such ones count.
    if any(words & _DATA for words in split_words.values()):
        split_words = {path: words for path, words in split_words.items() if words & _DATA}
    inputs: dict[str, str] = {}
    labels: dict[str, str] = {}
    for path, words in split_words.items():
        splits = [split for split, names in SPLITS.items() if words & names]
        if len(splits) == 1 and not words & _TRAIN:
            if words & _INPUTS and not words & _LABELS:
                inputs.setdefault(splits[0], path)
            if words & _LABELS and not words & _INPUTS:
                labels.setdefault(splits[0], path)
    train = next((path for path, words in split_words.items() if words & _TRAIN and not words & {"model"}), "")
    return DataFolders(train, inputs, labels)


def find_interpreter(root: Path) -> Interpreter:
    """The interpreter in the repository's own environment, or the activated one, unless it is this program's."""
    for place in _PLACES:
        if (root / place).exists():
            why_not = refusal(root / place)
            return Interpreter(why_not=f"{place}: {why_not}") if why_not else Interpreter(place)
    active = os.environ.get("VIRTUAL_ENV", "")
    if active and not refusal(Path(active, "bin", "python")):
        return Interpreter(str(Path(active, "bin", "python")))
    if (root / "uv.lock").is_file():
        return Interpreter(why_not="no .venv beside uv.lock: `uv sync` makes it")
    return Interpreter(
        why_not="no .venv/bin/python, venv/bin/python or env/bin/python: python3 -m venv .venv makes one"
    )


def refusal(python: Path) -> str:
    """Why an interpreter cannot run the solution; empty where it can."""
    if python.exists() and is_our_own(python):
        return "the environment that this program itself runs in, which no candidate may see (python3 -m venv .venv)"
    try:
        discover(python)
    except BadInput as error:
        problem = error.problems[0]
        return f"{problem.found} ({problem.fix})" if problem.fix else problem.found
    return ""


def is_our_own(python: Path) -> bool:
    """Whether an interpreter belongs to the environment of this very program."""
    environment = python.parent.parent
    return (environment / "pyvenv.cfg").is_file() and environment.resolve() == Path(sys.prefix).resolve()
