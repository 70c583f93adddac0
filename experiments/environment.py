"""What a run's interpreter has installed, read from disk without running it, and looked at again before every run.

The runner puts the digest into every run's identity, so results of different environments are never paired.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments import installed
from experiments.fingerprints import Fingerprints, State, state_of
from registry.errors import BadInput, Problem, Retryable

SHARE = 0.05
"""Largest part of the time that goes into looking at every file of an environment, and not at what installers touch."""
REST_S = 0.5
"""An environment that has changed is read once nothing in it has moved for so long: an installer may be at work."""
PATIENCE_S = 600.0
_TRIES = 3
_LONGEST_CONFIGURATION = 64 << 10

Pairs = tuple[tuple[str, str], ...]

_IMAGE = "image "
HOST = "none"
"""In place of a version, where the phases need no Python."""
PROGRAMS_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class EnvironmentRecord:
    """An interpreter, the distributions beside it and the lock files they are to follow; or a container image."""

    python: str
    """Version as the environment's own files state it, such as `3.11.7`; of an image, `image` and its name."""
    packages: Pairs
    """(distribution, version), sorted: the lock a result can be reproduced from."""
    machine: str
    variables: Pairs = ()
    interpreter: str = ""
    """SHA-256 over the real program and its shared library."""
    contents: Pairs = ()
    """(distribution, SHA-256 over its files): tells an edited or reinstalled one of the same version."""
    origins: Pairs = ()
    """(distribution, where from), of those that were not installed from an index."""
    locks: Pairs = ()
    """(lock file of the repository, SHA-256) at the commit that runs."""
    evaluated_in: str = ""
    """Digest of the environment that `evaluate` runs in, where that is another one."""

    gpu: str = ""
    """Model of the GPUs that runs are given; empty, and no part of the digest, where they are given none."""

    @property
    def sha256(self) -> str:
        # An image is its digest, whatever name it is fetched under.
        python = self.python.rpartition("@")[2] if self.python.startswith(_IMAGE) else self.python
        parts: list[object] = [python, self.packages, self.machine, self.variables, self.interpreter]
        parts += [self.contents, self.origins, self.locks, self.evaluated_in, *([self.gpu] if self.gpu else [])]
        return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()

    @property
    def summary(self) -> str:
        """One line for people."""
        if self.python.startswith(_IMAGE):
            return self.python
        if self.python == HOST:
            return f"programs of the machine: {', '.join(name.removeprefix('program ') for name, _ in self.contents)}"
        return f"python {self.python} with {len(self.packages)} packages" + (f" on {self.gpu}" if self.gpu else "")

    def facts(self) -> dict[str, Any]:
        """All of it as the audit log keeps it, with the digest that runs name."""
        return {
            "sha256": self.sha256,
            "python": self.python,
            "interpreter": self.interpreter,
            "machine": self.machine,
            "packages": dict(self.packages),
            "contents": dict(self.contents),
            "origins": dict(self.origins),
            "locks": dict(self.locks),
            "variables": dict(self.variables),
            "evaluated_in": self.evaluated_in,
            **({"gpu": self.gpu} if self.gpu else {}),
        }

    def at(
        self, locks: Mapping[str, str], gpu: str = "", evaluated_in: str = "", programs: Pairs = ()
    ) -> EnvironmentRecord:
        """The same environment for a commit with these lock files, on GPUs of this model, with these programs."""
        locked, contents = tuple(sorted(locks.items())), (*self.contents, *programs)
        return replace(self, locks=locked, gpu=gpu, evaluated_in=evaluated_in, contents=contents)


def lock_text(facts: Mapping[str, Any]) -> str:
    """The packages as `name==version` lines, under comments that name the interpreter and what no index has.

    `facts` are those of `EnvironmentRecord.facts`, possibly written by an earlier version that knew fewer.
    """
    comments = [f"python {facts['python']} on {facts['machine']}", f"environment {facts['sha256']}"]
    comments += [f"lock {path} {sha256}" for path, sha256 in sorted(facts.get("locks", {}).items())]
    comments += [f"{name} from {origin}" for name, origin in sorted(facts.get("origins", {}).items())]
    packages = [f"{name}=={version}" for name, version in sorted(facts["packages"].items())]
    return "".join(f"{line}\n" for line in [*(f"# {comment}" for comment in comments), *packages])


