"""Pays for the runs the gate asks for next."""

from __future__ import annotations

from agent import testing
from agent.services import Services
from agent.state import State


def run(services: Services, state: State) -> State:
    """Enter the gate if this test has not, then run what its next look needs."""
    testing.enter_gate(services, state["hypothesis"])
    testing.run_needed(services, state["hypothesis"])
    return {}
