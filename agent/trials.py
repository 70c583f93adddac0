"""What was taken up so far, as the researcher sees it, and which families of changes have stopped paying.

Called by `agent.proposals`, which tells the researcher, and by `agent.queueing`, which lets go of ideas that wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from agent.researcher.contract import NULL, Outcome, Trial
from agent.researcher.history import families_of, resting
from registry.facts import Verdict
from registry.history import History
from registry.hypotheses import Hypothesis
from registry.target import Parameter


def null_night(history: History) -> bool:
    """Whether tonight tries only what changes nothing that counts."""
    return history.night is not None and bool(history.night.goal.get("null"))


def trials(history: History) -> list[Trial]:
    """Everything ever taken up, in order: verdicts with what was measured, then what is still open.

    Null candidates teach nothing about the search space, and ideas nothing about null candidates: each night sees
    its own kind.
    """
    null = null_night(history)
    configurations = {production.commit: production.configuration for production in history.productions}
    decided = [
        replace(
            _of(history.hypotheses[verdict.hypothesis], verdict.outcome),
            gain=_gain(verdict),
            reason=verdict.reason,
            explanation=verdict.explanation,
            production=configurations.get(verdict.production),
        )
        for verdict in history.verdicts
        if verdict.reason != "superseded"  # production moved on, which is no result of the idea
        and (history.hypotheses[verdict.hypothesis].strategy == NULL) == null
    ]
    under_way = [
        _of(hypothesis, "open") for hypothesis in history.open_hypotheses() if (hypothesis.strategy == NULL) == null
    ]
    return decided + under_way


def _of(hypothesis: Hypothesis, verdict: Outcome) -> Trial:
    """What a change of code did to the score is not what its settings did."""
    change = hypothesis.implementation
    return Trial(
        settings={} if change.files else change.settings,
        gain=None,
        verdict=verdict,
        family=hypothesis.family if change.files else "",
        hypothesis=hypothesis.id,
        title=hypothesis.title,
        change=change.change,
        files=tuple(change.files),
        strategy=hypothesis.strategy,
    )


def _gain(verdict: Verdict) -> float | None:
    """What was measured, be it by the screen alone; nothing is learnt from a gain that is too good to be believed."""
    if verdict.reason == "implausible":
        return None
    return next((each for each in (verdict.gain, verdict.mean, verdict.screen_gain) if each is not None), None)


def families_at_rest(history: History, space: Mapping[str, Parameter]) -> frozenset[str]:
    """Families of changes that have failed too often in a row to go on with (`agent.researcher.history.resting`)."""
    return resting(trials(history), partial(families_of, space))
