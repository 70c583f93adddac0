"""What every researcher offers. It reads, proposes and writes patches; it decides nothing.

`offline` works by rules and search, `llm` asks a language model; both stand behind the same Protocol, with the same
records and before the same gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from registry.errors import Problem, Retryable
from registry.hypotheses import Effort, Hypothesis, Quote, Scalar
from registry.papers import Paper, Reading, Technique
from registry.target import Target

if TYPE_CHECKING:
    from tools.pdf.text import PdfText


Outcome = Literal["promote", "archive", "extend", "park", "open"]
"""A verdict, or `open` for a hypothesis that is queued or running."""
Strategy = Literal["paper", "refine", "ablate", "combine", "restructure", "rival", "null"]
NULL: Strategy = "null"
"""The strategy of an idea that changes nothing that counts (`agent.researcher.null`)."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One idea that was tried or is under way, in the order in which they were."""

    settings: Mapping[str, Scalar]
    """What it changed: configuration path → value. Empty for a change of code, whatever settings go with it."""
    gain: float | None
    """Measured change of the primary metric, positive is better; None where nothing was measured."""
    verdict: Outcome
    reason: str = ""
    production: Mapping[str, Scalar] | None = None
    """Production's settings when it was tried, where known: then the whole configuration is known as tried."""
    family: str = ""
    """Overrides the family that follows from the settings; for changes that are no settings."""
    hypothesis: str = ""
    """Its id, where it has one."""
    title: str = ""
    change: str = ""
    files: tuple[str, ...] = ()
    """Files that a change of code is about; empty where settings alone do it."""
    explanation: str = ""
    """Why it ended so, in words."""
    strategy: str = ""
    """What it was proposed as; a change of code says by nothing else that it combines others."""


@dataclass(frozen=True, slots=True)
class CodeFile:
    """One file of production that a hypothesis may change."""

    path: str
    size: int
    """Bytes."""
    outline: tuple[str, ...] = ()
    """Classes and functions with their signatures and first lines of documentation, where the language is known."""


@dataclass(frozen=True, slots=True)
class Noise:
    """How much one run of production varies, and what can be told apart from it. In the primary metric's unit."""

    mean: float
    """Production's own, over these seeds, on the dev split."""
    sd: float
    seeds: int
    smallest_gain: float | None
    """The smallest gain that the gate promotes four times in five; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Brief:
    """What a researcher that asks a model tells it beside the rest of the situation. Made only where it is asked for.

    Nothing in it comes from the dev or test split: no item, no label, no output of a phase that sees them.
    """

    code: tuple[CodeFile, ...] = ()
    standing: tuple[str, ...] = ()
    """Where we stand on the primary board, what that calls for, and who is ahead. Names on boards are strangers'."""
    noise: Noise | None = None
    ledger: tuple[str, ...] = ()
    """What papers promised and what we measured, a line each."""
    left: tuple[str, ...] = ()
    """What is left of the night's budget, a line each."""


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
    """(paper, technique) → share of its promise to expect (`agent.papers.claim_ledger`)."""
    fruitless: int = 0
    """How often before a model was silent when nothing else was left: asked the same again, it is another attempt."""
    brief: Callable[[], Brief] = field(default=Brief, repr=False, compare=False)
    """The rest, for a researcher that asks a model; reading the code costs something, so only who needs it asks."""


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
class Refusal:
    """An idea that was not taken up, and why: kept in the log."""

    title: str
    why: str


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
    refused: tuple[Refusal, ...] = ()
    calls: tuple[str, ...] = ()
    """Identities of the calls to a model that it rests on (`agent.llm.contract.Reply.call`)."""


Edits = Mapping[str, bytes | None]
"""Path in the repository → its content after the patch; None deletes the file."""
ROUNDS = 3
"""How often a patch of code may be written for one hypothesis before it is given up."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a patch of code: what was written, and the edits it stands for or why it stands for none."""

    text: str
    """Blocks or diff as they were written; kept, and trusted in nothing."""
    edits: Edits | None
    problems: tuple[Problem, ...] = ()
    """Why the text gives no edits."""
    call: str = ""
    """The model's call, as the audit log knows it."""
    by: str = ""


def _unchecked(_: Attempt) -> list[Problem]:
    raise ValueError("this request takes no attempts: it is for settings only")


@dataclass(frozen=True, slots=True)
class PatchRequest:
    """What a patch is written from: the hypothesis, the files that may be read, and who checks each attempt."""

    hypothesis: Hypothesis
    config: str
    """Path of the configuration file in the repository."""
    read: Callable[[str], bytes] = field(repr=False)
    """One file of production. Raises BadInput for one that is not in `files`: protected, data, held out or private."""
    files: tuple[str, ...] = ()
    """Every file that may be read, sorted: never one that has items or labels of a split, nor the evaluator."""
    is_hidden: Callable[[str], bool] = field(default=lambda _: False, repr=False)
    """Whether there is such a file that may not be read."""
    editable: tuple[str, ...] = ()
    """Globs of what a patch may change."""
    protected: tuple[str, ...] = ()
    """Globs that win over them."""
    attempt: Callable[[Attempt], list[Problem]] = field(default=_unchecked, repr=False)
    """Checks an attempt (boundary, syntax, lint, imports) and puts it on record; no problem means that it is taken.

    Raises BadInput once `rounds` attempts were refused, Retryable where the sandbox failed.
    """
    rounds: int = ROUNDS


class NotNow(Retryable):
    """A patch cannot be written tonight or at this moment: nothing speaks against the idea, and it goes on waiting."""


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

    def patch(self, request: PatchRequest) -> Edits:
        """New contents of the files that change, by path in the repository.

        Code goes through `request.attempt` first. Raises BadInput where there is no patch: the idea is archived with
        that reason. Raises Retryable (`NotNow` where only a model could write it) or BudgetSpent where nothing speaks
        against the idea: it waits in the queue.
        """
        ...
