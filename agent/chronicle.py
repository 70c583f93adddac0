"""One pass over the log for people: what is true now, every hypothesis in brief, and what happened when.

Called by `ask` for questions about the whole workspace, by the reports and by `agent queue|papers|season`. It keeps
small facts only: runs are counted and never kept, and of a look only what a reader is shown, so that its size
follows the number of hypotheses and not the number of runs.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from agent.account_book import AccountBook
from registry.audit_events import Event
from registry.history import History

Data = dict[str, Any]
BOARD_CHANGES = 200
"""Latest readings with changes that are kept; a board that changes more often is read in the log itself."""
_KEPT_LISTS = {
    "board_score": "scores",
    "production_at": "productions",
    "test_look": "test_looks",
    "test_look_refused": "alerts",
    "escalated": "alerts",
    "input_refused": "alerts",
    "season_opened": "seasons",
    "season_closed": "seasons",
    "paper_read": "papers",
    "paper_unreadable": "papers",
    "hypothesis_refused": "refusals",
}


@dataclass(slots=True)
class NightSpan:
    """One night from its start to its end, with what it used."""

    started: Event
    ended: Event | None = None
    resumed: int = 0
    cycles: int = 0
    runs: int = 0
    run_seconds: float = 0.0
    weak_runs: int = 0
    decided: dict[str, None] = field(default_factory=dict)
    """Hypotheses that got a verdict or were archived in it, in that order."""
    silences: Counter[str] = field(default_factory=Counter)
    """Why language models gave no answer (`code` of `model_gave_up`) → how often."""

    @property
    def id(self) -> str:
        return self.started.subject

    @property
    def events(self) -> tuple[int, ...]:
        """Numbers of its first and last event; only the first while it runs."""
        return (self.started.seq,) if self.ended is None else (self.started.seq, self.ended.seq)


class Cost:
    """Mean and span of one cost over a commit's runs, kept without the runs."""

    __slots__ = ("first", "high", "last", "low", "runs", "total")

    def __init__(self, value: float, event: Event) -> None:
        self.runs, self.total, self.low, self.high = 1, value, value, value
        self.first = self.last = event.seq

    def with_run(self, value: float, event: Event) -> Cost:
        """The same with one more run."""
        self.runs, self.total = self.runs + 1, self.total + value
        self.low, self.high, self.last = min(self.low, value), max(self.high, value), event.seq
        return self


