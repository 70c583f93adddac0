"""A night killed at random moments against one left alone: are the decisions the same, is anything paid twice?

    python benchmarks/crash_night.py [--kills 30] [--seed 1] [--tiny] [--environments DIR] [--json]

The program is killed with SIGKILL at a random moment and started again with the same command, until it was killed
`--kills` times and the night has ended. The target is the demonstration's without its limits on latency and memory: a
latency is timing noise that may turn a verdict by itself, killed or not. `--tiny` takes the tests' small target, which
is quicker. Either way every value follows from its seed, so whatever differs is the crash's fault. Decisions are the
sequence of proposals, places in the season, verdicts with every value behind them, promotions, ranks and the end.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import night_processes as nights
import tiny_target

from agent import demo

SHORTEST_S, LONGEST_S, LONGEST_DEMO_S = 0.05, 2.0, 8.0
"""How long the program lives before it is killed."""
AT_WORK = 0.8
"""Share of lives that are counted from when the night goes on; the others are counted from the program's start."""


def main() -> int:
    """Measure and print; exit status 1 where anything differs or is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tiny", action="store_true", help="the tests' small target instead of the demonstration's")
    parser.add_argument("--environments", type=Path, default=Path(".venv-digits"), help="as `agent demo` takes it")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        two = _tiny(Path(folder)) if arguments.tiny else _demonstrations(Path(folder), arguments.environments, stack)
        longest = LONGEST_S if arguments.tiny else LONGEST_DEMO_S
        figures = measure(two, arguments.kills, random.Random(arguments.seed), longest)
    if arguments.json:
        print(json.dumps(figures, indent=1))
    else:
        for name, value in figures.items():
            print(f"{name}: {value}")
    whole = figures["identical_decisions"] and figures["log_verifies"]
    return 0 if whole and not figures["runs_paid_twice"] and not figures["leftovers"] else 1


@dataclass(frozen=True)
class Two:
    """The same target twice: one night is left alone, the other one killed."""

    calm: tiny_target.TinyTarget | demo.Place
    killed: tiny_target.TinyTarget | demo.Place


def _tiny(folder: Path) -> Two:
    environment = tiny_target.make_environment(folder / "environment")
    made = [tiny_target.make(folder / name, environment=environment, wide=True) for name in ("calm", "killed")]
    return Two(*made)


def _demonstrations(folder: Path, environments: Path, stack: ExitStack) -> Two:
    """Two demonstrations on one board, which is served for as long as the stack is open."""
    places = [demo.Place(folder / name) for name in ("calm", "killed", "board")]
    for place in places:
        place.root.mkdir()
        demo.prepare(place, environments, _quiet)
    address = stack.enter_context(demo.board(places[2]))
    for place in places[:2]:
        demo.write_workspace(place, address)
        target = place.workspace.target
        target.write_text(re.sub(r"  secondary:\n(    .*\n)+", "", target.read_text()))
    return Two(*places[:2])


def _quiet(line: str) -> None:
    del line


def measure(two: Two, kills: int, dice: random.Random, longest_s: float) -> dict[str, object]:
    """Both nights and what tells them apart."""
    began = time.monotonic()
    nights.agent(two.calm.workspace, "run")
    calm_s = time.monotonic() - began
    calm, killed = two.calm, two.killed
    began = time.monotonic()
    moments, groups = _kill(killed, kills, dice, longest_s)
    # A night that ended before it was killed often enough is over: started once more, the next one would begin.
    over = any(event["kind"] == "night_ended" for event in nights.events(killed.workspace))
    status = 0 if over else nights.agent(killed.workspace, "run").returncode
    killed_s = time.monotonic() - began
    logs = [nights.events(target.workspace) for target in (calm, killed)]
    verified = nights.agent(killed.workspace, "audit", "verify")
    finished = [sum(event["kind"] == "run_finished" for event in log) for log in logs]
    announced = [sum(event["kind"] == "run_started" for event in log) for log in logs]
    return {
        "kills": sum(moments.values()),
        "killed_during": moments,
        "identical_decisions": nights.decisions(logs[0]) == nights.decisions(logs[1]),
        "first_difference": _first_difference(*(nights.decisions(log) for log in logs)),
        "decisions": len(nights.decisions(logs[0])),
        "verdicts": sum(event["kind"] == "verdict" for event in logs[0]),
        "runs_calm": finished[0],
        "runs_killed": finished[1],
        "runs_paid_twice": len(nights.paid_twice(logs[1])),
        "runs_in_flight_at_a_kill": announced[1] - finished[1],
        "leftovers": nights.leftovers(killed, groups),
        "log_verifies": verified.returncode == 0,
        "exit_status": status,
        "calm_s": round(calm_s, 1),
        "killed_s": round(killed_s, 1),
    }


def _first_difference(calm: list[tuple[object, ...]], killed: list[tuple[object, ...]]) -> list[str]:
    """The first decision of each night that is not the other's; nothing where they are equal."""
    pairs = ((repr(one), repr(other)) for one, other in zip_longest(calm, killed) if one != other)
    return [text[:1000] for text in next(pairs, ())]


def _kill(
    target: tiny_target.TinyTarget | demo.Place, kills: int, dice: random.Random, longest_s: float
) -> tuple[dict[str, int], list[str]]:
    """Start and kill; what the log said last at each kill, and the control groups that stood then."""
    moments: dict[str, int] = {}
    groups: list[str] = []
    while sum(moments.values()) < kills:
        with nights.started(target.workspace, "run") as process:
            if dice.random() < AT_WORK:
                resumed = sum(event["kind"] == "night_resumed" for event in nights.events(target.workspace))
                kind = "night_resumed" if nights.events(target.workspace) else "night_started"
                nights.wait_for(target.workspace, process, kind, resumed + 1)
            time.sleep(dice.uniform(SHORTEST_S, longest_s))
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
