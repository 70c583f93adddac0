"""Taking results from a folder that a stranger's program has written, after its sandbox has ended.

`read_output` takes the bytes of one file, `strict_json` and `plain_text` make sense of them, `remove_tree` deletes
what is no longer needed. Called by the runner and by everything that shows a log. Ranges and field names are the
caller's to check.
"""

from __future__ import annotations

import json
import os
import re
import stat
import unicodedata
from pathlib import Path, PurePosixPath
from typing import NoReturn

from registry.errors import BadInput, Problem
from sandbox.trees import remove_tree

__all__ = ["plain_text", "read_output", "remove_tree", "strict_json"]

MAX_NESTING = 32
MAX_DIGITS = 300
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_REGULAR = "a regular file with one link"
# CSI, OSC and other string sequences, then two-character escapes; 8-bit forms included.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
# Code points that no category names but that print as nothing: fillers and variation selectors.
_INVISIBLE = re.compile("[\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def read_output(out: Path, name: str, max_bytes: int) -> bytes:
    """Content of the file `name` (relative, may hold folders) in `out`.

    BadInput unless every step is a real folder and the file a regular one with a single link and at most
    `max_bytes`. Nothing is followed and nothing blocks, whatever the program put in its place.
    """
    where = f"{out}/{name}"
    steps = PurePosixPath(name).parts
    if not steps or "\0" in name or PurePosixPath(name).is_absolute() or ".." in steps:
        raise BadInput(Problem(str(out), ascii(name), "a file name relative to the output folder"))
    folder = -1
    try:
        folder = os.open(out, _FOLDER)
        for step in steps[:-1]:
            inner = os.open(step, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        descriptor = os.open(steps[-1], _FILE, dir_fd=folder)
    except OSError as error:
        raise BadInput(Problem(where, (error.strerror or "an error").lower(), _REGULAR)) from error
    finally:
        if folder >= 0:
            os.close(folder)
    try:
        return _read_regular(descriptor, where, max_bytes)
    finally:
        os.close(descriptor)


def _read_regular(descriptor: int, where: str, max_bytes: int) -> bytes:
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        raise BadInput(Problem(where, "something that is no file", _REGULAR))
    if state.st_nlink != 1:
        raise BadInput(Problem(where, f"a file with {state.st_nlink} links", _REGULAR))
    if state.st_size > max_bytes:
        raise BadInput(Problem(where, f"{state.st_size} bytes", f"at most {max_bytes} bytes"))
    pieces: list[bytes] = []
    left = max_bytes + 1
    while left > 0 and (piece := os.read(descriptor, min(left, 1 << 20))):
        pieces.append(piece)
        left -= len(piece)
    if left <= 0:
        raise BadInput(Problem(where, "a file that grows", f"at most {max_bytes} bytes"))
    return b"".join(pieces)


def strict_json(text: bytes, where: str) -> object:
    """The value of a JSON text; BadInput for anything two readers might understand differently.

    Refused: bytes that are no UTF-8, NaN and infinities (spelled out or by overflow such as 1e999), a key given
    twice, nesting beyond `MAX_NESTING`, whole numbers beyond `MAX_DIGITS` digits, lone surrogates.
    """
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(Problem(where, f"bytes that are no UTF-8 at {error.start}", "JSON in UTF-8")) from error
    _check_nesting(decoded, where)
    refuse = _Refusal(where)
    try:
        value: object = json.loads(
            decoded,
            object_pairs_hook=refuse.pairs,
            parse_constant=refuse.constant,
            parse_float=refuse.number,
            parse_int=refuse.integer,
        )
    except json.JSONDecodeError as error:
        raise BadInput(Problem(where, error.msg.lower(), "valid JSON", line=error.lineno)) from error
    if re.search(r"\\u[dD][89a-fA-F]", decoded):
        _check_surrogates(value, where)
    return value


class _Refusal:
    """The parser's hooks, each of which knows which file to complain about."""

    def __init__(self, where: str) -> None:
        self._where = where

    def _refuse(self, found: str, expected: str) -> NoReturn:
        raise BadInput(Problem(self._where, found, expected))

    def constant(self, name: str) -> object:
        """NaN, Infinity and -Infinity."""
        self._refuse(name, "finite numbers")

    def number(self, digits: str) -> float:
        """A number with a point or an exponent."""
        if len(digits) > MAX_DIGITS + 32:
            self._refuse(f"a number of {len(digits)} characters", f"at most {MAX_DIGITS + 32}")
        value = float(digits)
        if value - value != 0:
            self._refuse(digits[:32], "finite numbers")
        return value

    def integer(self, digits: str) -> int:
        """A whole number, bounded before Python would refuse it in words of its own."""
        if len(digits.lstrip("-")) > MAX_DIGITS:
            self._refuse(f"a number of {len(digits)} digits", f"at most {MAX_DIGITS} digits")
        return int(digits)

    def pairs(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        """An object, of which no key may be given twice."""
        found: dict[str, object] = {}
        for key, value in pairs:
            if key in found:
                self._refuse(f"the key {key[:64]!a} twice", "each key once")
            found[key] = value
        return found


def _check_nesting(text: str, where: str) -> None:
    """Depth counted outside of strings, before the recursive parser sees the text."""
    depth = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', text, re.DOTALL):
        character = token[0]
        if character in "[{":
            depth += 1
            if depth > MAX_NESTING:
                raise BadInput(Problem(where, f"nesting deeper than {MAX_NESTING}", f"at most {MAX_NESTING} levels"))
        elif character in "]}":
            depth -= 1


def _check_surrogates(value: object, where: str) -> None:
    """An escape such as \\ud800 alone makes text that no file can hold."""
    if isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise BadInput(Problem(where, "half of a surrogate pair", "text that can be written as UTF-8"))
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_surrogates(key, where)
            _check_surrogates(inner, where)
    elif isinstance(value, list):
        for inner in value:
            _check_surrogates(inner, where)


def plain_text(text: str, max_chars: int) -> str:
    """A stranger's text without anything that acts on a screen or hides from a reader.

    Escape sequences, control characters (but newline and tab), marks of writing direction, zero-width and other
    invisible characters go; a carriage return counts as the line break it looks like. At most `max_chars` remain.
    """
    # Sequences are shorter than what they frame, so a generous piece of the beginning is all that is needed.
    piece = text[: 8 * max_chars + 4096]
    piece = _ESCAPES.sub("", piece.replace("\r\n", "\n").replace("\r", "\n"))
    kept = (character for character in piece if character in "\n\t" or unicodedata.category(character)[0] != "C")
    visible = _INVISIBLE.sub("", "".join(kept)).replace("\u2028", "\n").replace("\u2029", "\n")
    return visible[:max_chars]
