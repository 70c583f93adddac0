"""What was read: papers, the techniques found in them and where each one is said."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from registry.hypotheses import Effort, Impact, Quote, Scalar


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Paper(Frozen):
    """A document as a source gave it. `key` is stable across versions and sources of the same paper."""

    key: str
    """`arxiv:2602.01234`, or `file:<sha256[:16]>` for a local file."""
    version: str = ""
    title: str
    summary: str = ""
    authors: list[str] = Field(default_factory=list)
    published: str = ""
    """ISO date, empty where unknown."""
    url: str = ""
    file_sha256: str = ""
    pages: int = 0


class Technique(Frozen):
    """One thing a paper says helps, matched to settings that this solution has, or in words where none would do."""

    name: str
    """Name of the search-space parameter it maps to, or the paper's own name of it."""
    paper: str
    settings: dict[str, list[Scalar]]
    """Dotted configuration path → values worth trying, taken from the solution's search space only; empty where the
    technique is a change of code."""
    change: str = Field(default="", max_length=1000)
    """What would have to be written, where no setting does it: a stranger's or a model's words, for people and
    prompts."""
    files: list[str] = Field(default_factory=list, max_length=20)
    """Files of the solution that the change would be in, where a model named any that there are."""
    effort: Effort
    impact: Impact
    claimed_gain: float | None = None
    """Gain the quote states, as a difference in [0, 1]; None where it states no number."""
    quote: Quote
    doubt: str = Field(default="", max_length=300)
    """Why it does not count, where its evidence was checked and does not hold; its quote is then unverified."""


class Reading(Frozen):
    """What became of one paper: the screen's answer and the techniques taken from it."""

    paper: Paper
    relevant: bool
    why: str
    boards: list[str]
    techniques: list[Technique]
    method: Literal["rules", "model"] = "rules"
    by: str = Field(default="", max_length=300)
    """Model and endpoint, where a model read it."""
    calls: list[str] = Field(default_factory=list, max_length=100)
    """Identities of the calls to the model that it rests on."""
    instead: str = Field(default="", max_length=500)
    """Why rules read it, where a model was asked to."""
