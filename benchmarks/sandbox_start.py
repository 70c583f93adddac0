"""What a sandbox costs over the bare command: medians of n runs of a program that does nothing.

    python benchmarks/sandbox_start.py [--backend bwrap|namespaces] [--runs 21] [--json]

Prints the bare command, the whole of `Sandbox.run` with everything on, the difference, and its parts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sandbox.bubblewrap import Bubblewrap
from sandbox.contract import Limits, RunSpec, Sandbox
from sandbox.interpreters import discover
from sandbox.namespaces import Namespaces

_LIMITS = Limits(wall_s=30, memory_bytes=512 << 20, disk_bytes=256 << 20)
_TARGET_MS = 60.0
_BACKENDS: dict[str, Callable[[Path], Sandbox]] = {"bwrap": Bubblewrap, "namespaces": Namespaces}


def main() -> int:
    """Measure and print; exit status 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--backend", choices=sorted(_BACKENDS), default="bwrap")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), arguments.runs, arguments.backend)
    if arguments.json:
        print(json.dumps(figures, indent=2, sort_keys=True))
    else:
        for name, value in figures.items():
            print(f"{name}: {value}")
    return 0 if figures["over_bare_ms"] <= _TARGET_MS else 1


def measure(folder: Path, runs: int, backend: str) -> dict[str, float]:
    """All figures in milliseconds, each the median over `runs`; the variants take turns, so that load hits all."""
    sandbox = _BACKENDS[backend](folder / "state")
    python = Path(sys.executable)
    program = ("-c", "pass")
    bare_bwrap = ["bwrap", "--unshare-pid", "--unshare-net", "--dev-bind", "/", "/", "/bin/true"]
    inside: list[float] = []

    def sandboxed() -> None:
        out = Path(tempfile.mkdtemp(dir=folder))
        spec = RunSpec("benchmark", (str(python), *program), out, _LIMITS, python=python)
        outcome = sandbox.run(spec, threading.Event())
        if (outcome.reason, outcome.status) != ("exit", 0):
            raise SystemExit(f"the benchmark's program did not run: {outcome}")
        inside.append(outcome.wall_s * 1000)

    acts: dict[str, Callable[[], object]] = {
        "bare_ms": lambda: subprocess.run([str(python), *program], check=True),
        "sandboxed_ms": sandboxed,
        "supervisor_python_ms": lambda: subprocess.run([str(python), "-I", "-S", "-c", "pass"], check=True),
        "interpreter_discovery_ms": lambda: discover(python),
    }
    if backend == "bwrap":
        acts["bwrap_alone_ms"] = lambda: subprocess.run(bare_bwrap, check=True)
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
    figures["target_ms"] = _TARGET_MS
    figures["runs"] = runs
    return {name: round(value, 2) for name, value in figures.items()}


if __name__ == "__main__":
    sys.exit(main())
