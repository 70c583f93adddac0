"""A whole solution in the standard library alone, its workspace and its board: what tests run real nights on.

The solution's value is what `train.py` says a configuration is worth, plus noise that depends on configuration and
seed. `predict.py` answers with that value as its distance from the truth, and `evaluate.py` measures the distance,
so the score of a run is the value, while every phase does its part on real files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from tempfile import mkdtemp
from typing import Any

import sandbox_backends
from git_repositories import ENVIRONMENT, commit, git, make

from agent import night
from agent.ledger import LogLedger
from agent.night import Goal, NightResult
from agent.progress import Silent
from agent.researcher.offline import OfflineResearcher
from agent.services import Clock, Services
from agent.solution import Solution
from agent.state import State
from agent.wiring import utc_now
from experiments.measuring import Measurer
from experiments.runner import Runner
from registry.audit import AuditLog
from registry.audit_events import Event, read_events
from registry.blobs import Blobs
from registry.documents import load_target
from registry.history import History
from registry.locks import workspace_lock
from registry.workspace import Workspace
from sandbox.backends import choose
from sandbox.contract import Capabilities, Outcome, Reason, RunSpec, Sandbox, SandboxUnavailable
from tools.repository_checks import open_repository

ROOT = Path(__file__).resolve().parent.parent
BOARD = "Tiny"
OURS = "Our solution"

TRAIN = """
import hashlib, json, pathlib, random, sys

def main(config, seed, data, out):
    text = pathlib.Path(config).read_text()
    values = dict(line.strip().split(": ") for line in text.splitlines() if line.startswith("  "))
    if values["mode"] == "crash":
        sys.exit("no such mode")
    worth = float(pathlib.Path(data, "knowledge.txt").read_text())
    effects = {"width": 0.02, "depth": -0.0005, "harm": -0.03, "slight": 0.0004, "late": 0.0045}
    worth += sum(effect * (int(values[name]) - 1) for name, effect in effects.items())
    draw = random.Random(hashlib.sha256((text + seed).encode()).hexdigest())
    worth += draw.gauss(0.0, float(values["noise"]))
    pathlib.Path(out, "model.json").write_text(json.dumps({"error": 1.0 - worth}))

if __name__ == "__main__":
    main(*sys.argv[1:])
"""
PREDICT = """
import json, pathlib, sys

def main(model, inputs, out):
    error = json.loads(pathlib.Path(model, "model.json").read_text())["error"]
    items = map(json.loads, pathlib.Path(inputs, "inputs.jsonl").read_text().splitlines())
    answers = [{"id": item["id"], "output": 2 * item["x"] + error} for item in items]
    pathlib.Path(out, "predictions.jsonl").write_text("".join(json.dumps(answer) + "\\n" for answer in answers))

if __name__ == "__main__":
    main(*sys.argv[1:])
"""
EVALUATE = """
import json, pathlib, sys

def main(predictions, labels, out):
    items = map(json.loads, pathlib.Path(predictions, "predictions.jsonl").read_text().splitlines())
    found = {item["id"]: item["output"] for item in items}
    wanted = json.loads(pathlib.Path(labels, "labels.json").read_text())
    error = sum(abs(found[name] - value) for name, value in wanted.items()) / len(wanted)
    pathlib.Path(out, "metrics.json").write_text(json.dumps({"accuracy": 1.0 - error, "error": error}))

if __name__ == "__main__":
    main(*sys.argv[1:])
"""
CONFIGURATION = """# production's settings
model:
  width: 1
  depth: 1
  harm: 1
  slight: 1
  late: 1
  mode: plain
  noise: 0.002
