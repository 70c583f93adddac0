"""Sets single values in a solution's configuration and leaves every other byte as it was.

Called by the researchers to turn a hypothesis' settings (dotted path → value) into new file contents. JSON and
TOML values are replaced where they stand; in Python, a marked constant is:

    LEARNING_RATE = 0.1  # agent: train.learning_rate

YAML is spliced by a callable that the caller brings (only `registry` knows YAML). Every rewrite is read back and
refused unless exactly the wanted values changed. A path that is not there is an error: nothing is ever added.
"""

from __future__ import annotations

import ast
import io
import json
import math
import re
import tokenize
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from registry.errors import BadInput, Problem
from registry.hypotheses import Scalar

YamlSplice = Callable[[str, Mapping[tuple[str, ...], Scalar]], str]
YamlLoad = Callable[[str], object]
MARK = re.compile(r"#\s*agent:\s*([A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*)\s*$")
_TOML_KEY = r"""(?:[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*')"""
_TOML_TABLE = re.compile(rf"\s*\[\s*({_TOML_KEY}(?:\s*\.\s*{_TOML_KEY})*)\s*\]\s*(?:#.*)?")
_TOML_ITEM = re.compile(rf"\s*({_TOML_KEY}(?:\s*\.\s*{_TOML_KEY})*)\s*=\s*")
_TOML_VALUE = re.compile(r"""("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,#\[\]{}"']+)\s*(?:#.*)?$""")
_JSON_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Span:
    """A scalar and where its text stands."""

    start: int
    end: int
    value: Scalar | None


def set_values(
    name: str, text: str, settings: Mapping[str, Scalar], splice: YamlSplice | None = None, load: YamlLoad | None = None
) -> str:
    """The text of the file `name` with each dotted path set; BadInput names paths that it does not have."""
    for path, value in settings.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise _bad(name, path, f"the value {value}", "a finite number")
    if _suffix(name) in ("yaml", "yml"):
        return _set_yaml(name, text, settings, splice, load)
    spans = _spans(name, text)
    if missing := [path for path in settings if path not in spans]:
        raise _missing(name, missing, list(spans))
    write = {"json": _json_text, "toml": _toml_text, "py": repr}[_suffix(name)]
    changed = text
    for path, value in sorted(settings.items(), key=lambda item: spans[item[0]].start, reverse=True):
        span = spans[path]
        if not _equal(span.value, value):
            changed = changed[: span.start] + write(value) + changed[span.end :]
    _check_rewrite(name, changed, spans, settings)
    return changed


def read_value(name: str, text: str, path: str, load: YamlLoad | None = None) -> Scalar | None:
    """The scalar at a dotted path; BadInput where there is none."""
    if _suffix(name) not in ("yaml", "yml"):
        spans = _spans(name, text)
        if path not in spans:
            raise _missing(name, [path], list(spans))
        return spans[path].value
    if load is None:
        raise _bad(name, path, "a YAML file and no YAML reader", "a reader from registry")
    known = _flatten(load(text))
    if path not in known:
        raise _missing(name, [path], list(known))
    return known[path]


def _set_yaml(
    name: str, text: str, settings: Mapping[str, Scalar], splice: YamlSplice | None, load: YamlLoad | None
) -> str:
    if splice is None:
        raise _bad(name, "", "a YAML file and no YAML splice", "a splice from registry")
    if load is not None:
        known = _flatten(load(text))
        if missing := [path for path in settings if path not in known]:
            raise _missing(name, missing, list(known))
    return splice(text, {tuple(path.split(".")): value for path, value in settings.items()})


def _spans(name: str, text: str) -> dict[str, Span]:
    readers = {"json": _json_spans, "toml": _toml_spans, "py": _python_spans}
    reader = readers.get(_suffix(name))
    if reader is None:
        raise _bad(
            name, "", f"a file of kind {_suffix(name) or 'none'}", "json, toml, yaml, or py with marked constants"
        )
    try:
        return reader(name, text)
    except SyntaxError as error:
        raise BadInput(
            Problem(name, f"a syntax error: {error.msg}", "a file that parses", line=error.lineno)
        ) from error
    except (ValueError, RecursionError, tokenize.TokenError) as error:
        raise _bad(name, "", f"{type(error).__name__}: {error}"[:300], "a file that parses") from error


def _check_rewrite(name: str, changed: str, before: Mapping[str, Span], settings: Mapping[str, Scalar]) -> None:
    after = _spans(name, changed)
    wanted = {path: span.value for path, span in before.items()} | dict(settings)
    if wanted.keys() != after.keys() or not all(_equal(after[path].value, value) for path, value in wanted.items()):
        raise _bad(name, ", ".join(settings), "values that cannot be set in place", "one plain scalar for each path")


def _equal(one: Scalar | None, other: Scalar | None) -> bool:
    """Whether both are the same scalar to the last sign: 0.0 and -0.0 are two, and so are 1 and 1.0."""
    return type(one) is type(other) and repr(one) == repr(other)


# JSON: a scan that keeps where each scalar stands, after the standard parser has accepted the whole.


