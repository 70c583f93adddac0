"""Builds the environment of a commit from the commit's own files, in a sandbox, and keeps it under what went into it.

Called by `experiments.environments`. A build is a stranger's program: it sees the files that the target names, the
wheels and the declared interpreter, and no network unless the target allows it. What it leaves is held to what an
environment may be before anything runs in it, and looked at again before every use.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from experiments import installed
from experiments.environment import EnvironmentRecord, WatchedEnvironment
from experiments.fingerprints import Fingerprints, total
from experiments.plans import Interrupted, Source
from registry.durable import write_atomically
from registry.errors import AgentError, BadInput, Problem, Retryable
from registry.target import EnvironmentBuild, Target
from sandbox.contract import Limits, Mount, Outcome, RunSpec, Sandbox
from sandbox.interpreters import discover
from sandbox.outputs import plain_text, remove_tree

MOST_FILES = 1_000_000
PROCESSES = 512
LOG_SHOWN = 600
_VARIABLES = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_NO_CACHE_DIR": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": "315532800",
}


class BuildFailed(AgentError):
    """The environment of a commit cannot be built from its files; the commit's fault, not the machine's."""


@dataclass(frozen=True, slots=True)
class Build:
    """One environment that was built."""

    commit: str
    key: str
    """Hash of all that goes into it; the name of its folder."""
    files: dict[str, str]
    """File of the commit → SHA-256."""
    command: tuple[str, ...]
    network: bool
    wheels: str
    """SHA-256 over the folder of wheels; empty where there is none."""
    wall_s: float
    isolation: str


class EnvironmentBuilder:
    """Environments by commit, under one cache folder. One build at a time; safe for several threads."""

    def __init__(
        self,
        target: Target,
        build: EnvironmentBuild,
        repository: Path,
        source: Source,
        sandbox: Sandbox,
        cache: Path,
        declared: Path,
    ) -> None:
        self._target, self._build, self._repository = target, build, repository
        self._source, self._sandbox, self._cache, self._declared = source, sandbox, cache, declared
        self._lock = threading.RLock()
        self._files = Fingerprints()
        self._keys: dict[str, str] = {}
        """Commit → key of the environment that was last prepared for it."""
        self._watched: dict[str, WatchedEnvironment] = {}
        self._notes: list[str] = []

    def python(self, commit: str) -> Path:
        """Interpreter of a commit that `ensure` has prepared."""
        return self._cache / self._key(commit) / "bin" / "python"

    def look(self, commit: str) -> EnvironmentRecord:
        """The environment of a commit that `ensure` has prepared, as it is now."""
        key = self._key(commit)
        with self._lock:
            if key not in self._watched:
                variables = self._target.environment.variables
                self._watched[key] = WatchedEnvironment(self.python(commit), variables)
        return self._watched[key].look()

    def take_notes(self) -> list[str]:
        """Lines for a person, once."""
        notes, self._notes = self._notes, []
        return notes

    def discard(self, commit: str, kept: str) -> None:
        """Remove the environment of a commit, unless the commit `kept` runs in the same one."""
        key = self._keys.pop(commit, None)
        if key is not None and key != self._keys.get(kept):
            self._seal(key).unlink(missing_ok=True)
            self._watched.pop(key, None)
            remove_tree(self._cache / key)

    def _key(self, commit: str) -> str:
        known = self._keys.get(commit)
        if known is None:
            raise BuildFailed(f"the environment of {commit[:12]} is not built")
        return known

    # -- building -------------------------------------------------------------------------------------------

    def ensure(self, commit: str, declared: EnvironmentRecord, cancel: threading.Event) -> Build | None:
        """Build the environment of a commit where it is not there as it was built; None where it is."""
        with self._lock:
            files = self._source.hashes(commit, self._build.files)
            if not files:
                raise BuildFailed(f"{commit[:12]} has none of the files that environment.build.files names")
            wheels = self._wheels_digest(commit)
            command = self._build.command
            facts = [command, self._build.network, wheels, declared.sha256, sorted(files.items())]
            key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]
            if self._stands(commit, key):
                return None
            began = self._run(commit, key, cancel)
            return Build(commit, key, files, tuple(command), self._build.network, wheels, began.wall_s, began.isolation)

    def _stands(self, commit: str, key: str) -> bool:
        """Whether the environment is there and is what it was when it was built."""
        seal, folder = self._seal(key), self._cache / key
        before, self._keys[commit] = self._keys.get(commit), key
        try:
            if seal.is_file() and folder.is_dir():
                if json.loads(seal.read_text())["sha256"] == self.look(commit).sha256:
                    return True
                self._notes.append(f"the built environment {key} was changed by somebody; it is built again")
        except (ValueError, KeyError, TypeError, BadInput):
            self._notes.append(f"the built environment {key} is damaged; it is built again")
        self._watched.pop(key, None)
        if before is None:
            self._keys.pop(commit)
        else:
            self._keys[commit] = before
        return False

    def _run(self, commit: str, key: str, cancel: threading.Event) -> Outcome:
        folder = self._cache / key
        self._seal(key).unlink(missing_ok=True)
        remove_tree(folder)
        folder.mkdir(parents=True)
        work = Path(tempfile.mkdtemp(dir=self._cache, prefix="."))
        work.chmod(0o755)
        try:
            outcome = self._sandbox.run(self._specification(commit, key, work, folder), cancel)
            self._judge(commit, outcome)
            self._check(commit, folder)
            self._keys[commit] = key
            self._watched.pop(key, None)
            sha256 = self.look(commit).sha256
            write_atomically(self._seal(key), json.dumps({"sha256": sha256, "commit": commit}).encode())
        except BaseException:
            remove_tree(folder)
            raise
        finally:
            shutil.copyfile(work / "log", folder.with_suffix(".log")) if (work / "log").is_file() else None
            remove_tree(work)
        return outcome

    def _specification(self, commit: str, key: str, work: Path, folder: Path) -> RunSpec:
        self._source.materialise(commit, work / "code", self._build.files, [])
        mounts = []
        values = {"out": str(folder)}
        if self._build.wheels is not None:
            mounts.append(Mount(self._wheels(commit, work), "/wheels"))
            values["wheels"] = "/wheels"
        index = {} if self._build.network else {"PIP_NO_INDEX": "1"}
        return RunSpec(
            run_id=f"build-{key}",
            argv=tuple(_filled(word, values) for word in self._build.command),
            out=folder,
            out_in_place=True,
            limits=Limits(
                wall_s=self._build.timeout,
                memory_bytes=self._target.resources.memory,
                processes=PROCESSES,
                disk_bytes=self._build.disk,
                files=MOST_FILES,
            ),
            code=work / "code",
            mounts=tuple(mounts),
            environment={**_VARIABLES, **index, **self._target.environment.variables},
            python=self._declared,
            start_in="code",
            network=self._build.network,
            log=work / "log",
        )

    def _judge(self, commit: str, outcome: Outcome) -> None:
        if outcome.reason == "exit" and outcome.status == 0:
            return
        if outcome.reason == "cancelled":
            raise Interrupted(f"stopped while the environment of {commit[:12]} was built")
        ending = f"exit status {outcome.status}" if outcome.reason == "exit" else outcome.reason
        said = plain_text(" ".join(outcome.tail.split())[-LOG_SHOWN:], LOG_SHOWN)
        why = f"the environment of {commit[:12]} cannot be built: {ending} {outcome.detail}".rstrip()
        if outcome.reason == "infra":
            raise Retryable(f"{why}: {said}")
        raise BuildFailed(f"{why}: {said}")

    def _check(self, commit: str, folder: Path) -> None:
        """An environment of its own, on the base that the declared interpreter has: it may show nothing else."""
        python = folder / "bin" / "python"
        try:
            built, base = discover(python), discover(self._declared)
        except BadInput as error:
            raise BuildFailed(f"the build of {commit[:12]} left no interpreter at bin/python: {error}") from error
        real = Path(os.path.realpath(python))
        if real != Path(os.path.realpath(self._declared)) and not real.is_relative_to(os.path.realpath(folder)):
            raise BuildFailed(f"the build of {commit[:12]} leads to {real}, which is neither its own nor the base's")
        for place in installed.folders(folder, None):
            if not place.resolve().is_relative_to(folder.resolve()):
                raise BuildFailed(
                    f"the build of {commit[:12]} has its packages in {place.resolve()}, outside of itself"
                )
        allowed = {path for path in base.paths if not path.is_relative_to(self._declared.parent.parent)}
        for path in built.paths:
            if not path.is_relative_to(folder) and path not in allowed:
                raise BuildFailed(
                    f"the build of {commit[:12]} leads to {path}, which is neither its own nor the base's"
                )

    # -- what goes into it ----------------------------------------------------------------------------------

    def _wheels_digest(self, commit: str) -> str:
        if self._build.wheels is None:
            return ""
        tracked = self._source.contents(commit, [f"{self._build.wheels}/**"], [])
        return hashlib.sha256(json.dumps(sorted(tracked.items())).encode()).hexdigest() if tracked else self._beside()

    def _beside(self) -> str:
        """The hash over wheels that git does not track, in the checkout."""
        folder = self._repository / str(self._build.wheels)
        if not folder.is_dir():
            problem = Problem("target.yaml", f"no folder {self._build.wheels}", "packages", "environment.build.wheels")
            raise BadInput(problem)
        return total(self._files.folder(folder))

    def _wheels(self, commit: str, work: Path) -> Path:
        self._source.materialise(commit, work / "wheels", [f"{self._build.wheels}/**"], [])
        tracked = work / "wheels" / str(self._build.wheels)
        return tracked if tracked.is_dir() else self._repository / str(self._build.wheels)

    def _seal(self, key: str) -> Path:
        return self._cache / f"{key}.json"


def _filled(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace("{" + name + "}", value)
    return word
