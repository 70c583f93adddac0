"""Reads commits: files, digests of parts of a tree, and trees written out for a sandbox.

Called by the runner's wiring (code and data for each phase) and by the researcher (one file at a time). Contents
are the stored bytes: `git archive` is not used, because a candidate's own `.gitattributes` could drop or rewrite
files in it (export-ignore, export-subst, line ends).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from registry.errors import BadInput
from tools.globs import covers, matches
from tools.patches import FileChange
from tools.repository import EXECUTABLE, SUBMODULE, SYMLINK, SolutionRepository, TreeEntry

MAX_READ_BYTES = 1 << 20
FORBIDDEN_PARTS = frozenset({"", ".", "..", ".git"})


def tree_of(repository: SolutionRepository, commit: str) -> str:
    """Id of the commit's tree: what a run is identified by, since a commit's own id holds a time."""
    return repository.tree_of(commit)


def list_paths(repository: SolutionRepository, commit: str) -> list[str]:
    """Every path of the commit, files and links, sorted."""
    return sorted(entry.path for entry in repository.entries(commit))


def read_file(repository: SolutionRepository, commit: str, path: str) -> bytes:
    """The stored bytes of one regular file; BadInput where the commit has none at that path."""
    for entry in repository.entries(commit):
        if entry.path == path and entry.mode not in (SYMLINK, SUBMODULE):
            return next(repository.blobs([entry]))
    raise repository.complaint(f"no file {path} in commit {commit[:12]}", "a file of the repository", place=path)


def read_files(
    repository: SolutionRepository, commit: str, patterns: Iterable[str], max_bytes: int = MAX_READ_BYTES
) -> dict[str, bytes]:
    """The regular files whose paths match the patterns, read in one go; larger ones are left out."""
    wanted = tuple(patterns)
    entries = [
        entry
        for entry in repository.entries(commit)
        if entry.mode not in (SYMLINK, SUBMODULE) and (entry.size or 0) <= max_bytes and matches(entry.path, wanted)
    ]
    return {entry.path: content for entry, content in zip(entries, repository.blobs(entries), strict=True)}


def paths_digest(repository: SolutionRepository, commit: str, patterns: Iterable[str]) -> str:
    """SHA-256 over path, mode and blob id of everything the patterns cover; equal exactly when all of it is equal."""
    wanted = tuple(patterns)
    digest = hashlib.sha256()
    for entry in sorted(repository.entries(commit), key=lambda found: found.path):
        if covers(entry.path, wanted):
            digest.update(f"{entry.mode} {entry.blob} {entry.path}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def content_hashes(repository: SolutionRepository, commit: str, patterns: Iterable[str]) -> dict[str, str]:
    """SHA-256 of every regular file that the patterns cover, by path, whatever its size."""
    wanted = tuple(patterns)
    entries = [
        entry
        for entry in repository.entries(commit)
        if entry.mode not in (SYMLINK, SUBMODULE) and covers(entry.path, wanted)
    ]
    blobs = repository.blobs(entries)
    return {entry.path: hashlib.sha256(blob).hexdigest() for entry, blob in zip(entries, blobs, strict=True)}


def content_ids(
    repository: SolutionRepository, commit: str, include: Sequence[str], exclude: Sequence[str]
) -> dict[str, tuple[str, str]]:
    """(mode, blob id) of every path that `archive_tree` would write with the same arguments."""
    return {
        entry.path: (entry.mode, entry.blob)
        for entry in repository.entries(commit)
        if covers(entry.path, include) and not covers(entry.path, exclude)
    }


def changed_files(repository: SolutionRepository, older: str, newer: str) -> list[FileChange]:
    """Which files differ between two commits and by how many lines."""
    ids = (repository.commit_id(older), repository.commit_id(newer))
    out = repository.run("diff-tree", "-r", "-z", "--numstat", "--no-renames", "--no-ext-diff", "--no-textconv", *ids)
    changes = []
    for record in out.decode(errors="replace").split("\0"):
        if record:
            added, removed, path = record.split("\t", 2)
            binary = added == "-"
            changes.append(FileChange(path, None if binary else int(added), None if binary else int(removed)))
    return changes


def archive_tree(
    repository: SolutionRepository,
    commit: str,
    destination: Path,
    exclude: Sequence[str] = (),
    include: Sequence[str] = ("**",),
) -> Path:
    """Write the commit's files that `include` covers and `exclude` does not to `destination`, a new or empty folder.

    The folder appears whole or not at all, and a killed call's remains go with the next one to the same place.
    Files are 0644 or 0755. A link that leaves the tree is refused.
    """
    if destination.is_symlink() or (destination.exists() and any(destination.iterdir())):
        raise repository.complaint(f"{destination} is not empty", "a new or empty folder to write the tree to")
    entries = repository.entries(commit)
    kept = [entry for entry in entries if covers(entry.path, include) and not covers(entry.path, exclude)]
    for entry in kept:
        _check_path(repository, entry)
    destination.parent.mkdir(parents=True, exist_ok=True)
    for leftover in list(destination.parent.iterdir()):
        if leftover.name.startswith(f".{destination.name}.partial-"):
            shutil.rmtree(leftover)
    partial = Path(tempfile.mkdtemp(dir=destination.parent, prefix=f".{destination.name}.partial-"))
    try:
        _write(repository, kept, partial)
        partial.chmod(0o755)
        partial.replace(destination)
    finally:
        if partial.exists():
            shutil.rmtree(partial)
    return destination


def _check_path(repository: SolutionRepository, entry: TreeEntry) -> None:
    parts = entry.path.split("/")
    if entry.mode == SUBMODULE or any(part.casefold() in FORBIDDEN_PARTS for part in parts):
        raise repository.complaint(f"{entry.path!r} in the tree", "ordinary files and links", "remove it and commit")


def _write(repository: SolutionRepository, entries: Sequence[TreeEntry], root: Path) -> None:
    files = [entry for entry in entries if entry.mode != SYMLINK]
    for folder in {(root / entry.path).parent for entry in entries}:
        folder.mkdir(parents=True, exist_ok=True)
    for entry, content in zip(files, repository.blobs(files), strict=True):
        descriptor = os.open(root / entry.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(descriptor, 0o755 if entry.mode == EXECUTABLE else 0o644)
    for folder in {parent for entry in entries for parent in Path(entry.path).parents}:
        (root / folder).chmod(0o755)
    # Links last, so that nothing is ever written through one.
    links = [entry for entry in entries if entry.mode == SYMLINK]
    for entry, content in zip(links, repository.blobs(links), strict=True):
        target = os.fsdecode(content)
        if not stays_inside(entry.path, target):
            raise _leaving(repository, entry.path, target)
        (root / entry.path).symlink_to(target)


def stays_inside(path: str, target: str) -> bool:
    """Whether a link at `path` stays in the tree, whatever other links it passes through.

    `..` is accepted only in front: the folders above a link are real folders, so those steps go where they seem
    to; after a name, which may itself be a link, they need not.
    """
    if not target or target.startswith("/") or "\0" in target:
        return False
    parts = [part for part in target.split("/") if part not in ("", ".")]
    ups = 0
    while ups < len(parts) and parts[ups] == "..":
        ups += 1
    return ups <= path.count("/") and ".." not in parts[ups:]


def _leaving(repository: SolutionRepository, path: str, target: str) -> BadInput:
    return repository.complaint(
        f"a link {path} that leads out of the tree ({target[:200]!r})",
        "links to files of the repository",
        "replace it with a relative link or the file itself",
    )
