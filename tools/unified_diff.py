"""Unified diffs: applied to the files they name exactly or not at all; and made.

Called by `agent.researcher.patch_writing` with what a model wrote, and by `agent.attempts` for the record. Pure and
bounded. A hunk is applied where its header says if its lines stand there, else where they stand once and no more; no
line of context is ever dropped. What the patch may touch is the boundary's to say (`tools.patches`).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from registry.errors import BadInput, Problem
from tools.diff_parsing import NO_NEWLINE, FileDiff, Hunk
from tools.search_replace import MAX_PROBLEMS, Edits, Read
from tools.text_lines import Line, decoded, joined, nearest, places, shown, shown_path, split


def unified(before: Mapping[str, bytes | None], after: Mapping[str, bytes | None]) -> str:
    """The difference between two states of the same files, as a diff that `apply_diffs` takes; for text files."""
    pieces: list[str] = []
    for path in sorted(after):
        old, new = before.get(path), after[path]
        if old == new:
            continue
        names = ("/dev/null" if old is None else f"a/{path}", "/dev/null" if new is None else f"b/{path}")
        pieces.append(f"diff --git a/{path} b/{path}\n")
        pieces += ["new file mode 100644\n"] * (old is None) + ["deleted file mode 100644\n"] * (new is None)
        lines = difflib.unified_diff(_pieces(old), _pieces(new), *names, lineterm="\n")
        pieces += [line if line.endswith("\n") else f"{line}\n{NO_NEWLINE}\n" for line in lines]
    return "".join(pieces)


def _pieces(content: bytes | None) -> list[str]:
    return [line.text + line.end for line in split((content or b"").decode("utf-8", "replace"))]


def apply_diffs(diffs: Sequence[FileDiff], read: Read) -> Edits:
    """The files after the diff; BadInput has a reason for every hunk that cannot be applied."""
    edits: Edits = {}
    problems: list[Problem] = []
    for diff in diffs:
        try:
            edits[diff.path] = _applied(diff, read(diff.path))
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(*problems[:MAX_PROBLEMS])
    return edits


def _applied(diff: FileDiff, before: bytes | None) -> bytes | None:
    where = shown_path(diff.path)
    if diff.created and before is not None:
        raise BadInput(Problem(where, "a new file where there is one", "a diff of the file that is there"))
    if before is None and not diff.created:
        raise BadInput(Problem(where, "a change of a file that does not exist", "a file of the list, or --- /dev/null"))
    lines = split(decoded(diff.path, before or b""))
    made: list[Line] = []
    done = 0
    problems: list[Problem] = []
    for hunk in _with_the_ends_of(lines, diff.hunks):
        try:
            start = _place(hunk, lines, done, where)
        except BadInput as error:
            problems += error.problems
            continue
        made += [*lines[done:start], *hunk.new]
        done = start + len(hunk.old)
    if problems:
        raise BadInput(*problems)
    made += lines[done:]
    if any(not line.end for line in made[:-1]):
        found = f"a line without an end in the middle of the file, as by {NO_NEWLINE!r} after it"
        raise BadInput(Problem(where, found, "line ends but for the file's last line"))
    if not diff.deleted:
        return joined(made).encode()
    if made:
        raise BadInput(Problem(where, f"a deletion that leaves {len(made)} lines", "every line of the file removed"))
    return None


def _with_the_ends_of(lines: Sequence[Line], hunks: Sequence[Hunk]) -> Sequence[Hunk]:
    """Hunks written with \\n for a file whose every line ends with \\r\\n, which then means those."""
    if not lines or not any(hunk.old for hunk in hunks) or any(line.end == "\n" for line in lines):
        return hunks
    if any(line.end == "\r\n" for hunk in hunks for line in (*hunk.old, *hunk.new)) or lines[0].end != "\r\n":
        return hunks
    return [Hunk(hunk.start, hunk.line, _returned(hunk.old), _returned(hunk.new)) for hunk in hunks]


def _returned(lines: Sequence[Line]) -> list[Line]:
    return [Line(line.text, "\r\n") if line.end else line for line in lines]


def _place(hunk: Hunk, lines: Sequence[Line], done: int, where: str) -> int:
    if not hunk.old:
        if lines:
            found = "a hunk without a line of the file"
            expected = "some lines of context around what is added"
            raise BadInput(Problem("patch", found, expected, place=where, line=hunk.line))
        return 0
    if hunk.start is not None:
        stated = hunk.start - 1
        if stated >= done and list(lines[stated : stated + len(hunk.old)]) == hunk.old:
            return stated
    pieces = [line.text + line.end for line in lines]
    found_at = [done + place for place in places(pieces[done:], [line.text + line.end for line in hunk.old])]
    if len(found_at) == 1:
        return found_at[0]
    if found_at:
        at = ", ".join(str(place + 1) for place in found_at)
        message = f"a hunk whose lines stand in several places (lines {at}) and not where its header says"
        raise BadInput(Problem(where, message, "the right line number, or more lines of context"))
    near, hint = nearest([line.text for line in lines], [line.text for line in hunk.old])
    message = f"no place for the hunk that begins {shown(hunk.old[0].text)}; {hint}"
    raise BadInput(Problem(where, message, "context and removed lines exactly as the file has them", line=near or None))
