"""A short real night of examples/charlm, against the same commands started by hand.

    python benchmarks/gpu_night.py [--json] [--cycles 1] [--python INTERPRETER] [--cpu]

Makes a workspace in a temporary folder, runs `agent run --cycles N` on it as a person would, and then does runs of that
night again without any of this program: the same code, configurations and seeds, as many side by side, as bare
processes. With a GPU the target is the one that fills it, with fewer steps; without one the small target runs on the
processor, and `why_cpu` says what is missing. To keep it short the policy is seed-card and there is no board.

`night_s` is the whole command; `runs_s` the part of it from the first run's start after the evaluator's check (which is
made once for an evaluator, on the night's very first run) to the last run's end. A seed is one
full run of train, predict and evaluate; the fast run of each hypothesis is in the time and not in the count.
`overhead_ratio` is the time of a seed within `runs_s` over that by hand: sandboxes, records, the graph, the gate, the
fast run, and that the night cannot know its next runs before it has judged the last. `night_overhead_ratio` is the
same of `night_s`. `gpu_busy_share` is what nvidia-smi says of the GPUs in use, asked every half second, and null where
no GPU is used. `same_values` counts runs whose metric by hand was the night's, bit for bit.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import queue
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "examples" / "charlm")]

import make_workspace  # noqa: E402

from experiments.gpu_pool import GpuPool, pool_for, utilisation  # noqa: E402
from experiments.measuring import side_by_side  # noqa: E402
from registry.audit_events import Event, read_events  # noqa: E402
from registry.documents import load_target  # noqa: E402
from registry.runs import RunRecord  # noqa: E402
from registry.target import Resources, Target  # noqa: E402
from registry.workspace import Workspace  # noqa: E402
from sandbox import gpu_discovery  # noqa: E402

GPU_STEPS = 20
"""Steps of a run on a GPU here, so that the night stays short."""
SAMPLE_S = 0.5
POLICY = "gate: {policy: e-night, threshold: 0.02, season: 20, screen: paired, test_looks: 10}"
SHORT = "gate: {policy: seed-card, threshold: 0.02, season: 20, test_looks: 10}"
REGISTRY = """\
domain: language
target_leaderboards: []
competitors: []
our_solution:
  name: Our language model
  current_scores: {}
  promotion_threshold: 0.02
schedule: {}
"""
COSTS = "  secondary:\n    latency_ms: {source: predict, max_increase: 0.50}   # timed alone on a whole GPU\n"


def main() -> int:
    """Measure and print; exit status 1 where a run by hand gave another value or the night failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=1, help="hypotheses of the night")
    parser.add_argument("--python", type=Path, default=None, help="an interpreter with torch, numpy and pyyaml")
    parser.add_argument("--environments", type=Path, default=ROOT / ".venv-charlm", help="where else it is kept")
    parser.add_argument("--by-hand", type=int, default=8, help="runs of the night that are done again")
    parser.add_argument("--cpu", action="store_true", help="the small target even where there is a GPU")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    python = options.python.absolute() if options.python else make_workspace.environment(options.environments)
    with tempfile.TemporaryDirectory(prefix="gpu-night-") as folder:
        figures = measure(Path(folder), python, options.cycles, options.by_hand, options.cpu)
    if options.json:
        print(json.dumps(figures, indent=1))
    else:
        for name, value in figures.items():
            print(f"{name}: {value}")
    return 0 if figures["same_values"] == figures["by_hand_runs"] else 1


