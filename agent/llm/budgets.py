"""What a call may cost at most, what it did cost, and whether the budgets have room for it. Pure.

Called by `agent.llm.client` before and after each request. What was spent is a fold of the audit log
(`registry.model_usage`), so a budget holds over crashes.
"""

from __future__ import annotations

import json
from typing import Any

from agent.llm.contract import BudgetSpent
from registry.model_config import Allowance, ModelBudget, Price
from registry.model_usage import HYPOTHESIS, NANO, ModelUsage, Spent, charge

_EACH_MESSAGE = 16
_EACH_REQUEST = 64
"""Tokens that a server's template adds to messages and to the whole, at most."""
_PER_PRICE = 1_000_000


def most(request: dict[str, Any], largest_output: int) -> tuple[int, int]:
    """Input and output tokens of a request at most: no tokenizer makes more tokens than there are bytes."""
    size = len(json.dumps(request, ensure_ascii=False).encode("utf-8", "replace"))
    return size + _EACH_MESSAGE * len(request["messages"]) + _EACH_REQUEST, largest_output


def usage(tokens: tuple[int, int], price: Price, *, estimated: bool) -> dict[str, Any]:
    """A charge as events write it; cost in the currency of the price table."""
    cost = (tokens[0] * price.input + tokens[1] * price.output) / _PER_PRICE
    return {"input_tokens": tokens[0], "output_tokens": tokens[1], "cost": round(cost, 9), "estimated": estimated}


NOTHING: dict[str, Any] = {"input_tokens": 0, "output_tokens": 0, "cost": 0.0, "estimated": False}


def check(budget: ModelBudget, spent: ModelUsage, night: str, subject: str, estimate: dict[str, Any]) -> None:
    """Raises BudgetSpent where a request of this size could go beyond the night's or the hypothesis's budget."""
    _check(budget, spent, night, subject, charge(estimate))


def check_made(budget: ModelBudget, spent: ModelUsage, night: str, subject: str) -> None:
    """Raises BudgetSpent where the intents that are made are beyond the night's or the hypothesis's budget."""
    _check(budget, spent, night, subject, Spent())


def _check(budget: ModelBudget, spent: ModelUsage, night: str, subject: str, wanted: Spent) -> None:
    if short := _short(budget.night, spent.of_night(night), wanted):
        raise BudgetSpent(f"the budget of {night} for language models has no room: {short}", of_night=True)
    if HYPOTHESIS.fullmatch(subject) and (short := _short(budget.hypothesis, spent.of_hypothesis(subject), wanted)):
        raise BudgetSpent(f"the budget of {subject} for language models has no room: {short}", of_night=False)


def _short(allowed: Allowance, spent: Spent, wanted: Spent) -> str:
    """What there is not enough of, in words; empty where there is enough of everything."""
    if allowed.calls is not None and spent.calls + wanted.calls > allowed.calls:
        return f"{spent.calls} of {allowed.calls} calls are made"
    if allowed.tokens is not None and spent.tokens + wanted.tokens > allowed.tokens:
        return f"{spent.tokens} of {allowed.tokens} tokens are spent, and the next call may take {wanted.tokens}"
    if allowed.money is not None and spent.nanos + wanted.nanos > round(allowed.money * NANO):
        return f"{spent.money:.4f} of {allowed.money:g} are spent, and the next call may cost {wanted.money:.4f}"
    return ""
