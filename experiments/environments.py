"""Which environment the runs of a commit are made in: the one that the target names, or one built from the commit.

Called by `experiments.runner`. Every look is fresh: what somebody installs while a night runs is another environment,
with an identity of its own, from the next run on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection
from pathlib import Path

from experiments.building import Build, EnvironmentBuilder
from experiments.environment import (
    DeclaredPrograms,
    EnvironmentRecord,
    HostEnvironment,
    ImageEnvironment,
    WatchedEnvironment,
)
from experiments.plans import Source
from registry.dependency_files import LOCK_FILES
from registry.errors import BadInput, Problem
from registry.target import Target
from sandbox.contract import Sandbox


class Environments:
    """The environments of one target's commits. Safe for several threads."""

    def __init__(
        self, target: Target, repository: Path, source: Source, sandbox: Sandbox, cache: Path, gpu: str = ""
    ) -> None:
        """Built environments are kept under `cache`; `gpu` is the model of the GPUs that runs are given."""
        self._gpu = gpu
        self.declared = interpreter(target, repository)
        self._target = target
        self._source = source
        self._watched = _watched(target, self.declared)
        self._programs = DeclaredPrograms(target.environment.programs)
        self.known: dict[str, EnvironmentRecord] = {}
        """Digest → record, of every environment that was looked at."""
        build = target.environment.build
        self._builder = (
            EnvironmentBuilder(target, build, repository, source, sandbox, cache, self.declared)
            if build is not None and self.declared is not None
            else None
        )

    def python(self, commit: str) -> Path | None:
        """Interpreter that the commit's own code runs under. Evaluators run under the declared one."""
        return self._builder.python(commit) if self._builder is not None else self.declared

    def look(self, commit: str) -> EnvironmentRecord:
        """The environment of a commit as it is now. Builds nothing: `prepare` comes first where there is a build."""
        now = self._watched.look()
        if self._builder is not None:
            built = self._builder.look(commit)
            found = built.at(self._locks(commit), self._gpu, now.sha256, self._programs.look())
        else:
            found = now.at(self._locks(commit), self._gpu, programs=self._programs.look())
        self.known[found.sha256] = found
        return found

    def prepare(self, commits: Collection[str], cancel: threading.Event) -> list[Build]:
        """Build what is not built yet; the builds that were made now.

        Raises BuildFailed where a commit's environment cannot be built, Interrupted where that was stopped.
        """
        if self._builder is None:
            return []
        made = [self._builder.ensure(commit, self._watched.look(), cancel) for commit in dict.fromkeys(commits)]
        return [build for build in made if build is not None]

    def discard(self, commit: str, kept: str) -> None:
        """Let go of a commit's built environment, unless the commit `kept` runs in the same one."""
        if self._builder is not None:
            self._builder.discard(commit, kept)

    def take_notes(self) -> list[str]:
        """What a person should know about built environments that others had changed, once."""
        return self._builder.take_notes() if self._builder is not None else []

    def _locks(self, commit: str) -> dict[str, str]:
        declared = self._target.environment.lock
        globs = [f"**/{name}" for name in LOCK_FILES]
        found = self._source.hashes(commit, [*globs, declared] if declared is not None else globs)
        if declared is not None and declared not in found:
            raise BadInput(
                Problem("target.yaml", f"no file {declared} in {commit[:12]}", "a lock file", "environment.lock")
            )
        return found


def interpreter(target: Target, repository: Path) -> Path | None:
    """Path of the solution's own interpreter; None where the target names an image, which has its own, or none."""
    if target.environment.python is None:
        return None
    # Without `..`: the sandbox mounts the path as it is spelled, and the folder before a `..` is not inside.
    return Path(os.path.normpath(repository / target.environment.python))


def _watched(target: Target, python: Path | None) -> WatchedEnvironment | ImageEnvironment | HostEnvironment:
    variables = target.environment.variables
    if target.environment.image is not None:
        return ImageEnvironment(target.environment.image, variables)
    if python is None:
        return HostEnvironment(variables)
    return WatchedEnvironment(python, variables)
