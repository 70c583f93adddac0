"""Runs inside the sandbox, in a candidate's place: looks for the labels in everything that it can read.

Started by `experiments.leaks` as `leak_probe.py SOUGHT OUT ROOTS...`, under the solution's own interpreter. Standard
library only, and nothing of this project's, because nothing of it is there. It writes what it found to OUT.
"""

# Every file of a system may be looked at, so no object is made for each.
# ruff: noqa: PTH113, PTH116, PTH118, PTH119, PTH120, PTH123

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator

ELSEWHERE = ("/proc", "/sys", "/dev")
MOST_BYTES = 64 << 20
"""Of one file; larger ones are compared by size alone, and so counted as not read."""
MOST_FOUND = 50


def short(content: bytes) -> str:
    """The digest that labels' lines are sought by."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def files(root: str) -> Iterator[tuple[str, int]]:
    """(path, size) of every regular file below a root that may be looked at; links are not followed."""
    if os.path.isfile(root):
        yield root, os.stat(root).st_size
        return
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if os.path.join(folder, name) not in ELSEWHERE)
        for name in sorted(names):
            path = os.path.join(folder, name)
            try:
                found = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode):
                yield path, found.st_size


def whole(path: str) -> str:
    """The digest of a file; empty where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()


def ends(line: bytes) -> tuple[bytes, bytes]:
    """A line's first field and its last one, either of which may name its item; both empty where it is one field."""
    separator = next((one for one in (b"\t", b",", b";", b" ") if one in line), b"")
    return (line.partition(separator)[0], line.rpartition(separator)[2]) if separator else (b"", b"")


def lines_of(path: str, wanted: set[str], items: set[str]) -> tuple[int, int]:
    """How many of the wanted lines a file has, and of how many items it has any line at all."""
    found, named = set(), set()
    try:
        with open(path, "rb") as stream:
            for each in stream:
                line = each.strip()
                key = short(line)
                if key in wanted:
                    found.add(key)
                if items:
                    named.update(items.intersection(short(end) for end in ends(line)))
    except OSError:
        pass
    return len(found), len(named)


def main(sought: str, out: str, *roots: str) -> None:
    """Look through the roots, in order; of `/` no file is read line by line."""
    with open(sought) as stream:
        asked = json.load(stream)
    by_size: dict[int, dict[str, str]] = {}
    for digest, (size, name) in asked["files"].items():
        by_size.setdefault(size, {})[digest] = name
    by_name: dict[str, list[str]] = {}
    for name in asked["names"]:
        by_name.setdefault(os.path.basename(name), []).append(name)
    wanted, items, near = set(asked["lines"]), set(asked["items"]), set(roots) - {"/"}
    seen, unread = 0, 0
    hits: list[dict[str, object]] = []
    done: set[str] = set()
    own = os.path.dirname(sought) + "/"
    for root in roots:
        for path, size in files(root):
            if len(hits) >= MOST_FOUND or path in done or path.startswith(own):
                continue
            done.add(path)
            seen += 1
            named = next((name for name in by_name.get(os.path.basename(path), ()) if path.endswith("/" + name)), "")
            if named and not os.access(path, os.R_OK):
                named = ""
            same, lines, others = "", 0, 0
            if size > MOST_BYTES:
                unread += 1
            else:
                if size in by_size:
                    same = by_size[size].get(whole(path), "")
                if root in near and wanted:
                    lines, others = lines_of(path, wanted, items)
            if named or same or lines:
                hits.append({"path": path, "named": named, "same": same, "lines": lines, "items": others})
    with open(os.path.join(out, "found.json"), "w") as stream:
        json.dump({"seen": seen, "unread": unread, "hits": hits}, stream)


if __name__ == "__main__":
    main(*sys.argv[1:])
