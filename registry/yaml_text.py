"""Changes a hand-edited YAML document in place: new scalars at the parser's marks, new lines beside their likes.

Called for rewrites of `competitive_registry.yaml`; the document is never dumped, so comments, order, quoting,
spacing and number formats stay byte for byte outside what changes. Every result is parsed again and must say
exactly what was asked for, else `BadInput` and nothing is changed. All functions are pure but the re-exported
`read`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from registry.errors import BadInput
from registry.yaml_nodes import Located, Node, NodePath, shown
from registry.yaml_parsing import parse
from registry.yaml_scalars import Value, same, token

Item = Value | Mapping[str, Value]
Addition = Item | list[Mapping[str, Value]]
_STEP = 2
_MAX_TOKEN = 2000
_BY_HAND = "edit the file by hand"


def splice(text: str, changes: Mapping[NodePath, Value], where: str = "document") -> str:
    """The text with new scalars in the places of old ones; nothing outside the old scalars' characters changes."""
    located = parse(text, where)
    wanted = copy.deepcopy(located.data)
    edits: list[tuple[int, int, str]] = []
    for path, value in changes.items():
        node = _editable(located, path, "scalar")
        edits.append((node.start, node.end, _replacement(located, path, node, value)))
        _put(wanted, path, value)
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return _checked(text, wanted, located, next(iter(changes), ()))


def insert_key(text: str, path: NodePath, key: str, value: Addition, where: str = "document") -> str:
    """The text with `key: value` after the last pair of the mapping at a path, in that mapping's own style."""
    located = parse(text, where)
    node = _container(located, path, "mapping")
    wanted = copy.deepcopy(located.data)
    mapping = _get(wanted, path) if path else wanted
    if mapping is None:
        _put(wanted, path, mapping := {})
    if key in mapping:
        raise BadInput(located.problem((*path, key), "a key that is there already", "a new key"))
    mapping[key] = _plain(value)
    name = _token(located, path, key)
    if node.flow:
        return _checked(_into_flow(located, node, f"{name}: {_flow(located, path, value)}"), wanted, located, path)
    column = node.column if node.kind == "mapping" else _child_column(located, path)
    lines = _pair(located, path, name, value, column)
    return _checked(_after(located, node, lines), wanted, located, path)


def append_item(text: str, path: NodePath, item: Item, where: str = "document") -> str:
    """The text with one more item at the end of the sequence at a path, in its neighbours' style."""
    located = parse(text, where)
    node = _container(located, path, "sequence")
    wanted = copy.deepcopy(located.data)
    items = _get(wanted, path)
    if items is None:
        _put(wanted, path, items := [])
    items.append(_plain(item))
    if node.flow:
        return _checked(_into_flow(located, node, _flow(located, path, item)), wanted, located, path)
    last = node.children[-1] if node.children else None
    column = node.column if node.kind == "sequence" else _child_column(located, path)
    gap = _gap_after_dash(located.text, node.column, last)
    in_braces = last is not None and last.flow and last.kind == "mapping"
    lines = _item(located, path, item, column, gap, in_braces)
    return _checked(_after(located, node, lines), wanted, located, path)


def _editable(located: Located, path: NodePath, kind: str) -> Node:
    node = located.nodes.get(path)
    if node is None:
        raise BadInput(located.problem(path, "nothing", f"a {kind} to change", _BY_HAND))
    if node.fixed:
        raise BadInput(located.problem(path, node.fixed, f"a plain {kind}", _BY_HAND))
    if node.kind != kind:
        raise BadInput(located.problem(path, f"a {node.kind}", f"a {kind}", _BY_HAND))
    return node


def _container(located: Located, path: NodePath, kind: str) -> Node:
    """The collection to add to, or the empty value (`key:`) that is to become one."""
    node = located.nodes.get(path)
    if node is not None and node.kind == "scalar" and node.start == node.end and not node.fixed and path:
        return node
    return _editable(located, path, kind)


def _replacement(located: Located, path: NodePath, node: Node, value: Value) -> str:
    if node.style in ("|", ">"):
        raise BadInput(located.problem(path, "text over several lines", "a value on one line", _BY_HAND))
    old = located.text[node.start : node.end]
    new = _token(located, path, value, old)
    if old:
        return new
    before = located.text[node.start - 1 : node.start]
    return f" {new}" if before in (":", "-") else new


