"""The demonstration: the real loop on the bundled digits solution, with measured rivals and a real board.

Called by `agent demo`. It only prepares what a user would have (a repository, an environment, a leaderboard, papers)
and then runs the same nights that `agent run` runs; nothing in the loop knows that it is a demonstration.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from agent.queueing import SEASON_OVER
from registry.durable import write_atomically
from registry.errors import AgentError, BadInput, Problem
from registry.workspace import Workspace

if TYPE_CHECKING:
    from agent.account import Account
    from agent.night import NightResult
    from registry.history import History

Say = Callable[[str], object]
OUR_NAME = "Our perceptron"
BOARD = "Digits"
TIME_S = 540.0
"""No cycle begins after this; the longest takes less than a minute, and a demonstration less than ten."""
GIT_IDENTITY = {
    "GIT_AUTHOR_NAME": "Digits team",
    "GIT_AUTHOR_EMAIL": "digits@localhost",
    "GIT_COMMITTER_NAME": "Digits team",
    "GIT_COMMITTER_EMAIL": "digits@localhost",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


class DemoFailed(AgentError):
    """A step of the preparation failed; the message has its last lines."""


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of one demonstration."""

    root: Path

    @property
    def solution(self) -> Path:
        return self.root / "digits"

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root / "digits-agent")

    @property
    def standings(self) -> Path:
        return self.root / "board" / "standings.json"

    @property
    def ours(self) -> Path:
        return self.root / "board" / "ours.json"


def examples() -> Path:
    """The bundled files: beside the packages in a checkout, inside `agent` in an installed wheel."""
    here = Path(__file__).resolve().parent
    for folder in (here.parent / "examples" / "digits", here / "_examples" / "digits"):
        if (folder / "target.yaml").is_file():
            return folder
    raise BadInput(Problem(str(here), "no examples/digits", "the bundled solution", fix="install the package again"))


def new_place(parent: Path, now: datetime) -> Place:
    """A new folder for this demonstration; an earlier one is never touched."""
    stamp = f"{now:%Y%m%d-%H%M%S}"
    for suffix in ("", *(f"-{number}" for number in range(2, 100))):
        root = parent.resolve() / f"demo-{stamp}{suffix}"
        try:
            root.mkdir(parents=True)
        except FileExistsError:
            continue
        return Place(root)
    raise BadInput(Problem(str(parent), "a hundred demonstrations of this second", "a place for another"))


def prepare(place: Place, environments: Path, say: Say) -> None:
    """Repository, environments and rivals; the workspace's documents come once the board has its address."""
    source = examples()
    say("Preparing the solution: a git repository with scikit-learn's 1,797 real images and a plain perceptron.")
    shutil.copytree(source / "solution", place.solution)
    for command in (
        ["git", "init", "--quiet", "--initial-branch=main"],
        ["git", "add", "--all"],
        ["git", "commit", "--quiet", "--no-gpg-sign", "-m", "A plain perceptron on the digits"],
    ):
        _step(command, place.solution, GIT_IDENTITY)
    python = environment(source / "solution" / "requirements.lock", environments / "solution", say)
    rivals = environment(source / "rivals" / "requirements.lock", environments / "rivals", say)
    say("Measuring the rivals: four methods of scikit-learn, scored by the solution's evaluate.py on the test split.")
    place.standings.parent.mkdir()
    measured = _step(
        [
            str(rivals),
            str(source / "rivals" / "measure.py"),
            "--solution",
            str(place.solution),
            "--out",
            str(place.standings),
        ],
        place.root,
    )
    for line in measured.splitlines():
        say(f"  {line}")
    (place.root / "environment").symlink_to(python.parent.parent, target_is_directory=True)


def environment(lock: Path, folder: Path, say: Say) -> Path:
    """A virtual environment with exactly the lock's packages, made once and kept; returns its interpreter."""
    folder = folder.absolute().with_name(f"{folder.name}-{sha256(lock.read_bytes()).hexdigest()[:12]}")
    python = folder / "bin" / "python"
    done = folder / ".complete"
    if done.is_file() and python.exists():
        return python
    say(f"Installing {lock.parent.name}'s packages into {folder} (once).")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    base = getattr(sys, "_base_executable", sys.executable)
    _step([base, "-m", "venv", str(folder)], folder.parent)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(lock)]
    _step([str(python), *install], folder.parent)
    done.touch()
    return python


@contextmanager
def board(place: Place) -> Iterator[str]:
    """Serve the leaderboard on loopback for as long as the block lasts; yields its address."""
    command = [
        sys.executable,
        "-I",
        str(examples() / "rivals" / "board.py"),
        "serve",
        "--standings",
        str(place.standings),
    ]
    command += ["--ours", str(place.ours), "--until-input-ends"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = server.stdout.readline().strip() if server.stdout is not None else ""
            if not address:
                raise DemoFailed(f"the demonstration's leaderboard did not start (exit status {server.wait(5)})")
            yield address
        finally:
            server.terminate()


def write_workspace(place: Place, address: str) -> None:
    """The workspace's documents from their templates."""
    values = {
        "repository": str(place.solution),
        "python": str(place.root / "environment" / "bin" / "python"),
        "board_url": address,
        "papers": str(examples() / "papers"),
    }
    quoted = {name: '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for name, value in values.items()}
    workspace = place.workspace
    workspace.root.mkdir()
    workspace.create_folders()
    for path in (workspace.target, workspace.competitive_registry, workspace.research_config):
        write_atomically(path, Template((examples() / path.name).read_text()).substitute(quoted))


def another_night(ended: NightResult, elapsed_s: float) -> bool:
    """Whether the next night begins at once: the season's candidates are used up, and neither ideas nor time are."""
    return ended.reason == SEASON_OVER and not ended.failed and elapsed_s < TIME_S


def summary(
    history: History,
    accounts: dict[str, Account],
    nights: Sequence[NightResult],
    rank_before: int | None,
    wall_s: float,
) -> dict[str, object]:
    """What the nights came to, for people and for `--json`."""
    from agent.night import TIME_IS_UP

    board_state = history.boards.get(BOARD)
    promoted = [account for account in accounts.values() if account.status == "promoted"]
    rejected = [
        account for account in accounts.values() if account.status == "archived" and account.verdict is not None
    ]
    return {
        "wall_s": round(wall_s, 1),
        "runs": sum(night.runs for night in nights),
        "cycles": sum(night.cycles for night in nights),
        "nights": [{"id": night.night, "ended": night.reason} for night in nights],
        "ended": nights[-1].reason,
        "ideas_left": nights[-1].reason == SEASON_OVER or nights[-1].reason.startswith(TIME_IS_UP),
        "failed": any(night.failed for night in nights),
        "rank_before": rank_before,
        "rank_after": board_state.rank if board_state is not None else None,
        "test_score": history.scores.get(BOARD),
        "promoted": [
            {"id": a.hypothesis.id, "title": a.hypothesis.title, "gain": a.gain, "reason": a.reason} for a in promoted
        ],
        "rejected": [{"id": a.hypothesis.id, "title": a.hypothesis.title, "reason": a.reason} for a in rejected],
    }


def _step(command: list[str], folder: Path, extra: dict[str, str] | None = None) -> str:
    """Run a preparation step; its output, or DemoFailed with the last lines."""
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PYTHON", "VIRTUAL_"))
    }
    done = subprocess.run(
        command, cwd=folder, env=variables | (extra or {}), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise DemoFailed(f"{' '.join(command[:4])} … failed with status {done.returncode}:\n{last}")
    return done.stdout
