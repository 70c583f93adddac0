"""What the researcher asks of a language model, and what it gets: a validated record or a reason why there is none.

`agent.llm` implements it for OpenAI-compatible endpoints, and for a night's own record (`agent run --replay`). The
asking side knows roles, prompts and schemas; it knows no endpoint, no key, no price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from registry.errors import AgentError, Retryable

Role = Literal["screen", "extract", "propose", "patch", "answer"]
"""What a model is asked for; each role may have an endpoint and a model of its own."""
ROLES: tuple[Role, ...] = ("screen", "extract", "propose", "patch", "answer")


class Schema(BaseModel):
    """Base of every record that a model fills in. Strings and lists in it are bounded, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Record = TypeVar("Record", bound=Schema)


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said before in the same conversation."""

    speaker: Literal["model", "agent"]
    text: str


@dataclass(frozen=True, slots=True)
class Question(Generic[Record]):
    """One call, before anything about endpoints is known.

    The rendered prompt, the earlier turns, the schema, the role's model and `attempt` are the call's identity: asked
    again, it is answered from the record and nothing is charged.
    """

    role: Role
    prompt: str
    """Name of the text in `prompts`; what stands in it before the line `<!-- question -->` is the system's message."""
    values: Mapping[str, str]
    """Fills the prompt's slots. Text from strangers goes in through `agent.llm.untrusted.fenced` alone."""
    schema: type[Record]
    subject: str
    """What the call is for: `H-042` (charged to that hypothesis too), a paper's key, `queue`, or `ask`."""
    earlier: tuple[Turn, ...] = field(default=())
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Reply(Generic[Record]):
    """A reply that fits its schema."""

    record: Record
    text: str
    """As the model gave it, to be quoted back to it in a later turn."""
    call: str
    """The call's identity; the audit log has the whole of it under this name."""
    by: str
    """Model and endpoint, for people."""


class NoReply(AgentError):
    """The model was asked, and what came cannot be used (refused, cut off, no fit to the schema after one repair)."""


class BudgetSpent(AgentError):
    """The call was not made: the night's or the hypothesis's budget for models does not have room for it."""

    def __init__(self, message: str, *, of_night: bool) -> None:
        self.of_night = of_night
        super().__init__(message)


class EndpointDown(Retryable):
    """The endpoint gave no answer after every retry, or none that is a chat completion."""

    def __init__(self, message: str, code: str = "") -> None:
        self.code = code
        """One of `agent.llm.wire.NoCompletion`; empty where it was not asked."""
        super().__init__(message)


class LanguageModel(Protocol):
    """Asks; the caller decides what to do with what comes."""

    def ask(self, question: Question[Record]) -> Reply[Record]:
        """A reply that fits the schema. Raises NoReply, BudgetSpent or EndpointDown; each is in the log by then."""
        ...

    def name(self, role: Role) -> str:
        """Model and endpoint of a role, for people; never a key."""
        ...
