"""Runs production again while we are first, and raises an alert where it has become worse."""

from __future__ import annotations

from agent import defence
from agent.services import Services
from agent.state import State


def run(services: Services, state: State) -> State:
    """One re-run of production per scheduled sweep."""
    del state
    return {"defence": defence.run(services)}
