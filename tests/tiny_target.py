"""A solution that trains in milliseconds, and its workspace: for tests and benchmarks of the whole loop.

The seed decides the value and the settings shift its mean, so every verdict is a fact of the seeds and never of the
machine: it declares no cost, because timings would be noise. Its board is a JSON file, its interpreter an empty
virtual environment, and everything in it is standard library.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from registry.workspace import Workspace

GIT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "A User",
    "GIT_AUTHOR_EMAIL": "user@example.org",
    "GIT_COMMITTER_NAME": "A User",
    "GIT_COMMITTER_EMAIL": "user@example.org",
    "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
    "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
}
TRAIN = """\
import json, random, sys, time
from pathlib import Path

EFFECTS = {"width": 0.04, "rate": -0.05, "depth": -0.06, "warmup": 0.03}


def settings(path):
    pairs = (line.split(":") for line in Path(path).read_text().splitlines() if line.startswith("  "))
    return {name.strip(): float(value) for name, value in pairs}


options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
chosen = settings(options["--config"])
noise = random.Random(options["--seed"] + repr(sorted(chosen.items()))).gauss(0.0, chosen["noise"])
time.sleep(chosen["sleep"])
score = 0.8 + sum(EFFECTS[name] * (chosen[name] - 1) for name in EFFECTS) + noise
Path(options["--out"], "answer.json").write_text(json.dumps({"answer": 4.0 - score}))
print("score:", score)
"""
PREDICT = """\
import sys
from pathlib import Path

options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
Path(options["--out"], "predictions.jsonl").write_bytes(Path(options["--model"], "answer.json").read_bytes())
"""
EVALUATE = """\
import json, sys
from pathlib import Path

options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
(answer,) = Path(options["--predictions"]).glob("*.json*")
given = json.loads(answer.read_text())["answer"]
truth = json.loads(Path(options["--labels"], "truth.json").read_text())
Path(options["--out"], "metrics.json").write_text(json.dumps({"accuracy": max(1.0 - abs(given - truth), 0.0)}))
"""
TARGET = """\
version: 1
name: tiny
solution:
  repository: ../solution
  base: main
  config: configs/production.yaml
  editable: ["train.py", "configs/**"]
  protected: ["evaluate.py", "data/**"]
phases:
  train:
    command: [python, -I, -S, train.py, --config, "{config}", --seed, "{seed}", --out, "{out}"]
$predicts$  evaluate:
    command: [python, -I, -S, evaluate.py, --predictions, "{predictions}", --labels, "{labels}", --out, "{out}"]
    labels: {dev: data/dev, test: data/test}
metrics:
  primary: {name: accuracy, higher_is_better: true, leaderboard: Tiny}
gate: {policy: e-night, threshold: 0.005, season: 20, alpha: 0.45, screen: paired, test_looks: 10}
search_space:
  width: {path: model.width, values: [1, 2], tags: [width, capacity]}
  rate: {path: train.rate, values: [1, 2], tags: [optimisation]}
$more$full: {timeout: 60s}
environment: {python: ../environment/bin/python}
resources: {cpus: 1, memory: 256MiB, gpus: 0, disk: 16MiB}
"""
MORE = """\
  depth: {path: model.depth, values: [1, 2], tags: [depth, architecture]}
  warmup: {path: train.warmup, values: [1, 2], tags: [schedule]}
"""
PREDICTS = """\
  predict:
    command: [python, -I, -S, predict.py, --model, "{model}", --inputs, "{inputs}", --out, "{out}"]
    inputs: {dev: data/inputs, test: data/inputs}
"""
CONFIGURATION = """\
model:
  width: 1
  depth: 1
train:
  rate: 1
  warmup: 1
  sleep: $sleep$
data:
  noise: 0.004
"""
REGISTRY = """\
domain: tiny
target_leaderboards:
  - name: Tiny
    url: board.json
    scrape_method: manual
    primary_metric: accuracy
    higher_is_better: true
competitors:
our_solution:
  name: Ours
  current_scores:
    Tiny: null    # our test score
  promotion_threshold: 0.005
schedule:
"""
RESEARCH = "research_sources:\n  arxiv_queries: []\ndomain_keywords: []\n"
BOARD = [{"name": "Rival", "accuracy": 0.97}, {"name": "Other", "accuracy": 0.82}]


@dataclass(frozen=True, slots=True)
class TinyTarget:
    """A folder with a solution, its environment and a workspace beside it."""

    root: Path

    @property
    def solution(self) -> Path:
        return self.root / "solution"

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root / "workspace")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.solution, env=GIT, capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(f"git {arguments}: {done.stderr}")
        return done.stdout.strip()


def make(
    root: Path, *, sleep: float = 0.0, environment: Path | None = None, wide: bool = False, predicts: bool = False
) -> TinyTarget:
    """Build all of it under `root`.

    `sleep` is how long training waits, `environment` an interpreter's environment to share (see `make_environment`);
    `wide` gives more to try, and `predicts` a phase between training and evaluation.
    """
    target = TinyTarget(root)
    configuration = CONFIGURATION.replace("$sleep$", str(sleep))
    files = {
        "train.py": TRAIN,
        "predict.py": PREDICT,
        "evaluate.py": EVALUATE,
        "configs/production.yaml": configuration,
        "data/inputs/inputs.jsonl": '{"id": "a"}\n',
        "data/dev/truth.json": "3.0",
        "data/test/truth.json": "2.99",
    }
    for name, text in files.items():
        path = target.solution / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    target.git("init", "--quiet", "--initial-branch=main")
    target.git("add", "--all")
    target.git("commit", "--quiet", "--message", "start")
    (root / "environment").symlink_to(environment or make_environment(root / ".environment"))
    workspace = target.workspace
    workspace.root.mkdir()
    workspace.create_folders()
    text = TARGET.replace("$more$", MORE if wide else "").replace("$predicts$", PREDICTS if predicts else "")
    workspace.target.write_text(text)
    workspace.competitive_registry.write_text(REGISTRY)
    workspace.research_config.write_text(RESEARCH)
    (workspace.root / "board.json").write_text(json.dumps(BOARD))
    return target


def make_environment(folder: Path) -> Path:
    """An empty virtual environment for candidates."""
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder
