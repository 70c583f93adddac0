"""Hypotheses: what to change in the solution and why, in the documents' own form.

A hypothesis is proposed by a researcher, ranked by `priority`, and moves only by audit events; the YAML files
under `experiments/` are projections of it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Effort = Literal["Low", "Medium", "High"]
Impact = Literal["Low", "Medium", "High"]
Urgency = Literal["normal", "urgent"]
Tier = Literal["normal", "low"]
Status = Literal["queued", "active", "promoted", "archived", "parked"]
Scalar = bool | int | float | str

EFFORT_SCORES: dict[Effort, float] = {"Low": 0.5, "Medium": 1.0, "High": 2.0}
URGENCY_MULTIPLIERS: dict[Urgency, float] = {"normal": 1.0, "urgent": 3.0}
OPEN_STATUSES: frozenset[Status] = frozenset({"queued", "active", "parked"})


class Quote(BaseModel):
    """A verbatim passage that a technique or claim rests on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    document: str
    """Title, or arXiv id with version."""
    file_sha256: str
    page: int = Field(ge=1)
    text: str = Field(max_length=2000)
    verified: bool
    """Whether the text stands on that page of that file, compared exactly after canonical folding, and holds every
    number of what it supports."""


class Implementation(BaseModel):
    """What is done to the solution, for people (`change`) and for the patch writer (`settings`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    change: str
    effort: Effort
    settings: dict[str, Scalar] = Field(default_factory=dict)
    """Dotted paths in the solution's configuration and the values they take."""
    files: list[str] = Field(default_factory=list, max_length=20)
    """Files that a patch of code is expected to change; empty where settings alone do it."""


class Hypothesis(BaseModel):
    """One idea on its way to a verdict. `priority_score` = 100·estimated_gain / effort × urgency."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^H-\d{3,}$")
    title: str = Field(max_length=200)
    claim: str
    source: str
    target_leaderboards: list[str]
    implementation: Implementation
    estimated_gain: float
    """Expected change of the primary metric, oriented so that positive is better, in the metric's unit."""
    priority_score: float
    status: Status
    urgency: Urgency = "normal"
    tier: Tier = "normal"
    family: str = ""
    """The tag of the search space this idea belongs to; refining stops when a family has stopped paying."""
    strategy: Literal["paper", "refine", "ablate", "combine", "restructure", "rival", "null", "manual"] = "manual"
    """`null`: it changes nothing that counts, and is there to show that the gate promotes nothing of the kind."""
    quotes: list[Quote] = Field(default_factory=list)


def priority(estimated_gain: float, effort: Effort, urgency: Urgency) -> float:
    """Rank of an idea: 100 · estimated gain / effort score × urgency multiplier, to one decimal's noise.

    The source documents' example (+0.027, Medium, urgent) gives 8.1.
    """
    return round(100.0 * estimated_gain / EFFORT_SCORES[effort] * URGENCY_MULTIPLIERS[urgency], 6)
