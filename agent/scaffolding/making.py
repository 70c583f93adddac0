"""Writes a new workspace, whole or not at all.

Called by `agent init` with a plan that lacks nothing. Every text is validated before the first byte is written; the
folder is filled under another name beside its place and appears by a rename.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

from agent.scaffolding.answers import Plan
from agent.scaffolding.looking import Findings
from registry import scaffold
from registry.audit import AuditLog, Clock, system_clock
from registry.durable import fsync_folder, make_folder, writing
from registry.errors import BadInput, Problem
from registry.workspace import Workspace, write_atomically

WORKSPACE_CREATED = "workspace_created"
_NEW = "a new or empty folder"


def repository_as_written(root: Path, workspace: Path) -> str:
    """The repository as `target.yaml` names it: relative where both stand in one folder, so that they move together."""
    real, place = Path(os.path.realpath(root)), Path(os.path.realpath(workspace))
    return f"../{real.name}" if real.parent == place.parent else str(real)


def check_place(place: Path, root: Path) -> None:
    """BadInput where a workspace cannot be made: in the user's checkout, or over anything that is there."""
    real, repository = Path(os.path.realpath(place)), Path(os.path.realpath(root))
    if real == repository or real.is_relative_to(repository):
        fix = f"leave --workspace out: {repository.name}-agent beside it is the default"
        raise BadInput(Problem(str(place), "a place inside the repository", "a place outside of it", fix=fix))
    if repository.is_relative_to(real):
        raise BadInput(Problem(str(place), "a folder that holds the repository", _NEW))
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise BadInput(Problem(str(place), "something that is no folder", _NEW))
    if not place.is_dir():
        return
    with writing(place):
        there = sorted(path.name for path in place.iterdir())
    if Workspace(place).target.exists() or Workspace(place).agent.exists():
        fix = f"use it: agent doctor --workspace {shlex.quote(str(place))}; or name another place with --workspace DIR"
        raise BadInput(Problem(str(place), "a workspace", _NEW, fix=fix))
    if there:
        shown = ", ".join(there[:3]) + (", …" if len(there) > 3 else "")
        raise BadInput(
            Problem(str(place), f"a folder with {shown}", _NEW, fix="name another place with --workspace DIR")
        )


def is_workspace(place: Path) -> bool:
    """Whether a whole workspace is there already."""
    return Workspace(place).target.is_file() and Workspace(place).audit.is_file()


def add_models(place: Path, text: str) -> Path:
    """Write a `models.yaml`, validated already, into a workspace that has none. BadInput where it has one."""
    path = Workspace(place).models
    if path.exists() or path.is_symlink():
        raise BadInput(Problem(str(path), "a models.yaml", "a workspace without one", fix="edit it, or move it away"))
    write_atomically(path, text)
    return path


def texts(plan: Plan) -> dict[str, str]:
    """The documents' names and contents, validated. Raises BadInput."""
    found: dict[str, str] = {}
    problems: list[Problem] = []
    words = [] if plan.domain == "general" else [plan.domain]
    boards = [board.name for board in plan.boards]
    makers: dict[str, Callable[[], str]] = {
        "competitive_registry.yaml": lambda: scaffold.competitive_registry(plan.domain, plan.target.name, plan.boards),
        "research_config.yaml": lambda: scaffold.research_config(words, [*words, *boards]),
        "target.yaml": lambda: scaffold.target(plan.target),
    }
    for name, make in makers.items():
        try:
            found[name] = make()
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(*problems)
    return found


def make(
    place: Path,
    findings: Findings,
    plan: Plan,
    clock: Clock = system_clock,
    others: Mapping[str, str] | None = None,
) -> Workspace:
    """The workspace at `place`. Raises BadInput or DiskFull, and leaves nothing behind then.

    `others` are further documents, name and content, that were validated already.
    """
    place = place.absolute()
    check_place(place, findings.root)
    documents = {**texts(plan), **(others or {})}
    make_folder(place.parent)
    with writing(place):
        staged = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        with writing(staged):
            staged.chmod(0o777 & ~_umask())
        _fill(Workspace(staged), documents, findings, clock)
        _appear(staged, place)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    fsync_folder(place.parent)
    return Workspace(place)


def _fill(workspace: Workspace, documents: dict[str, str], findings: Findings, clock: Clock) -> None:
    workspace.create_folders()
    for name, text in documents.items():
        write_atomically(workspace.root / name, text)
    with AuditLog.open(workspace.audit, clock) as log:
        log.append(
            WORKSPACE_CREATED,
            "",
            {
                "repository": str(findings.root),
                "base": findings.base,
                "commit": findings.commit,
                "documents": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in documents.items()},
                "version": _version(),
            },
            reason="agent init",
            key=WORKSPACE_CREATED,
        )


def _appear(staged: Path, place: Path) -> None:
    """Put the filled folder in its place; a folder already there is empty, and stays for whoever stands in it."""
    with writing(place):
        if not place.is_dir():
            staged.rename(place)
            return
        for path in sorted(staged.iterdir(), key=lambda path: path.name == "target.yaml"):
            path.rename(place / path.name)
        staged.rmdir()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _version() -> str:
    try:
        return metadata.version("auto-benchmark")
    except metadata.PackageNotFoundError:
        return "unknown"
