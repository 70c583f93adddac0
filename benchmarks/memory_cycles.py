"""Memory of the orchestrator and size of its state file over many cycles in one process.

    python benchmarks/memory_cycles.py [--cycles 200] [--json]

The real loop with git, log, graph and gate on a target with a hundred settings, none of which helps; only the
sandbox is replaced by one that writes its answer at once, because what runs inside is not the orchestrator's memory.
A cycle adds one hypothesis with its verdict to what the night knows (`blocks_per_cycle` live objects of Python, eight
to nine kilobytes), and the technical log, whenever it is written, needs room for a moment that follows the number of
hypotheses it tells of; nothing else follows the cycles. `grown_percent` is what both added to the memory of the 20th
cycle, `late_kb_per_cycle` the slope of a straight line through the second half, when the caches of fixed size are full
as well. The store of checkpoints is measured after every cycle, its write-ahead log included.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import tiny_target

from agent import night
from agent.progress import Silent
from agent.state import State
from agent.wiring import open_services
from sandbox.contract import Capabilities, Isolation, Outcome, RunSpec

RSS_TARGET_MB = 300.0
GROWN_TARGET_PERCENT = 5.0
"""What counts as flat. Two hundred cycles are more than most nights have."""
WARM = 20
"""Cycles after which every module is loaded."""


class AtOnce:
    """A sandbox that runs nothing: production scores 0.8, every change less, both with a little noise."""

    name = "none"
    isolation: Isolation = "weak"

    def doctor(self) -> Capabilities:
        return Capabilities(self.name, usable=True, isolation="weak", items=(), reasons=())

    def reap(self) -> tuple[str, ...]:
        return ()

    def run(self, spec: RunSpec, cancel: threading.Event) -> Outcome:
        del cancel
        sources = {mount.inside: mount.host for mount in spec.mounts}
        status = 0
        if "/predictions" in sources:
            status = _evaluated(sources["/predictions"], sources["/labels"], spec.out)
        else:
            changed = bool({"2", "3"} & set(sources["/config/config.yaml"].read_text()))
            score = (0.7 if changed else 0.8) + random.Random(spec.environment["AGENT_SEED"]).gauss(0, 0.002)
            (spec.out / "answer.json").write_text(json.dumps({"answer": 4.0 - score}))
        return Outcome("exit", status, 0.01, 0.01, 1 << 20, 0, "", (), self.name, "weak", "", "")


def _evaluated(predictions: Path, labels: Path, out: Path) -> int:
    """What the target's own evaluator does; the check of the evaluator gives it files that are no answers too."""
    truth = json.loads((labels / "truth.json").read_text())
    try:
        (answer,) = predictions.glob("*.json*")
        score = 1.0 - abs(json.loads(answer.read_text())["answer"] - truth)
    except (ValueError, KeyError, TypeError):
        return 1
    (out / "metrics.json").write_text(json.dumps({"accuracy": max(score, 0.0)}))
    return 0


class Watch(Silent):
    """Notes memory and the store's size whenever a cycle begins."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.rss: list[float] = []
        self.blocks: list[int] = []
        self.sizes: list[int] = []

    def node(self, name: str, state: State) -> None:
        del state
        if name == "monitor":
            self.rss.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)
            self.blocks.append(sys.getallocatedblocks())
            files = (self.store, self.store.with_name(self.store.name + "-wal"))
            self.sizes.append(sum(file.stat().st_size for file in files if file.exists()))


def main() -> int:
    """Measure and print; exit status 1 where memory is above its target or something grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(tiny_target.make(Path(folder) / "target"), arguments.cycles)
    if arguments.json:
        print(json.dumps(figures, indent=1))
    else:
        for name, value in figures.items():
            print(f"{name}: {value}")
    flat = figures["grown_percent"] <= GROWN_TARGET_PERCENT
    return 0 if flat and figures["rss_max_mb"] <= RSS_TARGET_MB else 1


def measure(target: tiny_target.TinyTarget, cycles: int) -> dict[str, float]:
    """Run the night and say what it took."""
    _widen(target, cycles // 2 + 10)
    watch = Watch(target.workspace.checkpoints)
    began = time.monotonic()
    with open_services(target.workspace, watch, "benchmark") as services:
        services.sandbox = services.runner.sandbox = AtOnce()
        done = night.run(services, night.Goal(cycles=cycles))
    warm = min(WARM, len(watch.rss) - 2)
    after = len(watch.rss) - 1 - warm
    late = watch.rss[len(watch.rss) // 2 :]
    slope = statistics.linear_regression(range(len(late)), late).slope
    return {
        "cycles": done.cycles,
        "runs": done.runs,
        "seconds": round(time.monotonic() - began, 1),
        "rss_first_mb": round(watch.rss[0], 1),
        "rss_warm_mb": round(watch.rss[warm], 1),
        "rss_last_mb": round(watch.rss[-1], 1),
        "rss_max_mb": round(max(watch.rss), 1),
        "grown_percent": round(100 * (max(watch.rss) / watch.rss[warm] - 1), 2),
        "late_kb_per_cycle": round(1024 * slope, 2),
        "blocks_per_cycle": round((watch.blocks[-1] - watch.blocks[warm]) / after, 1),
        "checkpoints_warm_bytes": watch.sizes[warm],
        "checkpoints_last_bytes": watch.sizes[-1],
        "checkpoints_max_bytes": max(watch.sizes),
        "log_bytes": target.workspace.audit.stat().st_size,
        "rss_target_mb": RSS_TARGET_MB,
        "grown_target_percent": GROWN_TARGET_PERCENT,
    }


def _widen(target: tiny_target.TinyTarget, settings: int) -> None:
    """Give the target enough settings to try, a season that lasts, and the weekly digest that `init` writes."""
    names = [f"s{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(settings)]
    path = target.solution / "configs" / "production.yaml"
    path.write_text("model:\n" + "".join(f"  {name}: 1\n" for name in names))
    target.git("commit", "--quiet", "--all", "--message", "more settings")
    text = target.workspace.target.read_text().replace("season: 20", "season: 10000")
    registry = target.workspace.competitive_registry
    assert "\nschedule:\n" in registry.read_text()
    registry.write_text(registry.read_text().replace("\nschedule:\n", '\nschedule:\n  report_digest: "0 9 * * 1"\n'))
    head, _, rest = text.partition("search_space:\n")
    space = "".join(f"  {name}: {{path: model.{name}, values: [1, 2, 3], tags: [{name}]}}\n" for name in names)
    target.workspace.target.write_text(f"{head}search_space:\n{space}{rest[rest.index('full:') :]}")


if __name__ == "__main__":
    sys.exit(main())
