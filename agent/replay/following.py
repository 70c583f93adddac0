"""Follows a replay along the record: which recorded event is next, what time it is there, and whether both agree.

Every event that the replay is about to record passes `Follower.comes` first. A decision has to be the record's next
one; anything else only moves the place forward. What people did beside the night is handed in where the record has it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from agent.replay.comparing import DECISIONS, differing
from agent.replay.recording import Part, Recording, by_hand
from registry.audit_events import Event

Data = dict[str, Any]
SHOWN = 400
_SKIPPED = frozenset({"paper_unreadable"})
"""What may be recorded between a look at the clock and the event that tells which moment it showed."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where record and replay part."""

    seq: int
    """Of the recorded event; 0 where the record has none."""
    kind: str
    subject: str
    place: str
    recorded: str
    replayed: str

    def __str__(self) -> str:
        where = f"event {self.seq}" if self.seq else "after the last recorded event"
        what = " ".join(word for word in (self.kind, self.subject) if word)
        return f"{where} ({what}): {self.place}\n  recorded: {self.recorded}\n  replayed: {self.replayed}"


class Diverged(Exception):
    """The replay decides, or asks for, something else than the record has."""

    def __init__(self, difference: Difference) -> None:
        self.difference = difference
        super().__init__(str(difference))


class Stopped(Exception):
    """The place where the recorded process was stopped; the next part goes on from here."""


@dataclass(slots=True)
class Follower:
    """The place in the record, and what was found the same on the way."""

    recording: Recording
    part: Part
    at: int
    """Index of the first recorded event that was not passed."""
    now: datetime = field(init=False)
    request: str = ""
    """The request to a language model whose intent was recorded last."""
    same: dict[str, int] = field(default_factory=dict)
    """Kind of decision → how many were the same."""

    def __post_init__(self) -> None:
        self.now = _moment(self.recording.events[self.at])

    def enter(self, part: Part) -> None:
        """Begin a part at its start."""
        self.part, self.at = part, part.start + 1
        self.now = _moment(self.recording.events[part.start])

    # -- where ----------------------------------------------------------------------------------------------

    def ahead(self, *kinds: str) -> Iterator[tuple[int, Event]]:
        """What is still to come of this part, of some kinds."""
        for index in range(self.at, self.part.end):
            event = self.recording.events[index]
            if event.kind in kinds:
                yield index, event

    def decision(self) -> tuple[int, Event] | None:
        """The next decision of the record that is the night's own."""
        return next((pair for pair in self.ahead(*DECISIONS) if not by_hand(pair[1])), None)

    def window(self) -> tuple[int, int]:
        """From the place to the next decision, whichever process drew it: the runs asked for now stand there."""
        events = self.recording.events
        following = (i for i in range(self.at, len(events)) if events[i].kind in DECISIONS and not by_hand(events[i]))
        return self.at, next(following, len(events))

    def before_the_decision(self, kind: str, subject: str = "") -> Event | None:
        """The next recorded event of a kind, where it comes before the next decision; passed when it is given."""
        found = self.seen_before_the_decision(kind, subject)
        if found is not None:
            self.pass_(found[0])
        return found[1] if found is not None else None

    def seen_before_the_decision(self, kind: str, subject: str = "") -> tuple[int, Event] | None:
        """The same without passing it."""
        known = self.decision()
        end = known[0] if known is not None else self.part.end
        for index, event in self.ahead(kind):
            if index < end and subject in {"", event.subject}:
                return index, event
        return None

    def pass_(self, index: int) -> None:
        """Go on behind a recorded event, unless the place is behind it already."""
        if index >= self.at:
            self.at, self.now = index + 1, _moment(self.recording.events[index])

    def reach(self, index: int) -> None:
        """It is as late as a recorded event; runs end in another order than they are asked for, so none is passed."""
        self.now = max(self.now, _moment(self.recording.events[index]))

    def clock(self) -> datetime:
        """The time of the last recorded event, or the moment that the next one tells, where that is later.

        The night reads the clock between two events. A slot, a day or the end that the later one speaks of was reached
        by then.
        """
        following = next((e for e in self.recording.events[self.at : self.part.end] if e.kind not in _SKIPPED), None)
        if following is None:
            return self.now
        later = _moment(following)
        if following.kind == "night_ended":
            return max(self.now, later)
        told = _told(following)
        return max(self.now, told) if told is not None and told <= later else self.now

    # -- what people did ------------------------------------------------------------------------------------

    def hand_in(self, put: Callable[[Event], None], kinds_of_night: bool = False) -> None:
        """Hand in what people did at this place: beside the night, and, where asked, by files that it takes in."""
        known = self.decision()
        end = known[0] if known is not None else self.part.end
        for index in range(self.at, end):
            event = self.recording.events[index]
            if by_hand(event) and (kinds_of_night or event.actor != "agent"):
                put(event)
                self.pass_(index)

    # -- comparing ------------------------------------------------------------------------------------------

    def comes(self, kind: str, subject: str, data: Data) -> None:
        """Diverged where this is not what the record has next, Stopped where the recorded process was stopped."""
        if kind.startswith("run_"):
            return
        if kind == "model_asked":
            self.request = data["request"]
        if kind not in DECISIONS:
            self.before_the_decision(kind, subject)
            return
        known = self.decision()
        if known is None:
            if self.is_over():
                raise Stopped
            raise Diverged(Difference(0, kind, subject, "a decision more", "nothing", _short(DECISIONS[kind](data))))
        index, event = known
        if (event.kind, event.subject) != (kind, subject):
            if self.is_over():
                raise Stopped
            replayed = f"{kind} {subject} {_short(DECISIONS[kind](data))}"
            recorded = f"{event.kind} {event.subject} {_short(DECISIONS[event.kind](event.data))}"
            raise Diverged(Difference(event.seq, event.kind, event.subject, "another decision", recorded, replayed))
        shape = DECISIONS[kind]
        found = differing(shape(event.data), shape(data))
        if found:
            place, recorded_value, replayed_value = found[0]
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            shown = _short(recorded_value), _short(replayed_value)
            raise Diverged(Difference(event.seq, kind, subject, place + more, *shown))
        self.same[kind] = self.same.get(kind, 0) + 1
        self.pass_(index)

    def is_over(self) -> bool:
        """Whether the recorded process was stopped before this: what is left of its part is of commands and people."""
        left = self.recording.events[self.at : self.part.end]
        own = (event for event in left if event.kind in DECISIONS and not by_hand(event))
        return self.part.killed and all(event.kind in _OF_COMMANDS for event in own)


_OF_COMMANDS = frozenset({"standing", "paper_read", "season_opened", "season_closed", "hypothesis_archived"})
"""Decisions that `agent monitor`, `papers ingest`, `season open` and `queue drop` record too."""


def asked_for(follower: Follower, what: str) -> Diverged:
    """The replay asks for something that the record does not have at this place."""
    known = follower.decision()
    seq, kind, subject = (known[1].seq, known[1].kind, known[1].subject) if known is not None else (0, "", "")
    return Diverged(Difference(seq, kind, subject, "something that was not asked for then", "nothing of it", what))


def _moment(event: Event) -> datetime:
    return datetime.fromisoformat(event.time)


def _told(event: Event) -> datetime | None:
    """The moment that an event names: the slot it is for, or its day."""
    for name in ("slot", "day", "opened_at"):
        text = event.data.get(name)
        if isinstance(text, str):
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                continue
            return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return None


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(", ", ": "), ensure_ascii=True)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"
