"""Everything a node may use, put together once by `agent.wiring` and handed to every node.

`record` is the one way anything becomes true: it appends an event to the audit log and folds it into the history.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from agent.outside import Outside, World
from agent.progress import Progress
from agent.researcher.contract import Researcher
from agent.schedule import Pace
from agent.solution import Solution
from experiments.measuring import Measurer
from experiments.plans import Interrupted
from experiments.runner import Runner
from registry.audit import AuditLog, Event
from registry.blobs import Blobs
from registry.competitive import CompetitiveRegistry
from registry.documents import load_competitive, load_research, load_target
from registry.history import History
from registry.model_config import ModelConfig
from registry.research import ResearchConfig
from registry.target import Target
from registry.workspace import Workspace
from sandbox.contract import Sandbox

Clock = Callable[[], datetime]
LOG_SHARE = 0.02
"""Largest part of a night that goes into writing its technical log, which is read from the whole audit log."""


class Projection(Protocol):
    """Files that show the history to people; rewritten from it, never read back as truth."""

    def hypothesis(self, hypothesis_id: str) -> None:
        """Bring the files of one hypothesis in line with the history."""
        ...


@dataclass(slots=True)
class Services:
    """The composition that `agent.wiring.open_services` makes."""

    workspace: Workspace
    target: Target
    repository: Path
    log: AuditLog
    blobs: Blobs
    history: History
    solution: Solution
    sandbox: Sandbox
    runner: Runner
    measurer: Measurer
    researcher: Researcher
    progress: Progress
    clock: Clock
    cancel: threading.Event = field(default_factory=threading.Event)
    outside: Outside = field(default_factory=World)
    models: ModelConfig | None = None
    """Which language models the researcher asks; None where it is the offline one."""
    asking: bool = field(default=False, init=False)
    """Whether somebody outside is being asked, which a stop ends instead of waiting for the answer."""
    technical_log_pace: Pace = field(default_factory=lambda: Pace(LOG_SHARE), init=False)
    _registry: tuple[tuple[int, int, int], CompetitiveRegistry] | None = field(default=None, init=False)

    def record(self, kind: str, subject: str, data: dict[str, Any], reason: str = "", key: str | None = None) -> Event:
        """Append an event and fold it in; the same key again gives the event that is already there."""
        event = self.log.append(kind, subject, data, reason=reason, key=key)
        if event.seq > self.history.seq:
            self.catch_up()
        return event

    def catch_up(self) -> None:
        """Fold in what stands in the log and not yet in the history (other writers append too)."""
        for event in self.log.read_new(self.history.seq):
            self.history.apply(event)

    @contextmanager
    def ask_outside(self) -> Iterator[None]:
        """Around a question to a board or a source of papers, which has no effect until its answer is recorded."""
        stopped = Interrupted("stopped while somebody outside was asked")
        try:
            self.asking = True
            if self.cancel.is_set():  # looked at only now: a stop that comes later ends the question
                raise stopped
            yield
        except KeyboardInterrupt:
            if self.cancel.is_set():
                raise stopped from None
            raise
        finally:
            self.asking = False

    def competitive(self) -> CompetitiveRegistry:
        """The registry as people and the agent last left it; read anew where it changed, as people edit it at night."""
        path = self.workspace.competitive_registry
        try:
            state = path.stat()
        except OSError:
            return load_competitive(path)  # which says what is wrong
        version = (state.st_ino, state.st_mtime_ns, state.st_size)
        if self._registry is None or self._registry[0] != version:
            self._registry = (version, load_competitive(path))
        return self._registry[1]

    def research(self) -> ResearchConfig:
        return load_research(self.workspace.research_config)

    def reload_target(self) -> Target:
        return load_target(self.workspace.target)
