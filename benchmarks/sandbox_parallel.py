"""Whether runs side by side use all the cores, and whether a run that prints two gigabytes costs the caller memory.

    python benchmarks/sandbox_parallel.py [--runs 4] [--side-by-side N] [--json]

A program that keeps one core busy for a while is run bare and sandboxed, one after the other and N side by side (one
for each core by default; each round is measured `--runs` times and the median counts). `scaling` is the throughput of
N side by side over N times that of one alone; `scaling_bare` is the same without a sandbox, so what the machine itself
gives. `flood_grew_mb` is how much more memory the calling process held at its highest while a run printed 2 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sandbox.bubblewrap import Bubblewrap
from sandbox.contract import Limits, Outcome, RunSpec

TARGET_SCALING, TARGET_GREW_MB = 0.9, 16.0
"""Of what the bare program reaches; and of memory."""
_WORK = "import hashlib\nfor _ in range(700_000): hashlib.sha256(b'x' * 64).digest()"
_FLOOD = "import os\npiece = b'x' * (1 << 20)\nfor _ in range(1908): os.write(1, piece)"
_LIMITS = Limits(wall_s=120, memory_bytes=512 << 20, disk_bytes=64 << 20)


def main() -> int:
    """Measure and print; exit status 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--side-by-side", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), arguments.runs, arguments.side_by_side)
    if arguments.json:
        print(json.dumps(figures, indent=2, sort_keys=True))
    else:
        for name, value in figures.items():
            print(f"{name}: {value}")
    enough = figures["scaling"] >= TARGET_SCALING * figures["scaling_bare"]
    return 0 if enough and figures["flood_grew_mb"] <= TARGET_GREW_MB else 1


def measure(folder: Path, rounds: int, side_by_side: int) -> dict[str, float]:
    """All figures; times in seconds."""
    sandbox = Bubblewrap(folder / "state")
    python = Path(sys.executable)

    def sandboxed(program: str = _WORK) -> Outcome:
        out = Path(tempfile.mkdtemp(dir=folder))
        spec = RunSpec("benchmark", (str(python), "-c", program), out, _LIMITS, python=python)
        outcome = sandbox.run(spec, threading.Event())
        if (outcome.reason, outcome.status) != ("exit", 0):
            raise SystemExit(f"the benchmark's program did not run: {outcome}")
        return outcome

    def bare() -> object:
        return subprocess.run([str(python), "-c", _WORK], check=True)

    def seconds(act: Callable[[], object], at_once: int) -> float:
        began = time.perf_counter()
        with ThreadPoolExecutor(at_once) as pool:
            for future in [pool.submit(act) for _ in range(at_once)]:
                future.result()
        return time.perf_counter() - began

    sandboxed()
    cases = {"bare": (bare, 1), "bare_side_by_side": (bare, side_by_side)}
    cases |= {"sandboxed": (sandboxed, 1), "sandboxed_side_by_side": (sandboxed, side_by_side)}
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, (act, at_once) in cases.items():
            taken[name].append(seconds(act, at_once))
    figures = {f"{name}_s": round(statistics.median(values), 3) for name, values in taken.items()}
    figures["scaling"] = round(figures["sandboxed_s"] / figures["sandboxed_side_by_side_s"], 3)
    figures["scaling_bare"] = round(figures["bare_s"] / figures["bare_side_by_side_s"], 3)
    before = _highest_mb()
    began = time.perf_counter()
    printed = sandboxed(_FLOOD).output_bytes
    figures |= {"flood_s": round(time.perf_counter() - began, 2), "flood_printed_mb": printed // 1_000_000}
    figures |= {"flood_grew_mb": round(_highest_mb() - before, 2), "side_by_side": side_by_side, "rounds": rounds}
    return figures


def _highest_mb() -> float:
    """The most memory this process has held since it was last asked."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    Path("/proc/self/clear_refs").write_text("5")
    return int(match[1]) / 1024 if match else 0.0


if __name__ == "__main__":
    sys.exit(main())
