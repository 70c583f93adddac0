"""Every check of doctor in its order; each finding is told as soon as it stands.

Called by `agent doctor`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agent.doctor import documents, gpus, machine, models, season
from agent.doctor.baseline import Baseline
from agent.doctor.contract import Contract, Opened
from agent.doctor.documents import Documents
from agent.doctor.findings import Finding, complaints, guarded, ok, warn
from registry.errors import BadInput
from registry.locks import Clock, system_clock
from registry.target import Target
from registry.workspace import Workspace


def _quietly(line: str) -> None:
    """Say nothing of what is going on."""
    del line


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a check-up."""

    workspace: Workspace | None
    trouble: BadInput | None = None
    """Why there is no workspace, or what it lacks."""
    baseline: bool = True
    allow_weak: bool = False
    """Where no full sandbox can be had, a weak one is looked at and used."""
    tell: Callable[[str], None] = _quietly
    cancel: threading.Event = field(default_factory=threading.Event)
    clock: Clock = system_clock


def examine(wish: Wish) -> Iterator[Finding]:
    """All findings, in order."""
    workspace = wish.workspace
    papers = Documents(workspace) if workspace is not None else None
    read = list(papers.read()) if papers is not None else []
    target = papers.target if papers is not None else None
    folder = workspace.root if workspace is not None else Path.cwd()
    own = workspace is not None and workspace.agent.is_dir()
    yield from guarded("python", machine.python)
    yield from guarded("packages", machine.packages)
    yield from guarded("git", machine.git)
    wish.tell("sandbox: trying what it contains")
    image, state = target.environment.image if target is not None else None, _state(workspace if own else None)
    isolated = list(guarded("sandbox", lambda: machine.sandbox(state, image, wish.allow_weak)))
    wish.tell("reading the workspace")
    yield from isolated
    graphics = list(guarded("GPUs", lambda: gpus.host(target)))
    yield from graphics
    yield from guarded("CPUs, memory", lambda: machine.capacity(target))
    yield from guarded("disk", lambda: machine.disk(folder, target))
    yield from guarded("clock", lambda: machine.clock(workspace.audit if workspace is not None else None, wish.clock))
    if wish.trouble is not None:
        yield from complaints("workspace", wish.trouble)
    if workspace is None:
        return
    if wish.trouble is None:
        yield ok("workspace", str(workspace.root))
    yield from read
    if workspace.models.exists():
        wish.tell("models: asking each one a short question")
    yield from guarded(models.CHECK, lambda: models.check(workspace, target, wish.cancel))
    if own:
        yield from guarded("audit log", lambda: documents.log(workspace))
        yield from guarded("lock", lambda: documents.lock(workspace))
    if target is None:
        return
    if own:
        yield from guarded("season", lambda: season.finding(workspace, target))
    contract = Contract(workspace, target)
    agreed = list(contract.check())
    yield from agreed
    if target.resources.gpus and contract.opened is not None and own and not _failed((*isolated, *agreed, *graphics)):
        wish.tell("GPUs: asking torch in the solution's environment")
        graphics += (asked := list(_ask_torch(workspace, target, contract.opened)))
        yield from asked
    if not wish.baseline:
        return
    if contract.opened is None or not own or _failed((*isolated, *agreed, *graphics)):
        yield warn("baseline", "not run: what it needs failed above", "mend that and run `agent doctor` again")
        return
    yield from Baseline(workspace, target, contract.opened, wish.tell, wish.cancel, wish.allow_weak).check()


def _failed(findings: Iterable[Finding]) -> bool:
    return any(one.status == "fail" for one in findings)


def _ask_torch(workspace: Workspace, target: Target, opened: Opened) -> Iterator[Finding]:
    from sandbox.backends import choose

    return guarded("GPUs: torch", lambda: gpus.torch(target, opened, choose(workspace.agent / "sandbox")))


def _state(workspace: Workspace | None) -> Path | None:
    """Where the sandbox keeps its records: the workspace's own place, so that a killed doctor is cleaned up after."""
    return workspace.agent / "sandbox" if workspace is not None else None
