"""What every researcher offers. It reads, proposes and writes patches; it decides nothing.

`offline` is the one of this version; one that asks a language model stands beside it behind the same Protocol,
with the same records and before the same gate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from registry.hypotheses import Effort, Hypothesis, Quote, Scalar
from registry.papers import Paper, Reading, Technique
from registry.target import Target

if TYPE_CHECKING:
    from tools.pdf_text import PdfText


@dataclass(frozen=True, slots=True)
class Trial:
    """One hypothesis that was tried, in what later proposals learn from."""

    settings: dict[str, Scalar]
    family: str
    gain: float | None
    """Reported gain of a promotion, or the mean paired difference of a rejection; None where nothing was measured."""
    outcome: str
    reason: str
    production: str


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything a researcher is told before it proposes."""

    target: Target
    boards: list[str]
    production: dict[str, Scalar]
    """Current values of the search space's paths."""
    production_commit: str
    gap_points: float | None
    """Gap to the first place in points; positive is behind; None where no board says."""
    trials: list[Trial]
    queued: list[dict[str, Scalar]]
    """Settings of hypotheses that are open already."""
    techniques: list[Technique]
    seed: int
    limit: int


@dataclass(frozen=True, slots=True)
class Idea:
    """A proposal before it gets an id and a rank."""

    settings: dict[str, Scalar]
    title: str
    claim: str
    change: str
    source: str
    family: str
    effort: Effort
    estimated_gain: float
    strategy: str
    quotes: tuple[Quote, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposals:
    """Ideas, best first, and whether anything is left beyond them."""

    ideas: tuple[Idea, ...]
    exhausted: bool
    note: str


@dataclass(frozen=True, slots=True)
class PatchRequest:
    """What a patch is written from: the hypothesis and a reader of production's files."""

    hypothesis: Hypothesis
    config: str
    """Path of the configuration file in the repository."""
    read: Callable[[str], bytes] = field(repr=False)


class Researcher(Protocol):
    """Reads and proposes."""

    name: str
    """Shown wherever its work is shown, so that nobody takes rules for a model or a model for rules."""

    def read(self, paper: Paper, text: PdfText, situation: Situation) -> Reading:
        """Screen a paper and take techniques from it."""
        ...

    def propose(self, situation: Situation) -> Proposals:
        """Ideas for the queue. Equal situations give equal proposals."""
        ...

    def patch(self, request: PatchRequest) -> dict[str, bytes]:
        """New contents of the files that change, by path in the repository."""
        ...
