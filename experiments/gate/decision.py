"""What the gate answers: the verdict, its criteria table, what to run next and every number it derived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from experiments.gate.evidence import Evidence

Outcome = Literal["promote", "archive", "extend", "park", "bad_evidence"]
Result = Literal["passed", "failed", "not_applicable"]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One row of the table."""

    name: str
    value: float | None
    requirement: str
    result: Result
    why: str
    binding: bool


@dataclass(frozen=True, slots=True)
class Need:
    """The runs to do before the gate is asked again; only those that are missing are listed."""

    kind: Literal["baseline", "stage", "fresh", "cost"]
    up_to: int
    """Pairs (for `baseline`: production runs) there must then be of this kind."""
    candidate_seeds: tuple[int, ...] = ()
    production_seeds: tuple[int, ...] = ()
    """Empty for `baseline`, whose seeds belong to the production and not to the candidate."""


@dataclass(frozen=True, slots=True)
class CostNumbers:
    """One declared cost over its measured pairs. `bound` is what is held against `limit`, both as log ratios."""

    name: str
    n: int
    log_ratios: tuple[float, ...]
    mean: float
    sd: float
    bound: float
    limit: float


@dataclass(frozen=True, slots=True)
class ItemNumbers:
    """The test over items: of items gained and lost where scores are 0 or 1, else of mean differences by cluster."""

    kind: Literal["binary", "graded"]
    units: int
    """Items, or clusters of items."""
    gained: int
    lost: int
    """Units that got better and worse."""
    mean: float
    """Mean difference over the units, better as positive."""
    t: float | None
    """One-sample t statistic of the differences; None for a binary test and where they do not vary."""
    p: float | None
    """One-sided p; None where there is nothing to test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Every number behind one decision, for the record; None where the decision did not get that far."""

    n: int = 0
    differences: tuple[float, ...] = ()
    mean: float | None = None
    sd: float | None = None
    t: float | None = None
    p_greater: float | None = None
    p_two_sided: float | None = None
    zero_variance: bool | None = None
    log_e: float | None = None
    log_bar: float | None = None
    level: float | None = None
    futility_limit: float | None = None
    screen_gain: float | None = None
    """Mean of the candidate less the baseline mean, better as positive; only of a screen look."""
    screen_statistic: float | None = None
    screen_p: float | None = None
    fresh_differences: tuple[float, ...] = ()
    fresh_mean: float | None = None
    costs: tuple[CostNumbers, ...] = ()
    stability: float | None = None
    stability_limit: float | None = None
    items: ItemNumbers | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The verdict on one candidate at one look."""

    outcome: Outcome
    reason: str
    """Short code, such as `futility`."""
    explanation: str
    """One sentence for people: which criterion decided and by how much."""
    rows: tuple[Criterion, ...]
    numbers: Numbers
    reported_gain: float | None = None
    gain_is_fresh: bool = False
    gain_on: str = ""
    """What the gain was measured on, to be read after "on", such as `5 fresh seeds`; empty where none is reported."""
    needs: Need | None = None
    flags: tuple[str, ...] = ()
    """Warnings that do not bind, such as `unstable`."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a walk ended and why; steps return one, or None to go on."""

    outcome: Outcome
    reason: str
    explanation: str
    need: Need | None = None


def decided(
    stop: Stop, table: tuple[Criterion, ...], numbers: Numbers, gain_on: str, flags: tuple[str, ...] = ()
) -> Decision:
    """The decision of a policy that reports the mean it judged, so never a fresh gain."""
    return Decision(
        outcome=stop.outcome,
        reason=stop.reason,
        explanation=stop.explanation,
        rows=table,
        numbers=numbers,
        reported_gain=numbers.mean,
        gain_on=f"{gain_on} (not fresh)" if numbers.mean is not None else "",
        needs=stop.need,
        flags=flags,
    )


@dataclass(frozen=True, slots=True)
class Extent:
    """How much evidence a policy can use at all, so that soundness can tell missing from too much."""

    stage_pairs: int
    fresh_pairs: int
    cost_pairs: int
    unpaired: int = 0
    """Candidates' first runs that need no production beside them."""
    baseline_runs: int = 0


class Policy(Protocol):
    """A rule by name. Its dataclass fields are its parameters and go into the record with name and version."""

    name: ClassVar[str]
    version: ClassVar[int]

    def extent(self) -> Extent:
        """How much evidence the policy can use."""
        ...

    def judge(self, evidence: Evidence) -> Decision:
        """Decide on sound evidence."""
        ...

    def unjudged(self, evidence: Evidence, stop: Stop) -> Decision:
        """The same table where nothing is judged (bad evidence, an empty patch)."""
        ...


def short(value: float) -> str:
    """A number for people, to four significant digits."""
    return f"{value:.4g}"