"""
SPACE: dict[str, dict[str, Any]] = {
    "width": {"path": "model.width", "values": [1, 2], "tags": ["width", "capacity"]},
    "depth": {"path": "model.depth", "values": [1, 2], "tags": ["depth"]},
    "harm": {"path": "model.harm", "values": [1, 2], "tags": ["harm"]},
    "mode": {"path": "model.mode", "values": ["plain", "crash"], "tags": ["mode"]},
    "slight": {"path": "model.slight", "values": [1, 2], "tags": ["slight"]},
}
PYTHON = ["python", "-I", "-S"]
TEST_SHIFT = 0.01
"""How much lower the test split scores than dev: a test score is then never mistaken for a dev score."""


def files() -> dict[str, str]:
    """The repository's files."""
    found = {
        "train.py": TRAIN,
        "predict.py": PREDICT,
        "evaluate.py": EVALUATE,
        "configs/production.yaml": CONFIGURATION,
        "data/train/knowledge.txt": "0.8\n",
    }
    for split, shift in (("dev", 0.0), ("test", TEST_SHIFT)):
        items = [{"id": f"{split}-{number}", "x": number} for number in range(4)]
        labels = {item["id"]: 2 * int(item["x"]) - shift for item in items}
        found[f"data/{split}/inputs/inputs.jsonl"] = "".join(json.dumps(item) + "\n" for item in items)
        found[f"data/{split}/labels/labels.json"] = json.dumps(labels)
    return found


def target(repository: Path, python: Path) -> dict[str, Any]:
    """`target.yaml` as data, for tests to change before it is written."""
    return {
        "version": 1,
        "name": "tiny",
        "solution": {
            "repository": str(repository),
            "base": "main",
            "config": "configs/production.yaml",
            "editable": ["*.py", "configs/**"],
            "protected": ["evaluate.py", "data/**"],
        },
        "phases": {
            "train": {
                "command": [*PYTHON, "train.py", "{config}", "{seed}", "{data}", "{out}"],
                "data": "data/train",
            },
            "predict": {
                "command": [*PYTHON, "predict.py", "{model}", "{inputs}", "{out}"],
                "inputs": {"dev": "data/dev/inputs", "test": "data/test/inputs"},
            },
            "evaluate": {
                "command": [*PYTHON, "evaluate.py", "{predictions}", "{labels}", "{out}"],
                "labels": {"dev": "data/dev/labels", "test": "data/test/labels"},
            },
        },
        "metrics": {"primary": {"name": "accuracy", "higher_is_better": True, "leaderboard": BOARD}},
        "gate": {"policy": "e-night", "threshold": 0.005, "season": 20, "screen": "paired", "test_looks": 10},
        "search_space": {name: SPACE[name] for name in ("width", "depth")},
        "fast": {"timeout": 20},
        "full": {"timeout": 20},
        "environment": {"python": str(python)},
        "resources": {"cpus": 1, "memory": "128MiB", "disk": "16MiB"},
    }


REGISTRY = Template(
    """# Who competes where.
domain: toys
target_leaderboards:
  - name: Tiny          # the only one
    url: "$url"
    scrape_method: $method
    primary_metric: $metric
    higher_is_better: $higher
    victory: {rank: 1, margin: 0.0, sustained_cycles: $cycles}
$more
competitors:
  - {name: Rival, latest_score: null, source: Tiny}   # the one to watch
our_solution:
  name: Our solution
  current_scores:
    Tiny: $score     # our test score
  promotion_threshold: 0.005
"""
)


@lru_cache(maxsize=1)
def interpreter() -> Path:
    """A real virtual environment without a package, made once for all tests of this process."""
    folder = Path(mkdtemp(prefix="tiny-environment-"))
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", "--without-pip", str(folder)], check=True)
    folder.chmod(0o755)
    return folder / "bin" / "python"


def real_sandbox(state: Path) -> Sandbox:
    """Bubblewrap; the test is skipped, or failed where the sandbox has to be there, without it."""
    try:
        return choose(state)
    except SandboxUnavailable as error:
        sandbox_backends.absent(str(error))


