"""Every link leads somewhere, and every file, module and make target that the documentation names is there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_files import GUIDES, ROOT, anchors, code, every_file, links

PACKAGES = "agent|tools|experiments|sandbox|registry|prompts"
MODULE = re.compile(rf"(?:{PACKAGES})(?:\.\w+)+")
FOLDERS = f"{PACKAGES}|tests|docs|examples|benchmarks"
FILE = re.compile(rf"(?:{FOLDERS})/[\w./-]+\.(?:py|md)|pyproject\.toml|requirements\.lock")
TARGET = re.compile(r"\bmake ([a-z]+)\b")


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", every_file(), ids=named)
def test_relative_links_lead_to_files_and_headings(path: Path) -> None:
    for link in links(path):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = unquote(link).partition("#")
        target = (path.parent / place).resolve() if place else path
        assert target.exists(), f"{link}: no such file"
        assert target.is_relative_to(ROOT), f"{link}: outside the project"
        if anchor:
            assert anchor in anchors(target), f"{link}: no such heading; there is {sorted(anchors(target))}"


def test_the_links_of_the_documentation_are_seen() -> None:
    found = {link for path in GUIDES for link in links(path)}
    assert {"docs/gate.md", "LICENSE", "docs/gate.md#how-to-add-a-policy"} <= found


@pytest.mark.parametrize("path", GUIDES, ids=named)
def test_modules_and_what_they_hold_exist(path: Path) -> None:
    for span in code(path):
        for name in MODULE.findall(span.text) if span.language == "span" else ():
            if name.rpartition(".")[2] not in {"py", "md", "yaml"}:
                _resolve(name)


def _resolve(name: str) -> object:
    words = name.split(".")
    for length in range(len(words), 0, -1):
        try:
            found: object = importlib.import_module(".".join(words[:length]))
        except ModuleNotFoundError:
            continue
        for word in words[length:]:
            fields = getattr(found, "__annotations__", {})
            assert hasattr(found, word) or word in fields, f"{name}: no {word}"
            found = getattr(found, word, None)
        return found
    raise AssertionError(f"{name}: no such module")


@pytest.mark.parametrize("path", GUIDES, ids=named)
def test_files_exist(path: Path) -> None:
    for span in code(path):
        for name in FILE.findall(span.text) if span.language == "span" else ():
            assert (ROOT / name).is_file(), f"{name} is named and not there"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+)\s*:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = {
        name
        for path in GUIDES
        for piece in code(path)
        if piece.language in {"span", "sh"}
        for name in TARGET.findall(piece.text)
    }
    assert {"demo", "test"} <= asked
    assert asked <= targets
