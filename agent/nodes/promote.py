"""Makes a candidate production: branch, scores, files, pull request; every step repeatable after a crash."""

from __future__ import annotations

from agent import promotion
from agent.services import Services
from agent.state import State


def run(services: Services, state: State) -> State:
    """Carry out a promotion that the gate has decided."""
    promotion.promote(services, state["hypothesis"])
    promotion.remeasure(services)
    promotion.readmit_parked(services)
    return {"verdict": "promoted"}
