"""The record of every call: an intent before each request, how it ended, and the reply that answers it ever after.

Used by `agent.llm.client`. The audit log has digests, usage and cost; the messages, the reply's text and the answer's
body are blobs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from agent.llm.contract import Question, Record
from agent.llm.rungs import Message
from registry.audit import AuditLog, Event
from registry.blobs import BlobDamaged, BlobMissing, Blobs
from registry.canonical import canonical, sha256_of
from registry.history import History
from registry.model_config import ModelChoice
from registry.workspace import Workspace

IDENTITY_LENGTH = 32


class Parts(Protocol):
    """What a language model needs of a workspace; `agent.services.Services` has it."""

    @property
    def workspace(self) -> Workspace: ...
    @property
    def log(self) -> AuditLog: ...
    @property
    def blobs(self) -> Blobs: ...
    @property
    def history(self) -> History: ...
    @property
    def cancel(self) -> threading.Event: ...
    @property
    def clock(self) -> Callable[[], datetime]: ...
    def record(
        self, kind: str, subject: str, data: dict[str, Any], reason: str = "", key: str | None = None
    ) -> Event: ...
    def ask_outside(self) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True)
class Call:
    """A question with its identity and everything that its events say of it."""

    id: str
    subject: str
    facts: dict[str, Any]
    """Role, prompt and hash, schema, attempt, endpoint, address, model, parameters."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended, from the record: a reply's text, or why there is none."""

    text: str | None
    why: str = ""


def identity(choice: ModelChoice, messages: tuple[Message, ...], schema: dict[str, Any], attempt: int) -> str:
    """Hash of all that makes a question: model, parameters, messages, schema, attempt. Not the endpoint's name."""
    said = {
        "model": choice.model,
        "temperature": choice.temperature,
        "max_output_tokens": choice.max_output_tokens,
        "messages": [dict(message) for message in messages],
        "schema": schema,
        "attempt": attempt,
    }
    return sha256_of(said)[:IDENTITY_LENGTH]


def call_of(
    question: Question[Record],
    choice: ModelChoice,
    base_url: str,
    messages: tuple[Message, ...],
    schema: dict[str, Any],
    prompt_sha256: str,
) -> Call:
    """A question as the log knows it."""
    facts = {
        "role": question.role,
        "prompt": question.prompt,
        "prompt_sha256": prompt_sha256,
        "schema": question.schema.__name__,
        "schema_sha256": sha256_of(schema),
        "attempt": question.attempt,
        "endpoint": choice.endpoint,
        "server": f"{choice.endpoint} {base_url} {choice.model}",
        "model": choice.model,
        "parameters": {"temperature": choice.temperature, "max_output_tokens": choice.max_output_tokens},
    }
    return Call(identity(choice, messages, schema, question.attempt), question.subject, facts)


class Journal:
    """Writes and finds the events of calls."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def night(self) -> str:
        """The open night, or the day in UTC outside of nights: what a call is charged to."""
        night = self._parts.history.night
        if night is not None and not night.ended:
            return night.id
        return f"day:{self._parts.clock().astimezone(UTC).date().isoformat()}"

    def ended(self, call: str) -> Ended | None:
        """How this call ended before, if it did and its reply is still there."""
        for number in range(self.requests(call), 0, -1):
            answered = self._parts.log.find(f"model:{call}:answered:{number}")
            if answered is not None and answered.data["fits"]:
                try:
                    return Ended(self._parts.blobs.get(answered.data["reply"]).decode())
                except (BlobMissing, BlobDamaged):
                    return None
            if (given_up := self._parts.log.find(f"model:{call}:no_reply:{number}")) is not None:
                return Ended(None, given_up.reason)
        return None

    def requests(self, call: str) -> int:
        """How many requests of this call have an intent in the log."""
        number = 0
        while self._parts.log.find(f"model:{call}:asked:{number + 1}") is not None:
            number += 1
        return number

    def asked(self, call: Call, request: dict[str, Any], rung: str, limit: str, estimate: dict[str, Any]) -> int:
        """Put the intent on disk, with the request as it will go out; its number among the call's requests."""
        number = self.requests(call.id) + 1
        data = {
            **call.facts,
            "call": call.id,
            "request": f"{call.id}:{number}",
            "night": self.night(),
            "rung": rung,
            "limit": limit,
            "sent": self._parts.blobs.put(canonical(request)),
            "estimate": estimate,
        }
        self._parts.record("model_asked", call.subject, data, key=f"model:{call.id}:asked:{number}")
        return number

    def answered(
        self, call: Call, number: int, rung: str, limit: str, text: str, body: bytes, usage: dict[str, Any], why: str,
        finish_reason: str,
    ) -> None:  # fmt: skip
        """A completion came; `why` says what is wrong with it, and is empty where it fits."""
        data = {
            "call": call.id,
            "request": f"{call.id}:{number}",
            "night": self.night(),
            "role": call.facts["role"],
            "server": call.facts["server"],
            "rung": rung,
            "limit": limit,
            "fits": not why,
            "finish_reason": finish_reason[:100],
            "reply": self._parts.blobs.put(text.encode("utf-8", "replace")),
            "body": self._parts.blobs.put(body),
            "usage": usage,
        }
        self._parts.record("model_answered", call.subject, data, why, key=f"model:{call.id}:answered:{number}")

    def failed(self, call: Call, number: int, code: str, body: bytes, usage: dict[str, Any], why: str) -> None:
        """No completion came."""
        data = {
            "call": call.id,
            "request": f"{call.id}:{number}",
            "night": self.night(),
            "role": call.facts["role"],
            "code": code,
            "body": self._parts.blobs.put(body) if body else "",
            "usage": usage,
        }
        self._parts.record("model_failed", call.subject, data, why, key=f"model:{call.id}:failed:{number}")

    def gave_up(self, call: Call, code: str, why: str) -> None:
        """The question has no reply. With the code `no_reply` that is final, otherwise it may be asked again."""
        number = self.requests(call.id)
        data = {**call.facts, "call": call.id, "code": code}
        if code == "no_reply":
            self._parts.record("model_gave_up", call.subject, data, why, key=f"model:{call.id}:no_reply:{number}")
        else:
            night = self.night()
            key = f"model:{call.id}:{code}:{night}:{number}"
            self._parts.record("model_gave_up", call.subject, {**data, "night": night}, why, key=key)
