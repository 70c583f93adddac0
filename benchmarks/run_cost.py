"""What one run costs over the bare commands, on a target that trains nothing, with the share of each part.

    python benchmarks/run_cost.py [--json] [--repeat 15]

One cycle of the real loop, runs one after the other. `over_bare_ms` is the median over runs of everything between
the announcement of a run and its recorded outcome, less the median of the same three commands (train, predict,
evaluate) started bare. The parts: `sandbox_ms` the three sandboxes over the bare commands, `records_ms` configuration,
folders and digests, `audit_ms` two events each flushed to the disk, `waiting_ms` the scheduler. `graph_and_nodes_ms`
is what the cycle took beside its runs (git, checkpoints, the gate, files), divided by its runs; it is not part of
`over_bare_ms`, and `all_ms` is both together, which has the target. `quickest_over_bare_ms` compares the quickest run
with the quickest bare commands: on a busy machine everything else mostly measures the machine. `evaluator_check_ms` is
the check of the evaluator before the first night on it (cheats and the look for labels); it is no run's and in no sum.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import tiny_target

from agent import night
from agent.ledger import LogLedger
from agent.progress import Silent
from agent.services import Services
from agent.wiring import open_services
from experiments import evaluator_check, leaks
from experiments.measuring import Measurer
from experiments.plans import Plan
from registry.runs import RunRecord
from sandbox.contract import Capabilities, Isolation, Outcome, RunSpec, Sandbox

TARGET_MS = 150.0


@dataclass
class Times:
    """Seconds of each part, one figure a run."""

    whole: list[float] = field(default_factory=list)
    audit: list[float] = field(default_factory=list)
    sandbox: list[float] = field(default_factory=list)
    executing: list[float] = field(default_factory=list)
    began: float = 0.0
    check: float = 0.0
    """Of the evaluator's check before the first night, which is no run's."""
    checking: bool = False


class TimedSandbox:
    """The real sandbox, timed; three phases of a run are one figure."""

    def __init__(self, inner: Sandbox, times: Times) -> None:
        self.inner, self.times, self.name = inner, times, inner.name
        self.isolation: Isolation = inner.isolation

    def doctor(self) -> Capabilities:
        return self.inner.doctor()

    def reap(self) -> tuple[str, ...]:
        return self.inner.reap()

    def run(self, spec: RunSpec, cancel: threading.Event) -> Outcome:
        if self.times.checking:
            return self.inner.run(spec, cancel)
        began = time.perf_counter()
        outcome = self.inner.run(spec, cancel)
        self.times.sandbox[-1] += time.perf_counter() - began
        return outcome


class TimedLedger:
    """The real ledger, timed."""

    def __init__(self, inner: LogLedger, times: Times) -> None:
        self.inner, self.times = inner, times

    def finished(self, run_id: str, attempt: int) -> RunRecord | None:
        return self.inner.finished(run_id, attempt)

    def started(self, plan: Plan, run_id: str, attempt: int) -> None:
        self.times.began = time.perf_counter()
        self.times.sandbox.append(0.0)
        self.inner.started(plan, run_id, attempt)
        self.times.audit.append(time.perf_counter() - self.times.began)

    def finish(self, record: RunRecord) -> None:
        began = time.perf_counter()
        self.inner.finish(record)
        ended = time.perf_counter()
        self.times.audit[-1] += ended - began
        self.times.whole.append(ended - self.times.began)

    def note(self, text: str) -> None:
        del text

    def advance(self, done: int, total: int) -> None:
        self.inner.advance(done, total)


def main() -> int:
    """Measure and print; exit status 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=15, help="how often the bare commands are timed")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(tiny_target.make(Path(folder) / "target", predicts=True), arguments.repeat)
    if arguments.json:
        print(json.dumps(figures, indent=1))
    else:
        for name, value in figures.items():
            print(f"{name}: {value}")
    return 0 if figures["all_ms"] <= TARGET_MS else 1


