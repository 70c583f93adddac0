"""What a season means: how many candidates, how many promotions, and what evidence the next one needs.

`facts` is read by `agent season`, the digest and `ask`; it needs the season's own rules, and so the numerical library.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.answers.sentences import Sentence, fact, plural, safe

if TYPE_CHECKING:
    from agent.chronicle import Chronicle
    from registry.history import History


@dataclass(frozen=True, slots=True)
class SeasonFacts:
    """The open (or last) season in the numbers people ask for."""

    id: int
    planned: int
    """N."""
    started: int
    promotions: int
    """R."""
    alpha: float
    level: float
    """Of the next candidate to start: alpha (R + 1) / N."""
    first_look: int | None
    """Fewest paired seeds at which any evidence can reach the bar; None where no look can."""
    opened_at: str
    closes_on: str
    closed: bool
    parked: tuple[str, ...]
    policy: str

    @property
    def bar(self) -> float:
        """Evidence E that a promotion needs."""
        return 1.0 / self.level

    @property
    def next_t(self) -> int:
        return self.started + 1

    def due(self, today: str) -> bool:
        """Whether the next candidate needs another season, on this ISO date."""
        return not self.closed and (self.started >= self.planned or today >= self.closes_on)

    def meaning(self) -> str:
        """The figures in a sentence for people."""
        if self.policy != "e-night":
            return f"the policy {safe(self.policy, 40)} judges each candidate alone, without a bar"
        seeds = (
            f"{plural(self.first_look, 'paired seed')} at least" if self.first_look else "more seeds than any look has"
        )
        return (
            f"at most {self.alpha:.0%} of the promotions of this season are expected to be false; the next candidate "
            f"needs evidence of {self.bar:.4g} to 1, which takes {seeds}; each promotion lowers this bar"
        )


def facts(history: History) -> SeasonFacts | None:
    """The latest season; None before the first."""
    from agent import seasons
    from experiments import season

    state = seasons.current(history)
    if state is None:
        return None
    level = season.level(state.season, state.promotions)
    return SeasonFacts(
        id=state.season.id,
        planned=state.season.planned,
        started=state.started,
        promotions=state.promotions,
        alpha=state.season.alpha,
        level=level,
        first_look=first_look(level),
        opened_at=state.season.opened_at,
        closes_on=state.season.closes_on,
        closed=state.closed,
        parked=tuple(candidate.subject.partition("@")[0] for candidate in state.parked),
        policy=str(history.season_events[0][1].get("policy", "")),
    )


def first_look(level: float) -> int | None:
    """The first look of `e-night` at which differences without any doubt reach the bar."""
    from experiments import statistics
    from experiments.gate import ENight

    policy = ENight()
    return next(
        (n for n in policy.looks if n >= policy.first_pass and statistics.log_e_value(n, 1.0) >= -math.log(level)),
        None,
    )


def season(known: Chronicle) -> list[Sentence]:
    """The season in sentences; none before the first."""
    found = facts(known.history)
    if found is None or not known.seasons:
        return []
    opened = known.seasons[-1]
    gates = [account.gate for account in known.accounts.values() if account.gate is not None]
    last = max(gates, key=lambda event: event.seq, default=opened)
    state = "closed" if found.closed else f"open until {safe(found.closes_on, 10)} or candidate {found.planned}"
    sentences = [
        fact(f"Season {found.id} opened {safe(found.opened_at, 10)} and is {state}.", opened),
        fact(
            f"{found.started} of {found.planned} candidates have started and {found.promotions} were promoted.",
            opened,
            last,
        ),
        fact(f"The level of the next candidate is {found.level:.4g}: {found.meaning()}.", opened, last),
    ]
    if found.parked:
        events = [known.accounts[name].verdict for name in found.parked if name in known.accounts]
        sentences.append(fact(f"Parked: {', '.join(found.parked)}.", opened, *events))
    return sentences
