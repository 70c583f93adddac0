"""A language model that answers from the record: the client as ever, over a wire whose other end is the log.

The ladder, the repairs, the budgets and the fall-back to the offline researcher happen again; no request leaves the
process, and no key, proxy or authority is looked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from agent.llm.client import OVER_BUDGET, EndpointModel
from agent.llm.journal import Call, Parts
from agent.llm.wire import Completion, NoCompletion, Wire
from agent.replay.following import Follower, Stopped, asked_for
from registry.audit_events import Event
from registry.model_config import ModelChoice, ModelConfig

if TYPE_CHECKING:
    from agent.llm.rungs import Request

REFUSED = "the model refused: "
"""How the client's reason begins where the model said no."""


def recorded_model(parts: Parts, config: ModelConfig, follower: Follower) -> EndpointModel:
    """The models of a night, by its own `models.yaml`."""
    unneeded = dict.fromkeys(("key", "proxy", "proxy_login", "ca_file"))
    bare = {name: endpoint.model_copy(update=unneeded) for name, endpoint in config.endpoints.items()}
    return _RecordedModel(parts, config.model_copy(update={"endpoints": bare}), follower)


class _RecordedModel(EndpointModel):
    def __init__(self, parts: Parts, config: ModelConfig, follower: Follower) -> None:
        super().__init__(parts, config)
        wire = RecordedWire(follower)
        self._wires: dict[str, Wire] = dict.fromkeys(config.endpoints, wire)
        self._follower = follower

    def _check_budget(self, call: Call, estimate: Mapping[str, object]) -> None:
        """As ever; what was held back after its intent was let through here, before the other's spending was seen."""
        ends = (event for _, event in self._follower.ahead("model_answered", "model_failed", "model_gave_up"))
        ended = next((event for event in ends if event.data["call"] == call.id), None)
        if ended is None or ended.kind != "model_failed" or ended.data["code"] not in OVER_BUDGET:
            super()._check_budget(call, estimate)

    def _check_with_all_intents(self, call: Call) -> None:
        """The record says where a request was held back; the wire gives that."""


class RecordedWire(Wire):
    """Gives each request the answer that it had. The request was compared with the record when its intent was."""

    def __init__(self, follower: Follower) -> None:
        # Not the parent's, which makes connections.
        self._follower = follower

    def close(self) -> None:
        """There is nothing to close."""

    def send(self, choice: ModelChoice, request: Request, limit: str) -> Completion:
        """As it was recorded. Raises NoCompletion where none came then, Stopped where the process was killed."""
        del choice, request, limit
        asked = self._follower.request
        for _, event in self._follower.ahead("model_answered", "model_failed"):
            if event.data["request"] == asked:
                return self._answer_of(event) if event.kind == "model_answered" else self._failure_of(event)
        if self._follower.is_over():
            raise Stopped
        raise asked_for(self._follower, f"an answer to request {asked}")

    def _answer_of(self, event: Event) -> Completion:
        recording, data = self._follower.recording, event.data
        text = recording.blob(data["reply"], f"the reply to request {data['request']}").decode()
        body = recording.blob(data["body"], f"the answer to request {data['request']}")
        usage = None if data["usage"]["estimated"] else (data["usage"]["input_tokens"], data["usage"]["output_tokens"])
        refusal = event.reason.removeprefix(REFUSED) if event.reason.startswith(REFUSED) else ""
        return Completion(text, refusal, str(data["finish_reason"]), usage, body)

    def _failure_of(self, event: Event) -> Completion:
        data = event.data
        body = self._follower.recording.blob(data["body"], "an answer that was no completion") if data["body"] else b""
        # Whether it was sent again is what the record has next of this call; a person may have asked in between.
        later = (e for _, e in self._follower.ahead("model_asked", "model_gave_up"))
        following = next((event for event in later if event.data["call"] == data["call"]), None)
        again = following is not None and following.kind == "model_asked"
        refused = data["code"] == "refused"
        charged = data["usage"]["input_tokens"] + data["usage"]["output_tokens"] > 0
        raise NoCompletion(
            data["code"],
            event.reason,
            again=again and not refused,
            maybe_charged=charged,
            body=body,
        )
