"""The ladder: how one question is put to servers that understand more or less of the protocol. Pure.

From the top: a strict JSON schema; the same without bounds, which some refuse; a JSON object with the schema in the
prompt; a call of a tool; the prompt alone. `agent.llm.client` goes down where a server refuses a rung or does not keep
to it, and remembers the rung that worked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from agent.llm import schemas

RUNGS = ("json_schema", "json_schema_bare", "json_object", "tool", "prompt")
TOOL = "reply"
LIMITS = ("max_tokens", "max_completion_tokens")
"""What servers call the largest number of tokens of an answer; all but the newest of one provider know the first."""
QUOTED = 20_000
"""Characters of a reply that are quoted back to its model."""

Message = dict[str, str]
Request = dict[str, Any]
"""Messages and options, as the chat-completions protocol has them."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """What is said, before a rung adds to it."""

    messages: tuple[Message, ...]
    """System, question, then what was said before."""
    schema_name: str
    schema: dict[str, Any]
    repair: tuple[str, str] | None = None
    """A reply that does not fit, and what is wrong with it."""


def request(conversation: Conversation, rung: str) -> Request:
    """Messages and the options of a rung, as the chat-completions protocol has them."""
    told = rung not in {"json_schema", "json_schema_bare"}
    messages = [dict(message) for message in conversation.messages]
    if told:
        messages[0]["content"] += "\n\n" + _in_words(conversation.schema)
    if conversation.repair is not None:
        reply, why = conversation.repair
        again = f"{why}\n\nReply again, with the corrected JSON object and nothing else."
        if not told:
            again += "\n\n" + _in_words(conversation.schema)
        messages += [{"role": "assistant", "content": reply[:QUOTED]}, {"role": "user", "content": again}]
    return {"messages": messages, **_options(conversation, rung)}


def _options(conversation: Conversation, rung: str) -> dict[str, Any]:
    name = conversation.schema_name
    bare = schemas.bare(conversation.schema)
    if rung in {"json_schema", "json_schema_bare"}:
        schema = conversation.schema if rung == "json_schema" else bare
        return {
            "response_format": {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}
        }
    if rung == "json_object":
        return {"response_format": {"type": "json_object"}}
    if rung == "tool":
        function = {"name": TOOL, "description": "Give the answer.", "parameters": bare}
        return {
            "tools": [{"type": "function", "function": function}],
            "tool_choice": {"type": "function", "function": {"name": TOOL}},
        }
    return {}


def _in_words(schema: dict[str, Any]) -> str:
    return (
        "Answer with one JSON object and nothing else: no explanation, no code fence. It has to fit this JSON schema:\n"
        + json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    )


def below(rung: str) -> str | None:
    """The next rung down; None at the bottom."""
    place = RUNGS.index(rung) + 1
    return RUNGS[place] if place < len(RUNGS) else None


def after_misfit(rung: str, *, form: bool, no_object: bool) -> str:
    """The rung of the second try: a lower one where the server does not keep to this one."""
    if form and rung in {"json_schema", "json_schema_bare"}:
        return "json_object"
    if no_object and rung in {"json_object", "tool"}:
        return below(rung) or rung
    return rung
