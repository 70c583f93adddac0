"""One night: cycles of the graph until there is a reason to stop, and the way back in after a crash.

Called by `agent run`, `agent experiment` and the demo, inside the workspace's lock. Every cycle is a thread of its
own in the checkpoint store and is deleted when it is done, so the store does not grow with the night.
"""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from agent import (
    boards,
    checkpoints,
    closing,
    documents_record,
    evaluator,
    graph,
    production,
    promotion,
    queueing,
    recovery,
    releasing,
    reports,
    schedule,
    seasons,
)
from agent.services import Services
from experiments.measuring import InfrastructureFailed, ProductionFailed
from experiments.plans import Interrupted
from registry.durable import NO_ROOM
from registry.errors import DiskFull

if TYPE_CHECKING:
    from langgraph.checkpoint.sqlite import SqliteSaver

    from sandbox.contract import Isolation

TIME_IS_UP = "it is"
"""How the reason begins of a night that was to end at a time of day."""
STEPS_PER_CYCLE = 500
"""More than the longest cycle takes: ten looks of two nodes, confirmation, costs, and the rest."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What the night was asked for. Without any of it: until first, out of ideas, out of budget, or season's end."""

    cycles: int | None = None
    until: datetime | None = None
    forever: bool = False
    only: str = ""
    """The one hypothesis to take to its verdict (`agent experiment H-042`)."""
    null: bool = False
    """Only candidates that change nothing that counts (`agent run --null`)."""
    accept_evaluator: str = ""
    """Why a person lets the night start although the evaluator can be fooled (`agent run --accept-evaluator`)."""


@dataclass(frozen=True, slots=True)
class NightResult:
    """How the night ended."""

    night: str
    reason: str
    cycles: int
    runs: int
    promoted: tuple[str, ...]
    failed: bool = False
    isolation: Isolation = "full"
    """Of the sandbox in which the night's last process made its runs."""
    refused: bool = False
    """Whether it did not start, because the evaluator can be fooled."""


def run(services: Services, goal: Goal) -> NightResult:
    """Run or resume the night. Raises Interrupted where a person stopped it; the same command goes on.

    Raises DiskFull where there is no room left; the same command goes on once there is.
    """
    try:
        return _night(services, goal)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise DiskFull(_no_room(services, error.strerror or "disk full")) from error
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
        raise DiskFull(_no_room(services, str(error))) from error


def _no_room(services: Services, said: str) -> str:
    return f"{services.workspace.root}: no room to write ({said}); free some space and start the same command again"


def _night(services: Services, goal: Goal) -> NightResult:
    recovery.recover(services)
    _open(services, goal)
    documents_record.record(services)
    try:
        # First, because merging the base moves production, and a decided promotion is the next commit on the old one.
        promotion.finish_interrupted(services)
        closing.close_interrupted(services)
        releasing.judge_released(services)
        production.open_for_the_night(services)
        _open_season(services)
        evaluator.before_a_night(services, goal.accept_evaluator)
        production.first_look(services)
        production.measure(services)
        if goal.null:
            services.progress.say("[STATUS] a null night: no candidate changes more than a comment")
        reason = _cycles(services, goal)
    except evaluator.Fooled as error:
        services.progress.say(f"[ALERT] the night does not start: {error}")
        return _end(services, str(error), failed=True, refused=True)
    except (ProductionFailed, InfrastructureFailed) as error:
        services.progress.say(f"[ALERT] the night stops: {error}")
        return _end(services, str(error), failed=True)
    return _end(services, reason)


def _open_season(services: Services) -> None:
    """Where the season was over before the night began, the night opens the next one; a night opens no second one."""
    night = services.history.night
    if night is not None and night.goal["season_was_over"] and services.history.seasons == night.goal["season"]:
        seasons.ready(services)


def _open(services: Services, goal: Goal) -> None:
    night = services.history.night
    reports.write_at_nights_end(services)  # of a night whose process was killed once it had ended
    asked = {
        "cycles": goal.cycles,
        "until": goal.until.isoformat() if goal.until else None,
        "forever": goal.forever,
        "only": goal.only,
        "null": goal.null,
        "models": services.models is not None,
    }
    if night is not None and not night.ended:
        services.record("night_resumed", night.id, {"goal": asked, "cycles": night.cycles})
        services.progress.say(f"{night.id} goes on: {night.cycles} cycles and {night.runs} runs are recorded")
        return
    number = services.history.nights + 1
    season = {"season": services.history.seasons, "season_was_over": seasons.is_over(services)}
    why = "null candidates only: none of them changes anything that counts" if goal.null else ""
    services.record("night_started", f"N-{number:04d}", {**asked, **season}, reason=why, key=f"night:{number}")


def _cycles(services: Services, goal: Goal) -> str:
    with checkpoints.opened(services) as saver:
        app = graph.build(services, saver)
        if reason := _stopped_before(services, goal):
            return reason
        with _collected() as collect:
            while True:
                if reason := _finished(services, goal):
                    return reason
                state = _one_cycle(services, app, saver)
                collect()
                if reason := _after(services, goal, state):
                    return reason


@contextmanager
def _collected() -> Iterator[Callable[[], None]]:
    """Yields what frees the garbage of a cycle, so that no night grows by what waits to be collected.

    What was there before the night, and what the first cycle leaves (modules, caches), is set apart: a collection
    after that takes a millisecond, however much the process held when it began.
    """
    cycles = 0

    def collect() -> None:
        nonlocal cycles
        gc.collect()
        cycles += 1
        if cycles == 1:
            gc.freeze()

    gc.freeze()
    try:
        yield collect
    finally:
        gc.unfreeze()


