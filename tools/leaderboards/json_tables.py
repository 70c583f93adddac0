"""JSON values as tables: lists of objects, objects keyed by name, and header-and-rows forms.

Shared by `api`, `embedded_json` and `by_hand`. Strict about what JSON is, tolerant of how a board nests it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from registry.errors import BadInput
from tools.leaderboards.cells import Cell
from tools.leaderboards.names import printable
from tools.leaderboards.sources import MOST_CELLS, MOST_COLUMNS, MOST_ROWS, Document, Table

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

DEEPEST_ROW = 6
DEEPEST_SEARCH = 12
MOST_VALUES_SEARCHED = 200_000
MOST_CANDIDATES = 200
_HEADERS = ("headers", "columns", "header")
_ROWS = ("data", "rows", "values")


def parse(text: str, document: Document) -> Json:
    """Strict JSON; NaN, which many boards write for a missing score, is null."""
    try:
        value: Json = json.loads(text, object_pairs_hook=_distinct, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise document.unreadable(
            f"{error.msg} at column {error.colno} near “{text[max(0, error.pos - 30) : error.pos + 30]}”",
            "whole, valid JSON",
            line=error.lineno,
            fix="a page that was cut short or is no JSON cannot be read; look at the address in a browser",
        ) from None
    except (ValueError, RecursionError) as error:
        reason = "values nested too deep" if isinstance(error, RecursionError) else str(error)
        raise document.unreadable(reason, "whole, valid JSON") from None
    return value


def decoder() -> json.JSONDecoder:
    """For JSON that stands inside other text."""
    return json.JSONDecoder(object_pairs_hook=_distinct, parse_constant=_constant)


def _distinct(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        (twice, _), *_rest = counts.most_common(1)
        raise ValueError(f"the key “{printable(twice)[:80]}” twice in one object")
    return value


def _constant(name: str) -> None:
    if name != "NaN":
        raise ValueError(f"{name}, which is no JSON")


def resolve(value: Json, path: str) -> tuple[bool, Json]:
    """The value at a dotted path; keys may hold dots themselves (`models.gpt-3.5.score`)."""
    return _resolve(value, path.split("."))


def _resolve(value: Json, parts: list[str]) -> tuple[bool, Json]:
    if not parts or parts == [""]:
        return True, value
    if isinstance(value, dict):
        for length in range(len(parts), 0, -1):
            key = ".".join(parts[:length])
            if key in value:
                found, inner = _resolve(value[key], parts[length:])
                if found:
                    return True, inner
    elif isinstance(value, list) and parts[0].isascii() and parts[0].isdigit():
        index = int(parts[0][:9])
        if index < len(value):
            return _resolve(value[index], parts[1:])
    return False, None


def as_table(value: Json, label: str, scalar_column: str, document: Document) -> Table | None:
    """A value as a table where it has the shape of one; `name: number` objects get `scalar_column` as their column."""
    if isinstance(value, dict):
        if (split := _header_and_rows(value)) is not None:
            return _table_of_lists(*split, label, document)
        if value and all(isinstance(row, dict) for row in value.values()):
            return _table_of_rows([{"": key, **_flat(row)} for key, row in value.items()], label, document)
        if value and all(_is_number(cell) for cell in value.values()):
            columns = ("", scalar_column)
            return Table((label,), columns, tuple((key, _cell(cell)) for key, cell in value.items()))
        return None
    if isinstance(value, list):
        if value and all(isinstance(row, dict) for row in value):
            return _table_of_rows([_flat(row) for row in value], label, document)
        if value == [] and label:
            return Table((label,), (), ())
    return None


def find_tables(value: Json, label: str, scalar_column: str, document: Document) -> list[Table]:
    """Every table inside a value, outermost first; bounded, since pages embed whole applications."""
    found: list[Table] = []
    refused: BadInput | None = None
    for path, inner in _walk(value, label):
        if isinstance(inner, list) and not inner:
            continue
        if isinstance(inner, dict) and (path or label) and all(_is_number(cell) for cell in inner.values()):
            continue
        try:
            table = as_table(inner, path, scalar_column, document)
        except BadInput as refusal:  # something else on the page may look like a broken table
            refused = refused or refusal
            continue
        if table is not None:
            found.append(table)
            if len(found) >= MOST_CANDIDATES:
                break
    if refused is not None and not found:
        raise refused
    return found


def _walk(value: Json, label: str) -> Iterator[tuple[str, Json]]:
    """Objects and lists, breadth first; rows of a list of objects are not searched again."""
    level: list[tuple[str, Json]] = [(label, value)]
    seen = 0
    for _ in range(DEEPEST_SEARCH):
        following: list[tuple[str, Json]] = []
        for path, inner in level:
            seen += 1
            if seen > MOST_VALUES_SEARCHED:
                return
            yield path, inner
            if isinstance(inner, dict):
                following.extend(
                    (f"{path}.{key}" if path else key, child)
                    for key, child in inner.items()
                    if isinstance(child, (dict, list))
                )
        level = following


def outline(value: Json) -> str:
    """A value in a few words, for complaints."""
    if isinstance(value, dict):
        shown = ", ".join(printable(key)[:40] for key in list(value)[:12])
        return f"an object with {len(value)} keys ({shown}{', …' if len(value) > 12 else ''})"
    if isinstance(value, list):
        inside = f" of {outline(value[0])}" if value and not isinstance(value[0], list) else ""
        return f"a list of {len(value)}" + (f", the first{inside}" if inside else "")
    return f"the {_KINDS[type(value)]} {printable(str(value))[:60]}" if value is not None else "null"


_KINDS: dict[type, str] = {bool: "truth value", int: "number", float: "number", str: "text"}


def _is_number(value: Json) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _header_and_rows(value: dict[str, Json]) -> tuple[list[Json], list[Json]] | None:
    headers = next((value[key] for key in _HEADERS if isinstance(value.get(key), list)), None)
    rows = next((value[key] for key in _ROWS if isinstance(value.get(key), list)), None)
    if isinstance(headers, list) and isinstance(rows, list) and headers and all(isinstance(row, list) for row in rows):
        return headers, rows
    return None


def _table_of_lists(headers: list[Json], rows: list[Json], label: str, document: Document) -> Table:
    columns = tuple(str(h.get("name", h.get("field", ""))) if isinstance(h, dict) else str(h) for h in headers)
    _bound(len(rows), len(columns), label, document)
    cells = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, list) or len(row) != len(columns):
            width = len(row) if isinstance(row, list) else 0
            raise document.unreadable(
                f"{width} values in row {number} of {label}", f"{len(columns)}, as many as there are headers"
            )
        cells.append(tuple(_cell(value) for value in row))
    return Table((label,), columns, tuple(cells))


def _table_of_rows(rows: list[dict[str, Cell]], label: str, document: Document) -> Table:
    columns = dict.fromkeys(column for row in rows for column in row)
    _bound(len(rows), len(columns), label, document)
    return Table((label,), tuple(columns), tuple(tuple(row.get(column) for column in columns) for row in rows))


def _bound(rows: int, columns: int, label: str, document: Document) -> None:
    if rows > MOST_ROWS or columns > MOST_COLUMNS * 10 or rows * columns > MOST_CELLS:
        raise document.unreadable(f"{rows} rows and {columns} columns at {label}", f"at most {MOST_ROWS} rows")


def _flat(row: Json) -> dict[str, Cell]:
    """A nested row as dotted columns: `{"pass@1": {"mbpp": 1}}` has the column `pass@1.mbpp`."""
    flat: dict[str, Cell] = {}

    def walk(value: Json, path: str, depth: int) -> None:
        if isinstance(value, dict) and depth < DEEPEST_ROW:
            for key, inner in value.items():
                walk(inner, f"{path}.{key}" if path else key, depth + 1)
        elif isinstance(value, list) and depth < DEEPEST_ROW:
            for index, inner in enumerate(value[:50]):
                walk(inner, f"{path}.{index}" if path else str(index), depth + 1)
        elif len(flat) < MOST_COLUMNS:
            flat.setdefault(path, _cell(value))

    walk(row, "", 0)
    return flat


def _cell(value: Json) -> Cell:
    return json.dumps(value)[:200] if isinstance(value, (dict, list)) else value