def measure(folder: Path, python: Path, cycles: int, again: int, cpu: bool) -> dict[str, object]:
    """Run the night, then its runs by hand."""
    pool, why = _gpus(python, cpu)
    workspace = make_workspace.make(folder / "night", python, gpu=pool is not None)
    _shorten(workspace, gpu=pool is not None)
    target = load_target(workspace.target)
    slots = side_by_side(target.resources.cpus, target.resources.memory)
    slots = min(slots, pool.at_once) if pool is not None else slots
    with _sampled(pool) as samples:
        began = time.monotonic()
        words = ["run", "--cycles", str(cycles), "--json", "--workspace", str(workspace.root)]
        _night(words)
        night_s = time.monotonic() - began
    events = _after_the_check(list(read_events(workspace.audit)))
    records = [RunRecord.model_validate(event.data) for event in events if event.kind == "run_finished"]
    seeds = [record for record in records if record.purpose != "validation"]
    repeated = seeds[-again:]  # both arms of the last pairs
    first, last = _window(events)
    with _sampled(pool) as by_hand_samples:
        began = time.monotonic()
        same = _by_hand(folder / "hand", workspace, target, repeated, pool, slots)
        by_hand_s = time.monotonic() - began
    busy = None
    if pool is not None:
        during = [share for when, share in samples if first <= when <= last]
        busy = {"night": _mean(during), "by_hand": _mean([share for _, share in by_hand_samples])}
    runs_s = last - first
    return {
        "device": pool.model if pool is not None else "cpu",
        "why_cpu": why,
        "cycles": cycles,
        "runs": len(records),
        "seeds": len(seeds),
        "by_hand_runs": len(repeated),
        "side_by_side": slots,
        "night_s": round(night_s, 1),
        "runs_s": round(runs_s, 1),
        "by_hand_s": round(by_hand_s, 1),
        "seeds_per_minute": round(60 * len(seeds) / runs_s, 2),
        "seeds_per_minute_by_hand": round(60 * len(repeated) / by_hand_s, 2),
        "overhead_ratio": round(runs_s / len(seeds) / (by_hand_s / len(repeated)), 3),
        "night_overhead_ratio": round(night_s / len(seeds) / (by_hand_s / len(repeated)), 3),
        "gpu_busy_share": busy,
        "gpu_busy_why": "" if pool is not None else f"no GPU was used: {why}",
        "same_values": same,
        "verdicts": [f"{event.data.get('outcome')}: {event.reason}" for event in events if event.kind == "verdict"],
    }


def _gpus(python: Path, cpu: bool) -> tuple[GpuPool | None, str]:
    """The GPUs of the night, or why it runs on the processor."""
    if cpu:
        return None, "--cpu"
    found = gpu_discovery.discover()
    if not found.gpus:
        return None, found.why
    asked = [str(python), "-I", "-c", "import torch; torch.cuda.init()"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False)
    if said.returncode != 0:
        return None, (said.stderr.strip().splitlines() or ["torch does not start"])[-1]
    return pool_for(Resources(gpus=1), found), ""


def _shorten(workspace: Workspace, gpu: bool) -> None:
    """No board, few seeds, and on a GPU fewer steps and no costs, whose runs are timings and not seeds."""
    text = workspace.target.read_text()
    changes = {POLICY: SHORT, ", leaderboard: Stories": ""} | ({COSTS: ""} if gpu else {})
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    workspace.target.write_text(text)
    workspace.competitive_registry.write_text(REGISTRY)
    if not gpu:
        return
    solution = workspace.root.parent / "charlm"
    config = solution / "configs" / "gpu.yaml"
    assert "  steps: 150\n" in config.read_text()
    config.write_text(config.read_text().replace("  steps: 150\n", f"  steps: {GPU_STEPS}\n"))
    command = ["git", "commit", "--quiet", "--all", "--no-gpg-sign", "-m", "A short training"]
    subprocess.run(command, cwd=solution, env={**os.environ, **make_workspace.GIT}, check=True)


def _night(words: list[str]) -> None:
    command = [sys.executable, "-c", "from agent.cli.main import main; main()", *words]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(command, cwd="/", env=variables, capture_output=True, text=True, check=False)
    if said.returncode != 0:
        raise SystemExit(f"the night failed with status {said.returncode}:\n{said.stdout[-3000:]}{said.stderr[-3000:]}")


def _after_the_check(events: list[Event]) -> list[Event]:
    """What the night did once the evaluator was found honest."""
    checked = [index for index, event in enumerate(events) if event.kind == "evaluator_checked"]
    return events[checked[-1] + 1 :] if checked else events


