"""Asks the gate, records the look, and passes its word on unchanged."""

from __future__ import annotations

from agent import testing
from agent.services import Services
from agent.state import State


def run(services: Services, state: State) -> State:
    """One look of the gate at the evidence in the log."""
    return {"outcome": testing.judge(services, state["hypothesis"])}
