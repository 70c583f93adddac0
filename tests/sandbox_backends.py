"""The backends the sandbox tests run against, and what becomes of a test where one cannot be had."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import docker_engines
import pytest

from sandbox.bubblewrap import Bubblewrap
from sandbox.contract import Limits, Sandbox
from sandbox.docker_engine import Docker
from sandbox.namespaces import Namespaces
from sandbox.outputs import remove_tree

ROOT = Path(__file__).resolve().parent.parent
NOBODY = 65534


def on_empty_image(state: Path) -> Docker:
    """The container backend, on an image with nothing in it and the host's own system laid over."""
    return Docker(state, docker_engines.EMPTY, show_host_system=True)


BACKENDS: dict[str, tuple[str, Callable[[Path], Sandbox]]] = {
    "bwrap": ("bwrap", Bubblewrap),
    "docker": ("", on_empty_image),
    "namespaces": ("setpriv", Namespaces),
}
"""Each with the program that it needs; the engine of docker is provided by `docker_engines`."""
SUPERVISED = ("bwrap", "namespaces")
"""Those whose runs have a supervisor each, and that an ordinary user can have without an engine."""
ISOLATION = {"bwrap": "full", "docker": "full", "namespaces": "weak"}
LIMITS = Limits(wall_s=20, memory_bytes=256 << 20, disk_bytes=64 << 20)


def absent(reason: str, name: str = "bwrap") -> NoReturn:
    """Skip, or fail where the environment (a list with commas) says that this backend has to be there."""
    if name in os.environ.get("REQUIRE_SANDBOX", "").replace(" ", "").split(","):
        pytest.fail(f"REQUIRE_SANDBOX names {name}, but {reason}")
    pytest.skip(reason)


def make(name: str, state: Path) -> Sandbox:
    """The backend, usable; the test is skipped or failed otherwise."""
    program, backend = BACKENDS[name]
    if program and shutil.which(program) is None:
        absent(f"{program} is not installed", name)
    if name == "docker" and (why := docker_engines.provide()):
        absent(why, name)
    sandbox = backend(state)
    capabilities = sandbox.doctor()
    if not capabilities.usable:
        absent("; ".join(capabilities.reasons), name)
    return sandbox


@dataclass(frozen=True)
class OrdinaryUser:
    """A folder of an ordinary user with a copy of the program, and how to start Python as that user."""

    home: Path
    command: tuple[str, ...]
    environment: dict[str, str]

    @property
    def root(self) -> Path:
        return self.home / "program"


@contextmanager
def ordinary_user() -> Iterator[OrdinaryUser]:
    """For tests that run as root and want to see the other half."""
    if os.geteuid() != 0:
        pytest.skip("these tests already run as an ordinary user")
    become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    modern = (*become, "/usr/bin/python3", "-c", "import sys; sys.exit(sys.version_info < (3, 11))")
    if subprocess.run(modern, capture_output=True, cwd="/").returncode != 0:
        absent("no Python 3.11 in /usr/bin that another user may start")
    if subprocess.run(
        (*become, "bwrap", "--unshare-user", "--ro-bind", "/", "/", "true"), capture_output=True
    ).returncode:
        absent("user namespaces are closed to ordinary users here")
    home = Path(tempfile.mkdtemp(prefix="as nobody "))
    try:
        for name in ("sandbox", "registry"):
            shutil.copytree(ROOT / name, home / "program" / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("sandbox_programs.py", "sandbox_programs_neighbours.py"):
            shutil.copy(ROOT / "tests" / name, home / "program")
        for path in (home, *home.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home)}
        environment["PYTHONPATH"] = str(home / "program")
        yield OrdinaryUser(home, (*become, "/usr/bin/python3"), environment)
    finally:
        remove_tree(home)


def played_by_an_ordinary_user(backend: str) -> dict[str, Any]:
    """What every hostile program came to, started by somebody without rights; skips where it cannot be."""
    with ordinary_user() as user:
        (user.home / "play").mkdir()
        os.chown(user.home / "play", NOBODY, NOBODY)
        done = subprocess.run(
            [*user.command, user.root / "sandbox_programs.py", user.home / "play", backend],
            capture_output=True,
            text=True,
            timeout=120,
            cwd="/",
            env=user.environment,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found
