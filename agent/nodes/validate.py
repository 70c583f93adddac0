"""One fast run on one seed, to find a broken patch before full runs are paid."""

from __future__ import annotations

from agent import testing
from agent.services import Services
from agent.state import State


def run(services: Services, state: State) -> State:
    """Validate on a seed that the gate never sees."""
    return {"validation": testing.validate(services, state["hypothesis"])}
