"""Every check of doctor in its order; each finding is told as soon as it stands.

Called by `agent doctor`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agent.doctor import documents, machine, season
from agent.doctor.baseline import Baseline
from agent.doctor.contract import Contract
from agent.doctor.documents import Documents
from agent.doctor.findings import Finding, complaints, guarded, ok, warn
from registry.errors import BadInput
from registry.locks import Clock, system_clock
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
    yield from guarded("GPUs", lambda: machine.gpus(target))
    yield from guarded("CPUs, memory", lambda: machine.capacity(target))
    yield from guarded("model endpoint", machine.model_endpoint)
    yield from guarded("disk", lambda: machine.disk(folder, target))
    yield from guarded("clock", lambda: machine.clock(workspace.audit if workspace is not None else None, wish.clock))
    if wish.trouble is not None:
        yield from complaints("workspace", wish.trouble)
    if workspace is None:
        return
    if wish.trouble is None:
        yield ok("workspace", str(workspace.root))
    yield from read
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
    if not wish.baseline:
        return
    if contract.opened is None or not own or any(one.status == "fail" for one in (*isolated, *agreed)):
        yield warn("baseline", "not run: what it needs failed above", "mend that and run `agent doctor` again")
        return
    yield from Baseline(workspace, target, contract.opened, wish.tell, wish.cancel, wish.allow_weak).check()


def _state(workspace: Workspace | None) -> Path | None:
    """Where the sandbox keeps its records: the workspace's own place, so that a killed doctor is cleaned up after."""
    return workspace.agent / "sandbox" if workspace is not None else None
