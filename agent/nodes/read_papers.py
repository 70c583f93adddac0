"""Lists what the paper sources have that was not read yet, when the schedule or a trigger asks for it.

Between times it goes on with sources that stopped early: busy ones, broken ones, and long ones.
"""

from __future__ import annotations

from agent import schedule
from agent.papers import listing
from agent.services import Services
from agent.state import State


def run(services: Services, state: State) -> State:
    """List new papers into the log; the next node reads them."""
    slot = schedule.slot(services.competitive().schedule.research_ingest, services.clock(), state["cycle"])
    if services.history.papers_slot == slot and not services.history.papers_due:
        waiting = listing.unfinished(services)
        return {"papers": listing.list_new(services, slot, waiting) if waiting else "not_due"}
    return {"papers": listing.list_new(services, slot)}
