"""The researcher that needs no model: rules read papers, a search over the tagged space proposes, settings are edits.

Chosen by `agent.wiring`. Everything it makes is labelled as rule-based, so nobody takes it for judgement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agent.researcher import reading, search
from agent.researcher.contract import NotNow, PatchRequest, Proposals, Situation
from registry.errors import BadInput, Problem
from registry.hypotheses import Scalar
from registry.papers import Paper, Reading

if TYPE_CHECKING:
    from tools.pdf.text import PdfText

Edit = Callable[[bytes, dict[str, Scalar]], bytes]


class OfflineResearcher:
    """Implements `agent.researcher.contract.Researcher` by rules and search."""

    name = "rules and search (no model)"

    def __init__(self, edit: Edit, domain_terms: tuple[str, ...]) -> None:
        """`edit` puts settings into the text of the configuration file."""
        self._edit = edit
        self.domain_terms = domain_terms

    def read(self, paper: Paper, text: PdfText, situation: Situation) -> Reading:
        """Screen by names of boards and words of the domain; take techniques that name what this solution can set."""
        answer = reading.screen(paper, text, situation.boards, self.domain_terms)
        techniques = (
            reading.extract(paper, text, situation.target.search_space, situation.production) if answer.relevant else []
        )
        return Reading(
            paper=paper, relevant=answer.relevant, why=answer.why, boards=list(answer.boards), techniques=techniques
        )

    def propose(self, situation: Situation) -> Proposals:
        """Techniques first, then a search that refines and, where that stops paying, restructures."""
        target = situation.target
        return search.propose(
            target.search_space,
            situation.production,
            situation.trials,
            situation.techniques,
            situation.gap_points,
            situation.seed,
            situation.limit,
            threshold=target.gate.threshold,
            metric=target.metrics.primary.name,
            trust=situation.trust,
        )

    def patch(self, request: PatchRequest) -> dict[str, bytes]:
        """The configuration file with the hypothesis's settings in place."""
        settings = request.hypothesis.implementation.settings
        if request.hypothesis.implementation.files:
            raise NotNow("it asks for code, which only a language model writes; see `agent run --researcher llm`")
        if not settings:
            raise BadInput(
                Problem(
                    request.hypothesis.id,
                    "no settings, only words",
                    "implementation.settings: the offline researcher can change settings, not write code",
                    "implementation",
                )
            )
        return {request.config: self._edit(request.read(request.config), settings)}
