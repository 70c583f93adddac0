"""The season: the span over which false promotions are controlled, as records and pure transitions.

The audit log holds the truth; whoever folds it calls these functions, one for each event, and a transition that the
log cannot have had raises `SeasonError`. No clock: dates are arguments. Promotions decided so far only ever rise,
and the count of started candidates too; a new season is the only way back, by the calendar or by the last candidate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from registry.errors import AgentError

MIN_PLANNED = 20
Standing = Literal["running", "promoted", "archived", "parked"]


class SeasonError(AgentError):
    """A transition that would break the season's guarantee. `code` names which rule."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(f"{code}: {message}")


@dataclass(frozen=True, slots=True)
class Season:
    """What is fixed at opening."""

    id: int
    planned: int
    """Candidates the season is planned for (N)."""
    alpha: float
    opened_at: str
    """ISO date."""
    closes_on: str
    """ISO date from which no candidate starts in this season."""


@dataclass(frozen=True, slots=True)
class StartedCandidate:
    """One candidate of the season; `promotions` is R at its start and never changes."""

    subject: str
    t: int
    promotions: int
    standing: Standing = "running"
    log_e: float | None = None
    """Evidence at the end of its stage, for a parked candidate that may be readmitted; None where it never may."""


@dataclass(frozen=True, slots=True)
class SeasonState:
    """The season as the log tells it so far."""

    season: Season
    candidates: tuple[StartedCandidate, ...] = ()
    promotions: int = 0
    """R: promotions decided so far."""
    closed: bool = False

    @property
    def started(self) -> int:
        return len(self.candidates)

    @property
    def parked(self) -> tuple[StartedCandidate, ...]:
        return tuple(candidate for candidate in self.candidates if candidate.standing == "parked")


def level(season: Season, promotions: int) -> float:
    """alpha (R + 1) / N, the e-LOND level with gamma = 1/N: evidence of 1/level is needed to promote."""
    return season.alpha * (promotions + 1) / season.planned


def opened(previous: SeasonState | None, season: Season) -> SeasonState:
    """Open a season; only the first needs no closed season before it."""
    expected = 1 if previous is None else previous.season.id + 1
    if previous is not None and not previous.closed:
        raise SeasonError(
            "season_reset", f"season {previous.season.id} is not closed, so season {season.id} cannot open"
        )
    if season.id != expected:
        raise SeasonError("season_reset", f"season {season.id} cannot follow here; season {expected} is next")
    if season.planned < MIN_PLANNED:
        raise SeasonError("too_few_planned", f"{season.planned} candidates planned, {MIN_PLANNED} at least")
    if not 0.0 < season.alpha < 0.5:
        raise SeasonError("bad_alpha", f"alpha is {season.alpha}, a number between 0 and 0.5 is expected")
    if _day(season.closes_on) <= _day(season.opened_at):
        raise SeasonError("bad_date", f"closes on {season.closes_on}, which is not after {season.opened_at}")
    return SeasonState(season)


def due_to_close(state: SeasonState, today: str) -> bool:
    """Whether the next candidate belongs to another season: N have started, or the calendar date has come."""
    return state.started >= state.season.planned or _day(today) >= _day(state.season.closes_on)


def start_candidate(state: SeasonState, subject: str, today: str) -> SeasonState:
    """Give the candidate its t (the count of started candidates plus one) and freeze R for it.

    The new candidate is `candidates[-1]`. A candidate that was rebased is a new test under a subject of its own.
    """
    _open(state)
    if due_to_close(state, today):
        raise SeasonError("season_over", f"season {state.season.id} takes no candidate {state.started + 1}; close it")
    if any(candidate.subject == subject for candidate in state.candidates):
        raise SeasonError("already_started", f"{subject} has its place in season {state.season.id}")
    return replace(
        state, candidates=(*state.candidates, StartedCandidate(subject, state.started + 1, state.promotions))
    )


def promoted(state: SeasonState, t: int) -> SeasonState:
    """A running or readmitted candidate became production: R rises by one."""
    decided = _decided(state, t, "promoted", None)
    return replace(decided, promotions=decided.promotions + 1)


def archived(state: SeasonState, t: int) -> SeasonState:
    """A running or readmitted candidate was rejected. Its t stays used."""
    return _decided(state, t, "archived", None)


def parked(state: SeasonState, t: int, log_e: float | None) -> SeasonState:
    """A running candidate ran out of seeds undecided. `log_e` is None where it may never be readmitted."""
    if log_e is not None and not math.isfinite(log_e):
        raise SeasonError("bad_evidence", f"log E of candidate {t} is {log_e}")
    if _candidate(state, t).standing == "parked":
        raise SeasonError("already_decided", f"candidate {t} is parked already")
    return _decided(state, t, "parked", log_e)


def closed(state: SeasonState, today: str) -> SeasonState:
    """Close a season that is due; its parked candidates are archived."""
    _open(state)
    if not due_to_close(state, today):
        raise SeasonError(
            "season_reset", f"season {state.season.id} has room and its date {state.season.closes_on} is ahead"
        )
    if running := [candidate.subject for candidate in state.candidates if candidate.standing == "running"]:
        raise SeasonError("undecided", f"{running[0]} has no verdict yet; season {state.season.id} closes after it")
    shelved = tuple(
        replace(candidate, standing="archived") if candidate.standing == "parked" else candidate
        for candidate in state.candidates
    )
    return replace(state, candidates=shelved, closed=True)


def _decided(state: SeasonState, t: int, standing: Standing, log_e: float | None) -> SeasonState:
    _open(state)
    candidate = _candidate(state, t)
    if candidate.standing not in {"running", "parked"}:
        raise SeasonError("already_decided", f"candidate {t} is {candidate.standing}; a verdict is never changed")
    changed = replace(candidate, standing=standing, log_e=log_e)
    return replace(state, candidates=(*state.candidates[: t - 1], changed, *state.candidates[t:]))


def _candidate(state: SeasonState, t: int) -> StartedCandidate:
    if not 1 <= t <= state.started:
        raise SeasonError("not_started", f"season {state.season.id} has no candidate {t}")
    return state.candidates[t - 1]


def _open(state: SeasonState) -> None:
    if state.closed:
        raise SeasonError("season_closed", f"season {state.season.id} is closed")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError as error:
        raise SeasonError("bad_date", f"found {text!r}, an ISO date such as 2026-01-31 is expected") from error
