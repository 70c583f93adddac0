"""The parameters of `e-night`, each stated once; the steps of the policy read them from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from experiments.gate.decision import Extent


@dataclass(frozen=True, slots=True, kw_only=True)
class ENightParameters:
    """The defaults are the ones the policy's error control was simulated with."""

    screen: Literal["cached", "paired"] = "cached"
    """What decides the first two looks: a baseline measured once per production, or pairs on the same seeds."""
    patient: bool = False
    """Skips the look at one seed and is milder at two, for metrics whose gains need several seeds to show."""
    unstable: Literal["flag", "archive"] = "flag"
    rank: Literal["row", "binding"] = "row"
    looks: tuple[int, ...] = (1, 2, 3, 5, 8, 12, 20, 28, 40)
    futility: tuple[float, ...] = (0.45, 0.35, 0.25, 0.15, 0.08, 0.03, 0.015)
    """Largest one-sided p to go on, from the second look to the last but one."""
    patient_futility: float = 0.5
    """What replaces the first of `futility` where `patient`."""
    first_pass: int = 3
    """Pairs from which evidence can pass."""
    zero_variance_until: int = 8
    """Pairs at which a candidate whose differences do not vary is parked."""
    baseline_runs: int = 20
    fresh_pairs: int = 5
    cost_looks: tuple[int, ...] = (5, 10, 20)
    confidence: float = 0.95
    """Of the cost bounds and of the stability bound."""
    significance: float = 0.05
    """Of the two-sided paired t-test, which is shown and does not bind."""
    minimum_seeds: int = 3
    stability: float = 0.005
    """Largest spread over seeds as a share of the mean."""
    stability_warning: float = 0.01

    def futility_limit(self, n: int) -> float | None:
        """Largest one-sided p to go on at n pairs; None at the first and the last look."""
        index = self.looks.index(n)
        if index in {0, len(self.looks) - 1}:
            return None
        return self.patient_futility if self.patient and index == 1 else self.futility[index - 1]

    def extent(self) -> Extent:
        cached = self.screen == "cached"
        return Extent(
            stage_pairs=self.looks[-1],
            fresh_pairs=self.fresh_pairs,
            cost_pairs=self.cost_looks[-1],
            unpaired=self.looks[1] if cached else 0,
            baseline_runs=self.baseline_runs if cached else 0,
        )
