"""Make a repository of the character language model with its text, its environment, and a workspace beside it.

    .venv/bin/python examples/charlm/make_workspace.py FOLDER          # trains in seconds on one processor
    .venv/bin/python examples/charlm/make_workspace.py FOLDER --gpu    # fills a GPU
    .venv/bin/agent run --cycles 2 --workspace FOLDER/charlm-agent

Nothing is downloaded but the packages of the solution's environment, torch among them, once (`--python` names an
interpreter that has them). The text and the rivals' scores are made here.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from string import Template

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT)]

import make_text  # noqa: E402 - beside this file, and not installed
import ngram  # noqa: E402

from registry.workspace import Workspace  # noqa: E402

GPU_TEXT = 40_000_000
"""Characters to train on with a GPU."""
GIT = {
    "GIT_AUTHOR_NAME": "Language team",
    "GIT_AUTHOR_EMAIL": "language@localhost",
    "GIT_COMMITTER_NAME": "Language team",
    "GIT_COMMITTER_EMAIL": "language@localhost",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def make(
    folder: Path, python: Path, gpu: bool = False, train: int = 0, held_out: int = make_text.HELD_OUT
) -> Workspace:
    """All of it under `folder`, which is made; `python` is an interpreter with the solution's packages.

    `train` is the length of the text, 0 for what suits the target.
    """
    folder = folder.resolve()
    solution = folder / "charlm"
    shutil.copytree(HERE / "solution", solution, ignore=shutil.ignore_patterns("__pycache__", "data"))
    data = solution / "data"
    for path, content in make_text.files(train or (GPU_TEXT if gpu else make_text.TRAIN), held_out):
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        (data / path).write_bytes(content)
    for command in (
        ["git", "init", "--quiet", "--initial-branch=main"],
        ["git", "add", "--all"],
        ["git", "commit", "--quiet", "--no-gpg-sign", "-m", "A character language model and its text"],
    ):
        subprocess.run(command, cwd=solution, env={**os.environ, **GIT}, check=True)
    workspace = Workspace(folder / "charlm-agent")
    workspace.root.mkdir()
    workspace.create_folders()
    values = {"repository": json.dumps(str(solution)), "python": json.dumps(str(python.absolute()))}
    target = HERE / ("target-gpu.yaml" if gpu else "target.yaml")
    workspace.target.write_text(Template(target.read_text()).substitute(values))
    for path in (workspace.competitive_registry, workspace.research_config):
        shutil.copyfile(HERE / path.name, path)
    board = ngram.board(data, solution / "evaluate.py")
    (workspace.root / "board.json").write_text(json.dumps(board, indent=1) + "\n")
    return workspace


def environment(parent: Path) -> Path:
    """Interpreter of a virtual environment with the solution's packages, made once and kept."""
    requirements = HERE / "solution" / "requirements.txt"
    folder = parent.absolute() / f"solution-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]}"
    python, done = folder / "bin" / "python", folder / ".complete"
    if done.is_file() and python.exists():
        return python
    print(f"Installing torch into {folder} (once).", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", str(folder)], check=True)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)]
    # Bytecode switched off would compile torch anew at every start of it, seconds each time.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([str(python), *install], check=True, env=variables)
    subprocess.run([str(python), "-m", "compileall", "-qq", str(folder / "lib")], check=False, env=variables)
    done.touch()
    return python


def main() -> int:
    parser = argparse.ArgumentParser(description="Make a workspace of the character language model.")
    parser.add_argument("folder", type=Path, help="a folder that is not there yet")
    parser.add_argument("--gpu", action="store_true", help="the target that fills a GPU")
    parser.add_argument("--python", type=Path, default=None, help="an interpreter with the solution's packages")
    parser.add_argument("--environments", type=Path, default=ROOT / ".venv-charlm", help="where packages are kept")
    options = parser.parse_args()
    if options.folder.exists():
        parser.error(f"{options.folder} is there already")
    options.folder.mkdir(parents=True)
    workspace = make(options.folder, options.python or environment(options.environments), options.gpu)
    print(f"{workspace.root}: try `agent doctor --workspace {workspace.root}`")
    return 0


if __name__ == "__main__":
    sys.exit(main())
