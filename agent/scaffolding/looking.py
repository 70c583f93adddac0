"""Looks at a repository's newest commit, and at names in its checkout, and says what a target could be made of.

Called by `agent init`. Reads git's objects and folder names; runs nothing and writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agent.scaffolding import folders, scripts, settings
from registry.errors import BadInput
from registry.hypotheses import Scalar

if TYPE_CHECKING:
    from tools.repository import SolutionRepository

_HEAD = re.compile(r"ref: refs/heads/(\S+)")
_USUAL_BASES = ("main", "master", "trunk", "develop")
_MOST_READ = 1 << 20


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration file and what stands in it."""

    path: str
    scalars: Mapping[str, Scalar]
    tunables: tuple[settings.Tunable, ...]
    fast: Mapping[str, Scalar]
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """What a look at a repository found; what it did not find is empty."""

    root: Path
    base: str
    commit: str
    paths: frozenset[str]
    scripts: Mapping[str, scripts.Script] = field(default_factory=dict)
    configuration: Configuration | None = None
    data: folders.DataFolders = field(default_factory=folders.DataFolders)
    every_folder: frozenset[str] = frozenset()
    interpreter: folders.Interpreter = field(default_factory=folders.Interpreter)
    metric: str = ""
    evaluator: tuple[str, ...] = ()
    """The evaluate script's own files: those it imports, and nothing that train or predict imports too."""
    shared: tuple[str, ...] = ()
    """Files that evaluate imports and train or predict too."""
    uncommitted: tuple[str, ...] = ()
    """Scripts that stand in the checkout and in no commit."""

    def has_folder(self, path: str) -> bool:
        return path in self.every_folder or (self.root / path).is_dir()


def find_root(start: Path) -> Path:
    """The repository that a folder is in; the folder itself where it is in none, for a clear refusal later."""
    here = start.absolute()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)


def branch_of(root: Path) -> str:
    """The branch that the checkout is on, or the likeliest base where it is on none of the user's."""
    mark = root / ".git"
    try:
        if mark.is_file():
            mark = (root / mark.read_text(errors="replace").strip().removeprefix("gitdir:").strip()).resolve()
        head = _HEAD.match((mark / "HEAD").read_text(errors="replace"))
    except OSError:
        return _USUAL_BASES[0]
    if head is not None and not head[1].startswith(("agent/", ".")):
        return head[1]
    return next((name for name in _USUAL_BASES if (mark / "refs" / "heads" / name).exists()), _USUAL_BASES[0])


def look(root: Path, base: str = "", config: str = "") -> Findings:
    """Everything that can be found out about the repository at `root`. Raises BadInput where it cannot be used."""
    from tools import trees
    from tools.repository_checks import open_repository

    base = base or branch_of(root)
    repository = open_repository(root, base)
    commit = repository.branch_tip(base) or ""
    paths = frozenset(trees.list_paths(repository, commit))
    reader = _Reader(repository, commit, paths)
    found = {role: script for role in scripts.ROLES if (script := _script(reader, role)) is not None}
    imports = {role: _imports(reader, script.path) for role, script in found.items()}
    theirs = imports.get("train", set()) | imports.get("predict", set())
    evaluator = imports.get("evaluate", set())
    tracked = folders.of_paths(paths)
    data = folders.classify(tracked | folders.in_checkout(root))
    evaluate = found.get("evaluate")
    return Findings(
        root=root,
        base=base,
        commit=commit,
        paths=paths,
        scripts=found,
        configuration=_configuration(reader, found.get("train"), config),
        data=data,
        every_folder=frozenset(tracked),
        interpreter=folders.find_interpreter(root),
        metric=scripts.metric_in(reader.text(evaluate.path)) if evaluate else "",
        evaluator=tuple(sorted(evaluator - theirs)),
        shared=tuple(sorted(evaluator & theirs)),
        uncommitted=_uncommitted(root, paths),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Texts of one commit."""

    repository: SolutionRepository
    commit: str
    paths: frozenset[str]

    def text(self, path: str) -> str:
        """A file's text; empty for what is no ordinary text file of modest size."""
        from tools import trees

        try:
            content = trees.read_file(self.repository, self.commit, path)
        except BadInput:
            return ""
        return content.decode(errors="replace") if len(content) <= _MOST_READ else ""


def _script(reader: _Reader, role: str) -> scripts.Script | None:
    """The likeliest script, preferring one whose options tell its command."""
    likely = scripts.candidates(reader.paths, role)
    if not likely:
        return None
    read = [scripts.read_script(path, reader.text(path), role) for path in likely[:8]]
    best = next((script for script in read if script.command), read[0])
    others = tuple(path for path in likely if path != best.path)
    return scripts.Script(best.path, best.command, best.why_not, others, best.config_default)


def _imports(reader: _Reader, start: str) -> set[str]:
    """Files of the repository that a script needs, however indirectly."""
    needed: set[str] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        for other in scripts.local_imports(reader.text(path), path, reader.paths):
            if other not in needed and other != start:
                needed.add(other)
                waiting.append(other)
    return needed


def _configuration(reader: _Reader, train: scripts.Script | None, given: str) -> Configuration | None:
    likely = settings.candidates(reader.paths)
    if train is not None and train.config_default in reader.paths:
        likely = [train.config_default, *(path for path in likely if path != train.config_default)]
    if given:
        likely = [given] if given in reader.paths else []
    for path in likely:
        text = reader.text(path)
        try:
            found = settings.scalars(path, text)
        except BadInput:
            if given:
                raise
            continue
        if found:
            others = tuple(other for other in likely if other != path)
            tunables = tuple(settings.search_space(path, text, found))
            return Configuration(path, found, tunables, settings.fast_overrides(found), others)
    return None


def _uncommitted(root: Path, paths: frozenset[str]) -> tuple[str, ...]:
    beside = [path.name for path in root.glob("*.py") if path.is_file() and path.name not in paths]
    return tuple(sorted({name for role in scripts.ROLES for name in scripts.candidates(beside, role)}))
