"""What the digest asks a person for: briefs, regressions, stopped nights, submissions. Called by the digest."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.answers import submissions
from agent.answers.sentences import safe
from agent.chronicle import Chronicle
from agent.experience import escaped
from registry.audit_events import Event

_WORDS = {
    "escalated": "Brief for people",
    "defended": "Production has become worse",
    "test_look_refused": "No test score",
    "night_ended": "A night stopped",
    "input_refused": "A file was not taken in",
}


def lines(known: Chronicle, holds: Callable[[Event | None], bool]) -> Iterator[str]:
    """One line for each thing; `holds` says whether an event belongs to the span that is told."""
    for event in known.alerts:
        if holds(event):
            file = f" ({escaped(event.data['file'])})" if event.kind == "escalated" else ""
            about = f" — {escaped(safe(event.subject, 100))}" if event.subject else ""
            yield f"{_WORDS[event.kind]}{about}: {escaped(safe(event.reason))}{file} (event {event.seq})"
    for account in known.accounts.values():
        event_of = account.submission
        if event_of is not None and holds(event_of) and not submissions.accepted(event_of):
            yield (
                f"Submission of {account.hypothesis.id}: {escaped(submissions.told(event_of))} (event {event_of.seq})"
            )
