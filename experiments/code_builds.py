"""Builds a candidate's code, such as a program in C, once for all runs of its commit: `phases.build` of the target.

Called by `experiments.runner` before a run. A build is a phase of the candidate's code: it sees that code and nothing
else, no data and no network. What it leaves is shown to train and predict, read-only. It is kept under a hash of what
went into it, sealed with a hash of what came out, and built again where somebody changed it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from experiments.environment import EnvironmentRecord
from experiments.fingerprints import Fingerprints, total
from experiments.plans import Interrupted, Plan, Source
from experiments.trees import TreeCache
from registry.durable import write_atomically
from registry.errors import DiskFull
from registry.target import Target
from sandbox.contract import Limits, Outcome, RunSpec, Sandbox
from sandbox.outputs import remove_tree

PLACE = "/build"
"""Where train and predict see what the build left."""
LEAST_ROOM = 1 << 20
_WAIT_S = 0.2


class Bench(Protocol):
    """What a build is done with (`experiments.runner.Runner`)."""

    target: Target
    source: Source
    sandbox: Sandbox
    root: Path
    python: Path | None
    trees: TreeCache

    def interpreter(self, commit: str) -> Path | None: ...
    def environment(self, commit: str) -> EnvironmentRecord: ...
    def limits(self, plan: Plan) -> Limits: ...
    def variables(self, seed: int) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True)
class CodeBuild:
    """What a run needs to know of its code's build."""

    folder: Path | None
    """What the build left; None where it failed."""
    outcome: Outcome | None
    """How the build ended that was made for this run; None where it was there already."""
    log: Path | None = None


class CodeBuilds:
    """Builds by content, under one cache folder. Safe for several threads."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._cache = bench.root / ".agent" / "cache" / "builds"
        self._files = Fingerprints()
        self._locks: dict[str, threading.Lock] = {}
        self._mutex = threading.Lock()
        self.notes: list[str] = []

    def ensure(self, plan: Plan, cancel: threading.Event) -> CodeBuild | None:
        """The build of a plan's commit, made now where it is not there; None where the target has none.

        Raises Interrupted where it was stopped, DiskFull where there was no room.
        """
        if self._bench.target.phases.build is None:
            return None
        key = self._key(plan.commit)
        with self._alone(key, cancel):
            if self._stands(key):
                return CodeBuild(self._cache / key, None)
            return self._made(plan, key, cancel)

    def shown(self, plan: Plan) -> dict[str, tuple[str, int]]:
        """The hash over what the build left as it is now, and its folder's inode; nothing without a build."""
        if self._bench.target.phases.build is None:
            return {}
        folder = self._cache / self._key(plan.commit)
        if not folder.is_dir():
            return {}
        return {"build": (total(self._files.folder(folder)), folder.stat().st_ino)}

    def discard(self, commit: str, kept: str) -> None:
        """Let go of a commit's build, unless the commit `kept` has the same one."""
        if self._bench.target.phases.build is None:
            return
        key = self._key(commit)
        if key != self._key(kept):
            self._seal(key).unlink(missing_ok=True)
            remove_tree(self._cache / key)

    def _key(self, commit: str) -> str:
        bench, phase = self._bench, self._bench.target.phases.build
        facts = [
            bench.source.tree(commit),
            bench.trees.hidden(),
            phase.model_dump(mode="json") if phase is not None else None,
            bench.environment(commit).sha256,
            bench.target.resources.model_dump(mode="json", include={"cpus", "memory", "disk", "files", "processes"}),
            bench.sandbox.isolation,
        ]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]

    @contextmanager
    def _alone(self, key: str, cancel: threading.Event) -> Iterator[None]:
        with self._mutex:
            lock = self._locks.setdefault(key, threading.Lock())
        while not lock.acquire(timeout=_WAIT_S):
            if cancel.is_set():
                raise Interrupted("stopped while another run built the same code")
        try:
            yield
        finally:
            lock.release()

    def _stands(self, key: str) -> bool:
        """Whether the build is there and is what it was when it was made."""
        seal, folder = self._seal(key), self._cache / key
        if not seal.is_file() or not folder.is_dir():
            return False
        try:
            if json.loads(seal.read_text())["sha256"] == total(self._files.folder(folder)):
                return True
        except (OSError, ValueError, KeyError, TypeError):
            pass
        self.notes.append(f"the build {key} in the cache was changed by somebody; it is made again")
        return False

    def _made(self, plan: Plan, key: str, cancel: threading.Event) -> CodeBuild:
        folder, work = self._cache / key, self._cache / f".{key}"
        self._seal(key).unlink(missing_ok=True)
        remove_tree(folder)
        remove_tree(work)
        (work / "out").mkdir(parents=True)
        log = folder.with_suffix(".log")
        try:
            outcome = self._bench.sandbox.run(self._specification(plan, key, work), cancel)
            if (work / "log").is_file():
                shutil.copyfile(work / "log", log)
            if outcome.reason == "cancelled":
                raise Interrupted(f"stopped while the code of {plan.commit[:12]} was built")
            if outcome.reason == "exit" and outcome.status == 0:
                (work / "out").rename(folder)
                write_atomically(self._seal(key), json.dumps({"sha256": total(self._files.folder(folder))}).encode())
                return CodeBuild(folder, outcome, log)
            if shutil.disk_usage(self._cache).free < LEAST_ROOM:
                raise DiskFull(f"{self._cache}: no room left while code was built; free some space and start again")
            return CodeBuild(None, outcome, log)
        finally:
            remove_tree(work)

    def _specification(self, plan: Plan, key: str, work: Path) -> RunSpec:
        bench, phase = self._bench, self._bench.target.phases.build
        if phase is None:
            raise ValueError("a target without phases.build has nothing to build")
        python = bench.interpreter(plan.commit)
        argv = [word.replace("{out}", "/work") for word in phase.command]
        if argv[0] in {"python", "python3"} and python is not None:
            argv[0] = str(python)
        return RunSpec(
            run_id=f"code-{key}",
            argv=tuple(argv),
            out=work / "out",
            limits=replace(bench.limits(plan), wall_s=phase.timeout),
            code=bench.trees.candidate(plan.commit, plan.production),
            environment=bench.variables(0),
            python=python,
            image=bench.target.environment.image,
            start_in="code",
            log=work / "log",
        )

    def _seal(self, key: str) -> Path:
        return self._cache / f"{key}.json"
