"""One night as the audit log has it: what came before, its parts between two starts, and the runs it was given.

Called by `agent.replay.replaying`. Reads the log and the blobs, and writes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.night import Goal
from experiments.plans import Plan
from registry.audit_chain import verify_chain
from registry.audit_events import Event, read_stored
from registry.blobs import BlobDamaged, BlobMissing, Blobs
from registry.errors import AgentError, BadInput, Problem
from registry.runs import RunKey, RunRecord
from registry.workspace import Workspace

OUTCOMES = frozenset({"run_finished", "run_broken"})
PERSON = "person"
_BEGINS = frozenset({"night_started", "night_resumed"})
_BY_HAND = frozenset({"hypothesis_taken_in", "hypothesis_refused", "input_refused"})


class MissingInput(AgentError):
    """The record lacks something that the night was told, so that it cannot be gone through again."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one process did of a night: from its start, or from where it went on, to where it stopped."""

    start: int
    """Index of `night_started` or `night_resumed`."""
    end: int
    """Index of the first event that is no longer this process's."""
    killed: bool
    """Whether it stopped before the night had ended."""


def by_hand(event: Event) -> bool:
    """Whether an event says what a person has done: beside the night, or by a file in the queue's folder."""
    return event.actor == PERSON or (event.kind in _BY_HAND and event.key.startswith("by_hand:"))


def _by_name(run: RunRecord | Plan, split: str, seed: int) -> tuple[object, ...]:
    return (run.subject, run.arm, run.purpose, run.commit, split, seed)


def of_the_world(key: RunKey) -> tuple[object, ...]:
    """What of a run's identity can be worked out from commit and target; the rest is the machine's on that day."""
    return (key.tree, key.configuration, key.evaluator, key.settings, key.split, key.seed)


class Recording:
    """A night of the log."""

    def __init__(self, workspace: Workspace, night: str) -> None:
        """Raises BadInput where the log is damaged or has no such night."""
        self.workspace = workspace
        self.blobs = Blobs(workspace.blobs)
        chain = verify_chain(workspace.audit)
        if chain.problems:
            raise BadInput(*chain.problems)
        self.events: list[Event] = []
        self.first, self.offset = self._read(night)
        self.night = night
        self.parts = self._parts()
        self._runs: dict[tuple[object, ...], list[tuple[int, RunRecord]]] = defaultdict(list)
        self._alike: dict[tuple[object, ...], list[tuple[int, RunRecord]]] = defaultdict(list)
        self._environments = {
            event.data["sha256"]: event.data for event in self.events if event.kind == "environment_recorded"
        }
        for index, event in enumerate(self.events):
            if event.kind in OUTCOMES:
                record = RunRecord.model_validate(event.data)
                self._runs[of_the_world(record.key)].append((index, record))
                self._alike[_by_name(record, record.key.split, record.key.seed)].append((index, record))

    def _read(self, night: str) -> tuple[int, int]:
        """Index and place in the file of the night's first event; events are kept up to its end."""
        found: tuple[int, int] | None = None
        nights = []
        for stored in read_stored(self.workspace.audit):
            event = stored.event
            if event.kind == "night_started":
                nights.append(event.subject)
                if found is not None:
                    break
                if event.subject == night:
                    found = len(self.events), stored.offset
            self.events.append(event)
            if found is not None and event.kind == "night_ended" and event.subject == night:
                break
        if found is None:
            known = f"one of {', '.join(nights[:3])} … {nights[-1]}" if len(nights) > 4 else ", ".join(nights)
            where = str(self.workspace.audit)
            raise BadInput(Problem(where, f"no night {night[:40]!a}", known or "a night; none was started yet"))
        return found

    @property
    def before(self) -> list[Event]:
        """Everything that was recorded before the night."""
        return self.events[: self.first]

    @property
    def ended(self) -> bool:
        return self.events[-1].kind == "night_ended" and self.events[-1].subject == self.night

    def _parts(self) -> list[Part]:
        starts = [index for index in range(self.first, len(self.events)) if self.events[index].kind in _BEGINS]
        ends = [self._preamble(start) for start in starts[1:]] + [len(self.events)]
        last = len(starts) - 1
        return [
            Part(start, end, killed=number < last or not self.ended)
            for number, (start, end) in enumerate(zip(starts, ends, strict=True))
        ]

    def _preamble(self, resumed: int) -> int:
        """Where the record of a process that goes on begins: it tidies up and takes files in before it says so."""
        while self.events[resumed - 1].kind == "recovered" or by_hand(self.events[resumed - 1]):
            resumed -= 1
        return resumed

    def models(self, part: Part) -> bool:
        """Whether the process asked language models."""
        event = self.events[part.start]
        return bool((event.data if event.kind == "night_started" else event.data["goal"]).get("models"))

    def goal(self, part: Part) -> Goal:
        """What the process was asked for."""
        event = self.events[part.start]
        asked = event.data if event.kind == "night_started" else event.data["goal"]
        accepted = [e.reason for e in self.events[part.start : part.end] if e.kind == "evaluator_accepted"]
        until = asked.get("until")
        return Goal(
            cycles=asked.get("cycles"),
            until=datetime.fromisoformat(until) if until else None,
            forever=bool(asked.get("forever")),
            only=asked.get("only") or "",
            null=bool(asked.get("null")),
            accept_evaluator=accepted[0] if accepted else "",
        )

    # -- runs -----------------------------------------------------------------------------------------------

    def runs(self, known: tuple[object, ...]) -> list[tuple[int, RunRecord]]:
        """Every attempt of the runs with this part of an identity (`of_the_world`), with its place."""
        return self._runs.get(known, [])

    def alike(self, plan: Plan) -> list[tuple[int, RunRecord]]:
        """Every attempt that was made for a plan like this one, however runs were identified then."""
        return self._alike.get(_by_name(plan, plan.split, plan.seed), [])

    def keys(self, start: int, end: int) -> Iterator[RunKey]:
        """Identities of the runs that the events from `start` to `end` speak of; backwards where `end` is before."""
        for index in range(start, end) if start <= end else range(start - 1, end - 1, -1):
            yield from _keys(self.events[index])

    def environment(self, sha256: str) -> dict[str, Any]:
        """The facts recorded of an environment; the digest alone where an older version recorded none."""
        unknown = {"sha256": sha256, "python": "", "machine": "", "packages": {}, "variables": {}}
        return self._environments.get(sha256, unknown)

    # -- contents -------------------------------------------------------------------------------------------

    def blob(self, digest: str, what: str) -> bytes:
        """Content that the record names; MissingInput says what is not there any more."""
        try:
            return self.blobs.get(digest)
        except (BlobMissing, BlobDamaged, ValueError) as error:
            raise MissingInput(f"{what}: {error}") from error

    def documents(self, part: Part) -> dict[str, str]:
        """Content addresses of the documents that a process began with; nothing in logs of older versions."""
        known: dict[str, str] = {}
        for event in self.events[: part.end]:
            if event.kind == "cycle_started" and event.seq > self.events[part.start].seq:
                break
            if event.kind == "documents_recorded":
                known = event.data
        return known


def _keys(event: Event) -> Iterator[RunKey]:
    """Identities of the runs that an event speaks of."""
    if event.kind in OUTCOMES:
        yield RunKey.model_validate(event.data["key"])
    elif event.kind in {"runs_taken_up", "baseline_taken_up"}:
        for item in event.data["runs"]:
            yield RunKey.model_validate(item["key"])
