"""Which strategy the evidence asks for: refine what pays, combine what nearly did, or restructure.

Called by the researcher that asks a model, which tells the model the strategy and why. Pure. In this order:

1. A plateau, the last `PLATEAU` measured ideas since the last promotion without a gain: restructure.
2. Two ideas or more with a gain that was measured and not enough, on today's production, and not combined yet: combine.
3. A gap to the first place above `STRUCTURAL_GAP` points: restructure.
4. Otherwise: refine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from agent.researcher.contract import Trial
from agent.researcher.history import since_promotion
from agent.researcher.search import STRUCTURAL_GAP, STRUCTURAL_TAGS
from registry.hypotheses import Scalar
from registry.target import Parameter

Asked = Literal["refine", "combine", "restructure"]
PLATEAU = 5
"""Measured ideas in a row without a gain after which more of the same is given up."""
NEAR = 0.4
"""Part of the promotion threshold from which a measured gain counts as one."""


@dataclass(frozen=True, slots=True)
class Direction:
    """The strategy asked for and the evidence that asks for it, in words."""

    strategy: Asked
    why: str


def direction(tried: Sequence[Trial], threshold: float, gap_points: float | None) -> Direction:
    """The strategy for the next ideas. `gap_points` is positive when we are behind; None where no board says."""
    recent = [trial for trial in since_promotion(tried) if trial.verdict in {"archive", "park", "extend"}]
    measured = [trial for trial in recent if trial.gain is not None]
    in_a_row = _without_gain(measured, threshold)
    if in_a_row >= PLATEAU:
        why = f"the last {in_a_row} measured ideas brought no gain since the last promotion"
        return Direction("restructure", why)
    near = [trial for trial in measured if trial.gain is not None and gains(trial.gain, threshold)]
    combined = any(len(trial.settings) > 1 or (trial.files and trial.strategy == "combine") for trial in recent)
    if len(near) >= 2 and not combined:
        names = ", ".join(trial.hypothesis or trial.title for trial in near[-4:])
        return Direction("combine", f"{names} measured gains on today's production that were too small alone")
    if gap_points is not None and gap_points > STRUCTURAL_GAP:
        return Direction("restructure", f"the gap to the first place is {gap_points:g} points")
    if any(trial.verdict == "promote" for trial in tried):
        return Direction("refine", "an idea was promoted, and what is near it has not been worn out")
    return Direction("refine", "nothing measured so far speaks for larger changes")


def gains(gain: float, threshold: float) -> bool:
    """Whether a measured gain is one, though it may be too small to promote."""
    return gain > 0.0 and gain >= NEAR * threshold


def kind_of(settings: Mapping[str, Scalar], space: Mapping[str, Parameter], said: Asked, code: bool) -> Asked:
    """What an idea is, whatever it calls itself: settings speak for themselves, of code there is only its word."""
    if code:
        return said
    if len(settings) > 1:
        return "combine"
    tags = {tag for parameter in space.values() if parameter.path in settings for tag in parameter.tags}
    return "restructure" if tags & STRUCTURAL_TAGS else "refine"


def _without_gain(measured: Sequence[Trial], threshold: float) -> int:
    count = 0
    for trial in reversed(measured):
        if trial.gain is None or gains(trial.gain, threshold):
            break
        count += 1
    return count
