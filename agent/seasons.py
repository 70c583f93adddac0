"""The open season as the log tells it: a fold of its events through the transitions of `experiments.season`.

Called by the nodes that enter the gate, by `agent season` and by the reports. Opening and closing are events like
all others; nothing resets a season but its own calendar and its own length.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from experiments import season
from experiments.season import Season, SeasonState
from registry.history import History

if TYPE_CHECKING:
    from agent.services import Services


def current(history: History) -> SeasonState | None:
    """State of the latest season; None before the first."""
    state: SeasonState | None = None
    for kind, data in history.season_events:
        state = _after(state, kind, data)
    return state


def _after(state: SeasonState | None, kind: str, data: dict[str, Any]) -> SeasonState:
    if kind == "season_opened":
        opening = Season(data["id"], data["planned"], data["alpha"], data["opened_at"], data["closes_on"])
        return SeasonState(opening)
    if state is None:
        raise season.SeasonError("not_opened", f"the log has {kind} before any season was opened")
    if kind == "gate_entered":
        return season.start_candidate(state, data["test"], data["day"])
    if kind == "season_closed":
        return season.closed(state, data["day"])
    if kind == "promote":
        return season.promoted(state, data["t"])
    if kind == "park":
        return season.parked(state, data["t"], data["log_e"])
    return season.archived(state, data["t"])


def ready(services: Services) -> SeasonState:
    """The season the next candidate belongs to: the open one, or a new one where none is open or it is due to close.

    A season whose last candidate still waits for its verdict is not closed before it has one.
    """
    today = services.clock().date().isoformat()
    state = current(services.history)
    if state is not None and not state.closed and season.due_to_close(state, today) and not _undecided(state):
        _close(services, state, today)
        state = current(services.history)
    if state is None or state.closed:
        _open(services, today)
        state = current(services.history)
    if state is None:
        raise season.SeasonError("not_opened", "a season was opened and the log does not show it")
    return state


def _undecided(state: SeasonState) -> bool:
    return any(candidate.standing == "running" for candidate in state.candidates)


def standing(services: Services) -> SeasonState:
    """The season that is open now, even where it takes no further candidate; the next one where none is open."""
    state = current(services.history)
    return state if state is not None and not state.closed else ready(services)


def is_over(services: Services) -> bool:
    """Whether the next candidate would need a new season."""
    state = current(services.history)
    return state is not None and (state.closed or season.due_to_close(state, services.clock().date().isoformat()))


def _open(services: Services, today: str) -> None:
    settings = services.target.gate
    number = services.history.seasons + 1
    closes_on = (services.clock().date() + timedelta(days=settings.season_days)).isoformat()
    data = {
        "id": number,
        "planned": settings.season,
        "alpha": settings.alpha,
        "opened_at": today,
        "closes_on": closes_on,
        "policy": settings.policy,
    }
    services.record(
        "season_opened",
        f"S-{number}",
        data,
        reason=f"{settings.season} candidates at alpha {settings.alpha}, until {closes_on}",
        key=f"season:{number}:opened",
    )


def _close(services: Services, state: SeasonState, today: str) -> None:
    number = state.season.id
    why = "all planned candidates have started" if state.started >= state.season.planned else "its date has come"
    for parked in state.parked:
        name = parked.subject.partition("@")[0]
        if name in services.history.hypotheses and services.history.hypotheses[name].status == "parked":
            services.record(
                "hypothesis_archived",
                name,
                {"season": number},
                reason=f"season {number} closed while it was parked",
                key=f"archived:{name}:season:{number}",
            )
    services.record(
        "season_closed", f"S-{number}", {"id": number, "day": today}, reason=why, key=f"season:{number}:closed"
    )
