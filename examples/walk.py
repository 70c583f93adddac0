"""Take an example as a stranger's repository would be taken: `agent init`, its documents, `agent doctor`, `agent run`.

    .venv/bin/python examples/walk.py circles FOLDER              # or distances, or digits
    .venv/bin/python examples/walk.py circles FOLDER --cycles 6

Copies the example's solution into FOLDER, makes a git repository and an empty environment of it, and then does what a
user does, command by command, as shown. No model is asked and nothing is downloaded; digits alone needs packages, from
`agent demo`'s environment or where `--python` says.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
AGENT = "from agent.cli.main import main; main()"
FLAGS = {
    "circles": (
        *("--train", "python pack.py --config {config} --out {out}"),
        *("--labels-dev", "data/problem", "--labels-test", "data/problem"),
        *("--metric", "sum_of_radii", "--higher-is-better"),
    ),
    "distances": (
        *("--train", "python place.py --config {config} --out {out}"),
        *("--labels-dev", "data/problem", "--labels-test", "data/problem"),
        *("--metric", "squared_ratio", "--lower-is-better"),
    ),
    "digits": (),
}
"""What `agent init` cannot see in the repository; of digits it sees everything."""
DOCUMENTS = ("target.yaml", "competitive_registry.yaml", "research_config.yaml", "board.json")
GIT = {
    "GIT_AUTHOR_NAME": "A team",
    "GIT_AUTHOR_EMAIL": "team@localhost",
    "GIT_COMMITTER_NAME": "A team",
    "GIT_COMMITTER_EMAIL": "team@localhost",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def make_repository(name: str, folder: Path, python: Path | None = None) -> Path:
    """The example's solution as a git repository of one commit, with an environment that git does not track.

    `python` is an interpreter with packages that the solution needs; by default an empty environment is made.
    """
    repository = folder / name
    shutil.copytree(HERE / name / "solution", repository, ignore=shutil.ignore_patterns("__pycache__", ".venv"))
    for command in (
        ["git", "init", "--quiet", "--initial-branch=main"],
        ["git", "add", "--all"],
        ["git", "commit", "--quiet", "--no-gpg-sign", "-m", "As it is today"],
    ):
        subprocess.run(command, cwd=repository, env={**os.environ, **GIT}, check=True)
    if python is None:
        base = getattr(sys, "_base_executable", sys.executable)
        subprocess.run([base, "-m", "venv", "--without-pip", str(repository / ".venv")], check=True)
    return repository


def copy_documents(name: str, workspace: Path) -> None:
    """Put the example's own documents over those that `agent init` wrote."""
    for document in DOCUMENTS:
        if (HERE / name / document).is_file():
            shutil.copyfile(HERE / name / document, workspace / document)


def agent(*words: str) -> int:
    """One command of the program, shown and run; its exit status."""
    print(f"$ agent {shlex.join(words)}", flush=True)
    command = [sys.executable, "-P", "-c", AGENT, *words]
    return subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode


def walk(name: str, folder: Path, cycles: int, python: Path | None) -> int:
    """All of it; the exit status of the first command that fails."""
    repository = make_repository(name, folder, python)
    workspace = folder / f"{name}-agent"
    own = () if python is None else ("--python", str(python))
    if status := agent("init", str(repository), "--yes", *FLAGS[name], *own):
        return status
    if name != "digits":  # what init found of digits is enough
        copy_documents(name, workspace)
    place = ("--workspace", str(workspace))
    return agent("doctor", *place) or agent("run", "--cycles", str(cycles), *place) or agent("audit", "verify", *place)


def main() -> int:
    parser = argparse.ArgumentParser(description="Take an example as a stranger's repository would be taken.")
    parser.add_argument("example", choices=sorted(FLAGS))
    parser.add_argument("folder", type=Path, help="a folder that is not there yet")
    parser.add_argument("--cycles", type=int, default=4, help="of the night")
    parser.add_argument("--python", type=Path, default=None, help="an interpreter with the solution's packages")
    options = parser.parse_args()
    if options.folder.exists():
        parser.error(f"{options.folder} is there already")
    folder = options.folder.resolve()
    folder.mkdir(parents=True)
    return walk(options.example, folder, options.cycles, None if options.python is None else options.python.absolute())


if __name__ == "__main__":
    sys.exit(main())
