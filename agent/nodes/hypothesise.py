"""Fills the queue from what was read and measured, while there is anything left to propose."""

from __future__ import annotations

from agent import proposals, queueing
from agent.services import Services
from agent.state import State

REFILL_BELOW = 4
"""Ask for ideas when fewer than this many wait; a verdict often changes what is worth trying next."""


def run(services: Services, state: State) -> State:
    """Propose a batch of hypotheses as one event, so that a crash leaves all of it or none; once a cycle."""
    if (known := proposals.of_cycle(services, state["cycle"])) is not None:
        return {"proposed": known}
    waiting = len(queueing.ready(services))
    if waiting >= REFILL_BELOW:
        return {"proposed": f"not_due: {waiting} wait"}
    return {"proposed": proposals.propose(services)}
