"""What servers say otherwise than the protocol has it, in the protocol's words. Pure.

Called by `agent.llm.wire` and `agent.llm.client`. The record keeps each answer as it came; what is made of it is
checked like any other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from registry.model_config import ModelChoice

if TYPE_CHECKING:
    from agent.llm.wire import Completion

CUT_OFF = frozenset({"length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"})
"""Reasons for an end that stand for a full answer's being longer than allowed."""
FILTERED = frozenset({"content_filter", "safety", "sensitive", "recitation", "prohibited_content", "blocklist"})
"""Reasons for an end that stand for a filter of the provider."""
BROKEN = frozenset({"error", "abort", "aborted", "network_error", "insufficient_system_resource"})
"""Reasons for an end that stand for a server that lost the answer half-way."""
_FLAGGED = (
    "content management policy", "content_filter", "content filter", "moderation", "flagged", "invalid_prompt",
)  # fmt: skip
_UNSUPPORTED = ("no endpoints found that",)


def completed(body: bytes) -> bytes:
    """A chat completion as the library reads it; anything else as it is.

    Put right are arguments of a tool call and content that are objects in place of text, a message without its role,
    usage that is no object, and an answer that a server took for reasoning: one JSON object with no content beside it.
    """
    document = _object(body)
    choices = document.get("choices")
    if not isinstance(choices, list) or not all(isinstance(one, dict) for one in choices):
        return body
    before = json.dumps(document)
    if not isinstance(document.get("usage"), dict | None):
        document["usage"] = None
    for message in [one["message"] for one in choices if isinstance(one.get("message"), dict)]:
        message["role"] = "assistant"
        if isinstance(message.get("content"), dict):
            message["content"] = json.dumps(message["content"])
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else []:
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict) and isinstance(function.get("arguments"), dict):
                function["arguments"] = json.dumps(function["arguments"])
        if not message.get("content") and not calls:
            message["content"] = _misplaced(message) or message.get("content")
    made = json.dumps(document)
    return body if made == before else made.encode()


def _misplaced(message: dict[str, Any]) -> str:
    """An answer that stands where reasoning belongs; reasoning itself is none."""
    for name in ("reasoning_content", "reasoning"):
        text = message.get(name)
        if isinstance(text, str) and text.strip().startswith("{") and _object(text.encode("utf-8", "replace")):
            return text
    return ""


def unusable(completion: Completion, choice: ModelChoice) -> str:
    """Why a completion is no answer, whatever its text; empty where it may be one."""
    reason = completion.finish_reason.lower()
    if completion.refusal or reason in FILTERED:
        return f"the model refused: {completion.refusal or 'its filter stopped the answer'}"
    if reason in CUT_OFF:
        told = None if completion.usage is None else completion.usage[1]
        if told is not None and 0 < told < choice.max_output_tokens:
            return (
                f"the answer was cut off at {told} tokens by the server, before the {choice.max_output_tokens} of"
                " max_output_tokens in models.yaml; its context may be full"
            )
        return f"the answer was cut off at {choice.max_output_tokens} tokens; max_output_tokens in models.yaml says so"
    return ""


def status(found: int, body: bytes) -> int:
    """What an answer's status means: gateways pass another server's error on as a success with the error in it."""
    if found >= 300:
        return found
    document = _object(body)
    error = document.get("error")
    for code in (error.get("code") if isinstance(error, dict) else None, document.get("code")):
        if isinstance(code, int) and 400 <= code < 600 and not document.get("choices"):
            return code
    return found


def is_about_the_text(body: bytes) -> bool:
    """Whether a refusal is a filter's, which has nothing against other questions."""
    return _says(body, _FLAGGED)


def is_about_the_form(body: bytes) -> bool:
    """Whether a server says "not found" of a way to serve this form, and not of the model."""
    return _says(body, _UNSUPPORTED)


def is_about_money(body: bytes) -> bool:
    """Whether "too many requests" means that nothing is left to pay them with."""
    return _says(body, ("insufficient_quota",))


def _says(body: bytes, words: tuple[str, ...]) -> bool:
    """Whether an error's own words hold one of these. What else stands in an answer may quote a question of ours."""
    document = _object(body)
    error = document.get("error")
    told = error if isinstance(error, dict) else {"message": error, **document}
    text = " ".join(str(told.get(name) or "")[:500] for name in ("message", "code", "type")).lower()
    return any(word in text for word in words)


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
