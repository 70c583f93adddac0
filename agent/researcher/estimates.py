"""What gain is counted on for an idea of a model: decided here from evidence, never taken from the model's word.

Called by the researcher that asks a model. Pure. The rule, in the primary metric's unit:

1. The prior. An idea that rests on techniques whose quotes are verified: the smallest gain that they claim, each less
   what promises of its kind have not kept (the claim ledger). On techniques none of which is verified: nothing. On
   none, or on ones that claim no number: half the promotion threshold where it follows the strategy asked for, a
   quarter where not.
2. Measured gains of the same kind of change (its setting, or its family) draw the prior to their mean.
3. An idea that ignores the strategy, and rests on no verified technique, gets at most a quarter of the threshold: the
   low tier, below those that follow it.
4. The model's own estimate can lower the result and never raise it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.papers.claim_ledger import PRIOR_TRUST
from agent.researcher.contract import Trial
from agent.researcher.history import expected_gain, families_of
from agent.researcher.search import OTHER_PRIOR, PREFERRED_PRIOR
from registry.hypotheses import Scalar
from registry.papers import Technique
from registry.target import Parameter


def estimated_gain(
    settings: Mapping[str, Scalar],
    family: str,
    rests_on: Sequence[Technique],
    tried: Sequence[Trial],
    space: Mapping[str, Parameter],
    *,
    threshold: float,
    follows: bool,
    told: float | None,
    trust: Mapping[tuple[str, str], float] | None = None,
) -> float:
    """The gain to count on, never below zero. `told`: what the model expects; `trust`: of a (paper, technique)."""
    verified = [technique for technique in rests_on if technique.quote.verified]
    claimed = [
        technique.claimed_gain * (trust or {}).get((technique.paper, technique.name), PRIOR_TRUST)
        for technique in verified
        if technique.claimed_gain is not None
    ]
    if rests_on and not verified:
        return 0.0
    prior = min(claimed) if claimed else threshold * (PREFERRED_PRIOR if follows else OTHER_PRIOR)
    gain = expected_gain(_measured(settings, family, tried, space), prior)
    if not follows and not verified:
        gain = min(gain, OTHER_PRIOR * threshold)
    if told is not None:
        gain = min(gain, max(told, 0.0))
    return round(gain, 6)


def _measured(
    settings: Mapping[str, Scalar], family: str, tried: Sequence[Trial], space: Mapping[str, Parameter]
) -> list[float]:
    """Gains of the one setting that changes, else of the family."""
    if len(settings) == 1:
        return [trial.gain for trial in tried if trial.gain is not None and trial.settings.keys() == settings.keys()]
    return [trial.gain for trial in tried if trial.gain is not None and family in families_of(space, trial)]