@dataclass(slots=True)
class Chronicle:
    """What the log tells, for people."""

    history: History = field(default_factory=History)
    accounts: AccountBook = field(default_factory=AccountBook)
    nights: list[NightSpan] = field(default_factory=list)
    standings: dict[str, Event] = field(default_factory=dict)
    """Board → its latest standing."""
    readings: dict[str, Event] = field(default_factory=dict)
    """Board → its latest good reading."""
    board_changes: deque[Event] = field(default_factory=lambda: deque(maxlen=BOARD_CHANGES))
    """Readings of boards that found a change."""
    scores: list[Event] = field(default_factory=list)
    productions: list[Event] = field(default_factory=list)
    test_looks: list[Event] = field(default_factory=list)
    alerts: list[Event] = field(default_factory=list)
    """What people were told to look at: escalations, regressions, refused looks, nights that failed."""
    seasons: list[Event] = field(default_factory=list)
    papers: list[Event] = field(default_factory=list)
    refusals: list[Event] = field(default_factory=list)
    runs_started: Event | None = None
    runs_last: Event | None = None
    costs: dict[str, dict[str, Cost]] = field(default_factory=dict)
    """Commit → metric → what its runs cost, as the host measured it."""
    run_outcomes: Counter[str] = field(default_factory=Counter)
    weak_runs: int = 0
    """Runs in a sandbox that is not `full`: the gate promotes nothing on them."""
    run_seconds: float = 0.0
    cycles: int = 0
    last_cycle: Event | None = None
    last: Event | None = None

    def take(self, event: Event) -> None:
        """Take one event in."""
        self.last = event
        if event.seq > self.history.seq:
            self.history.apply(event)
        self.accounts.take(replace(event, data=brief_look(event.data)) if event.kind == "look" else event)
        if event.kind in _KEPT_LISTS:
            getattr(self, _KEPT_LISTS[event.kind]).append(event)
        elif event.kind == "run_finished":
            self._run(event)
        elif event.kind == "standing":
            self.standings[event.subject] = event
        elif event.kind == "board_read":
            self._board(event)
        elif event.kind == "defended" and event.data["regressed"]:
            self.alerts.append(event)
        else:
            self._night(event)

    def _board(self, event: Event) -> None:
        if event.data["status"] == "read":
            self.readings[event.subject] = event
        if event.data.get("delta") or event.data.get("alerts"):
            self.board_changes.append(event)

    def _run(self, event: Event) -> None:
        seconds = sum(phase["wall_s"] for phase in event.data["phases"].values())
        self.runs_started = self.runs_started or event
        self.runs_last = event
        if event.data["purpose"] == "cost" and event.data["status"] == "ok":
            measured = self.costs.setdefault(event.data["commit"], {})
            for name, value in event.data["metrics"].items():
                measured[name] = measured[name].with_run(value, event) if name in measured else Cost(value, event)
        self.run_outcomes[event.data["status"]] += 1
        self.run_seconds += seconds
        weak = event.data["isolation"] == "weak"
        self.weak_runs += weak
        if self.nights and self.nights[-1].ended is None and event.data["purpose"] != "check":
            self.nights[-1].runs += 1
            self.nights[-1].run_seconds += seconds
            self.nights[-1].weak_runs += weak

    def _night(self, event: Event) -> None:
        if event.kind == "night_started":
            self.nights.append(NightSpan(event))
        elif event.kind == "cycle_finished":
            self.cycles, self.last_cycle = self.cycles + 1, event
        if not self.nights:
            return
        night = self.nights[-1]
        if event.kind == "night_ended":
            night.ended = event
            if event.data.get("failed"):
                self.alerts.append(event)
        elif event.kind == "night_resumed":
            night.resumed += 1
        elif event.kind == "cycle_finished":
            night.cycles += 1
        elif event.kind in {"verdict", "hypothesis_archived", "promoted"}:
            night.decided.setdefault(event.subject)
        elif event.kind == "model_gave_up" and event.data["night"] == night.id:
            night.silences[event.data["code"]] += 1

    def looks_at_production(self) -> list[Event]:
        """Looks at the test split of today's production, or of an earlier one with the same files."""
        history = self.history
        tree = history.production.tree if history.production is not None else ""
        same = {each.commit for each in history.productions if each.tree == tree}
        return [look for look in self.test_looks if look.data["commit"] in same]

    @property
    def runs(self) -> int:
        return sum(self.run_outcomes.values())


def chronicle(events: Iterable[Event], history: History | None = None) -> Chronicle:
    """Read the events once, in order. A history already folded from them is used as it is."""
    found = Chronicle() if history is None else Chronicle(history)
    for event in events:
        found.take(event)
    return found


def brief_look(look: Data) -> Data:
    """A look without its raw values: means of both arms stand for them. `Account` reads it like a whole one."""
    evidence, decision = look["evidence"], look["decision"]
    extends = decision["outcome"] == "extend"
    numbers = {name: value for name, value in look["numbers"].items() if not isinstance(value, list)}
    return {
        "policy": {"name": look["policy"]["name"], "version": look["policy"]["version"]},
        "decision": decision,
        "numbers": numbers,
        "rows": [] if extends else look["rows"],
        "arms": {} if extends else {line: arm_means(evidence[line]) for line in ("stage", "fresh")},
        "evidence": {
            name: evidence[name]
            for name in ("metric", "higher_is_better", "threshold", "season", "projected_rank", "required_rank")
        }
        | {line: [] for line in ("stage", "fresh", "costs")},
    }


def arm_means(pairs: Iterable[Data]) -> Data:
    """Number of whole pairs and the mean of each arm over them; empty where there is none."""
    whole = [
        (float(pair["candidate"]["primary"]), float(pair["production"]["primary"]))
        for pair in pairs
        if all(pair[arm] is not None and pair[arm]["primary"] is not None for arm in ("candidate", "production"))
    ]
    if not whole:
        return {}
    return {
        "n": len(whole),
        "candidate": sum(candidate for candidate, _ in whole) / len(whole),
        "production": sum(production for _, production in whole) / len(whole),
    }