class InProcess:
    """A sandbox that contains nothing: calls `main` of the phase's script, so that a night takes a second.

    Implements `sandbox.contract.Sandbox` for tests of the loop; what a candidate can see and do is tested with the
    real sandbox. It claims full isolation, because the gate judges no other runs.
    """

    name = "in-process"
    isolation = "full"

    def __init__(self) -> None:
        self.started: list[str] = []

    def doctor(self) -> Capabilities:
        return Capabilities(self.name, usable=True, isolation="full", items=())

    def reap(self) -> tuple[str, ...]:
        return ()

    def run(self, spec: RunSpec, cancel: threading.Event) -> Outcome:
        if cancel.is_set():
            return self._outcome("cancelled", None, "")
        self.started.append(spec.run_id)
        shown = {mount.inside: str(mount.host) for mount in spec.mounts} | {"/work": str(spec.out)}
        script = next(index for index, word in enumerate(spec.argv) if word.endswith(".py"))
        words = [_on_the_host(word, shown) for word in spec.argv[script + 1 :]]
        if spec.code is None or spec.log is None:
            raise AssertionError("the runner gives every phase its code and its log")
        names: dict[str, Any] = {"__name__": "phase"}
        status, text = 0, "done"
        try:
            source = spec.code / _on_the_host(spec.argv[script], shown)
            exec(compile(source.read_text(), spec.argv[script], "exec"), names)
            names["main"](*words)
        except SystemExit as error:
            status, text = 1, str(error.code)
        except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
            status, text = 1, repr(error)
        spec.log.write_text(text + "\n")
        return self._outcome("exit", status, text)

    def _outcome(self, reason: Reason, status: int | None, tail: str) -> Outcome:
        return Outcome(reason, status, 0.001, 0.001, 1 << 20, len(tail), tail, (), self.name, "full", "")


def _on_the_host(word: str, shown: dict[str, str]) -> str:
    """A path as the phase is told it, where the host has it."""
    top = next((inside for inside in shown if word == inside or word.startswith(f"{inside}/")), "")
    return shown[top] + word.removeprefix(top) if top else word


