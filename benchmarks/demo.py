"""The demonstration from start to end: wall time, runs, cycles, and the rank before and after.

    python benchmarks/demo.py [--environments DIR] [--folder DIR] [--json]

Runs `agent demo --json` once. `preparing_s` is what came before the night: repository, environments where they are
not there yet (a download; give `--environments` to keep them) and the rivals' measurement.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import night_processes as nights

TARGET_S = 600.0


def main() -> int:
    """Measure and print; exit status 1 where it took too long or the demonstration failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=Path, default=None)
    parser.add_argument("--folder", type=Path, default=None, help="where to leave the workspace; default: nowhere")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(arguments.folder or Path(folder), arguments.environments)
    if arguments.json:
        print(json.dumps(figures, indent=1, ensure_ascii=False))
    else:
        for name, value in figures.items():
            print(f"{name}: {value}")
    return 0 if float(str(figures["total_s"])) <= TARGET_S else 1


def measure(folder: Path, environments: Path | None) -> dict[str, object]:
    """One demonstration and what it said of itself."""
    line = [sys.executable, "-P", "-c", nights.PROGRAM, "demo", "--json", "--folder", str(folder.absolute())]
    if environments is not None:
        line += ["--environments", str(environments.absolute())]
    began = time.monotonic()
    done = subprocess.run(line, env=nights.environment(), stdout=subprocess.PIPE, text=True, check=False)
    total = time.monotonic() - began
    if done.returncode != 0:
        raise SystemExit(f"agent demo ended with status {done.returncode}")
    told = json.loads(done.stdout)
    return {
        "total_s": round(total, 1),
        "preparing_s": round(total - told["wall_s"], 1),
        "nights_s": told["wall_s"],
        "nights": len(told["nights"]),
        "runs": told["runs"],
        "cycles": told["cycles"],
        "rank_before": told["rank_before"],
        "rank_after": told["rank_after"],
        "test_score": told["test_score"],
        "promoted": [f"{item['id']} {item['gain']:+.4f} {item['title']}" for item in told["promoted"]],
        "rejected": len(told["rejected"]),
        "ended": told["ended"],
        "target_s": TARGET_S,
    }


if __name__ == "__main__":
    sys.exit(main())
