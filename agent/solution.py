"""The user's repository as the runner and the patch writer need it: `tools` over git, joined with YAML editing.

Implements `experiments.plans.Source`. Contents of a commit never change, so what is read is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from agent.researcher.contract import Edits
from registry.errors import BadInput, Problem
from registry.hypotheses import Scalar
from registry.target import Target

if TYPE_CHECKING:
    from tools.branches import Candidate, ProductionState
    from tools.repository import SolutionRepository


REGULAR = "100644"


class Solution:
    """Files, configuration and branches of one solution."""

    def __init__(self, repository: SolutionRepository, target: Target, worktrees: Path) -> None:
        self.repository = repository
        self._target = target
        self._worktrees = worktrees
        self.tree = lru_cache(maxsize=64)(repository.tree_of)
        self._hashes = lru_cache(maxsize=64)(self._read_hashes)
        self._raw_configuration = lru_cache(maxsize=64)(self._read_configuration)

    # -- experiments.plans.Source ---------------------------------------------------------------------------

    def materialise(self, commit: str, destination: Path, include: list[str], exclude: list[str]) -> None:
        """Write the files that match `include` and not `exclude` under `destination` (new or empty)."""
        from tools import trees

        trees.archive_tree(self.repository, commit, destination, include=include, exclude=exclude)

    def digest(self, commit: str, globs: list[str]) -> str:
        """Hash over paths, modes and contents of what the globs cover."""
        from tools import trees

        return trees.paths_digest(self.repository, commit, globs)

    def hashes(self, commit: str, globs: list[str]) -> dict[str, str]:
        """SHA-256 of every file that the globs cover, by path."""
        return self._hashes(commit, tuple(globs))

    def contents(self, commit: str, include: list[str], exclude: list[str]) -> dict[str, tuple[str, str]]:
        """Git's mode and blob id of every path that `materialise` writes."""
        from tools import trees

        return trees.content_ids(self.repository, commit, include, exclude)

    def _read_hashes(self, commit: str, globs: tuple[str, ...]) -> dict[str, str]:
        from tools import trees

        return trees.content_hashes(self.repository, commit, globs)

    def configuration(self, commit: str, overrides: dict[str, Scalar]) -> bytes:
        """The configuration file at a commit, with values replaced in place."""
        content = self._raw_configuration(commit)
        return self.edited(content, overrides) if overrides else content

    # -- configuration --------------------------------------------------------------------------------------

    def edited(self, content: bytes, settings: dict[str, Scalar]) -> bytes:
        """Configuration text with the settings' values in place of the old ones; all else byte for byte."""
        from tools import configuration_edit

        name = self._target.solution.config
        text = configuration_edit.set_values(name, content.decode(), settings, _splice_yaml, _load_yaml)
        return text.encode()

    def settings(self, commit: str) -> dict[str, Scalar]:
        """Values of the search space's paths at a commit; BadInput names every path that is not there."""
        from tools import configuration_edit

        name = self._target.solution.config
        text = self._raw_configuration(commit).decode()
        found: dict[str, Scalar] = {}
        problems: list[Problem] = []
        for parameter in self._target.search_space.values():
            try:
                value = configuration_edit.read_value(name, text, parameter.path, _load_yaml)
                if value is None:
                    problems.append(Problem(name, "null", "a value that the search space can change", parameter.path))
                else:
                    found[parameter.path] = value
            except BadInput as error:
                problems.extend(error.problems)
        if problems:
            raise BadInput(*problems)
        return found

    def read(self, commit: str, path: str) -> bytes:
        """One file at a commit."""
        from tools import trees

        return trees.read_file(self.repository, commit, path)

    def _read_configuration(self, commit: str) -> bytes:
        return self.read(commit, self._target.solution.config)

    # -- branches -------------------------------------------------------------------------------------------

    def ensure_production(self) -> ProductionState:
        """Production at its base, with new commits of the base merged in."""
        from tools import branches

        return branches.ensure_production(self.repository, self._target.solution.base)

    def files(self, commit: str) -> dict[str, int]:
        """Regular files of a commit with their sizes in bytes; no link, no submodule."""
        from tools.repository import SUBMODULE, SYMLINK

        entries = self.repository.entries(commit)
        return {entry.path: entry.size or 0 for entry in entries if entry.mode not in (SYMLINK, SUBMODULE)}

    def check(self, commit: str, edits: Edits, importable: frozenset[str] = frozenset()) -> list[Problem]:
        """What speaks against writing these files on top of a commit; empty where nothing does.

        `importable` has the modules that are installed where the solution runs.
        """
        from tools import patches, trees

        modes = {path: mode for path, (mode, _) in trees.content_ids(self.repository, commit, ["**"], []).items()}
        existing = frozenset(modes)
        regular = self.files(commit).keys()
        sources = [self.read(commit, path).decode(errors="replace") for path in regular if path.endswith(".py")]
        solution = self._target.solution
        boundary = patches.Boundary(
            editable=tuple(solution.editable),
            protected=tuple(solution.protected),
            existing_paths=existing,
            modules_used=patches.imported_modules(sources),
            importable=importable,
            builds=tuple(self._target.environment.build.files) if self._target.environment.build is not None else (),
            locks=(self._target.environment.lock,) if self._target.environment.lock is not None else (),
            parse_yaml=_load_yaml,
        )
        changes = [
            patches.Edit(
                path,
                (self.read(commit, path) if path in regular else b"") if path in existing else None,
                new,
                old_mode=modes.get(path, REGULAR),
                new_mode=modes.get(path, REGULAR),
            )
            for path, new in edits.items()
        ]
        return patches.check_edits(changes, boundary)

    def environment_files(self, paths: Iterable[str]) -> list[str]:
        """Those of the paths that an environment is built from."""
        from tools.globs import covers

        build = self._target.environment.build
        return sorted(path for path in paths if build is not None and covers(path, build.files))

    def commit(
        self,
        hypothesis_id: str,
        title: str,
        production: str,
        edits: Edits,
        message: str,
        trailers: dict[str, str],
        date: str,
    ) -> Candidate:
        """The hypothesis as a commit on a branch of its own; the same again where it is there already."""
        from tools import branches

        return branches.create_candidate(
            self.repository, self._worktrees, hypothesis_id, title, production, edits, message, trailers, date
        )

    def promote(self, expected: str, commit: str) -> None:
        """Move production forward to a commit, unless it is there."""
        from tools import branches

        branches.promote(self.repository, expected, commit)

    def clean_up(self) -> tuple[str, ...]:
        """Remove what a killed process left in the repository; one line for each thing."""
        from tools import branches

        return branches.cleanup_worktrees(self.repository, self._worktrees)


def _splice_yaml(text: str, changes: Mapping[tuple[str, ...], Scalar]) -> str:
    from registry.yaml_text import splice

    return splice(text, {tuple(path): value for path, value in changes.items()}, "configuration")


def _load_yaml(text: str) -> object:
    from registry.yaml_parsing import parse

    return parse(text, "configuration").data
