"""What became of handing a promotion to its board, in words. Called by the story, the digest and the pull request."""

from __future__ import annotations

from agent.answers.sentences import safe
from registry.audit_events import Event

SUBMITTED = "submitted"
_WORDS = {
    SUBMITTED: "handed in; the command accepted it",
    "refused": "refused",
    "retry": "not handed in; the command may be tried again",
    "unknown": "it is not known whether it arrived",
}


def accepted(event: Event) -> bool:
    """Whether the command of the submission ended well."""
    return bool(event.data["status"] == SUBMITTED)


def told(event: Event) -> str:
    """How a submission went and why, without a full stop at the end."""
    status = str(event.data["status"])
    why = f": {safe(event.reason).rstrip('.')}" if event.reason else ""
    last = [line for line in str(event.data["output"]).splitlines() if line.strip()]
    said = f" (it said: {safe(last[-1], 200)})" if last else ""
    return _WORDS.get(status, safe(status, 40)) + why + said
