"""A workspace with a `models.yaml` and what a language model needs of it, for tests that ask a scripted endpoint."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from agent.llm.client import EndpointModel, Patience
from agent.llm.contract import Question, Schema
from registry.audit import AuditLog, Event
from registry.blobs import Blobs
from registry.documents import load_models
from registry.history import History
from registry.workspace import Workspace

QUICK = Patience(first_s=0.01, longest_s=2.0)


class Answer(Schema):
    """What the prompt `probe` asks for."""

    word: str = Field(max_length=20)
    sum: int = Field(ge=0, le=100)


RIGHT = '{"word": "heron", "sum": 5}'


def question(**changes: Any) -> Question[Answer]:
    """The question of most tests."""
    fields: dict[str, Any] = {
        "role": "propose",
        "prompt": "probe",
        "values": {"word": "heron"},
        "schema": Answer,
        "subject": "H-001",
    }
    return Question(**(fields | changes))


def document(base_url: str, **changes: Any) -> dict[str, Any]:
    """A `models.yaml` for one endpoint without a key; top-level keys may be put in the place of others."""
    made: dict[str, Any] = {
        "version": 1,
        "endpoints": {"main": {"base_url": base_url, "timeout": 5, "retries": 2}},
        "models": {"default": {"endpoint": "main", "model": "small", "max_output_tokens": 200}},
        "prices": {"models": {"small": {"input": 2, "output": 10}}},
    }
    return made | changes


@dataclass
class Desk:
    """The parts of a workspace, as `agent.services.Services` has them."""

    workspace: Workspace
    log: AuditLog
    blobs: Blobs
    history: History = field(default_factory=History)
    cancel: threading.Event = field(default_factory=threading.Event)

    def clock(self) -> datetime:
        return datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)

    def record(self, kind: str, subject: str, data: dict[str, Any], reason: str = "", key: str | None = None) -> Event:
        event = self.log.append(kind, subject, data, reason=reason, key=key)
        for each in self.log.read_new(self.history.seq):
            self.history.apply(each)
        return event

    @contextmanager
    def ask_outside(self) -> Iterator[None]:
        yield

    def model(self) -> EndpointModel:
        """A client that knows nothing but what is on disk."""
        return EndpointModel(self, load_models(self.workspace.models), QUICK)

    def events(self, kind: str) -> list[Event]:
        return list(self.log.events(kind))

    def night(self, number: int = 1) -> None:
        """Begin a night and its first cycle."""
        self.record("night_started", f"night-{number}", {"goal": {}})
        self.cycle(self.history.cycles + 1)

    def cycle(self, number: int) -> None:
        self.record("cycle_started", "", {"cycle": number, "thread": f"t{number}", "fingerprint": "f"})

    def kept(self) -> bytes:
        """Everything on disk, log and blobs."""
        return b"".join(path.read_bytes() for path in sorted(self.workspace.agent.rglob("*")) if path.is_file())


def write(folder: Path, models: dict[str, Any]) -> Workspace:
    """A workspace with this `models.yaml`."""
    workspace = Workspace(folder)
    workspace.create_folders()
    workspace.models.write_text(json.dumps(models, indent=1), encoding="utf-8")  # JSON is YAML
    return workspace


@contextmanager
def desk(folder: Path, models: dict[str, Any] | None = None) -> Iterator[Desk]:
    """The parts of a workspace in `folder`, with what its log says folded in; `models` makes it first."""
    workspace = Workspace(folder) if models is None else write(folder, models)
    with AuditLog.open(workspace.audit) as log:
        made = Desk(workspace, log, Blobs(workspace.blobs))
        for event in log.read_new(0):
            made.history.apply(event)
        yield made
