"""Commits made from git's objects: an edited tree, a message for people, trailers for machines.

Called by `tools.branches`. Every tree is built in a worktree of its own (`tools.worktrees`) and compared with what was
asked before it is used, because git leaves out paths it does not like without an error. Moves no branch.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from registry.durable import NO_ROOM
from tools import worktrees
from tools.repository import EXECUTABLE, REGULAR, SUBMODULE, SYMLINK, SolutionRepository, TreeEntry
from tools.worktrees import Worktree

PARAGRAPH_LENGTH = 2000
_HEAD = re.compile(r"[0-9a-f]{64}")
_TRAILER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


def commit_message(hypothesis_id: str, title: str, change: str, claim: str, source: str) -> str:
    """What is changed, why, and where the idea is from. Trailers are added by `create_candidate`."""
    subject = f"{hypothesis_id}: {_one_line(title)}"
    paragraphs = (f"What: {_one_line(change)}", f"Why: {_one_line(claim)}", f"Source: {_one_line(source)}")
    wrapped = [textwrap.fill(text[:PARAGRAPH_LENGTH], width=78, break_long_words=False) for text in paragraphs]
    return "\n\n".join([subject[:120], *wrapped]) + "\n"


def edited_tree(
    repository: SolutionRepository, folder: Path, name: str, parent: str, edits: Mapping[str, bytes | None]
) -> str:
    """Id of the parent's tree with the edits made (None deletes), in the worktree `name` of its own below `folder`."""
    before = {entry.path: entry for entry in repository.entries(parent)}
    wanted = {entry.path: (entry.mode, entry.blob) for entry in before.values()}
    for path in sorted(edits):
        _check_edit(repository, path, edits[path], before)
    with worktrees.opened(repository, folder, name, parent) as worktree:
        for path in sorted(edits):
            wanted.pop(path, None)
            if (content := edits[path]) is not None:
                mode = before[path].mode if path in before else REGULAR
                wanted[path] = (mode, _blob(worktree, path, content, mode))
        nothing = ("0", "0" * len(parent))
        lines = [f"{' '.join(wanted.get(path, nothing))}\t{path}\0".encode() for path in sorted(edits)]
        worktree.run("update-index", "-z", "--index-info", stdin=b"".join(lines))
        _check_index(repository, worktree.run("ls-files", "--stage", "-z"), wanted)
        return worktree.run("write-tree").decode().strip()


def _blob(worktree: Worktree, path: str, content: bytes, mode: str) -> str:
    try:
        file = worktree.write(path, content, executable=mode == EXECUTABLE)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise
        raise worktree.repository.complaint(
            f"the path {path[:200]!r} ({error.strerror})", "one that a file can have here", place="edits"
        ) from error
    return worktree.run("hash-object", "-w", "--no-filters", "--", str(file)).decode().strip()


def _check_edit(
    repository: SolutionRepository, path: str, content: bytes | None, before: Mapping[str, TreeEntry]
) -> None:
    parts = path.split("/")
    if "\0" in path or {"", ".", ".."} & set(parts) or any(part.lower() == ".git" for part in parts):
        raise repository.complaint(f"the path {path!r}", "one that git takes into a tree", place="edits")
    if path in before and before[path].mode in (SYMLINK, SUBMODULE):
        raise repository.complaint(f"an edit of the link or submodule {path}", "an edit of a regular file", place=path)
    if content is None and path not in before:
        raise repository.complaint(f"the deletion of {path}", "a file that exists", place=path)
    above = {"/".join(path.split("/")[:count]) for count in range(1, path.count("/") + 1)}
    if above & before.keys() or any(other.startswith(path + "/") for other in before):
        raise repository.complaint(f"{path} as a file", "a path that is not both file and folder", place=path)


def _check_index(repository: SolutionRepository, listing: bytes, wanted: Mapping[str, tuple[str, str]]) -> None:
    found = {}
    for record in listing.decode(errors="surrogateescape").split("\0"):
        if record:
            head, path = record.split("\t", 1)
            mode, blob, _ = head.split()
            found[path] = (mode, blob)
    if found != wanted:
        path = min(path for path in found.keys() | wanted.keys() if found.get(path) != wanted.get(path))
        raise repository.complaint(f"the path {path!r}", "one that git takes into a tree", place="edits")


def write_commit(repository: SolutionRepository, tree: str, parents: tuple[str, ...], message: str, date: str) -> str:
    """Id of a commit by the agent at an ISO date with its zone. Same arguments, same id, however often."""
    moment = datetime.fromisoformat(date)
    if moment.tzinfo is None:
        raise ValueError(f"date {date!r} has no time zone")
    stamp = f"@{int(moment.timestamp())} +0000"
    options = [option for parent in parents for option in ("-p", parent)]
    return repository.text(
        "commit-tree",
        tree,
        *options,
        stdin=message.encode(errors="replace"),
        environment={"GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp},
    )


def with_trailers(message: str, hypothesis_id: str, trailers: Mapping[str, str]) -> str:
    """The message and, as a paragraph of their own, its trailers; text of the message cannot pose as one."""
    named = {"Hypothesis": hypothesis_id, **trailers}
    for name in named:
        if not _TRAILER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a trailer")
    body = "\n".join(_printable(line) for line in message.strip().splitlines())
    return body + "\n\n" + "".join(f"{name}: {_one_line(value)}\n" for name, value in named.items())


@dataclass(frozen=True, slots=True)
class PublishedHead:
    """A commit of the agent and the audit log's head that its trailer names."""

    commit: str
    head: str
    committed_at: str
    """ISO 8601 with its zone."""


def published_heads(repository: SolutionRepository) -> list[PublishedHead]:
    """Every commit of the agent's branches that names a head."""
    form = "--format=%H %cI %(trailers:key=Audit-Head,valueonly,separator=%x20)"
    lines = repository.text("log", "--branches=agent/*", "--no-color", form).splitlines()
    named = (line.split() for line in lines)
    return [
        PublishedHead(commit=words[0], head=words[2], committed_at=words[1])
        for words in named
        if len(words) == 3 and _HEAD.fullmatch(words[2])
    ]


def _printable(line: str) -> str:
    return "".join(character if unicodedata.category(character)[0] != "C" else " " for character in line).rstrip()


def _one_line(text: str) -> str:
    return " ".join(_printable(text.replace("\n", " ")).split())
