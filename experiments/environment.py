"""What a run's interpreter has installed, read from disk without running it.

The runner puts the digest into every run's identity, so results of different environments are never paired.
"""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass
from pathlib import Path

from registry.errors import BadInput, Problem


@dataclass(frozen=True, slots=True)
class EnvironmentRecord:
    """An interpreter and the distributions beside it."""

    python: str
    """Version as the environment's own files state it, such as `3.11.7`."""
    packages: tuple[tuple[str, str], ...]
    """(distribution, version), sorted: the lock a result can be reproduced from."""
    machine: str
    variables: tuple[tuple[str, str], ...] = ()
    gpu: str = ""
    """Model of the GPUs that runs are given; empty, and no part of the digest, where they are given none."""

    @property
    def sha256(self) -> str:
        facts = [self.python, self.packages, self.machine, self.variables, *([self.gpu] if self.gpu else [])]
        text = json.dumps(facts, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def lock_text(self) -> str:
        """The packages as `name==version` lines, under a comment that names the interpreter."""
        return f"# python {self.python} on {self.machine}\n" + "".join(f"{n}=={v}\n" for n, v in self.packages)


def describe(python: Path, variables: dict[str, str] | None = None) -> EnvironmentRecord:
    """Record of the environment of `python` (its path inside a virtual environment, not resolved).

    Raises BadInput where there is no such interpreter.
    """
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
    prefix = python.parent.parent
    packages = sorted(
        {
            _name_and_version(info.name)
            for folder in (*prefix.glob("lib/python3*/site-packages"), *prefix.glob("lib/python3*/dist-packages"))
            for info in folder.glob("*.dist-info")
        }
    )
    return EnvironmentRecord(
        python=_version(prefix, python),
        packages=tuple(packages),
        machine=platform.machine(),
        variables=tuple(sorted((variables or {}).items())),
    )


def _name_and_version(folder: str) -> tuple[str, str]:
    name, _, version = folder.removesuffix(".dist-info").partition("-")
    return name.lower().replace("_", "-"), version


def _version(prefix: Path, python: Path) -> str:
    config = prefix / "pyvenv.cfg"
    if config.is_file():
        for line in config.read_text(errors="replace").splitlines():
            key, _, value = line.partition("=")
            if key.strip() in {"version", "version_info"}:
                return value.strip()
    return python.resolve().name.removeprefix("python") or "unknown"