def _window(events: list[Event]) -> tuple[float, float]:
    """Seconds since the epoch of the first run's start and the last one's end."""
    started = [datetime.fromisoformat(event.time).timestamp() for event in events if event.kind == "run_started"]
    ended = [datetime.fromisoformat(event.time).timestamp() for event in events if event.kind == "run_finished"]
    return min(started), max(ended)


@contextmanager
def _sampled(pool: GpuPool | None) -> Iterator[list[tuple[float, float]]]:
    """While the block lasts: time since the epoch and mean busy share of the GPUs, twice a second."""
    samples: list[tuple[float, float]] = []
    if pool is None:
        yield samples
        return
    uuids, stop = [gpu.uuid for gpu in pool.gpus], threading.Event()

    def sample() -> None:
        while not stop.wait(SAMPLE_S):
            if shares := utilisation(uuids):
                samples.append((time.time(), statistics.mean(shares.values())))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def _mean(values: list[float]) -> float | None:
    return round(statistics.mean(values), 3) if values else None


# -- by hand ------------------------------------------------------------------------------------------------


def _by_hand(
    folder: Path, workspace: Workspace, target: Target, records: list[RunRecord], pool: GpuPool | None, slots: int
) -> int:
    """Every run again as bare processes, as many side by side; how many gave the same value."""
    free: queue.SimpleQueue[str] = queue.SimpleQueue()
    for number in range(slots):
        free.put(pool.gpus[number % len(pool.gpus)].uuid if pool is not None else "")
    repository = workspace.repository(target.solution.repository)
    for commit in {record.commit for record in records}:
        tree = subprocess.run(["git", "archive", commit], cwd=repository, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(tree)) as archive:
            archive.extractall(folder / commit, filter="data")
    with ThreadPoolExecutor(slots) as threads:
        values = threads.map(lambda record: _one_by_hand(folder, workspace, target, record, free), records)
        name = target.metrics.primary.name
        pairs = [(value, record.metrics.get(name)) for value, record in zip(values, records, strict=True)]
        return sum(value is not None and value == known for value, known in pairs)


def _one_by_hand(
    folder: Path, workspace: Workspace, target: Target, record: RunRecord, free: queue.SimpleQueue[str]
) -> float | None:
    code, out = folder / record.commit, Path(tempfile.mkdtemp(dir=folder))
    phases, split = target.phases, record.key.split
    assert phases.predict is not None
    inputs, labels = phases.predict.inputs, phases.evaluate.labels
    values = {
        "config": str(workspace.root / record.folder / "config.yaml"),
        "seed": str(record.key.seed),
        "data": phases.train.data or "",
        "model": str(out / "train"),
        "inputs": {str(name): path for name, path in inputs.items()}[split],
        "predictions": str(out / "predict"),
        "labels": {str(name): path for name, path in labels.items()}[split],
    }
    gpu = free.get()
    try:
        threads = str(target.resources.cpus)
        variables = {"PATH": os.environ["PATH"], "HOME": str(out), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
        variables |= {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": gpu}
        if "LD_LIBRARY_PATH" in os.environ:
            variables["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        for name, command in (
            ("train", phases.train.command),
            ("predict", phases.predict.command),
            ("evaluate", phases.evaluate.command),
        ):
            (out / name).mkdir()
            words = [_filled(word, {**values, "out": str(out / name)}) for word in command]
            words[0] = str(target.environment.python)
            done = subprocess.run(words, cwd=code, env=variables, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                print(f"by hand, {name} failed: {(done.stdout + done.stderr)[-500:]}", file=sys.stderr)
                return None
        found = json.loads((out / "evaluate" / "metrics.json").read_text())
        return float(found[target.metrics.primary.name])
    finally:
        free.put(gpu)
        shutil.rmtree(out, ignore_errors=True)


def _filled(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace("{" + name + "}", value)
    return word


if __name__ == "__main__":
    sys.exit(main())
