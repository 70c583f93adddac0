"""The researcher that asks a language model, and the offline one where the model is silent, spent or beside the point.

Chosen by `agent.wiring`. It reads, proposes and writes patches with a model; what comes is checked by code, and it
decides nothing. Where the model gives no answer that can be used, the offline researcher does that piece of work,
and the record says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.llm.contract import BudgetSpent, EndpointDown, LanguageModel, NoReply
from agent.researcher import llm_proposing, llm_reading
from agent.researcher.contract import Edits, PatchRequest, Proposals, Situation
from agent.researcher.offline import OfflineResearcher
from agent.researcher.standby import Standby
from registry.errors import BadInput, Problem
from registry.papers import Paper, Reading
from tools.pdf.text import plain

if TYPE_CHECKING:
    from tools.pdf.text import PdfText

SILENT = (EndpointDown, BudgetSpent, NoReply)
MOST_WORDS = 300
"""Of what is said about a failed call."""


class LlmResearcher:
    """Implements `agent.researcher.contract.Researcher` by a model, with rules and search behind it."""

    def __init__(
        self,
        model: LanguageModel,
        offline: OfflineResearcher,
        cycle: Callable[[], int],
        say: Callable[[str], None],
    ) -> None:
        """`cycle` gives the number of the cycle under way, `say` shows a line to people."""
        self._model = Standby(model, cycle, say)
        self._offline = offline
        self.name = f"language model ({model.name('propose')})"

    def read(self, paper: Paper, text: PdfText, situation: Situation) -> Reading:
        """As the model reads it, with every quote and number checked; by rules where it gives no answer."""
        try:
            return llm_reading.read(self._model, paper, text, situation, self._offline.domain_terms)
        except SILENT as error:
            reading = self._offline.read(paper, text, situation)
            return reading.model_copy(update={"instead": _why(error)})

    def propose(self, situation: Situation) -> Proposals:
        """The model's ideas; the offline ones where it has none. Exhausted only when both are."""
        try:
            answer = llm_proposing.propose(self._model, situation)
        except SILENT as error:
            stand_in = self._offline.propose(situation)
            note = f"{_why(error)}; {stand_in.note}"
            return replace(stand_in, exhausted=False, note=note, by=self._offline.name)
        if answer.ideas:
            return answer
        stand_in = self._offline.propose(situation)
        return replace(
            answer,
            ideas=stand_in.ideas,
            exhausted=stand_in.exhausted,
            note=f"the model has no new idea ({answer.note}); {stand_in.note}",
            by=self._offline.name,
        )

    def patch(self, request: PatchRequest) -> Edits:
        """Code by the model, settings by the same edit as offline.

        What the model raises goes on (the idea waits), except where the idea's own budget is spent.
        """
        implementation = request.hypothesis.implementation
        if not implementation.files:
            return self._offline.patch(request)
        from agent.researcher.patch_writing import write_patch

        try:
            return write_patch(self._model, request)
        except BudgetSpent as error:
            if error.of_night:
                raise
            expected = "a patch within the budget that one hypothesis has; models.yaml says how much that is"
            raise BadInput(Problem(request.hypothesis.id, plain(str(error), MOST_WORDS), expected)) from error


def _why(error: Exception) -> str:
    """Why there is no answer, in one clean line."""
    how = {EndpointDown: "the model does not answer", BudgetSpent: "the budget for models is spent"}
    said = plain(" ".join(plain(str(error)).split()), MOST_WORDS)
    return f"{how.get(type(error), 'the model gave no answer that can be used')}: {said}"
