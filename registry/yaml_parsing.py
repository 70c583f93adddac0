"""Reads a YAML document of ours into plain data that remembers where every value stands.

Called by `registry.documents` and `registry.yaml_text`. The text is a stranger's: size, depth, number of values
and aliases are bounded, keys are text, tags build no objects, and whatever is wrong becomes `BadInput` with its
line. Dates stay text. Nothing here writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from registry.errors import BadInput, Problem
from registry.yaml_nodes import Data, Located, Node, NodePath, shown_text
from registry.yaml_scalars import Value, is_control, resolve

MAX_BYTES = 1 << 20
MAX_DEPTH = 50
MAX_NODES = 50_000
MAX_PROBLEMS = 100
_EXPECTED = re.compile(r"(?:did not find )?expected (.+?),? but (?:found|got) (.+)")
_TAG = "tag:yaml.org,2002:"
_KNOWN_TAGS = frozenset({_TAG + name for name in ("str", "int", "float", "bool", "null", "seq", "map")})
# What ruamel.yaml's scanner lets escape, besides its own errors, on text that is not YAML.
_PARSER_ACCIDENTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
)


def read(path: Path, *, keep_faults: bool = False) -> Located:
    """Parse a file. Raises BadInput where it cannot be opened, is too large or is not one YAML mapping."""
    where = str(path)
    try:
        if not path.is_file():
            found = "no such file" if not path.exists() else "something that is no regular file"
            raise BadInput(Problem(where, found, "a YAML file"))
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(Problem(where, f"a file that cannot be read ({error.strerror})", "a readable file")) from error
    return parse(content, where, keep_faults=keep_faults)


def parse(content: str | bytes, where: str, *, keep_faults: bool = False) -> Located:
    """Parse one document whose root is a mapping. Raises BadInput with every problem found, and nothing else.

    With `keep_faults`, what is wrong with single values is kept for whoever validates the document, not raised.
    """
    text = _decoded(content, where)
    offset = 1 if text.startswith("\ufeff") else 0
    _refuse_control_characters(text, offset, where)
    reader = _Composer(where, text, offset)
    try:
        root = reader.document(YAML(typ="safe", pure=True).parse(text[offset:]))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BadInput(_syntax_problem(where, error, None if mark is None else mark.line + 1)) from error
    except (YAMLError, *_PARSER_ACCIDENTS) as error:
        raise BadInput(Problem(where, "text that is not YAML", "a YAML document", line=reader.last_line)) from error
    if reader.problems and (not keep_faults or root is None or root.kind != "mapping"):
        raise BadInput(*reader.problems[:MAX_PROBLEMS])
    if root is None:
        raise BadInput(Problem(where, "an empty document", "a mapping of keys to values", line=1))
    if root.kind != "mapping":
        raise BadInput(
            Problem(where, f"a {root.kind} at the top", "a mapping of keys to values (key: value)", line=root.line)
        )
    nodes: dict[NodePath, Node] = {}
    key_lines: dict[NodePath, int] = {}
    data = _index(root, (), nodes, key_lines)
    if not isinstance(data, dict):
        raise TypeError("a mapping node gives a dict")
    return Located(where, text, data, nodes, key_lines, tuple(reader.problems[:MAX_PROBLEMS]))


def _decoded(content: str | bytes, where: str) -> str:
    size = len(content) if isinstance(content, bytes) else len(content.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise BadInput(Problem(where, f"more than {MAX_BYTES} bytes", f"a document of at most {MAX_BYTES} bytes"))
    if isinstance(content, str):
        return content
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{content[error.start]:02x}, which is not UTF-8"
        raise BadInput(Problem(where, found, "text in UTF-8", line=line, fix="save it as UTF-8")) from error


def _refuse_control_characters(text: str, offset: int, where: str) -> None:
    for index, character in enumerate(text[offset:], offset):
        if character.isprintable() or character in "\n\t":
            continue
        if character == "\r" and text[index + 1 : index + 2] == "\n":
            continue
        if is_control(character):
            found = f"the control character U+{ord(character):04X}"
            raise BadInput(Problem(where, found, "printable text", line=text.count("\n", 0, index) + 1))


def _syntax_problem(where: str, error: MarkedYAMLError, line: int | None) -> Problem:
    said = shown_text(str(error.problem or error.context or "text that is not YAML"))
    if r"'\t'" in said:
        return Problem(where, "a tab where YAML allows none", "spaces", line=line, fix="indent with spaces")
    context = f", {shown_text(str(error.context))}" if error.context else ""
    if match := _EXPECTED.fullmatch(said):
        return Problem(where, match[2].replace("'<stream end>'", "the end of the file"), match[1] + context, line=line)
    return Problem(where, said.removeprefix("found "), f"a YAML document{context}", line=line)


class _Composer:
    """Builds the node tree from the parser's events, iteratively and within bounds."""

    def __init__(self, where: str, text: str, offset: int) -> None:
        self.problems: list[Problem] = []
        self.last_line = 1
        self._where = where
        self._text = text
        self._offset = offset
        self._count = 0
        self._anchors: dict[str, tuple[Node, int]] = {}

    def document(self, events: Iterator[Event]) -> Node | None:
        root: Node | None = None
        for event in events:
            self.last_line = event.start_mark.line + 1
            if isinstance(event, DocumentStartEvent):
                if root is not None:
                    self._stop(event, "a second document", "one document in a file", "remove the line ---")
            elif not isinstance(event, (StreamStartEvent, StreamEndEvent, DocumentEndEvent)):
                root = self._node(event, events, 0)
        return root

    def _node(self, event: Event, events: Iterator[Event], depth: int) -> Node:
        """Recursion is bounded by MAX_DEPTH."""
        if depth > MAX_DEPTH:
            self._stop(event, "values nested too deeply", f"at most {MAX_DEPTH} levels")
        before = self._count
        self._add(event, 1)
        if isinstance(event, AliasEvent):
            return self._alias(event)
        if isinstance(event, ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, CollectionStartEvent):
            node = self._collection(event, events, depth)
        else:
            raise TypeError(f"{event!r} where a value is expected")
        if event.anchor:
            self._anchors[event.anchor] = (node, self._count - before)
        return node

    def _alias(self, event: AliasEvent) -> Node:
        known = self._anchors.get(event.anchor)
        if known is None:
            self._stop(event, f"the alias *{shown_text(event.anchor)}", "an alias whose anchor stands before it")
        node, size = known
        self._add(event, size)
        mark = event.start_mark
        start, end = self._span(event)
        return Node(
            node.kind, start, end, mark.line + 1, mark.column, True, "*", "an alias", node.value, node.keys,
            node.children,
        )  # fmt: skip

    def _scalar(self, event: ScalarEvent) -> Node:
        node = self._made("scalar", event)
        node.style = "" if event.style is None else str(event.style)
        tag = self._tag(event)
        try:
            node.value = resolve(event.value) if (not node.style and not tag) else _tagged(event.value, tag)
        except ValueError as error:
            self._complain(event, f"{error}", "text, or a finite number of ordinary length")
        if isinstance(node.value, str) and any(is_control(c) and c not in "\n\t" for c in node.value):
            self._complain(event, "an escaped control character", "printable text")
        return node

    def _collection(self, event: CollectionStartEvent, events: Iterator[Event], depth: int) -> Node:
        node = self._made("mapping" if isinstance(event, MappingStartEvent) else "sequence", event)
        node.flow = bool(event.flow_style)
        node.children = children = []
        seen: dict[str, int] = {}
        if node.kind == "mapping":
            node.keys = []
        self._tag(event)
        for inner in events:
            if isinstance(inner, CollectionEndEvent):
                if node.flow:
                    node.end = inner.end_mark.index + self._offset
                return node
            if node.keys is not None:
                key = self._node(inner, events, depth + 1)
                node.keys.append((self._key_text(key, inner, seen), key))
            # A key has been taken from the events, and its value always follows it.
            child = self._node(inner if node.keys is None else next(events), events, depth + 1)
            if node.keys:
                self._settle(child, node.keys[-1][1])
            children.append(child)
            node.end = max(node.end, child.end)
        return node

    def _settle(self, value: Node, key: Node) -> None:
        """An empty value stands right after its key's colon; the parser reports it at the next token."""
        if value.kind != "scalar" or value.start != value.end:
            return
        at = key.end
        while self._text[at : at + 1].isspace():
            at += 1
        if self._text[at : at + 1] == ":":
            value.line = key.line + self._text.count("\n", key.start, at)
            value.start = value.end = at + 1
        else:
            value.fixed = "a key without a value"
            value.start = value.end = key.end

    def _key_text(self, key: Node, event: Event, seen: dict[str, int]) -> str:
        if key.kind != "scalar" or not isinstance(event, ScalarEvent):
            self._complain(event, f"a {key.kind if key.kind != 'scalar' else 'key by alias'} as a key", "text as a key")
            return ""
        text = str(event.value)
        if text == "<<" and not key.style:
            self._complain(event, "a merge key (<<)", "the keys themselves", "write the keys out")
        elif not text:
            self._complain(event, "an empty key", "text as a key")
        elif text in seen:
            found = f'the key "{shown_text(text)}" a second time (first on line {seen[text]})'
            self._complain(event, found, "each key once", "remove one of the two")
        seen.setdefault(text, key.line)
        return text

    def _made(self, kind: str, event: ScalarEvent | CollectionStartEvent) -> Node:
        start, end = self._span(event)
        fixed = "an anchor" if event.anchor else "a tag" if event.tag is not None else ""
        return Node(kind, start, end, event.start_mark.line + 1, event.start_mark.column, fixed=fixed)

    def _span(self, event: Event) -> tuple[int, int]:
        return event.start_mark.index + self._offset, event.end_mark.index + self._offset

    def _tag(self, event: ScalarEvent | CollectionStartEvent) -> str:
        tag = "" if event.tag is None else str(event.tag)
        if tag not in ("", "!") and tag not in _KNOWN_TAGS:
            self._complain(event, f"the tag {shown_text(tag)}", "plain data without tags", "remove the tag")
            return "!"
        return tag

    def _add(self, event: Event, amount: int) -> None:
        self._count += amount
        if self._count > MAX_NODES:
            self._stop(event, f"more than {MAX_NODES} values (aliases expanded)", "a document of ordinary size")

    def _complain(self, event: Event, found: str, expected: str, fix: str = "") -> None:
        self.problems.append(Problem(self._where, found, expected, line=event.start_mark.line + 1, fix=fix))

    def _stop(self, event: Event, found: str, expected: str, fix: str = "") -> NoReturn:
        self._complain(event, found, expected, fix)
        raise BadInput(*self.problems[:MAX_PROBLEMS])


def _tagged(text: str, tag: str) -> Value:
    """A scalar that is quoted or tagged: text unless its tag asks for what the plain word would mean."""
    if tag in ("", "!", _TAG + "str"):
        return text
    value = resolve(text)
    kind = "null" if value is None else type(value).__name__
    if tag == _TAG + "float" and kind == "int":
        return float(text)
    if tag != _TAG + kind:
        raise ValueError(f'"{shown_text(text)}" under the tag {shown_text(tag)}')
    return value


def _index(
    node: Node, path: NodePath, nodes: dict[NodePath, Node], key_lines: dict[NodePath, int], aliased: bool = False
) -> Data:
    """Plain data of a node, noting every path on the way; what an alias repeats may not be rewritten."""
    nodes[path] = node
    if aliased := aliased or node.style == "*":
        node.fixed = "an alias"
    if node.kind == "scalar":
        return node.value
    children = node.children or []
    if node.keys is None:
        return [_index(child, (*path, i), nodes, key_lines, aliased) for i, child in enumerate(children)]
    result: dict[str, Data] = {}
    for (text, key), child in zip(node.keys, children, strict=True):
        key_lines[(*path, text)] = key.line
        result[text] = _index(child, (*path, text), nodes, key_lines, aliased)
    return result
