"""A workspace's language model for a command that runs beside a night: `agent ask --explain`.

It holds no lock of the workspace; two such commands take turns, and the second finds what the first was told. Its
calls are events like any other: recorded, charged to the open night or else to the day, answered from the record when
they come again. They are a person's, so that a replay of the night that was open hands them in and does not look for
them among what the night itself asked.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from agent.continuity import refuse_lost_log
from agent.llm.contract import LanguageModel
from registry.audit import AuditLog, Event
from registry.blobs import Blobs
from registry.errors import BadInput, Problem
from registry.history import History
from registry.workspace import Workspace

PERSON = "person"


class Asker:
    """What a model needs of a workspace (`agent.llm.journal.Parts`), for one question."""

    def __init__(self, workspace: Workspace, log: AuditLog) -> None:
        self.workspace = workspace
        self.log = log
        self.blobs = Blobs(workspace.blobs)
        self.history = History()
        self.cancel = threading.Event()
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._catch_up()

    def record(self, kind: str, subject: str, data: dict[str, Any], reason: str = "", key: str | None = None) -> Event:
        """Append an event and fold it in; the same key again gives the event that is already there."""
        event = self.log.append(kind, subject, data, reason=reason, actor=PERSON, key=key)
        self._catch_up()
        return event

    @contextmanager
    def ask_outside(self) -> Iterator[None]:
        """Ctrl-C ends the wait for an answer as it ends any command."""
        yield

    def _catch_up(self) -> None:
        for event in self.log.read_new(self.history.seq):
            self.history.apply(event)


@contextmanager
def open_model(workspace: Workspace) -> Iterator[LanguageModel]:
    """The model that `models.yaml` names; BadInput where it names none."""
    from agent.llm.wiring import language_model, model_config

    config = model_config(workspace)
    if config is None:
        found = "researcher: offline" if workspace.models.exists() else "no such file"
        fix = "docs/models.md shows one; the same question without --explain is answered by rules"
        raise BadInput(Problem(str(workspace.models), found, "a language model to ask", fix=fix))
    refuse_lost_log(workspace)
    with workspace.models.open("rb") as held, AuditLog.open(workspace.audit) as log:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield language_model(Asker(workspace, log), config)
