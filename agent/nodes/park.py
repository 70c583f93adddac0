"""Puts an undecided hypothesis aside for the rest of the season; a later promotion may readmit it."""

from __future__ import annotations

from agent import closing
from agent.services import Services
from agent.state import State


def run(services: Services, state: State) -> State:
    """Write the results of a parked hypothesis; its evidence stays in the log."""
    closing.close(services, state["hypothesis"])
    return {"verdict": "parked"}