def _token(located: Located, path: NodePath, value: object, like: str = "") -> str:
    try:
        new = token(value, like) if isinstance(value, Value) else ""
    except ValueError as error:
        raise BadInput(located.problem(path, shown(value), str(error).removesuffix(" is expected"))) from error
    if not new or len(new) > _MAX_TOKEN:
        raise BadInput(located.problem(path, shown(value), f"a single value of at most {_MAX_TOKEN} characters"))
    return new


def _plain(value: Addition) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def _flow(located: Located, path: NodePath, value: Addition) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_flow(located, path, item) for item in value) + "]"
    if not isinstance(value, Mapping):
        return _token(located, path, value)
    return "{" + ", ".join(_pairs(located, path, value)) + "}"


def _pairs(located: Located, path: NodePath, value: Mapping[str, Value]) -> list[str]:
    return [f"{_token(located, path, key)}: {_token(located, path, inner)}" for key, inner in value.items()]


def _item(located: Located, path: NodePath, item: Item, column: int, gap: int, in_braces: bool) -> list[str]:
    """Lines of one item of a block sequence."""
    lead = " " * column + "-" + " " * gap
    if not isinstance(item, Mapping) or not item or in_braces:
        return [lead + _flow(located, path, item)]
    first, *rest = _pairs(located, path, item)
    return [lead + first, *(" " * len(lead) + pair for pair in rest)]


def _pair(located: Located, path: NodePath, name: str, value: Addition, column: int) -> list[str]:
    """Lines of one key of a block mapping and its value."""
    lead = " " * column + name
    if isinstance(value, list) and value:
        return [f"{lead}:", *(line for item in value for line in _item(located, path, item, column + _STEP, 1, False))]
    if isinstance(value, Mapping) and value:
        return [f"{lead}:", *(" " * (column + _STEP) + pair for pair in _pairs(located, path, value))]
    return [f"{lead}: {_flow(located, path, value)}"]


def _into_flow(located: Located, node: Node, new: str) -> str:
    """Right after the last value, so that a comment or a trailing comma keeps its place."""
    if node.children:
        end = node.children[-1].end
        return located.text[:end] + ", " + new + located.text[end:]
    return located.text[: node.start + 1] + new + located.text[node.start + 1 :]


def _after(located: Located, node: Node, lines: list[str]) -> str:
    """New lines below the line on which a block ends, with the file's own line ends and its own last line."""
    text = located.text
    newline = "\r\n" if "\r\n" in text else "\n"
    if node.end and text[node.end - 1] == "\n" and node.start != node.end:
        return text[: node.end] + "".join(line + newline for line in lines) + text[node.end :]
    stop = text.find("\n", node.end)
    if stop < 0:
        return text + "".join(newline + line for line in lines)
    return text[: stop + 1] + "".join(line + newline for line in lines) + text[stop + 1 :]


def _child_column(located: Located, path: NodePath) -> int:
    """Where the lines below an empty value start: one step in from its key, in the step of its neighbours."""
    parent = located.nodes[path[:-1]]
    if parent.flow:
        raise BadInput(located.problem(path, "an empty value within braces", "{} or []", _BY_HAND))
    for sibling in parent.children or []:
        if sibling.kind == "mapping" and not sibling.flow and sibling.column > parent.column:
            return sibling.column
    return parent.column + _STEP


def _gap_after_dash(text: str, column: int, last: Node | None) -> int:
    """Spaces between a dash and its item, as the last item on the dash's own line has them."""
    if last is None or last.column <= column + 1:
        return 1
    line = text[text.rfind("\n", 0, last.start) + 1 : last.start]
    return last.column - column - 1 if line[column:].strip(" ") == "-" else 1


def _get(data: Any, path: NodePath) -> Any:
    for step in path:
        data = data[step]
    return data


def _put(data: Any, path: NodePath, value: Any) -> None:
    _get(data, path[:-1])[path[-1]] = value


def _checked(text: str, wanted: Any, located: Located, path: NodePath) -> str:
    """The new text, if it says what was wanted and nothing else."""
    try:
        found = parse(text, located.where).data
    except BadInput:
        found = {}
    if not same(found, wanted):
        raise BadInput(located.problem(path, "a form that cannot be rewritten in place", "a simpler one", _BY_HAND))
    return text
