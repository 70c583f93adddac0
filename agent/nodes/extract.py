"""Reads the papers that were listed and takes techniques from them, each with its quote."""

from __future__ import annotations

from agent.papers import reading
from agent.services import Services
from agent.state import State


def run(services: Services, state: State) -> State:
    """Read every listed paper that has no reading yet."""
    del state
    count = reading.read_listed(services)
    return {"extracted": f"{count} papers read" if count else "nothing new"}