def _finished(services: Services, goal: Goal) -> str:
    """Why no further cycle is started."""
    night = services.history.night
    if services.cancel.is_set():
        raise Interrupted("stopped between two cycles")
    if services.history.cycle is not None or night is None:
        return ""
    if goal.cycles is not None and night.cycles >= goal.cycles:
        return f"{goal.cycles} cycles done"
    if goal.until is not None and services.clock() >= goal.until:
        return f"{TIME_IS_UP} {goal.until:%H:%M}"
    if goal.only and services.history.hypotheses[goal.only].status not in {"queued", "active"}:
        return _ended(services, goal.only)
    return ""


def _ended(services: Services, hypothesis: str) -> str:
    """What became of the one hypothesis that the night was for."""
    history = services.history
    if any(
        v.hypothesis == hypothesis and v.reason not in {"validation", "patch", "environment"} for v in history.verdicts
    ):
        return f"{hypothesis} has its verdict"
    status = history.hypotheses[hypothesis].status
    return f"{hypothesis} was {status} without a verdict of the gate: {history.why.get(hypothesis, '')}".rstrip(": ")


def _stopped_before(services: Services, goal: Goal) -> str:
    """Why the night was about to end when it was killed after its last cycle: asked again, so that none is added."""
    night, history = services.history.night, services.history
    last = services.log.find(f"cycle:{history.cycles}:finished")
    if goal.forever or night is None or history.cycle is not None or last is None or last.seq < night.first_seq:
        return ""
    return _after(services, goal, last.data)


def _after(services: Services, goal: Goal, state: dict[str, Any]) -> str:
    """Why the night ends after this cycle; waits for the next slot where it never ends."""
    if goal.forever:
        if not state.get("hypothesis"):
            if queueing.used_up(str(state.get("queue", ""))):
                return str(state["queue"])
            _sleep_until_next_slot(services)
        return ""
    open_ended = goal.cycles is None and goal.until is None and not goal.only and not goal.null
    if open_ended and boards.victorious(services):
        return "first on every board, by the victory condition"
    why = str(state.get("queue", ""))
    if not state.get("hypothesis"):
        if state.get("urgent") and why in {queueing.EXHAUSTED, queueing.NOTHING_QUEUED}:
            return ""  # an urgent cycle skips reading and proposing; the next one asks for ideas
        return why if queueing.stop_reason(why) else _nothing_moves(services, why)
    return ""


def _nothing_moves(services: Services, why: str) -> str:
    """A cycle that found nothing to try is followed by another only where proposals may still come."""
    return "" if queueing.ready(services) else why or queueing.EXHAUSTED


def _one_cycle(services: Services, app: Any, saver: SqliteSaver) -> dict[str, Any]:
    """Resume the open cycle or run a new one to its end."""
    opened = services.history.cycle
    shape = graph.fingerprint()
    if opened is not None and opened.fingerprint != shape:
        services.record(
            "cycle_abandoned",
            f"C-{opened.number:06d}",
            {"cycle": opened.number, "thread": opened.thread},
            reason="the graph has another shape now; its hypothesis goes on in a new cycle",
            key=f"cycle:{opened.number}:abandoned",
        )
        saver.delete_thread(opened.thread)
        opened = None
    number = opened.number if opened is not None else services.history.cycles + 1
    thread = f"c{number:06d}-{shape}"
    night = services.history.night
    data = {"cycle": number, "thread": thread, "fingerprint": shape, "night": night.id if night else ""}
    if opened is None:  # an open one may have been started by an earlier night, which ended in failure
        documents_record.record(services)
        services.record("cycle_started", f"C-{number:06d}", data, key=f"cycle:{number}:started")
    config = {"configurable": {"thread_id": thread}, "recursion_limit": STEPS_PER_CYCLE}
    known = app.get_state(config)
    if known.next or known.tasks:  # tasks alone: killed after a node's answer was stored, before the checkpoint of it
        state = app.invoke(None, config, durability="sync")
    elif known.values.get("report"):
        state = known.values
    else:
        state = app.invoke({"cycle": number, "night": data["night"]}, config, durability="sync")
    summary = {name: value for name, value in state.items() if name not in {"cycle", "night"}}
    services.record("cycle_finished", f"C-{number:06d}", {"cycle": number, **summary}, key=f"cycle:{number}:finished")
    saver.delete_thread(thread)
    return dict(state)


def _sleep_until_next_slot(services: Services) -> None:
    expressions = services.competitive().schedule.model_dump().values()
    moments = [schedule.upcoming(text, services.clock()) for text in expressions if text]
    wait = min(moments) - services.clock() if moments else timedelta(minutes=1)
    services.progress.say(f"[STATUS] nothing to do until the next slot, in {wait.total_seconds() / 60:.0f} min")
    if services.cancel.wait(max(wait.total_seconds(), 1.0)):
        raise Interrupted("stopped while waiting for the next slot")


def _end(services: Services, reason: str, failed: bool = False, refused: bool = False) -> NightResult:
    night = services.history.night
    if night is None:
        raise ValueError("a night ends after it was started")
    promoted = tuple(event.subject for event in services.log.read_new(night.first_seq) if event.kind == "promoted")
    services.record(
        "night_ended",
        night.id,
        {"cycles": night.cycles, "runs": night.runs, "promoted": list(promoted), "failed": failed},
        reason=reason,
        key=f"night:{night.id}:ended",
    )
    reports.write_at_nights_end(services)
    isolation = services.sandbox.isolation
    return NightResult(night.id, reason, night.cycles, night.runs, promoted, failed, isolation, refused)
