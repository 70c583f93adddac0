"""The workspace: where every file of a night lives, and finding the folder it lives in.

Every other module asks here for a path instead of spelling one. Nothing but `create_folders` touches the disk, and
nothing here reads a document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.durable import append_line as append_line
from registry.durable import make_folder
from registry.durable import write_atomically as write_atomically
from registry.errors import BadInput, Problem

if TYPE_CHECKING:  # paths are needed by every command, `--help` included, and pydantic by few of them
    from registry.hypotheses import Status

TARGET_FILE = "target.yaml"
AGENT_FOLDER = ".agent"
TREE_LENGTH = 12
"""Digits of production's tree in the name of its results folder."""

_HYPOTHESIS = re.compile(r"H-\d{3,}")
_TREE = re.compile(r"[0-9a-f]{12,64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_FOLDERS: dict[Status, str] = {
    "queued": "queue",
    "active": "active",
    "parked": "active",
    "promoted": "promoted",
    "archived": "archived",
}


@dataclass(frozen=True, slots=True)
class ResultsFolder:
    """The files one arm's runs leave: a hypothesis's, or production's under one tree."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def metrics(self) -> Path:
        """All runs and their aggregate."""
        return self.root / "metrics.json"

    @property
    def requirements(self) -> Path:
        """Exact versions of what the solution's environment has installed."""
        return self.root / "requirements.lock"

    @property
    def train_log(self) -> Path:
        return self.root / "train.log"

    @property
    def eval_on_leaderboard(self) -> Path:
        """Projected rank per board."""
        return self.root / "eval_on_leaderboard.json"

    @property
    def decision(self) -> Path:
        return self.root / "decision.json"

    @property
    def patch(self) -> Path:
        return self.root / "patch.diff"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    def run(self, name: str | int) -> Path:
        """Folder of one run, by its seed or by a longer name that starts with it."""
        return self.runs / _checked(str(name), _NAME, "a run's name")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder with `target.yaml` and `.agent/`. All paths are absolute when the root is."""

    root: Path

    @classmethod
    def find(cls, start: Path, given: Path | None = None) -> Workspace:
        """The workspace `given`, or else the one `start` is in or that stands beside the repository it is in."""
        if given is not None:
            root = given.absolute()
            if missing := cls(root)._missing():
                raise BadInput(_not_a_workspace(given, missing))
            return cls(root)
        here = start.absolute()
        for folder in (here, *here.parents):
            for root in (folder, default_for(folder)):
                if not cls(root)._missing():
                    return cls(root)
        expected = f"a workspace ({TARGET_FILE} and {AGENT_FOLDER}/) here, above, or beside the repository"
        fix = "make one with `agent init` in the solution's repository, or name one with --workspace DIR"
        raise BadInput(Problem(str(here), "no workspace", expected, fix=fix))

    def create_folders(self) -> None:
        """Make every folder of a workspace that is not there yet."""
        states = [self.experiments / name for name in sorted(set(_FOLDERS.values()))]
        for folder in (self.agent, self.cache, self.blobs, *states, self.results, self.reports):
            make_folder(folder)

    def repository(self, written: str) -> Path:
        """The solution's repository as `target.yaml` writes it: relative to the workspace, or absolute."""
        return (self.root / Path(written).expanduser()).resolve()

    # Documents that people read and edit.
    @property
    def competitive_registry(self) -> Path:
        return self.root / "competitive_registry.yaml"

    @property
    def research_config(self) -> Path:
        return self.root / "research_config.yaml"

    @property
    def models(self) -> Path:
        """Optional: without it no language model is asked."""
        return self.root / "models.yaml"

    @property
    def target(self) -> Path:
        return self.root / TARGET_FILE

    @property
    def experiment_queue(self) -> Path:
        return self.root / "experiment_queue.yaml"

    @property
    def research_log(self) -> Path:
        return self.root / "research_log.md"

    @property
    def technical_log(self) -> Path:
        return self.root / "TECHNICAL_LOG.md"

    @property
    def changelog(self) -> Path:
        return self.root / "CHANGELOG.md"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    # Hypotheses and what their runs leave.
    @property
    def experiments(self) -> Path:
        return self.root / "experiments"

    @property
    def results(self) -> Path:
        return self.experiments / "results"

    def state_folder(self, status: Status) -> Path:
        """`experiments/{queue,active,promoted,archived}`; a parked hypothesis stays in `active`."""
        return self.experiments / _FOLDERS[status]

    def hypothesis(self, hypothesis_id: str, status: Status) -> Path:
        return self.state_folder(status) / f"{_checked(hypothesis_id, _HYPOTHESIS, 'a hypothesis')}.yaml"

    def results_of(self, hypothesis_id: str) -> ResultsFolder:
        return ResultsFolder(self.results / _checked(hypothesis_id, _HYPOTHESIS, "a hypothesis"))

    def production_results(self, tree: str) -> ResultsFolder:
        """Production's runs for one tree of the solution; they live once and hypotheses refer to them."""
        return ResultsFolder(self.results / "production" / _checked(tree, _TREE, "a tree's sha")[:TREE_LENGTH])

    # What the program keeps for itself.
    @property
    def agent(self) -> Path:
        return self.root / AGENT_FOLDER

    @property
    def audit(self) -> Path:
        return self.agent / "audit.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.agent / "checkpoints.sqlite"

    @property
    def index(self) -> Path:
        return self.agent / "index.sqlite"

    @property
    def cache(self) -> Path:
        return self.agent / "cache"

    @property
    def blobs(self) -> Path:
        return self.cache / "blobs"

    @property
    def worktrees(self) -> Path:
        """Checkouts of the solution that the program makes for itself."""
        return self.cache / "worktrees"

    @property
    def lock(self) -> Path:
        return self.agent / "lock"

    def _missing(self) -> list[str]:
        missing = [] if self.target.is_file() else [TARGET_FILE]
        return missing if self.agent.is_dir() else [*missing, f"{AGENT_FOLDER}/"]


def default_for(repository: Path) -> Path:
    """Where `agent init` puts the workspace of a repository: beside it."""
    place = repository.absolute()
    return place.with_name(f"{place.name}-agent") if place.name else place / "agent"


def _not_a_workspace(folder: Path, missing: list[str]) -> Problem:
    found = f"no {' and no '.join(missing)}" if folder.is_dir() else "no such folder"
    fix = "`agent init` in the solution's repository makes a workspace and prints where it is"
    if folder.is_dir() and missing == [TARGET_FILE]:
        fix = f"restore {TARGET_FILE} from a copy, or make a new workspace with --workspace and take its {TARGET_FILE}"
    elif folder.is_dir() and missing == [f"{AGENT_FOLDER}/"]:
        fix = f"restore {AGENT_FOLDER}/ (the record) from a copy, or make a new workspace and copy your documents there"
    return Problem(str(folder), found, f"a workspace: a folder with {TARGET_FILE} and {AGENT_FOLDER}/", fix=fix)


def _checked(text: str, pattern: re.Pattern[str], what: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is not {what}")
    return text
