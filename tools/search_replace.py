"""Search/replace blocks: read from a text, and applied to the files they name exactly or not at all.

Called by `agent.researcher.patch_writing` with what a model wrote. Pure and bounded: the only file it sees is what
`read` gives it. A block names whole lines; they must stand in the file once and no more. Nothing is guessed: spaces
count, and a block that fits nowhere or in several places is refused with what would help to write it again. What
the patch may touch is the boundary's to say (`tools.patches`).

    path/to/file.py
    <<<<<<< SEARCH
    lines as they are
    =======
    lines as they are to be
    >>>>>>> REPLACE

No line between the first two marks makes a new file; no line at all between the three empties nothing and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from registry.errors import BadInput, Problem
from tools.text_lines import Line, decoded, joined, nearest, places, shown, shown_path, split

SEARCH, MIDDLE, REPLACE = "<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE"
DELETE = "<<<<<<< DELETE"
"""The line that alone, under a path, deletes the file."""
_HEADING = re.compile(r"#{1,6} +")
"""Before a path that is written as a heading of Markdown."""
MAX_TEXT = 400_000
MAX_BLOCKS = 60
MAX_FILES = 20
MAX_PROBLEMS = 12
"""Reasons that are sent back at most."""

Read = Callable[[str], bytes | None]
"""Bytes of a file as production has it; None where there is no file of that name. Raises BadInput where refused."""
Edits = dict[str, bytes | None]
"""Path → content after the patch; None deletes."""


@dataclass(frozen=True, slots=True)
class Block:
    """Lines to find in one file, and what is to stand in their place. `delete`: the file goes."""

    path: str
    search: tuple[str, ...]
    replace: tuple[str, ...]
    line: int = 0
    """Where it begins in the text, from 1; 0 where it came from no text."""
    delete: bool = False


def has_blocks(text: str) -> bool:
    """Whether the text is meant as blocks."""
    return any(line.rstrip() in (SEARCH, DELETE) for line in text.split("\n"))


def parse_blocks(text: str) -> list[Block]:
    """Every block of a text; BadInput names what is malformed. Lines of prose between blocks are left out."""
    if len(text) > MAX_TEXT:
        raise BadInput(Problem("patch", f"{len(text)} characters", f"at most {MAX_TEXT}"))
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    blocks: list[Block] = []
    path, number = "", 0
    while number < len(lines):
        line = lines[number].rstrip()
        if line == SEARCH:
            block, number = _block(lines, number, path)
            blocks.append(block)
        elif line == DELETE:
            blocks.append(Block(_named(path, number), (), (), number + 1, delete=True))
        elif line in (MIDDLE, REPLACE):
            raise BadInput(Problem("patch", f"{line} outside of a block", f"{SEARCH} before it", line=number + 1))
        elif line and not line.startswith("```"):
            path = _HEADING.sub("", line.strip()).strip("`*").removesuffix(":").strip("`")
        number += 1
    if not blocks:
        raise BadInput(Problem("patch", "no block", f"a path and under it {SEARCH}, {MIDDLE}, {REPLACE}"))
    if len(blocks) > MAX_BLOCKS:
        raise BadInput(Problem("patch", f"{len(blocks)} blocks", f"at most {MAX_BLOCKS}"))
    return blocks


def _block(lines: Sequence[str], start: int, path: str) -> tuple[Block, int]:
    """The block that begins at a line, and the line of its last mark."""
    name = _named(path, start)
    end = next((n for n in range(start + 1, len(lines)) if lines[n].rstrip() in (REPLACE, SEARCH)), None)
    if end is None or lines[end].rstrip() == SEARCH:
        raise BadInput(
            Problem("patch", f"a block without {REPLACE}", "one that ends with it", place=name, line=start + 1)
        )
    middles = [n for n in range(start + 1, end) if lines[n].rstrip() == MIDDLE]
    if len(middles) != 1:
        expected = f"one line {MIDDLE}; where the file's own lines look like that, a unified diff says it"
        raise BadInput(
            Problem("patch", f"a block with {len(middles)} lines {MIDDLE}", expected, place=name, line=start + 1)
        )
    search, replace = lines[start + 1 : middles[0]], lines[middles[0] + 1 : end]
    return Block(name, tuple(search), tuple(replace), start + 1), end


def _named(path: str, number: int) -> str:
    if not path:
        raise BadInput(Problem("patch", "a block without a path", "the file's path on the line above", line=number + 1))
    return shown_path(path) if len(path) > 240 else path


def apply_blocks(blocks: Sequence[Block], read: Read) -> Edits:
    """The files after all blocks, in their order; BadInput has a reason for every block that cannot be applied."""
    edits: Edits = {}
    problems: list[Problem] = []
    for block in blocks:
        try:
            before = edits[block.path] if block.path in edits else read(block.path)
            edits[block.path] = _applied(block, before)
        except BadInput as error:
            problems += error.problems
    if len(edits) > MAX_FILES:
        problems.insert(0, Problem("patch", f"{len(edits)} files", f"at most {MAX_FILES}"))
    if problems:
        raise BadInput(*problems[:MAX_PROBLEMS])
    return edits


def _applied(block: Block, before: bytes | None) -> bytes | None:
    where = shown_path(block.path)
    if block.delete:
        if before is None:
            raise BadInput(Problem(where, "no file to delete", "a file that is there"))
        return None
    if not block.search:
        return _new(block, before)
    if before is None:
        expected = "a file that is there; a new one has no line between the first two marks"
        raise BadInput(Problem(where, "lines to find in a file that does not exist", expected))
    lines = split(decoded(block.path, before))
    start = _only_place(block, lines, where)
    stop = start + len(block.search)
    return joined([*lines[:start], *_in_place_of(lines, start, stop, block.replace), *lines[stop:]]).encode()


def _new(block: Block, before: bytes | None) -> bytes:
    if before:
        expected = "no such file yet, or the lines that are to be replaced between the first two marks"
        raise BadInput(Problem(shown_path(block.path), "a new file where there is one", expected))
    if not block.replace:
        raise BadInput(Problem(shown_path(block.path), "an empty block", "lines to find, or lines of a new file"))
    return "".join(f"{line}\n" for line in block.replace).encode()


def _only_place(block: Block, lines: Sequence[Line], where: str) -> int:
    texts = [line.text for line in lines]
    found = places(texts, block.search)
    if len(found) == 1:
        return found[0]
    if found:
        at = ", ".join(str(place + 1) for place in found)
        several = f"{len(block.search)} lines" if len(block.search) > 1 else "line"
        message = f"the same {several} in several places (lines {at}), beginning {shown(block.search[0])}"
        raise BadInput(Problem(where, message, "lines that stand there once: add some before or after"))
    line, hint = nearest(texts, block.search)
    message = f"no place for the block that begins {shown(block.search[0])}; {hint}"
    raise BadInput(Problem(where, message, "whole lines exactly as the file has them", line=line or None))


def _in_place_of(lines: Sequence[Line], start: int, stop: int, texts: Sequence[str]) -> list[Line]:
    """The new lines with the file's own line ends; a last line without an end stays one."""
    end = lines[start].end or (lines[start - 1].end if start else "\n")
    made = [Line(text, end) for text in texts]
    if made and not lines[stop - 1].end:
        made[-1] = Line(made[-1].text, "")
    return made
