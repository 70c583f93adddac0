"""The composition root: puts one workspace's parts together, for a night or for a reader.

Called by the command line. Heavy libraries are imported by the parts themselves, when they are built.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

from agent.continuity import refuse_lost_log
from agent.ledger import LogLedger
from agent.llm.wiring import language_model, model_config
from agent.progress import Progress
from agent.researcher.llm import LlmResearcher
from agent.researcher.null import NullResearcher
from agent.researcher.offline import OfflineResearcher
from agent.services import Clock, Services
from agent.solution import Solution
from experiments.measuring import Measurer
from experiments.runner import Runner
from registry.audit import AuditLog
from registry.blobs import Blobs
from registry.documents import load_competitive, load_models, load_research, load_target
from registry.history import History
from registry.locks import workspace_lock
from registry.model_config import ModelConfig
from registry.target import Target
from registry.workspace import Workspace

ResearcherName = Literal["llm", "offline"]


def utc_now() -> datetime:
    """The clock of everything but tests."""
    return datetime.now(UTC)


@contextmanager
def open_services(
    workspace: Workspace,
    progress: Progress,
    command: str,
    clock: Clock = utc_now,
    null: bool = False,
    allow_weak: bool = False,
    researcher: ResearcherName | None = None,
) -> Iterator[Services]:
    """Services of a workspace that this process alone runs; refused where another process holds it.

    `null` puts the proposer of nothing in the researcher's place; `allow_weak` lets runs be made in a weak sandbox
    where no other can be had; `researcher` takes the place of what `models.yaml` says.
    """
    with workspace_lock(workspace.lock, command):
        target, research = load_target(workspace.target), load_research(workspace.research_config)
        refuse_lost_log(workspace)
        load_competitive(workspace.competitive_registry)  # a broken registry stops the night before anything is paid
        models = models_wanted(workspace, researcher)
        with AuditLog.open(workspace.audit, clock) as log:
            services = _compose(workspace, target, tuple(research.domain_keywords), log, progress, allow_weak)
            services.clock = clock
            if models is not None:
                ask_models(services, models)
            if null:
                services.researcher = NullResearcher(services.researcher)
            yield services


def models_wanted(workspace: Workspace, researcher: ResearcherName | None) -> ModelConfig | None:
    """The models that the researcher is to ask; None for the offline one. BadInput for a file that cannot be used."""
    if researcher == "offline":
        return None
    if researcher == "llm":
        return load_models(workspace.models)
    return model_config(workspace)


def ask_models(services: Services, models: ModelConfig) -> None:
    """Put the researcher that asks language models before the offline one, which stays behind it."""
    offline = services.researcher
    if not isinstance(offline, OfflineResearcher):
        raise TypeError(f"{offline.name} cannot stand in for a language model")
    services.models = models
    model = language_model(services, models)
    services.researcher = LlmResearcher(model, offline, lambda: services.history.cycles, services.progress.say)


def _compose(
    workspace: Workspace,
    target: Target,
    domain_terms: tuple[str, ...],
    log: AuditLog,
    progress: Progress,
    allow_weak: bool,
) -> Services:
    from sandbox.backends import choose
    from tools.repository_checks import open_repository

    folder = workspace.repository(target.solution.repository)
    cancel = threading.Event()
    history = History()
    for event in log.read_new(0):
        history.apply(event)
    solution = Solution(open_repository(folder, target.solution.base), target, workspace.worktrees)
    image = target.environment.image
    sandbox = choose(workspace.agent / "sandbox", image=image, allow_weak=allow_weak)
    runner = Runner(target, folder, solution, sandbox, workspace.root)
    if runner.gpus is not None and runner.gpus.note:
        progress.say(f"[STATUS] {runner.gpus.note}")
    return Services(
        workspace=workspace,
        target=target,
        repository=folder,
        log=log,
        blobs=Blobs(workspace.blobs),
        history=history,
        solution=solution,
        sandbox=sandbox,
        runner=runner,
        measurer=Measurer(runner, LogLedger(log, history, progress, runner.environments.known), cancel),
        researcher=OfflineResearcher(solution.edited, domain_terms),
        progress=progress,
        clock=utc_now,
        cancel=cancel,
    )
