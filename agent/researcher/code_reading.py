"""What code says without being run: the settings in its configuration and its Python, and the parts that it names.

Used by `agent.researcher.rival_code` on competitors' code, and on ours to compare. Files are parsed as YAML, JSON,
TOML or Python's syntax tree; what does not parse says nothing. Pure: nothing is imported, no file is opened.
"""

from __future__ import annotations

import ast
import re
import tomllib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from registry.errors import BadInput
from registry.hypotheses import Scalar
from registry.yaml_parsing import parse

MAX_SETTINGS = 5000
_OPTION_MAKERS = frozenset({"add_argument", "option", "Option"})
_FLAGS = re.compile(r"DEFINE_(?:float|integer|bool|boolean|string|enum)")
_TOML_LINE = re.compile(r"^\s*([\w.\"'-]+)\s*=\s*\S")
_TOML_TABLE = re.compile(r"^\s*\[+\s*([^\[\]]+?)\s*\]+\s*(?:#.*)?$")


@dataclass(frozen=True, slots=True)
class Setting:
    """A value that a file gives to a name."""

    name: str
    """Dotted, as the file nests it: `train.lr`, `AdamW.weight_decay`."""
    value: Scalar
    line: int


@dataclass(frozen=True, slots=True)
class Part:
    """Something a program calls or derives from: a layer, a loss, an optimiser."""

    name: str
    line: int


def settings(path: str, text: str) -> list[Setting]:
    """Every setting of one file, in its order; none where it cannot be parsed."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix == ".py":
        tree = _tree(text)
        found: Iterator[Setting] = _python(tree) if tree is not None else iter(())
    elif suffix == ".toml":
        found = _toml(text)
    else:
        found = _yaml(path, text)
    return [setting for setting, _ in zip(found, range(MAX_SETTINGS), strict=False)]


def parts(path: str, text: str) -> list[Part]:
    """Everything that a Python file calls or derives its classes from, by its last name."""
    tree = _tree(text) if PurePosixPath(path).suffix.lower() == ".py" else None
    found = []
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Call) and (name := _last_name(node.func)):
            found.append(Part(name, node.lineno))
        elif isinstance(node, ast.ClassDef):
            found.append(Part(node.name, node.lineno))
    return found


def quotable(text: str, line: int, words: int) -> str:
    """The line, with as many neighbours as make it long enough to be found again."""
    lines = text.split("\n")
    first = last = line - 1
    while len(" ".join(lines[first : last + 1]).split()) < words and (first > 0 or last + 1 < len(lines)):
        if last + 1 < len(lines):
            last += 1
        else:
            first -= 1
    return "\n".join(lines[first : last + 1]).strip()


def _tree(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _python(tree: ast.Module) -> Iterator[Setting]:
    """Constants given to names, fields, arguments, keywords and keys, and defaults of command-line options."""
    for node in ast.walk(tree):
        pairs: list[tuple[str, ast.expr | None]]
        if isinstance(node, ast.Assign):
            pairs = [(_last_name(target), node.value) for target in node.targets]
        elif isinstance(node, ast.AnnAssign):
            pairs = [(_last_name(node.target), node.value)]
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            pairs = list(_defaults(node.args))
        elif isinstance(node, ast.Call):
            pairs = list(_given(node))
        elif isinstance(node, ast.Dict):
            keys = [(_constant(key), value) for key, value in zip(node.keys, node.values, strict=True)]
            pairs = [(key, value) for key, value in keys if isinstance(key, str)]
        else:
            continue
        for name, value in pairs:
            constant = _constant(value)
            if name and constant is not None and value is not None:
                yield Setting(name, constant, value.lineno)


def _defaults(arguments: ast.arguments) -> Iterator[tuple[str, ast.expr | None]]:
    plain = [*arguments.posonlyargs, *arguments.args]
    ended = plain[len(plain) - len(arguments.defaults) :]
    yield from ((each.arg, value) for each, value in zip(ended, arguments.defaults, strict=True))
    yield from ((each.arg, value) for each, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))


def _given(call: ast.Call) -> Iterator[tuple[str, ast.expr | None]]:
    called = _last_name(call.func)
    keywords = {each.arg: each.value for each in call.keywords if each.arg}
    first = _constant(call.args[0]) if call.args else None
    if called in _OPTION_MAKERS and isinstance(first, str):
        names = [name for name in map(_constant, call.args) if isinstance(name, str) and name.startswith("--")]
        option = (names or [first])[0].lstrip("-").partition("/")[0].replace("-", "_")
        yield option, keywords.get("default")
    elif _FLAGS.fullmatch(called) and isinstance(first, str):
        yield first, keywords.get("default", call.args[1] if len(call.args) > 1 else None)
    else:
        yield from ((f"{called}.{name}", value) for name, value in keywords.items())


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _constant(node: ast.expr | None) -> Scalar | None:
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1, node.operand
    if not isinstance(node, ast.Constant) or not isinstance(node.value, (bool, int, float, str)):
        return None
    if sign < 0:
        return None if isinstance(node.value, (bool, str)) else -node.value
    return node.value


def _yaml(path: str, text: str) -> Iterator[Setting]:
    try:
        located = parse(text, path, keep_faults=True)
    except BadInput:
        return
    for steps, node in located.nodes.items():
        if node.kind == "scalar" and node.value is not None and steps:
            name = ".".join(str(step) for step in steps if isinstance(step, str))
            yield Setting(name, node.value, node.line)


def _toml(text: str) -> Iterator[Setting]:
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError):
        return
    lines = _toml_lines(text)
    for name, value in _leaves(data, ()):
        if name in lines:
            yield Setting(name, value, lines[name])


def _toml_lines(text: str) -> dict[str, int]:
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if match := _TOML_TABLE.match(line):
            table = match[1].replace('"', "").replace("'", "").replace(" ", "") + "."
        elif match := _TOML_LINE.match(line):
            lines.setdefault(table + match[1].strip("\"'"), number)
    return lines


def _leaves(data: object, steps: Sequence[str]) -> Iterator[tuple[str, Scalar]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _leaves(value, [*steps, str(key)])
    elif isinstance(data, (bool, int, float, str)):
        yield ".".join(steps), data
