"""How long the command line takes to answer: `agent --help`, and `agent ask` on a workspace with a night behind it.

    python benchmarks/startup.py [--repeat 15] [--workspace DIR] [--question TEXT] [--json]

Each figure is wall time of a fresh process. Cold is the first start after the packages' bytecode was removed from a
private cache (the disk's cache cannot be emptied by an ordinary user); warm is the median of `--repeat` starts, and
the quickest of them stands beside it, since a busy machine only adds. Without `--workspace` a small night is run
first and asked about.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import night_processes as nights
import tiny_target

from registry.workspace import Workspace

HELP_TARGET_S, ASK_TARGET_S = 0.3, 1.0
START = [sys.executable, "-P", "-c", nights.PROGRAM]


def main() -> int:
    """Measure and print; exit status 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--workspace", type=Path, default=None, help="a workspace of `agent demo`, say")
    parser.add_argument("--question", default="")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(arguments.workspace.absolute()) if arguments.workspace else _night(Path(folder))
        question = arguments.question or _question(workspace)
        figures = measure(Path(folder), workspace, question, arguments.repeat)
    if arguments.json:
        print(json.dumps(figures, indent=1))
    else:
        for name, value in figures.items():
            print(f"{name}: {value}")
    return 0 if figures["help_warm_s"] <= HELP_TARGET_S and figures["ask_warm_s"] <= ASK_TARGET_S else 1


def measure(folder: Path, workspace: Workspace, question: str, repeat: int) -> dict[str, object]:
    """Seconds of each start."""
    ask = [*START, "ask", question, "--workspace", str(workspace.root)]
    bare = [sys.executable, "-P", "-c", "pass"]
    figures: dict[str, object] = {"question": question, "events": len(nights.events(workspace)), "repeat": repeat}
    for name, line in (("python", bare), ("help", [*START, "--help"]), ("ask", ask)):
        cold = {**nights.environment(), "PYTHONPYCACHEPREFIX": str(folder / f"bytecode-{name}")}
        figures[f"{name}_cold_s"] = _seconds(line, cold)
        taken = [_seconds(line, nights.environment()) for _ in range(repeat)]
        figures[f"{name}_warm_s"] = round(statistics.median(taken), 3)
        figures[f"{name}_quickest_s"] = min(taken)
    return {**figures, "help_target_s": HELP_TARGET_S, "ask_target_s": ASK_TARGET_S}


def _seconds(line: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - began
    if done.returncode != 0:
        raise SystemExit(f"{line[3:]} ended with status {done.returncode}: {done.stderr[-2000:]}")
    return round(taken, 3)


def _night(folder: Path) -> Workspace:
    target = tiny_target.make(folder / "target")
    nights.agent(target.workspace, "run")
    return target.workspace


def _question(workspace: Workspace) -> str:
    subjects = [event["subject"] for event in nights.events(workspace) if event["kind"] == "promoted"]
    return f"why was {subjects[0]} promoted?" if subjects else "what was tried?"


if __name__ == "__main__":
    sys.exit(main())
