"""The outline of a source file: its classes and functions with signatures and the first line of what they say of
themselves.

Called by `agent.briefing`, which shows it to a model instead of the whole file. Python only; of other languages the
name and the size are told. The source is parsed, never imported or run. Pure.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator

MAX_BYTES = 200_000
"""Of a source that is parsed."""
MOST_LINES = 60
"""Of one outline; what is left out is counted."""
MAX_LINE = 160


def outline(path: str, source: bytes) -> tuple[str, ...]:
    """One line a definition, methods indented; empty where the language is unknown or the file cannot be parsed."""
    if not path.endswith((".py", ".pyi")) or len(source) > MAX_BYTES:
        return ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a stranger's escape sequences
            tree = ast.parse(source)
        lines = [_cut(line) for line in _lines(tree)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], f"… and {len(lines) - MOST_LINES + 1} more definitions"]
    return tuple(lines)


def _lines(tree: ast.Module) -> Iterator[str]:
    if said := _said(tree):
        yield f'"""{said}"""'
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield _function(node)
        elif isinstance(node, ast.ClassDef):
            bases = ", ".join(ast.unparse(base) for base in node.bases)
            yield f"class {node.name}{f'({bases})' if bases else ''}{_comment(node)}"
            for each in node.body:
                if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    yield "    " + _function(each)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name) and target.id.isupper()]
            if names and node.value is not None:
                yield f"{' = '.join(names)} = {ast.unparse(node.value)}"


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    gives = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return f"{word} {node.name}({ast.unparse(node.args)}){gives}{_comment(node)}"


def _comment(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    said = _said(node)
    return f"  # {said}" if said else ""


def _said(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    """The first line of a docstring."""
    return ((ast.get_docstring(node) or "").strip().splitlines() or [""])[0].strip()


def _cut(line: str) -> str:
    flat = line.replace("\n", " ").replace("\r", " ")
    return flat if len(flat) <= MAX_LINE else flat[: MAX_LINE - 1] + "…"
