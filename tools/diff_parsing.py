"""Reads a unified diff: which files, which hunks. What a diff can say beyond text is refused here, by name.

Called by `tools.unified_diff`'s callers before `apply_diffs`. Pure and bounded; it knows nothing of the files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from registry.errors import BadInput, Problem
from tools.search_replace import MAX_FILES, MAX_TEXT
from tools.text_lines import Line, shown, shown_path

MAX_HUNKS = 200
NO_NEWLINE = "\\ No newline at end of file"
_HUNK = re.compile(r"@@(?: -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@.*| ?.*)$")
_REFUSED = (
    ("GIT binary patch", "a binary patch"),
    ("Binary files ", "a binary file"),
    ("old mode ", "a change of mode bits"),
    ("new mode ", "a change of mode bits"),
    ("rename from ", "a rename"),
    ("rename to ", "a rename"),
    ("copy from ", "a copy"),
    ("copy to ", "a copy"),
    ("similarity index ", "a rename or copy"),
    ("dissimilarity index ", "a rewrite by similarity"),
    ("Subproject commit ", "a submodule"),
)
_FORMS = "search/replace blocks, each under the path of its file, or a unified diff with --- a/PATH and +++ b/PATH"
_MOVED = "another name is a new file, and a deletion of the old one"
_MODES = {"120000": "a symlink", "160000": "a submodule", "100755": "a change of mode bits"}
_MODE = re.compile(r"(new file mode|deleted file mode) (\d+)$")
_INDEX = re.compile(r"index [0-9a-f]+\.\.[0-9a-f]+(?: (\d+))?$")


@dataclass(slots=True)
class Hunk:
    """Old and new lines of one hunk. `start` is the old line it says it begins at, from 1; None where it does not."""

    start: int | None
    line: int
    """Where it begins in the text, from 1."""
    old: list[Line] = field(default_factory=list)
    new: list[Line] = field(default_factory=list)


@dataclass(slots=True)
class FileDiff:
    """All hunks of one file."""

    path: str
    created: bool = False
    deleted: bool = False
    hunks: list[Hunk] = field(default_factory=list)


def parse_diff(text: str) -> list[FileDiff]:
    """Every file of a diff; BadInput names what is malformed and what is refused."""
    if len(text) > MAX_TEXT:
        raise BadInput(Problem("patch", f"{len(text)} characters", f"at most {MAX_TEXT}"))
    return _Parser(text).parse()


class _Parser:
    """Goes through the lines of a diff once."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        if self._lines[-1] == "":
            self._lines.pop()
        self._at = 0
        self._files: list[FileDiff] = []

    def parse(self) -> list[FileDiff]:
        head: FileDiff | None = None
        while self._at < len(self._lines):
            line = self._lines[self._at].removesuffix("\r")
            self._refuse(line, head)
            if line.startswith("diff --git "):
                head = FileDiff("")
                self._at += 1
            elif head is not None and (mode := _MODE.match(line)):
                self._mode(mode[2])
                head.created, head.deleted = mode[1].startswith("new"), mode[1].startswith("deleted")
                if self._ends_here():  # an empty file has no hunk, and then only this line names it
                    head.path = self._git_name()
                    self._add(head)
                self._at += 1
            elif line.startswith("--- ") and self._next().startswith("+++ "):
                self._named(head)
                head = None
            elif (index := _INDEX.match(line)) and index[1]:
                self._mode("" if index[1] in ("100644", "100755") else index[1])
                self._at += 1
            elif line.startswith("@@"):
                self._hunk(line)
            else:
                self._at += 1
        if not self._files:
            raise BadInput(Problem("patch", "no file: neither a block nor a diff", _FORMS))
        return self._files

    def _next(self) -> str:
        return self._lines[self._at + 1] if self._at + 1 < len(self._lines) else ""

    def _problem(self, found: str, expected: str) -> BadInput:
        place = shown_path(self._files[-1].path) if self._files else ""
        return BadInput(Problem("patch", found, expected, place=place, line=self._at + 1))

    def _refuse(self, line: str, head: FileDiff | None) -> None:
        for beginning, name in _REFUSED:
            if line.startswith(beginning) and (head is not None or beginning in ("GIT binary patch", "Binary files ")):
                expected = "a diff of text alone: contents of regular files"
                if name.startswith(("a rename", "a copy")):
                    expected += f"; {_MOVED}"
                raise self._problem(f"{name} ({shown(line)})", expected)

    def _mode(self, mode: str) -> None:
        if mode not in ("", "100644"):
            name = _MODES.get(mode, f"mode {mode}")
            raise self._problem(f"{name} (mode {mode})", "regular files with the mode they have, 0644 for a new one")

    def _ends_here(self) -> bool:
        """Whether the file's part of the diff has no lines of content."""
        for line in self._lines[self._at + 1 :]:
            if line.startswith("diff --git "):
                return True
            if line.startswith("--- "):
                return False
        return True

    def _git_name(self) -> str:
        for line in reversed(self._lines[: self._at]):
            if line.startswith("diff --git "):
                words = line.removesuffix("\r").removeprefix("diff --git ")
                half = (len(words) - 1) // 2
                if words[:2] == "a/" and words[half:] == f" b/{words[2:half]}":
                    return words[2:half]
                break
        raise self._problem("an empty file without a name that can be read", "diff --git a/PATH b/PATH")

    def _named(self, head: FileDiff | None) -> None:
        old, new = (_name(self._lines[self._at + step].removesuffix("\r")[4:]) for step in (0, 1))
        if '"' in (old[:1], new[:1]):
            raise self._problem("a path in quotes", "the path as it is, without quotes and escapes")
        if old[:2] == "a/" and (new[:2] == "b/" or new == "/dev/null"):
            old = old[2:]
            new = new.removeprefix("b/")
        elif new[:2] == "b/" and old == "/dev/null":
            new = new[2:]
        if "/dev/null" not in (old, new) and old != new:
            raise self._problem(f"a rename of {shown(old)} to {shown(new)}", f"the same path in --- and +++; {_MOVED}")
        diff = FileDiff(old if new == "/dev/null" else new, old == "/dev/null", new == "/dev/null")
        if head is not None and (head.created, head.deleted) != (diff.created, diff.deleted):
            raise self._problem("a header that contradicts --- and +++", "/dev/null for a new or deleted file")
        self._add(diff)
        self._at += 2

    def _add(self, diff: FileDiff) -> None:
        if any(other.path == diff.path for other in self._files):
            raise self._problem(f"{shown_path(diff.path)} twice", "each file once")
        if len(self._files) == MAX_FILES:
            raise self._problem(f"more than {MAX_FILES} files", f"at most {MAX_FILES}")
        self._files.append(diff)

    def _hunk(self, line: str) -> None:
        header = _HUNK.match(line)
        if not self._files or header is None:
            raise self._problem(f"a hunk that cannot be read: {shown(line)}", "--- and +++ first, then @@ -1,3 +1,4 @@")
        counts = None if header[1] is None else (int(header[2] or "1"), int(header[4] or "1"))
        hunk = Hunk(int(header[1]) if header[1] is not None else None, self._at + 1)
        self._at += 1
        while self._at < len(self._lines) and not self._over(hunk, counts):
            self._take(hunk, self._lines[self._at])
            self._at += 1
        if self._at < len(self._lines) and self._lines[self._at].startswith("\\"):
            self._take(hunk, self._lines[self._at])
            self._at += 1
        while counts is None and self._lines[self._at - 1] == "" and hunk.old and hunk.new:
            self._at -= 1  # blank lines after a hunk of unknown length are no part of it
            hunk.old.pop()
            hunk.new.pop()
            if self._at <= hunk.line:
                break
        self._at = max(self._at, hunk.line)
        has = (len(hunk.old), len(hunk.new))
        if counts is not None and has == counts and self._goes_on():
            has = (has[0] + (self._lines[self._at][0] in " -"), has[1] + (self._lines[self._at][0] in " +"))
        if counts is not None and has != counts:
            expected = "the counts in @@ to be those of its lines, a bare @@ without numbers, or search/replace blocks"
            raise self._problem(f"a hunk that says {counts[0]},{counts[1]} lines and has {has[0]},{has[1]}", expected)
        if sum(len(each.hunks) for each in self._files) >= MAX_HUNKS:
            raise self._problem(f"more than {MAX_HUNKS} hunks", f"at most {MAX_HUNKS}")
        self._files[-1].hunks.append(hunk)

    def _goes_on(self) -> bool:
        """Whether the line after a hunk is one of its own by its look, which would be lost silently."""
        line = self._lines[self._at] if self._at < len(self._lines) else ""
        next_file = line.startswith("--- ") and self._next().startswith("+++ ")
        return line[:1] in (" ", "+", "-") and not next_file and line.rstrip() != "--"

    def _over(self, hunk: Hunk, counts: tuple[int, int] | None) -> bool:
        line = self._lines[self._at]
        if counts is not None and (len(hunk.old), len(hunk.new)) == counts:
            return True
        if counts is not None and (len(hunk.old) > counts[0] or len(hunk.new) > counts[1]):
            return True
        if line.startswith(("@@", "diff --git ")):
            return True
        fence = line.startswith("```")
        return counts is None and (fence or (line.startswith("--- ") and self._next().startswith("+++ ")))

    def _take(self, hunk: Hunk, line: str) -> None:
        mark, rest = line[:1], line[1:]
        ended = Line(rest.removesuffix("\r"), "\r\n") if rest.endswith("\r") else Line(rest, "\n")
        if mark == "\\":
            self._unended(hunk)
        elif mark in (" ", "") or line == "\r":
            context = ended if mark == " " else Line("", "\r\n" if line == "\r" else "\n")
            hunk.old.append(context)
            hunk.new.append(context)
            self._last = (hunk.old, hunk.new)
        elif mark in "+-":
            side = hunk.new if mark == "+" else hunk.old
            side.append(ended)
            self._last = (side,)
        else:
            raise self._problem(f"a line of a hunk that begins with {shown(mark)}", "a space, + or -")

    def _unended(self, hunk: Hunk) -> None:
        if not (hunk.old or hunk.new):
            raise self._problem(NO_NEWLINE, "a line before it")
        for side in self._last:
            # The line's own \r, if it has one, is no part of a line end here.
            last = side[-1]
            side[-1] = Line(last.text + last.end.removesuffix("\n"), "")

    _last: tuple[list[Line], ...] = ()


def _name(text: str) -> str:
    return text.split("\t", 1)[0].rstrip(" ")
