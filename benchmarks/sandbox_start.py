"""What a sandbox costs over the bare command: medians of n runs of a program that does nothing.

    python benchmarks/sandbox_start.py [--runs 21] [--backend bwrap|namespaces|docker] [--image NAME@DIGEST] [--json]

Prints the bare command, the whole of `Sandbox.run` with everything on, the difference, and its parts. Containers are
measured on an image that is named, running its own python, or on an empty one that this host's system is laid over;
the engine is the one that answers.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sandbox.bubblewrap import Bubblewrap
from sandbox.contract import Limits, RunSpec, Sandbox
from sandbox.docker_client import connect
from sandbox.docker_engine import Docker
from sandbox.interpreters import discover
from sandbox.namespaces import Namespaces

_LIMITS = Limits(wall_s=30, memory_bytes=512 << 20, disk_bytes=256 << 20)
_TARGET_MS = {"bwrap": 60.0, "docker": 1000.0, "namespaces": 60.0}
_EMPTY = "sbx/empty"


def main() -> int:
    """Measure and print; exit status 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--backend", choices=sorted(_TARGET_MS), default="bwrap")
    parser.add_argument("--image", help="for docker: an image whose own python is started")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        supervised = {"bwrap": Bubblewrap, "namespaces": Namespaces}.get(arguments.backend)
        sandbox = supervised(state) if supervised is not None else _containers(state, arguments.image)
        figures = measure(Path(folder), arguments.runs, sandbox, arguments.image)
    if arguments.json:
        print(json.dumps(figures, indent=2, sort_keys=True))
    else:
        for name, value in figures.items():
            print(f"{name}: {value}")
    return 0 if figures["over_bare_ms"] <= figures["target_ms"] else 1


def _containers(state: Path, image: str | None) -> Sandbox:
    if image is not None:
        return Docker(state, image)
    with contextlib.closing(connect()) as engine:
        with tarfile.open(fileobj=(empty := io.BytesIO()), mode="w"):
            pass
        engine.import_image_from_data(empty.getvalue(), repository=_EMPTY)
    return Docker(state, _EMPTY, show_host_system=True)


def measure(folder: Path, runs: int, sandbox: Sandbox, image: str | None) -> dict[str, float]:
    """All figures in milliseconds, each the median over `runs`; the variants take turns, so that load hits all."""
    python = Path(sys.executable)
    program = ("-c", "pass")
    bare_bwrap = ["bwrap", "--unshare-pid", "--unshare-net", "--dev-bind", "/", "/", "/bin/true"]
    inside: list[float] = []

    def sandboxed() -> None:
        out = Path(tempfile.mkdtemp(dir=folder))
        if image is None:
            spec = RunSpec("benchmark", (str(python), *program), out, _LIMITS, python=python)
        else:
            spec = RunSpec("benchmark", ("python", *program), out, _LIMITS)
        outcome = sandbox.run(spec, threading.Event())
        if (outcome.reason, outcome.status) != ("exit", 0):
            raise SystemExit(f"the benchmark's program did not run: {outcome}")
        inside.append(outcome.wall_s * 1000)

    parts: dict[str, Callable[[], object]] = {
        "supervisor_python_ms": lambda: subprocess.run([str(python), "-I", "-S", "-c", "pass"], check=True),
        "interpreter_discovery_ms": lambda: discover(python),
    }
    if sandbox.name == "bwrap":
        parts["bwrap_alone_ms"] = lambda: subprocess.run(bare_bwrap, check=True)
    acts: dict[str, Callable[[], object]] = {
        "bare_ms": lambda: subprocess.run([str(python), *program], check=True),
        "sandboxed_ms": sandboxed,
        **(parts if sandbox.name != "docker" else {}),
    }
    for act in acts.values():
        act()
    inside.clear()
    taken: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(runs):
        for name, act in acts.items():
            began = time.perf_counter()
            act()
            taken[name].append((time.perf_counter() - began) * 1000)
    figures = {name: statistics.median(values) for name, values in taken.items()}
    figures["inside_wall_ms"] = statistics.median(inside)
    differences = [whole - bare for whole, bare in zip(taken["sandboxed_ms"], taken["bare_ms"], strict=True)]
    figures["over_bare_ms"] = statistics.median(differences)
    figures["target_ms"] = _TARGET_MS[sandbox.name]
    figures["runs"] = runs
    return {name: round(value, 2) for name, value in figures.items()}


if __name__ == "__main__":
    sys.exit(main())
