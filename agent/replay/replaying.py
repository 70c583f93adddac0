"""Goes through a recorded night again and holds every decision against the record.

Called by `agent run --replay NIGHT`. The night's own code runs (`agent.night`, the graph, the gate) over the
substitutes of this package, in a folder of its own; the workspace and the repository are only read.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agent import graph, night
from agent.ledger import LogLedger
from agent.progress import Silent
from agent.replay import stage
from agent.replay.following import Difference, Diverged, Follower, Stopped
from agent.replay.machine import NoSandbox, RecordedMeasurer, RecordedRunner, lay_out_items
from agent.replay.models import recorded_model
from agent.replay.recording import Recording, by_hand
from agent.replay.world import RecordedReader, RecordedSolution, RecordedWorld
from agent.researcher.contract import Researcher
from agent.researcher.llm import LlmResearcher
from agent.researcher.null import NullResearcher
from agent.researcher.offline import OfflineResearcher
from agent.schedule import Pace
from agent.services import Services
from agent.state import State
from registry.audit import AuditLog, Event
from registry.documents import load_models, load_research, load_target
from registry.facts import OpenCycle
from registry.history import History
from registry.target import Target
from registry.workspace import Workspace
from sandbox.contract import Isolation
from sandbox.outputs import plain_text
from tools.repository import SolutionRepository

_ANOTHER = "another"
"""Stands for the shape of the graph of another version."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of it."""

    night: str
    cycles: int
    verdicts: int
    decisions: dict[str, int]
    """Kind of decision → how many were the same."""
    ended: bool
    """Whether the record has the night's end; else it was gone through as far as it goes."""
    difference: Difference | None
    notes: tuple[str, ...] = ()
    """What was not recorded then and was taken as it is today, or taken over."""

    @property
    def same(self) -> bool:
        return self.difference is None


def as_document(found: Replay) -> dict[str, Any]:
    """For `--json`."""
    return {
        "night": found.night,
        "same": found.same,
        "cycles": found.cycles,
        "verdicts": found.verdicts,
        "decisions": found.decisions,
        "ended": found.ended,
        "difference": None if found.difference is None else asdict(found.difference),
        "notes": list(found.notes),
    }


def as_text(found: Replay) -> str:
    """For people: what was the same, or the first difference with both sides; then what the record did not have."""
    counted = f"{found.cycles} cycles, {found.verdicts} verdicts"
    open_end = "" if found.ended else " as far as it is recorded"
    if found.difference is None:
        lines = [f"{found.night} replayed{open_end}: {counted}, all the same"]
    else:
        lines = [f"{found.night} differs after {counted} that are the same, at {found.difference}"]
    return plain_text("\n".join([*lines, *(f"note: {note}" for note in found.notes)]), 20_000)


def replay(workspace: Workspace, night_id: str) -> Replay:
    """Go through a night. BadInput where there is no such night, MissingInput where the record lacks something."""
    recording = Recording(workspace, night_id)
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="agent-replay-") as folder:
        follower = Follower(recording, recording.parts[0], recording.first)
        difference = _all_parts(recording, follower, Path(folder), notes)
    return Replay(
        night=night_id,
        cycles=follower.same.get("cycle_finished", 0),
        verdicts=follower.same.get("verdict", 0),
        decisions=dict(sorted(follower.same.items())),
        ended=recording.ended,
        difference=difference,
        notes=tuple(dict.fromkeys(notes)),
    )


def _all_parts(recording: Recording, follower: Follower, folder: Path, notes: list[str]) -> Difference | None:
    made = stage.workspace(recording, folder)
    repository = None
    for part in recording.parts:
        as_they_are = stage.put_documents(recording, made, part)
        notes += [f"{name} was not recorded then and is taken as it is today" for name in as_they_are]
        target = load_target(made.target)
        if repository is None:
            repository = stage.repository(recording, target, folder)
        stage.set_base(recording, repository, target, part)
        told: list[str] = []
        try:
            with FollowedLog.open(made.audit, follower.clock) as log:
                left = range(follower.at, part.start) if part.start > recording.first else range(0)
                follower.enter(part)
                _take_over(log, [recording.events[index] for index in left])
                services = _composed(recording, follower, made, target, log, repository, told)
                log.follower = follower
                night.run(services, recording.goal(part))
        except Stopped:
            continue
        except Diverged as error:
            return error.difference
        finally:
            notes += told
        if not part.killed and (known := follower.decision()) is not None:
            return Difference(known[1].seq, known[1].kind, known[1].subject, "a decision less", "this one", "none")
    return None


def _take_over(log: AuditLog, events: list[Event]) -> None:
    """What people and commands recorded between two processes of the night."""
    for event in events:
        if by_hand(event) or (event.key and log.find(event.key) is None and not event.kind.startswith("run_")):
            put(log, event)


def put(log: AuditLog, event: Event) -> None:
    """An event as it was recorded, but for its place in the log."""
    AuditLog.append(log, event.kind, event.subject, event.data, event.reason, event.actor, event.key or None)


