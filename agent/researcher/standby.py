"""A language model whose silence is told once a cycle, in a line that says who does its work meanwhile.

Used by `agent.researcher.llm`: a cycle may ask twenty times, and people need to be told once.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.llm.contract import BudgetSpent, EndpointDown, LanguageModel, Question, Record, Reply, Role
from tools.pdf.text import plain

MOST_SHOWN = 300


class Standby:
    """Implements `agent.llm.contract.LanguageModel` around another."""

    def __init__(self, model: LanguageModel, cycle: Callable[[], int], say: Callable[[str], None]) -> None:
        """`cycle` gives the number of the cycle under way, `say` shows a line to people."""
        self._model = model
        self._cycle = cycle
        self._say = say
        self._told: set[tuple[int, str]] = set()

    def ask(self, question: Question[Record]) -> Reply[Record]:
        """As the model; what it raises goes on, once told."""
        try:
            return self._model.ask(question)
        except EndpointDown as error:
            self._tell(f"{self.name(question.role)} does not answer", error)
            raise
        except BudgetSpent as error:
            if error.of_night:
                self._tell("the language model is not asked any more", error)
            raise

    def name(self, role: Role) -> str:
        return self._model.name(role)

    def _tell(self, what: str, error: Exception) -> None:
        """Once a cycle for each model, and for the night's budget once for all of them."""
        cycle = self._cycle()
        if (cycle, what) not in self._told:
            self._told.add((cycle, what))
            why = plain(" ".join(plain(str(error)).split()), MOST_SHOWN)
            self._say(f"[STATUS] {what}: {why}; in this cycle rules and search do what they can of its work")
