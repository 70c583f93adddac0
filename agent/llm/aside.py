"""A record that is thrown away, for asking a model outside of a workspace's log.

Used by `agent doctor`, which reads a workspace and writes nothing into it: its questions are paid for like any other
and stand in no log and no budget.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from registry.audit import AuditLog, Event
from registry.blobs import Blobs
from registry.durable import make_folder
from registry.history import History
from registry.workspace import Workspace


@dataclass(slots=True)
class Aside:
    """What `agent.llm.journal.Parts` asks for. Keys are looked for in the real workspace."""

    workspace: Workspace
    log: AuditLog
    blobs: Blobs
    cancel: threading.Event
    history: History = field(default_factory=History)

    def clock(self) -> datetime:
        """Now."""
        return datetime.now(UTC)

    def record(self, kind: str, subject: str, data: dict[str, Any], reason: str = "", key: str | None = None) -> Event:
        """Append an event here and fold it in."""
        event = self.log.append(kind, subject, data, reason=reason, key=key)
        for new in self.log.read_new(self.history.seq):
            self.history.apply(new)
        return event

    @contextmanager
    def ask_outside(self) -> Iterator[None]:
        """A question ends with the process that asks it."""
        yield


@contextmanager
def aside(workspace: Workspace, cancel: threading.Event) -> Iterator[Aside]:
    """The record, for the length of a `with`."""
    with tempfile.TemporaryDirectory(prefix="agent-aside-") as folder:
        place = Workspace(Path(folder))
        make_folder(place.blobs)
        with AuditLog.open(place.audit) as log:
            yield Aside(workspace, log, Blobs(place.blobs), cancel)
