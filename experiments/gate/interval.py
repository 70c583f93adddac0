"""The interval around a measured gain, for people: it stands beside a verdict and decides nothing."""

from __future__ import annotations

from experiments import statistics
from experiments.gate.decision import Numbers

CONFIDENCE = 0.95


def gain_interval(numbers: Numbers) -> list[float] | None:
    """Student's two-sided 95 % interval of the mean difference, low and high; None below two pairs.

    Over the fresh pairs where there are any: these chose nothing. Over the judged pairs otherwise, where it is too
    narrow, because they also chose when to stop.
    """
    differences = numbers.fresh_differences or numbers.differences
    if len(differences) < 2:
        return None
    centre = statistics.mean(differences)
    half = statistics.half_width(differences, CONFIDENCE)
    return [centre - half, centre + half]
