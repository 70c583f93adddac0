"""What every researcher offers. It reads, proposes and writes patches; it decides nothing.

`offline` is the one of this version; one that asks a language model stands beside it behind the same Protocol,
with the same records and before the same gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from registry.hypotheses import Effort, Hypothesis, Quote, Scalar
from registry.papers import Paper, Reading, Technique
from registry.target import Target

if TYPE_CHECKING:
    from tools.pdf_text import PdfText


Outcome = Literal["promote", "archive", "extend", "park", "open"]
"""A verdict, or `open` for a hypothesis that is queued or running."""
Strategy = Literal["paper", "refine", "ablate", "combine", "restructure", "rival", "null"]
NULL: Strategy = "null"
"""The strategy of an idea that changes nothing that counts (`agent.researcher.null`)."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One idea that was tried or is under way, in the order in which they were."""

    settings: Mapping[str, Scalar]
    """What it changed: configuration path → value."""
    gain: float | None
    """Measured change of the primary metric, positive is better; None where nothing was measured."""
    verdict: Outcome
    reason: str = ""
    production: Mapping[str, Scalar] | None = None
    """Production's settings when it was tried, where known: then the whole configuration is known as tried."""
    family: str = ""
    """Overrides the family that follows from the settings; for changes that are no settings."""


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
    techniques: list[Technique]
    seed: int
    limit: int
    trust: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """(paper, technique) → share of its promise to expect (`agent.claim_ledger`)."""
    ledger: tuple[str, ...] = ()
    """Claims that were put to the test, a line each, with what they promised and what was measured."""


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
    strategy: Strategy
    quotes: tuple[Quote, ...] = ()
    files: tuple[str, ...] = ()
    """Files that a patch of code is expected to change; empty where settings alone do it."""


@dataclass(frozen=True, slots=True)
class Proposals:
    """Ideas, best first. `exhausted`: nothing untried is left, and `note` says what was left and why."""

    ideas: tuple[Idea, ...]
    exhausted: bool
    note: str
    mode: str = ""
    """How it looked: `refine`, `ablate`, `restructure`, or the researcher's own word."""
    by: str = ""
    """Who proposed, where it was another than the researcher asked (a model's stand-in)."""


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