def measure(target: tiny_target.TinyTarget, repeat: int) -> dict[str, float]:
    """All figures in milliseconds, medians over runs."""
    times = Times()
    importlib.import_module("langgraph.graph")  # once a night, so no run's cost
    importlib.import_module("langgraph.checkpoint.sqlite")
    with open_services(target.workspace, Silent(), "benchmark") as services:
        tip = services.solution.repository.branch_tip(services.target.solution.base) or ""
        services.runner.environment(tip)  # read whole once a night, and only looked at from then on
        _instrument(services, times)
        began = time.perf_counter()
        night.run(services, night.Goal(cycles=1))
        whole_night = time.perf_counter() - began
    bares = [_bare(target) for _ in range(repeat)]
    bare = statistics.median(bares)
    runs = len(times.whole)
    beside = (whole_night - sum(times.whole) - times.check) / runs
    over = statistics.median(times.whole) - bare
    seconds = {
        "bare_ms": bare,
        "over_bare_ms": over,
        "sandbox_ms": statistics.median(times.sandbox) - bare,
        "records_ms": statistics.median(e - s for e, s in zip(times.executing, times.sandbox, strict=True)),
        "audit_ms": statistics.median(times.audit),
        "waiting_ms": statistics.median(
            w - e - a for w, e, a in zip(times.whole, times.executing, times.audit, strict=True)
        ),
        "graph_and_nodes_ms": beside,
        "all_ms": over + beside,
        "quickest_over_bare_ms": min(times.whole) - min(bares),
        "evaluator_check_ms": times.check,
    }
    return {**{name: round(1000 * value, 1) for name, value in seconds.items()}, "target_ms": TARGET_MS, "runs": runs}


def _aside(times: Times, act: Callable[..., Any]) -> Callable[..., Any]:
    """The act as it is, its time kept apart."""

    def timed(*arguments: object, **named: object) -> object:
        began, times.checking = time.perf_counter(), True
        try:
            return act(*arguments, **named)
        finally:
            times.check += time.perf_counter() - began
            times.checking = False

    return timed


def _instrument(services: Services, times: Times) -> None:
    evaluator_check.EvaluatorCheck.table = _aside(times, evaluator_check.EvaluatorCheck.table)  # type: ignore[method-assign]
    leaks.search = _aside(times, leaks.search)
    runner = services.runner
    runner.sandbox = TimedSandbox(runner.sandbox, times)
    execute = runner.execute

    class TimedRunner(type(runner)):  # type: ignore[misc]
        """The runner as it is, with a watch on `execute`."""

        def __init__(self) -> None:
            self.__dict__ = runner.__dict__

        def execute(self, plan: Plan, attempt: int, cancel: threading.Event) -> RunRecord:
            began = time.perf_counter()
            record = execute(plan, attempt, cancel)
            times.executing.append(time.perf_counter() - began)
            return record

    ledger = TimedLedger(LogLedger(services.log, services.history, services.progress), times)
    services.measurer = Measurer(TimedRunner(), ledger, services.cancel, slots=1)


def _bare(target: tiny_target.TinyTarget) -> float:
    """Seconds of the three commands without any of this program."""
    code, python = target.solution, str(target.root / "environment" / "bin" / "python")
    with tempfile.TemporaryDirectory() as folder:
        model, answers, scores = (Path(folder, name) for name in ("model", "answers", "scores"))
        for out in (model, answers, scores):
            out.mkdir()
        commands = (
            ["train.py", "--config", "configs/production.yaml", "--seed", "1", "--out", str(model)],
            ["predict.py", "--model", str(model), "--inputs", "data/inputs", "--out", str(answers)],
            ["evaluate.py", "--predictions", str(answers), "--labels", "data/dev", "--out", str(scores)],
        )
        began = time.perf_counter()
        for command in commands:
            subprocess.run([python, "-I", "-S", *command], cwd=code, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
