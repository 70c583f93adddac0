"""What language models were paid, and where they gave no answer, in a line. For the digest and `agent ask`. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from agent.answers.sentences import plural
from registry.model_usage import Spent

SILENCES = {
    "endpoint_down": "the endpoint did not answer",
    "budget_of_night": "the night's budget was spent",
    "budget_of_hypothesis": "a hypothesis's budget was spent",
    "no_reply": "what came could not be used",
    "refused": "the request was refused",
}
"""Codes of `model_gave_up` → why there was no answer."""


def told(spent: Spent, silences: Mapping[str, int]) -> str:
    """Calls, tokens and cost, then what was not answered; empty where no model was asked."""
    if not spent.calls and not any(silences.values()):
        return ""
    line = f"language models: {plural(spent.calls, 'call')}, {spent.tokens} tokens, {spent.money:.4f} by the prices"
    line += " in models.yaml"
    if spent.estimated:
        line += f" ({spent.estimated} of them charged at the most they may cost)"
    missed = [f"{plural(silences[code], 'time')} because {why}" for code, why in SILENCES.items() if silences.get(code)]
    return f"{line}; no answer {', '.join(missed)}" if missed else line
