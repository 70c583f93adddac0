"""A language model whose silence is noticed once: an endpoint that is down is left alone for the rest of a cycle.

Used by `agent.researcher.llm`. Asking a dead endpoint takes minutes of retries, and a cycle may ask it twenty times.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.llm.contract import BudgetSpent, EndpointDown, LanguageModel, Question, Record, Reply, Role

MOST_SHOWN = 300


class Standby:
    """Implements `agent.llm.contract.LanguageModel` around another."""

    def __init__(self, model: LanguageModel, cycle: Callable[[], int], say: Callable[[str], None]) -> None:
        """`cycle` gives the number of the cycle under way, `say` shows a line to people."""
        self._model = model
        self._cycle = cycle
        self._say = say
        self._down: dict[str, tuple[int, str]] = {}
        self._said: set[tuple[int, str]] = set()

    def ask(self, question: Question[Record]) -> Reply[Record]:
        """As the model; EndpointDown at once where this cycle has found the endpoint silent already."""
        name, cycle = self.name(question.role), self._cycle()
        silent_in, why = self._down.get(name, (-1, ""))
        if silent_in == cycle:
            raise EndpointDown(why)
        try:
            return self._model.ask(question)
        except EndpointDown as error:
            self._down[name] = (cycle, str(error))
            self._tell(cycle, f"{name} does not answer", error)
            raise
        except BudgetSpent as error:
            if error.of_night:
                self._tell(cycle, f"{name} is not asked", error)
            raise

    def name(self, role: Role) -> str:
        return self._model.name(role)

    def _tell(self, cycle: int, what: str, error: Exception) -> None:
        """Once a cycle for each endpoint, and for a budget once for all of them."""
        key = (cycle, what if isinstance(error, EndpointDown) else "budget")
        if key not in self._said:
            self._said.add(key)
            why = " ".join(str(error).split())[:MOST_SHOWN]
            self._say(f"[STATUS] {what}: {why}; in this cycle rules and search do what they can of its work")