class WatchedEnvironment:
    """One interpreter's environment: described once, and again where a look at its files finds a change.

    Every look compares what installers touch (a few ms); a look at every file follows where it costs less than
    `SHARE` of the time since the last one. Safe for several threads.
    """

    def __init__(self, python: Path, variables: Mapping[str, str] | None = None) -> None:
        """Raises BadInput where there is no such interpreter."""
        _check(python)
        self._python = python
        self._variables = tuple(sorted((variables or {}).items()))
        self._known = Fingerprints()
        self._lock = threading.Lock()
        self._seen: tuple[object, str] | None = None
        self._record: EnvironmentRecord | None = None
        self._walked, self._took = 0.0, 0.0

    def look(self) -> EnvironmentRecord:
        """The environment as it is now. Raises Retryable where something is being installed at this moment."""
        with self._lock:
            for _ in range(_TRIES):
                try:
                    return self._looked()
                except OSError as error:
                    _check(self._python)
                    trouble = error
                    time.sleep(0.2)
            raise Retryable(f"{self._python}: its environment changes while it is read ({trouble})")

    def _looked(self) -> EnvironmentRecord:
        prefix = self._python.parent.parent
        base = _base(prefix)
        places = installed.folders(prefix, base if _sees_base(prefix) else None)
        programs = _programs(self._python)
        outline = (installed.outline(places), tuple(programs), _configuration(prefix))
        if self._seen is not None and self._record is not None and self._seen[0] == outline:
            began = time.monotonic()
            if began - self._walked < self._took / SHARE:
                return self._record
            everything = self._everything(places)
            if everything == self._seen[1]:
                return self._record
        else:
            everything = self._everything(places)
        if self._record is not None:
            everything = self._at_rest(places, everything)
            outline = (installed.outline(places), tuple(_programs(self._python)), _configuration(prefix))
        found = installed.read(prefix, places, self._known)
        self._record = EnvironmentRecord(
            python=_version(prefix, self._python),
            packages=tuple(sorted(found.packages)),
            machine=platform.machine(),
            variables=self._variables,
            interpreter=_together(self._known.file(path, state) for path, state in programs),
            contents=tuple(sorted(found.contents.items())),
            origins=tuple(sorted(found.origins.items())),
        )
        self._seen = (outline, everything)
        return self._record

    def _at_rest(self, places: tuple[Path, ...], everything: str) -> str:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            time.sleep(REST_S)
            before, everything = everything, self._everything(places)
            if before == everything:
                return everything
        raise Retryable(f"{self._python}: something has been installed there for {PATIENCE_S:.0f} s and goes on")

    def _everything(self, places: tuple[Path, ...]) -> str:
        began = time.monotonic()
        found = installed.everything(places)
        self._walked = time.monotonic()
        self._took = self._walked - began
        return found


def describe(python: Path, variables: dict[str, str] | None = None) -> EnvironmentRecord:
    """Record of the environment of `python` (its path inside a virtual environment, not resolved).

    Raises BadInput where there is no such interpreter.
    """
    return WatchedEnvironment(python, variables).look()


def _check(python: Path) -> None:
    if not python.exists():
        raise BadInput(
            Problem(
                "target.yaml",
                f"{python}, which does not exist",
                "the solution's interpreter",
                "environment.python",
                fix=f"create it: python3 -m venv {python.parent.parent}",
            )
        )


class ImageEnvironment:
    """A container image (`name@sha256:...`): what is in it is settled by its digest."""

    def __init__(self, image: str, variables: Mapping[str, str] | None = None) -> None:
        self._record = EnvironmentRecord(
            python=f"{_IMAGE}{image}",
            packages=(),
            machine=platform.machine(),
            variables=tuple(sorted((variables or {}).items())),
        )

    def look(self) -> EnvironmentRecord:
        """The same at every look."""
        return self._record


class HostEnvironment:
    """No interpreter and no image: the phases run on programs of the machine, such as a shell or what they compile."""

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._record = EnvironmentRecord(
            python=HOST,
            packages=(),
            machine=platform.machine(),
            variables=tuple(sorted((variables or {}).items())),
        )

    def look(self) -> EnvironmentRecord:
        """The same at every look; the programs are looked at by `DeclaredPrograms`."""
        return self._record


class DeclaredPrograms:
    """The programs of the machine that a target names (`environment.programs`), by what their files are."""

    def __init__(self, names: Iterable[str], path: str = PROGRAMS_PATH) -> None:
        self._names, self._path = tuple(sorted(set(names))), path
        self._known = Fingerprints()

    def look(self) -> Pairs:
        """(program NAME, SHA-256 of its file) of each, as it is now; BadInput names one that is not there."""
        found = []
        for name in self._names:
            place = shutil.which(name, path=self._path)
            if place is None:
                expected = f"a program on {self._path}, which is what a sandbox has"
                raise BadInput(Problem("target.yaml", f"no program {name}", expected, "environment.programs"))
            found.append((f"program {name}", self._known.file(os.path.realpath(place))))
        return tuple(found)


def _programs(python: Path) -> list[tuple[str, State]]:
    """The real interpreter and the shared library that it may consist of, with their states."""
    real = python.resolve()
    libraries = sorted(real.parent.parent.glob("lib*/libpython3*.so*")) if not real.is_relative_to("/usr") else []
    return [(str(path), state_of(path.stat())) for path in (real, *libraries) if path.is_file()]


def _together(hashes: Iterable[str]) -> str:
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _configuration(prefix: Path) -> str:
    config = prefix / "pyvenv.cfg"
    if not config.is_file():
        return ""
    with config.open(encoding="utf-8", errors="replace") as stream:
        return stream.read(_LONGEST_CONFIGURATION)


def _setting(prefix: Path, *names: str) -> str:
    for line in _configuration(prefix).splitlines():
        key, _, value = line.partition("=")
        if key.strip().lower() in names:
            return value.strip()
    return ""


def _sees_base(prefix: Path) -> bool:
    return _setting(prefix, "include-system-site-packages").lower() == "true"


def _base(prefix: Path) -> Path | None:
    home = _setting(prefix, "home")
    return Path(home).parent if home else None


def _version(prefix: Path, python: Path) -> str:
    return _setting(prefix, "version", "version_info") or python.resolve().name.removeprefix("python") or "unknown"
