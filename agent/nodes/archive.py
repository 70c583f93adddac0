"""Closes a rejected hypothesis: its files, its notes, its models."""

from __future__ import annotations

from agent import closing
from agent.services import Services
from agent.state import State


def run(services: Services, state: State) -> State:
    """Write the results of a hypothesis that is not promoted, and queue it again where production has moved."""
    closing.close(services, state["hypothesis"])
    closing.try_again_if_superseded(services, state["hypothesis"])
    return {"verdict": "archived"}
