"""A night killed at random moments against one left alone: are the decisions the same, is anything paid twice?

    python benchmarks/crash_night.py [--kills 30] [--seed 1] [--json]

The program is killed with SIGKILL at a random moment and started again with the same command, until it was killed
`--kills` times and the night has ended. Its target is the tests' small one, not the demonstration's: that one
declares a latency limit, and a latency is timing noise that may turn a verdict by itself, killed or not. Here every
value follows from its seed, so whatever differs is the crash's fault. Decisions are the sequence of proposals, places
in the season, verdicts with every value behind them, promotions, ranks and the night's end.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import night_processes as nights
import tiny_target

SHORTEST_S, LONGEST_S = 0.05, 2.0
"""How long the program lives before it is killed."""
AT_WORK = 0.8
"""Share of lives that are counted from when the night goes on; the others are counted from the program's start."""


def main() -> int:
    """Measure and print; exit status 1 where anything differs or is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), arguments.kills, random.Random(arguments.seed))
    if arguments.json:
        print(json.dumps(figures, indent=1))
    else:
        for name, value in figures.items():
            print(f"{name}: {value}")
    whole = figures["identical_decisions"] and figures["log_verifies"]
    return 0 if whole and not figures["runs_paid_twice"] and not figures["leftovers"] else 1


def measure(folder: Path, kills: int, dice: random.Random) -> dict[str, object]:
    """Both nights and what tells them apart."""
    environment = tiny_target.make_environment(folder / "environment")
    calm = tiny_target.make(folder / "calm", environment=environment, wide=True)
    began = time.monotonic()
    nights.agent(calm.workspace, "run")
    calm_s = time.monotonic() - began
    killed = tiny_target.make(folder / "killed", environment=environment, wide=True)
    began = time.monotonic()
    moments, groups = _kill(killed, kills, dice)
    end = nights.agent(killed.workspace, "run")
    killed_s = time.monotonic() - began
    logs = [nights.events(target.workspace) for target in (calm, killed)]
    verified = nights.agent(killed.workspace, "audit", "verify")
    finished = [sum(event["kind"] == "run_finished" for event in log) for log in logs]
    announced = [sum(event["kind"] == "run_started" for event in log) for log in logs]
    return {
        "kills": sum(moments.values()),
        "killed_during": moments,
        "identical_decisions": nights.decisions(logs[0]) == nights.decisions(logs[1]),
        "decisions": len(nights.decisions(logs[0])),
        "verdicts": sum(event["kind"] == "verdict" for event in logs[0]),
        "runs_calm": finished[0],
        "runs_killed": finished[1],
        "runs_paid_twice": len(nights.paid_twice(logs[1])),
        "runs_in_flight_at_a_kill": announced[1] - finished[1],
        "leftovers": nights.leftovers(killed, groups),
        "log_verifies": verified.returncode == 0,
        "exit_status": end.returncode,
        "calm_s": round(calm_s, 1),
        "killed_s": round(killed_s, 1),
    }


def _kill(target: tiny_target.TinyTarget, kills: int, dice: random.Random) -> tuple[dict[str, int], list[str]]:
    """Start and kill; what the log said last at each kill, and the control groups that stood then."""
    moments: dict[str, int] = {}
    groups: list[str] = []
    while sum(moments.values()) < kills:
        with nights.started(target.workspace, "run") as process:
            if dice.random() < AT_WORK:
                resumed = sum(event["kind"] == "night_resumed" for event in nights.events(target.workspace))
                kind = "night_resumed" if nights.events(target.workspace) else "night_started"
                nights.wait_for(target.workspace, process, kind, resumed + 1)
            time.sleep(dice.uniform(SHORTEST_S, LONGEST_S))
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
        groups += nights.control_groups(target.workspace)
        log = nights.events(target.workspace)
        last = log[-1]["kind"] if log else "nothing"
        moments[last] = moments.get(last, 0) + 1
    return moments, groups


if __name__ == "__main__":
    sys.exit(main())
