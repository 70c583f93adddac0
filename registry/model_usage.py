"""What language models were asked and what it cost, folded from the audit log. Filled by `registry.history`.

A request is charged at its upper estimate from the moment its intent is in the log, and at what it took once the log
says so: a crash in between leaves the estimate. So budgets hold over crashes, and nothing that is asked again from
the record is charged twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

NANO = 1_000_000_000
"""Money is added up in thousand-millionths of the currency, so that sums are exact."""
HYPOTHESIS = re.compile(r"H-\d{3,}")


@dataclass(frozen=True, slots=True)
class Spent:
    """Calls, tokens and money."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    nanos: int = 0
    estimated: int = 0
    """Calls whose tokens nobody told: charged at what they could at most have been."""

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def money(self) -> float:
        return self.nanos / NANO

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.nanos + other.nanos,
            self.estimated + other.estimated,
        )

    def __sub__(self, other: Spent) -> Spent:
        return Spent(
            self.calls - other.calls,
            self.input_tokens - other.input_tokens,
            self.output_tokens - other.output_tokens,
            self.nanos - other.nanos,
            self.estimated - other.estimated,
        )


def charge(usage: dict[str, Any]) -> Spent:
    """One request's charge as events write it: tokens, cost in the currency, whether it is an estimate."""
    return Spent(1, usage["input_tokens"], usage["output_tokens"], round(usage["cost"] * NANO), int(usage["estimated"]))


@dataclass(frozen=True, slots=True)
class Manner:
    """How a server was last asked so that it answered as wanted."""

    rung: str
    limit: str
    """What it calls the largest number of tokens of an answer."""


class ModelUsage:
    """The fold. `asked`, `settled` take each event once, in order."""

    def __init__(self) -> None:
        self.nights: dict[str, Spent] = {}
        """Night, or `day:DATE` outside of nights → what it spent."""
        self.hypotheses: dict[str, Spent] = {}
        self.manners: dict[str, Manner] = {}
        """Endpoint, address and model, as `server` of the events → the manner that worked."""
        self.in_flight: dict[str, tuple[str, str, Spent]] = {}
        """Request → night, subject and charge, from its intent until the log says how it ended."""

    def of_night(self, night: str) -> Spent:
        return self.nights.get(night, Spent())

    @property
    def total(self) -> Spent:
        """Everything, inside of nights and outside."""
        return sum(self.nights.values(), Spent())

    def of_hypothesis(self, hypothesis: str) -> Spent:
        return self.hypotheses.get(hypothesis, Spent())

    def asked(self, subject: str, data: dict[str, Any]) -> None:
        """An intent (event `model_asked`)."""
        spent = charge(data["estimate"])
        self.in_flight[data["request"]] = (data["night"], subject, spent)
        self._book(data["night"], subject, spent)

    def settled(self, data: dict[str, Any]) -> None:
        """How a request ended (events `model_answered` and `model_failed`)."""
        night, subject, estimate = self.in_flight.pop(data["request"])
        held_back = str(data.get("code", "")).startswith("budget_of_")  # its intent was one too many
        self._book(night, subject, (Spent() if held_back else charge(data["usage"])) - estimate)
        if data.get("fits"):
            self.manners[data["server"]] = Manner(data["rung"], data["limit"])

    def _book(self, night: str, subject: str, spent: Spent) -> None:
        self.nights[night] = self.of_night(night) + spent
        if HYPOTHESIS.fullmatch(subject):
            self.hypotheses[subject] = self.of_hypothesis(subject) + spent
