"""ARCHITECTURE.md's table of events has every kind that the code records, with its keys, and no other."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator

from markdown_files import ROOT, rows, section

NOT_STATED = "?"
"""A key that is handed in, so that it is not written where the event is recorded."""


def recorded() -> dict[str, set[str]]:
    """Kind → keys with `…` for each value, empty for none, as the calls of `record` and `append` write them."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "agent").rglob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        constants = _texts(module.body)
        for function in [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)]:
            known = constants | _texts(ast.walk(function))
            for call in _appends(function):
                kind = _text(call.args[0], known)
                if kind != NOT_STATED:
                    key = next((word.value for word in call.keywords if word.arg == "key"), None)
                    found[kind].add("" if key is None else _text(key, known))
    return found


def _appends(function: ast.FunctionDef) -> Iterator[ast.Call]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and len(node.args) >= 3:
            if node.func.attr not in {"record", "append"}:
                continue
            yield node


def _texts(nodes: Iterator[ast.AST] | list[ast.stmt]) -> dict[str, ast.expr]:
    return {
        target.id: node.value
        for node in nodes
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _text(value: ast.expr, known: dict[str, ast.expr]) -> str:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, ast.JoinedStr):
        return re.sub("…+", "…", "".join(_part(part, known) for part in value.values))
    if isinstance(value, ast.IfExp):
        return f"{_text(value.body, known)} or {_text(value.orelse, known)}"
    if isinstance(value, ast.Name) and value.id in known:
        return _text(known[value.id], {name: text for name, text in known.items() if name != value.id})
    return NOT_STATED


def _part(part: ast.expr, known: dict[str, ast.expr]) -> str:
    """A literal as it is, the beginning of another key whole, any other value as `…`."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    inner = _text(part.value, known) if isinstance(part, ast.FormattedValue) else NOT_STATED
    return inner if re.match(r"\w+:", inner) else "…"


def table() -> dict[str, set[str]]:
    """The same, as ARCHITECTURE.md has it."""
    found = {}
    for kind, _, key, _ in rows(section(ROOT / "ARCHITECTURE.md", "Kinds of events")):
        keys = {re.sub(r"\b[A-Z]+\b", "…", text) for text in re.findall(r"`([^`]+)`", key)}
        found[kind.strip("`")] = keys | ({""} if "–" in key else set())
    return found


def test_every_kind_of_event_is_in_the_table_and_no_other() -> None:
    assert set(table()) == set(recorded())
    assert len(table()) > 30


def test_every_kind_says_what_it_is_about() -> None:
    for cells in rows(section(ROOT / "ARCHITECTURE.md", "Kinds of events")):
        assert len(cells) == 4
        assert all(cells)


def test_the_keys_in_the_table_are_those_of_the_code() -> None:
    told = table()
    for kind, keys in recorded().items():
        stated = {each for key in keys for each in key.split(" or ")}
        assert told[kind] >= stated - {NOT_STATED}, kind
        assert told[kind] == stated or NOT_STATED in stated, kind
