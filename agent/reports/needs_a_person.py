"""What the digest asks a person for: briefs, regressions, stopped nights, submissions. Called by the digest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from agent.answers import submissions
from agent.answers.sentences import safe
from agent.chronicle import Chronicle
from agent.escalation import ESCALATE_ABOVE
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
    yield from _briefs(known)
    yield from _held(known)
    yield from _accepted_evaluator(known)
    for event in known.alerts:
        if event.kind != "escalated" and holds(event):
            about = f" — {escaped(safe(event.subject, 100))}" if event.subject else ""
            yield f"{_WORDS[event.kind]}{about}: {escaped(safe(event.reason))} (event {event.seq})"
    yield from _from_outside(event for event in known.papers if holds(event))
    for account in known.accounts.values():
        handed_in = account.submission
        if handed_in is not None and holds(handed_in) and not submissions.accepted(handed_in):
            told = escaped(submissions.told(handed_in))
            yield f"Submission of {account.hypothesis.id}: {told} (event {handed_in.seq})"


def _briefs(known: Chronicle) -> Iterator[str]:
    """The latest brief of each board whose gap still asks for one, however long ago it was written."""
    latest = {event.subject: event for event in known.alerts if event.kind == "escalated"}
    for board, event in latest.items():
        standing = known.standings.get(board)
        if standing is None or _still_asked(standing):
            points = f"; it is {standing.data['gap_points']:.2f} points now" if standing is not None else ""
            why = f"{escaped(safe(event.reason))}{points} ({escaped(event.data['file'])})"
            yield f"{_WORDS['escalated']} — {escaped(safe(board, 100))}: {why} (event {event.seq})"


def _from_outside(papers: Iterable[Event]) -> Iterator[str]:
    """Competitors whose architecture is not public, and papers that hold text for programs and not for people."""
    for event in papers:
        if event.kind == "paper_unreadable" and str(event.data.get("source", "")).startswith("code:"):
            yield f"A competitor's code: {escaped(safe(event.reason, 300))} (event {event.seq})"
        if event.kind == "paper_read" and (hidden := event.data["reading"].get("hidden")):
            title = escaped(safe(event.data["reading"]["paper"]["title"], 100))
            more = f" and {len(hidden) - 1} more" if len(hidden) > 1 else ""
            yield f"Hidden text in “{title}”, not read: {escaped(safe(hidden[0], 200))}{more} (event {event.seq})"


def _held(known: Chronicle) -> Iterator[str]:
    """Every candidate that waits for a word, however long it has waited."""
    for account in known.accounts.values():
        if not account.held or account.verdict is None:
            continue
        name, why = account.hypothesis.id, escaped(safe(account.reason))
        told = f"Held: {name}: {why} (event {account.verdict.seq})"
        if account.released is not None:
            yield f"{told}; released (event {account.released.seq}), the next night judges it again"
        else:
            yield f"{told}; look at it, then `agent review {name} --release WHY` or `--reject WHY`"


def _accepted_evaluator(known: Chronicle) -> Iterator[str]:
    """That nights go on although the evaluator that was tried last can be fooled, for as long as they do."""
    last = next(reversed(known.history.evaluator_checks), "")
    if (why := known.history.accepted_evaluators.get(last)) is not None:
        yield (
            f"The evaluator can be fooled, and nights run all the same: {escaped(safe(why))}"
            " (`agent doctor --evaluator` shows how)"
        )


def _still_asked(standing: Event) -> bool:
    gap, points = standing.data["gap"], standing.data["gap_points"]
    return gap is not None and gap < 0 and points is not None and points > ESCALATE_ABOVE
