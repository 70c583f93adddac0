"""The project's Markdown files as their parts: links, headings, code. For the tests of the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent
GUIDES = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
"""What people read about the program; texts of the bundled solution and the prompts are left out."""
_NOT_OURS = re.compile(r"\.|demo-|build$|dist$|node_modules$|venv")


@dataclass(frozen=True, slots=True)
class Code:
    """A span or a block of code."""

    path: Path
    text: str
    language: str
    """Of a block; `span` for a span."""


def every_file() -> list[Path]:
    """Every Markdown file of the project, without what was installed or made by a demonstration."""
    return sorted(
        path
        for path in ROOT.rglob("*.md")
        if not any(_NOT_OURS.match(part) for part in path.relative_to(ROOT).parts[:-1])
    )


def code(path: Path) -> Iterator[Code]:
    for token in _tokens(path):
        if token.type == "fence":
            yield Code(path, token.content, token.info.strip())
        elif token.type == "code_inline":
            yield Code(path, token.content, "span")


def links(path: Path) -> Iterator[str]:
    """Targets of links and images."""
    for token in _tokens(path):
        target = token.attrGet("href") if token.type == "link_open" else token.attrGet("src")
        if isinstance(target, str):
            yield target


def anchors(path: Path) -> set[str]:
    """Names that headings can be reached by, as GitHub makes them."""
    found: set[str] = set()
    tokens = MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open":
            continue
        words = "".join(child.content for child in inline.children or [] if child.type in {"text", "code_inline"})
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        name, number = slug, 0
        while name in found:
            number += 1
            name = f"{slug}-{number}"
        found.add(name)
    return found


def section(path: Path, title: str) -> str:
    """The text under a heading, up to the next heading of any level."""
    text = path.read_text(encoding="utf-8")
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", text, re.DOTALL | re.MULTILINE)
    if found is None:
        raise AssertionError(f"{path.name} has no heading “{title}”")
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Cells of a table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def _tokens(path: Path) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8")):
        yield token
        yield from token.children or ()