class FollowedLog(AuditLog):
    """The replay's log: before anything new is recorded, the follower holds it against the record."""

    follower: Follower | None = None

    def append(
        self,
        kind: str,
        subject: str,
        data: dict[str, Any],
        reason: str = "",
        actor: str = "agent",
        key: str | None = None,
    ) -> Event:
        if self.follower is not None and not (key and self.find(key) is not None):
            self.follower.hand_in(lambda event: put(self, event))
            self.follower.comes(kind, subject, data)
        return super().append(kind, subject, data, reason, actor, key)


@dataclass(slots=True)
class ReplayedServices(Services):
    """Services of a replay; what people did beside the night is folded in where the night looked for it."""

    follower: Follower = field(kw_only=True)

    def record(self, kind: str, subject: str, data: dict[str, Any], reason: str = "", key: str | None = None) -> Event:
        """As the night does; only documents are as the record names them at that place."""
        if kind == "documents_recorded":
            self._documents_of_the_record()
            return self.log.append(kind, subject, data, reason=reason)
        event = self.log.append(kind, subject, data, reason=reason, key=key)
        if event.seq > self.history.seq:
            self._fold()
        return event

    def catch_up(self) -> None:
        """Fold in what stands in the log, and what people had added by then."""
        self.follower.hand_in(lambda event: put(self.log, event))
        self._fold()

    def _fold(self) -> None:
        for event in self.log.read_new(self.history.seq):
            self.history.apply(event)

    def _documents_of_the_record(self) -> None:
        event = self.follower.before_the_decision("documents_recorded")
        if event is not None:
            stage.put_documents_of(self.follower.recording, self.workspace, event)


class Follows(Silent):
    """Progress that says nothing, and tells the follower when the night takes in what lies in the queue's folder."""

    def __init__(self, services: Callable[[], ReplayedServices]) -> None:
        self._services = services

    def node(self, name: str, state: State) -> None:
        del state
        if name == "queue":
            services = self._services()
            services.follower.hand_in(lambda event: put(services.log, event), kinds_of_night=True)
            services.catch_up()


class NoWaiting(threading.Event):
    """A stop that nobody asks for; waiting for it takes no time, and the clock goes on by the record alone."""

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        return self.is_set()


def _composed(
    recording: Recording,
    follower: Follower,
    made: Workspace,
    target: Target,
    log: AuditLog,
    repository: SolutionRepository,
    told: list[str],
) -> ReplayedServices:
    """As `agent.wiring` does, over the substitutes."""
    history = History()
    for event in log.read_new(0):
        history.apply(event)
    _same_shape(history, follower)
    cancel = NoWaiting()
    solution = RecordedSolution(repository, target, made.worktrees, follower)
    sandbox = NoSandbox(_isolation(recording, follower))
    runner = RecordedRunner(target, solution, made.root, follower, sandbox, told)
    for test in history.tests.values():
        for record in test.runs.values():
            lay_out_items(recording, record, made.root)
    progress = Follows(lambda: services)
    words = tuple(load_research(made.research_config).domain_keywords)
    offline = OfflineResearcher(solution.edited, words)
    services = ReplayedServices(
        workspace=made,
        target=target,
        repository=repository.path,
        log=log,
        blobs=stage.BlobsBehind(made.blobs, recording.blobs),
        history=history,
        solution=solution,
        sandbox=sandbox,
        runner=runner,
        measurer=RecordedMeasurer(runner, LogLedger(log, history, progress, runner.environments.known), cancel),
        researcher=offline,
        progress=progress,
        clock=follower.clock,
        cancel=cancel,
        outside=RecordedWorld(follower, told),
        follower=follower,
    )
    usual: Researcher = offline
    if recording.models(follower.part):
        services.models = load_models(made.models)
        model = recorded_model(services, services.models, follower)
        usual = LlmResearcher(model, offline, lambda: services.history.cycles, progress.say)
    reader = RecordedReader(usual, follower, told)
    services.researcher = NullResearcher(reader) if recording.goal(follower.part).null else reader
    services.technical_log_pace = NeverDue(1.0)
    return services


class NeverDue(Pace):
    """Nobody reads the technical log of a replay."""

    def due(self) -> bool:
        return False


def _same_shape(history: History, follower: Follower) -> None:
    """An open cycle goes on, unless the record abandons it here, whatever the graph's shape was then and is now."""
    if history.cycle is None:
        return
    known = follower.decision()
    abandoned = known is not None and known[1].kind == "cycle_abandoned"
    shape = _ANOTHER if abandoned else graph.fingerprint()
    history.cycle = OpenCycle(history.cycle.number, history.cycle.thread, shape)


def _isolation(recording: Recording, follower: Follower) -> Isolation:
    """Of the sandbox that made the runs from here on; records of older versions do not say."""
    for event in recording.events[follower.at :]:
        if event.kind == "run_finished":
            return "weak" if event.data.get("isolation") == "weak" else "full"
    return "full"
