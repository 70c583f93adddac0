"""Everything a fold of the audit log keeps, and the shape of the events it reads. Filled by `registry.history`."""

from __future__ import annotations

from typing import Protocol

from registry.facts import BoardState, Data, Night, OpenCycle, Postponement, Production, Test, Verdict
from registry.hypotheses import Hypothesis
from registry.model_usage import ModelUsage
from registry.papers import Reading
from registry.runs import RunRecord


class EventLike(Protocol):
    """The part of `registry.audit.Event` that a fold reads."""

    @property
    def seq(self) -> int: ...
    @property
    def time(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def data(self) -> Data: ...


class FoldedFacts:
    """Facts that are open, and small facts about what is closed."""

    def __init__(self) -> None:
        self.seq = 0
        self.hypotheses: dict[str, Hypothesis] = {}
        self.requeued: dict[str, int] = {}
        """Hypothesis → how often it went back to the queue for a test on another production."""
        self.postponed: dict[str, Postponement] = {}
        """Hypothesis → the last time it was put back because a model, a budget or a sandbox failed it."""
        self.why: dict[str, str] = {}
        """Hypothesis → why it has the status it has."""
        self.decided_at: dict[str, str] = {}
        self.gap_notes: dict[str, int] = {}
        """Hypothesis → the event that has the gap analysis of its rejection."""
        self.tests: dict[str, Test] = {}
        self.verdicts: list[Verdict] = []
        self.productions: list[Production] = []
        self.boards: dict[str, BoardState] = {}
        self.readings: dict[str, Reading] = {}
        self.listed_papers: dict[str, Data] = {}
        """Papers found and not read yet: key → source and record."""
        self.unreadable_papers: dict[str, str] = {}
        """Paper → the version of which no text can be had."""
        self.paper_sources: dict[str, Data] = {}
        """Source → how its last asking went: `status`, `offset` to go on from, `retry_at`."""
        self.papers_asked = 0
        self.papers_slot = ""
        self.papers_due = False
        """A trigger asked for research before its schedule."""
        self.report_slot = ""
        self.proposals: dict[str, Data] = {}
        self.exhausted = ""
        """Why nothing is left to propose, for the facts of `exhausted_basis`; empty when there is."""
        self.fruitless = 0
        """Batches without an idea that were made by another than the researcher asked, whose model was silent."""
        self.season_events: list[tuple[str, Data]] = []
        """What happened in the open season, for `agent.seasons` to fold by the season's own rules."""
        self.seasons = 0
        self.season_gain = 0.0
        """The largest mean gain of the open season's decided candidates, without those that were held."""
        self.held: dict[str, int] = {}
        """Hypothesis → the verdict that holds it for a person (reason `implausible`), while it does."""
        self.released: set[str] = set()
        """Commits of candidates that were held and that a person has let go on."""
        self.defence_slot = ""
        self.defences = 0
        self.test_looks = 0
        self.scores: dict[str, float] = {}
        """Board → the score of today's production there; a board is missing where that is not known."""
        self.scored: dict[str, tuple[str, float]] = {}
        """Board → the commit that had the last score, and the score, which may be an earlier production's."""
        self.evaluator_checks: dict[str, Data] = {}
        """Identity of an evaluator with its data → the latest check of it (event `evaluator_checked`)."""
        self.accepted_evaluators: dict[str, str] = {}
        """Identity → why a person accepts an evaluator that can be fooled."""
        self.noise: Data | None = None
        """The latest measurement of production's noise (event `noise_measured`)."""
        self.tried_trees: dict[str, str] = {}
        """Tree of a committed patch → the hypothesis that had it, so that no content is paid for twice."""
        self.documents: Data = {}
        """Name of a document that people edit → content address, as it was last named."""
        self.models = ModelUsage()
        self.night: Night | None = None
        self.nights = 0
        self.cycle: OpenCycle | None = None
        self.cycles = 0
        self.unfinished_runs: dict[str, Data] = {}
        self.failed_production_runs = 0
        self.baseline: dict[str, dict[int, RunRecord]] = {}
        """Production commit → seed → its baseline runs on dev; never a look at the test split, never a re-run."""
        self.first_baseline: dict[str, dict[int, RunRecord]] = {}
        """The same as first measured: what a re-run is held against when environment or data have changed since."""