def _json_spans(_: str, text: str) -> dict[str, Span]:
    json.loads(text, object_pairs_hook=_unique)
    found: dict[str, Span] = {}
    _scan_json(text, _skip(text, 0), (), found)
    return found


def _unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return dict(pairs)


def _scan_json(text: str, at: int, path: tuple[str, ...], found: dict[str, Span]) -> int:
    """Walk one value that is known to be valid; returns the position after it."""
    opening = text[at]
    if opening not in "{[":
        value, end = json.JSONDecoder().raw_decode(text, at)
        if ".".join(path) in found:
            raise ValueError(f"the path {'.'.join(path)} means two values")
        found[".".join(path)] = Span(at, end, value)
        return end
    at, index = _skip(text, at + 1), 0
    while text[at] not in "}]":
        key = str(index)
        if opening == "{":
            key, at = json.JSONDecoder().raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        at = _skip(text, _scan_json(text, at, (*path, key), found))
        if text[at] == ",":
            at = _skip(text, at + 1)
        index += 1
    return at + 1


def _skip(text: str, at: int) -> int:
    match = _JSON_SPACE.match(text, at)
    return match.end() if match else at


def _json_text(value: Scalar) -> str:
    return json.dumps(value, ensure_ascii=False)


# TOML: plain `key = value` lines under plain tables; whatever the line reader and the parser disagree on is left out.


def _toml_spans(_: str, text: str) -> dict[str, Span]:
    values = _flatten(tomllib.loads(text))
    found: dict[str, Span] = {}
    twice: set[str] = set()
    table: tuple[str, ...] = ()
    start = 0
    for line in _lines(text):
        body = line.rstrip("\r\n")
        if heading := _TOML_TABLE.fullmatch(body):
            table = _toml_keys(heading[1])
        elif (item := _TOML_ITEM.match(body)) and (value := _TOML_VALUE.match(body, item.end())):
            path = ".".join((*table, *_toml_keys(item[1])))
            if path in found:
                twice.add(path)
            if path in values and _reads_as(value[1], values[path]):
                found[path] = Span(start + value.start(1), start + value.end(1), values[path])
        start += len(line)
    return {path: span for path, span in found.items() if path not in twice}


def _reads_as(source: str, value: Scalar | None) -> bool:
    try:
        return _equal(tomllib.loads(f"x = {source}").get("x"), value)
    except tomllib.TOMLDecodeError:
        return False


def _toml_keys(text: str) -> tuple[str, ...]:
    return tuple(key.strip("\"'") for key in re.findall(_TOML_KEY, text))


def _toml_text(value: Scalar) -> str:
    # A JSON string or number is a TOML one too, but for a lone exponent such as 1e-05, which TOML also takes.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _flatten(value: object, path: tuple[str, ...] = ()) -> dict[str, Scalar | None]:
    """Every scalar of nested mappings and lists under its dotted path."""
    if isinstance(value, Mapping):
        items: list[tuple[str, Any]] = [(str(key), child) for key, child in value.items()]
    elif isinstance(value, Sequence) and not isinstance(value, str):
        items = [(str(index), child) for index, child in enumerate(value)]
    elif value is None or isinstance(value, (bool, int, float, str)):
        return {".".join(path): value}
    else:
        return {}
    return {name: scalar for key, child in items for name, scalar in _flatten(child, (*path, key)).items()}


# Python: assignments of a literal on a line whose comment says which path it is.


def _python_spans(name: str, text: str) -> dict[str, Span]:
    marks: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and (match := MARK.search(token.string)):
            marks[token.start[0]] = match[1]
    lines = _lines(text)
    starts = list(accumulate((len(line) for line in lines), initial=0))
    found: dict[str, Span] = {}
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None or node.lineno not in marks:
            continue
        value = _literal(node.value)
        if value is None or node.value.end_lineno != node.value.lineno or node.value.end_col_offset is None:
            continue
        path, line = marks[node.lineno], starts[node.value.lineno - 1]
        if path in found:
            raise _bad(name, path, "two constants with this mark", "one")
        # ast counts columns in bytes of UTF-8.
        source = lines[node.value.lineno - 1].encode()
        start, end = (len(source[:at].decode()) for at in (node.value.col_offset, node.value.end_col_offset))
        found[path] = Span(line + start, line + end, value)
    return found


def _literal(node: ast.expr) -> Scalar | None:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return value if isinstance(value, (bool, int, float, str)) else None


def _lines(text: str) -> list[str]:
    """Lines as Python and TOML count them: ended by a line feed and by nothing else that Unicode knows."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _suffix(name: str) -> str:
    stem, dot, suffix = name.rsplit("/", 1)[-1].rpartition(".")
    return suffix.lower() if stem and dot else ""


def _missing(name: str, missing: Sequence[str], known: Sequence[str]) -> BadInput:
    shown = ", ".join(sorted(known)[:20]) or "none that can be set"
    return BadInput(
        *(
            Problem(name, f"no value {path}", f"one of {shown}", place=path, fix="correct the path in search_space")
            for path in missing
        )
    )


def _bad(name: str, place: str, found: str, expected: str) -> BadInput:
    return BadInput(Problem(name, found, expected, place=place))
