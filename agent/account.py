"""Everything the log says about one hypothesis, gathered for people: what, why, numbers, seeds, sources, events.

Called by review, ask and the reports. It reads events only; no figure here is computed from anything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from registry.audit_events import Event
from registry.hypotheses import Hypothesis

Data = dict[str, Any]


@dataclass(slots=True)
class Account:
    """One hypothesis from proposal to verdict, each fact with the number of the event it stands in."""

    hypothesis: Hypothesis
    proposed: int
    researcher: str = ""
    started: Event | None = None
    patch: Event | None = None
    validated: Event | None = None
    gate: Event | None = None
    looks: list[Event] = field(default_factory=list)
    verdict: Event | None = None
    archived: Event | None = None
    promoted: Event | None = None
    test_look: Event | None = None
    submission: Event | None = None
    gap_note: Event | None = None
    released: Event | None = None
    """A person's word that lets a held candidate go on."""
    runs: int = 0
    failed_runs: int = 0
    """Runs that crashed, ran out of memory or out of time."""
    run_seconds: float = 0.0

    @property
    def status(self) -> str:
        """What became of it, in one word."""
        if self.promoted is not None:
            return "promoted"
        if self.verdict is not None and self.ended is self.verdict:
            return {"archive": "archived", "park": "parked", "promote": "being promoted"}[self.verdict.data["outcome"]]
        if self.archived is not None:
            return "archived"
        return "under test" if self.started is not None else "queued"

    @property
    def held(self) -> bool:
        """Whether it waits for a person, because its gain is too good to be believed."""
        return self.status == "parked" and self.verdict is not None and self.verdict.data["reason"] == "implausible"

    @property
    def closing(self) -> Event | None:
        """The event that ended it."""
        return self.promoted or self.ended

    @property
    def ended(self) -> Event | None:
        """The verdict, or what archived it without one or after it."""
        if self.verdict is None or self.archived is None:
            return self.verdict or self.archived
        return max(self.verdict, self.archived, key=lambda event: event.seq)

    @property
    def reason(self) -> str:
        """Why it ended so, in the gate's words where the gate decided."""
        event = self.ended
        return event.reason if event is not None else ""

    @property
    def gain(self) -> float | None:
        """The gain that a promotion reports; None for everything else."""
        return float(self.promoted.data["gain"]) if self.promoted is not None else None

    @property
    def last_look(self) -> Data | None:
        return self.looks[-1].data if self.looks else None

    @property
    def rows(self) -> list[Data]:
        """The criteria table of the deciding look."""
        return list(self.last_look["rows"]) if self.last_look else []

    def numbers(self) -> Data:
        """Derived numbers of the deciding look."""
        return dict(self.last_look["numbers"]) if self.last_look else {}

    def pairs(self, line: str) -> list[Data]:
        """Pairs of the deciding look: `stage`, `fresh` or `costs`."""
        return list(self.last_look["evidence"][line]) if self.last_look else []

    @property
    def environment(self) -> str:
        """What a patch that changes the environment changed in it, in one line; empty for every other."""
        told = self.verdict.data.get("environment") if self.verdict is not None else None
        if told is None:
            return ""
        change = f"{told['production'][:12]} → {told['candidate'][:12]}"
        return (
            f"environment changed: {change} ({told['change'] or 'no package'}), built from {', '.join(told['files'])}"
        )

    def event_numbers(self) -> list[int]:
        """Events the story rests on, in order."""
        known = (
            self.started,
            self.patch,
            self.validated,
            self.gate,
            *self.looks,
            self.verdict,
            self.archived,
            self.test_look,
            self.promoted,
            self.submission,
            self.gap_note,
            self.released,
        )
        return [self.proposed, *sorted({event.seq for event in known if event is not None})]


def accounts(events: Iterable[Event]) -> dict[str, Account]:
    """Accounts of every hypothesis the events speak of, by id. One pass; needs the proposals among the events."""
    found: dict[str, Account] = {}
    for event in events:
        found.update((account.hypothesis.id, account) for account in proposed(event))
        if event.subject in found:
            add(found[event.subject], event)
    return found


def proposed(event: Event) -> list[Account]:
    """Accounts that begin with this event, each with nothing in it but its hypothesis."""
    if event.kind == "hypotheses_proposed":
        items, by = event.data["hypotheses"], event.data.get("by") or event.data["researcher"]
    elif event.kind == "hypothesis_taken_in":
        items, by = [event.data["hypothesis"]], "a person"
    else:
        return []
    return [Account(Hypothesis.model_validate(item), event.seq, by) for item in items]


def add(account: Account, event: Event, brief: bool = False) -> None:
    """Take one event of this hypothesis in.

    Where `brief`, only the last look keeps its data; of the earlier ones their number is what is shown.
    """
    if event.kind == "run_finished":
        account.runs += 1
        account.failed_runs += event.data["status"] != "ok"
        account.run_seconds += sum(phase["wall_s"] for phase in event.data["phases"].values())
    elif event.kind == "look":
        if brief and account.looks:
            account.looks[-1] = replace(account.looks[-1], data={})
        account.looks.append(event)
    elif event.kind in {"hypothesis_started", "hypothesis_requeued"}:
        reopen(account, event.seq)
        account.started = event if event.kind == "hypothesis_started" else None
    elif event.kind in _FIELDS:
        setattr(account, _FIELDS[event.kind], event)


_FIELDS = {
    "patch_committed": "patch",
    "validated": "validated",
    "gate_entered": "gate",
    "verdict": "verdict",
    "hypothesis_archived": "archived",
    "promoted": "promoted",
    "test_look": "test_look",
    "submission": "submission",
    "gap_noted": "gap_note",
    "released": "released",
}


def reopen(account: Account, seq: int) -> None:
    """Take back what stands before this event: it belongs to an earlier test of the same hypothesis."""
    for name in ("started", "patch", "validated", "gate", "verdict", "archived", "gap_note", "released"):
        event: Event | None = getattr(account, name)
        if event is not None and event.seq < seq:
            setattr(account, name, None)
    account.looks = [look for look in account.looks if look.seq > seq]
