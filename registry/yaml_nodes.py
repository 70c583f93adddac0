"""The records of a parsed YAML document: data, the place of every value in the text, and complaints about them.

Made by `registry.yaml_parsing`; read by the documents' loaders and by `registry.yaml_text`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.errors import Problem
from registry.yaml_scalars import Value, is_control

_SHOWN = 80

NodePath = tuple[str | int, ...]
Data = dict[str, "Data"] | list["Data"] | Value


@dataclass(slots=True)
class Node:
    """One value of the document and the characters it occupies, `text[start:end]`."""

    kind: str
    """`scalar`, `mapping` or `sequence`."""
    start: int
    end: int
    """For a block collection the end of its last value: what follows is not its own."""
    line: int
    column: int
    flow: bool = False
    style: str = ""
    """Of a scalar: empty when plain, else its first character."""
    fixed: str = ""
    """Why the value may not be rewritten in place (tag, anchor, alias); empty when it may."""
    value: Value = None
    keys: list[tuple[str, Node]] | None = None
    """Of a mapping: each key's text and node, beside `children`."""
    children: list[Node] | None = None


@dataclass(frozen=True, slots=True)
class Located:
    """A document's data with the node of every path; paths mix keys and 0-based indices."""

    where: str
    text: str
    data: dict[str, Any]
    nodes: Mapping[NodePath, Node]
    key_lines: Mapping[NodePath, int]
    faults: tuple[Problem, ...] = ()
    """What the YAML itself has that no document may have, for `registry.validation` to tell with the rest."""

    def line(self, path: NodePath) -> int | None:
        """Line of the value's key, of the value, or of the nearest thing around it that exists."""
        for length in range(len(path), -1, -1):
            if (known := self.key_lines.get(path[:length])) is not None:
                return known
            if (node := self.nodes.get(path[:length])) is not None:
                return node.line
        return None

    def problem(self, path: NodePath, found: str, expected: str, fix: str = "") -> Problem:
        """A complaint about the value at a path."""
        return Problem(self.where, found, expected, place(path), self.line(path), fix)


def place(path: NodePath) -> str:
    """`competitors[0].name` for a path."""
    words = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return shown_text(words.removeprefix("."))


def shown_text(text: str) -> str:
    """A stranger's text, short and without control characters."""
    text = "".join("?" if is_control(character) else character for character in text[: _SHOWN + 1])
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def shown(value: object) -> str:
    """A value as a complaint names it."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{shown_text(value)}"' if isinstance(value, str) else shown_text(str(value))