class Recorded(Silent):
    """Progress that keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def node(self, name: str, state: State) -> None:
        self.lines.append(f"node {name}")


@dataclass
class Tiny:
    """One solution with its workspace."""

    root: Path
    target: dict[str, Any]
    progress: Recorded = field(default_factory=Recorded)
    sandbox: InProcess = field(default_factory=InProcess)
    clock: Clock = utc_now

    @property
    def repository(self) -> Path:
        return self.root / "solution"

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root / "solution-agent")

    @property
    def board(self) -> Path:
        return self.workspace.root / "board.json"

    # -- changing it ----------------------------------------------------------------------------------------

    def write_target(self) -> None:
        self.workspace.target.write_text(json.dumps(self.target))  # JSON is YAML

    def write_board(self, **scores: float) -> None:
        """The standings as the board shows them, names with a space spelled with `_`."""
        rows = [{"name": name.replace("_", " "), "accuracy": score, "error": score} for name, score in scores.items()]
        self.board.write_text(json.dumps(rows))

    def write_registry(self, **values: str) -> None:
        standard = {"url": "board.json", "method": "git_file", "metric": "accuracy", "higher": "true"}
        standard |= {"cycles": "1", "score": "null", "more": ""}
        self.workspace.competitive_registry.write_text(REGISTRY.substitute(standard | values))

    def commit(self, changed: dict[str, str], message: str = "change") -> str:
        return commit(self.repository, changed, message)

    def configured(self, **settings: object) -> dict[str, str]:
        """The configuration file with settings of the model replaced."""
        lines = []
        for line in (self.repository / "configs/production.yaml").read_text().splitlines():
            name = line.strip().partition(":")[0]
            lines.append(f"  {name}: {settings[name]}" if name in settings else line)
        return {"configs/production.yaml": "\n".join(lines) + "\n"}

    def put_into_queue(self, name: str = "H-500", file: str = "", **changed: Any) -> Path:
        """A hypothesis as a person writes it."""
        hypothesis = {
            "id": name,
            "title": f"idea {name}",
            "claim": "it helps",
            "source": "a person",
            "target_leaderboards": [BOARD],
            "implementation": {"change": "set it", "effort": "Low", "settings": changed.pop("settings", {})},
            "estimated_gain": 0.01,
            "priority_score": 2.0,
            "status": "queued",
            **changed,
        }
        path = self.workspace.state_folder("queued") / (file or f"{name}.yaml")
        path.write_text(json.dumps({"hypothesis": hypothesis}))
        return path

    # -- running it -----------------------------------------------------------------------------------------

    @contextmanager
    def services(self) -> Iterator[Services]:
        """What `agent.wiring` composes, around the sandbox and the clock of the test."""
        workspace = self.workspace
        described = load_target(workspace.target)
        with workspace_lock(workspace.lock, "a test"), AuditLog.open(workspace.audit) as log:
            history, cancel = History(), threading.Event()
            for event in log.read_new(0):
                history.apply(event)
            repository = workspace.repository(described.solution.repository)
            opened = open_repository(repository, described.solution.base)
            solution = Solution(opened, described, workspace.worktrees)
            runner = Runner(described, repository, solution, self.sandbox, workspace.root)
            yield Services(
                workspace=workspace,
                target=described,
                repository=repository,
                log=log,
                blobs=Blobs(workspace.blobs),
                history=history,
                solution=solution,
                sandbox=self.sandbox,
                runner=runner,
                measurer=Measurer(
                    runner, LogLedger(log, history, self.progress, runner.environments.known), cancel, slots=2
                ),
                researcher=OfflineResearcher(solution.edited, ()),
                progress=self.progress,
                clock=self.clock,
                cancel=cancel,
            )

    def runner(self, sandbox: Sandbox | None = None) -> Runner:
        """The runner alone, over a given sandbox."""
        described = load_target(self.workspace.target)
        opened = open_repository(self.repository, described.solution.base)
        solution = Solution(opened, described, self.workspace.worktrees)
        return Runner(described, self.repository, solution, sandbox or self.sandbox, self.workspace.root)

    def night(self, goal: Goal | None = None) -> NightResult:
        with self.services() as services:
            return night.run(services, goal or Goal())

    def agent(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The command line in a process of its own."""
        command = [sys.executable, "-c", "from agent.cli.main import main; main()", *words]
        variables = {**os.environ, "PYTHONPATH": str(ROOT), **{k: v for k, v in ENVIRONMENT.items() if k[:3] == "GIT"}}
        command += ["--workspace", str(self.workspace.root)]
        return subprocess.run(command, cwd=self.root, env=variables, capture_output=True, text=True)

    # -- looking at it --------------------------------------------------------------------------------------

    def events(self, kind: str = "", subject: str = "") -> list[Event]:
        return [
            event
            for event in read_events(self.workspace.audit)
            if kind in {"", event.kind} and subject in {"", event.subject}
        ]

    def tip(self, branch: str) -> str:
        return git(self.repository, "rev-parse", branch)

    def changing(self, **settings: object) -> str:
        """Id of the hypothesis that asks for exactly these settings."""
        wanted = {f"model.{name}": value for name, value in settings.items()}
        for event in self.events():
            items = event.data.get("hypotheses", []) if event.kind == "hypotheses_proposed" else []
            items = [event.data["hypothesis"]] if event.kind == "hypothesis_taken_in" else items
            for item in items:
                if item["implementation"]["settings"] == wanted:
                    return str(item["id"])
        raise AssertionError(f"no hypothesis asks for {wanted}")

    def verdict(self, hypothesis: str) -> tuple[str, str]:
        """(outcome, reason) of its last verdict."""
        last = self.events("verdict", hypothesis)[-1]
        return last.data["outcome"], last.data["reason"]


def build(root: Path) -> Tiny:
    """The solution in git and its workspace, ready to run: a board that Rival leads, and no score of ours yet."""
    tiny = Tiny(root, target(root / "solution", interpreter()))
    make(tiny.repository, files())
    tiny.workspace.root.mkdir()
    tiny.workspace.create_folders()
    tiny.write_target()
    tiny.write_registry()
    tiny.write_board(Rival=0.9, Other=0.5)
    tiny.workspace.research_config.write_text("research_sources: {}\n")
    return tiny


@dataclass
class Page:
    """What a real HTTP server on loopback answers next."""

    status: int = 200
    body: str = "[]"
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    asked: int = 0


@contextmanager
def served(page: Page) -> Iterator[str]:
    """A real server that answers every path but /robots.txt with the page as it is at that moment."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            robots = self.path == "/robots.txt"
            page.asked += not robots
            body = b"" if robots else page.body.encode()
            self.send_response(404 if robots else page.status)
            for name, value in ({} if robots else page.headers).items():
                self.send_header(name, value)
            self.send_header("Content-Type", page.content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/board.json"
        finally:
            server.shutdown()
            thread.join()
