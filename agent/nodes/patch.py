"""Writes the hypothesis as a commit on a branch of its own, from today's production."""

from __future__ import annotations

from agent import patching
from agent.services import Services
from agent.state import State


def run(services: Services, state: State) -> State:
    """Start the test and commit its patch; refusals are events with their reasons."""
    hypothesis = state["hypothesis"]
    patching.start(services, hypothesis)
    return {"patch": patching.commit(services, hypothesis)}
