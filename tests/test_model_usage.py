"""The fold of what models cost: it agrees with a plain count, whatever order requests, answers and crashes come in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.llm import budgets
from agent.llm.contract import BudgetSpent
from registry.model_config import Allowance, ModelBudget, Price
from registry.model_usage import ModelUsage, Spent, charge

TOKENS = st.integers(0, 1 << 40)
PRICES = st.floats(0, 1e6, allow_nan=False)
SUBJECTS = st.sampled_from(["H-001", "H-0042", "queue", "ask", "arxiv:2401.00001", "H-1", "xH-001"])
NIGHTS = st.sampled_from(["night-1", "night-2", "day:2026-02-03"])


@st.composite
def charges(draw: st.DrawFn) -> dict[str, Any]:
    price = Price(input=draw(PRICES), output=draw(PRICES))
    return budgets.usage((draw(TOKENS), draw(TOKENS)), price, estimated=draw(st.booleans()))


@st.composite
def requests(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Requests with their estimate and, where the process lived so long, their end."""
    return [
        {
            "request": f"call:{number}",
            "night": draw(NIGHTS),
            "subject": draw(SUBJECTS),
            "estimate": draw(charges()),
            "usage": draw(st.none() | charges()),
        }
        for number in range(draw(st.integers(0, 8)))
    ]


def total(of: list[dict[str, Any]]) -> Spent:
    return sum((charge(one["usage"] or one["estimate"]) for one in of), Spent())


@given(requests(), st.randoms(use_true_random=False))
def test_each_request_counts_once_at_its_cost_or_else_at_its_estimate(made: list[dict[str, Any]], order: Any) -> None:
    events = [(number, "asked") for number in range(len(made))]
    for number, one in enumerate(made):
        if one["usage"] is not None:
            place = order.randint(events.index((number, "asked")) + 1, len(events))
            events.insert(place, (number, "settled"))
    usage = ModelUsage()
    for number, kind in events:
        one = made[number]
        if kind == "asked":
            usage.asked(one["subject"], {key: one[key] for key in ("request", "night", "estimate")})
        else:
            usage.settled({"request": one["request"], "usage": one["usage"]})
    for night in {one["night"] for one in made}:
        assert usage.of_night(night) == total([one for one in made if one["night"] == night])
    for subject in {one["subject"] for one in made}:
        mine = [one for one in made if one["subject"] == subject]
        assert usage.of_hypothesis(subject) == (total(mine) if subject in {"H-001", "H-0042"} else Spent())
    assert set(usage.in_flight) == {one["request"] for one in made if one["usage"] is None}


@given(
    st.lists(st.tuples(charges(), charges()), max_size=12),
    st.integers(1, 1 << 42),
    st.floats(0, 1e9, allow_nan=False),
    st.integers(1, 12),
)
def test_no_budget_is_ever_overdrawn_while_estimates_hold(
    calls: list[tuple[dict[str, Any], dict[str, Any]]], tokens: int, money: float, most: int
) -> None:
    allowed = Allowance(tokens=tokens, money=money, calls=most)
    usage, budget = ModelUsage(), ModelBudget(night=allowed, hypothesis=allowed)
    for number, (estimate, cost) in enumerate(calls):
        try:
            budgets.check(budget, usage, "night-1", "H-001", estimate)
        except BudgetSpent:
            continue
        usage.asked("H-001", {"request": str(number), "night": "night-1", "estimate": estimate})
        if charge(cost).tokens <= charge(estimate).tokens and charge(cost).nanos <= charge(estimate).nanos:
            usage.settled({"request": str(number), "usage": cost})
        for spent in (usage.of_night("night-1"), usage.of_hypothesis("H-001")):
            assert spent.tokens <= tokens
            assert spent.money <= money + 1e-9
            assert spent.calls <= most


@given(st.text(), st.integers(1, 5))
def test_an_estimate_is_at_least_every_byte_that_is_sent(text: str, messages: int) -> None:
    said = [{"role": "user", "content": text}] * messages
    tokens, output = budgets.most({"messages": said}, 77)
    assert tokens > messages * len(text.encode("utf-8", "replace"))
    assert output == 77


def test_a_hypothesis_without_room_is_told_apart_from_a_night_without_room() -> None:
    usage, tight = ModelUsage(), Allowance(calls=1)
    estimate = budgets.usage((10, 10), Price(input=1, output=1), estimated=True)
    usage.asked("H-001", {"request": "1", "night": "night-1", "estimate": estimate})
    for budget, subject, of_night in (
        (ModelBudget(hypothesis=tight), "H-001", False),
        (ModelBudget(night=tight), "H-002", True),
    ):
        with pytest.raises(BudgetSpent, match="1 of 1 calls") as caught:
            budgets.check(budget, usage, "night-1", subject, estimate)
        assert caught.value.of_night == of_night
    budgets.check(ModelBudget(hypothesis=tight), usage, "night-1", "H-002", estimate)
    budgets.check(ModelBudget(night=tight), usage, "night-2", "H-001", estimate)
