"""Lists what the paper sources have that was not read yet, when the schedule or a trigger asks for it."""

from __future__ import annotations

from agent import papers, schedule
from agent.services import Services
from agent.state import State


def run(services: Services, state: State) -> State:
    """List new papers into the log; the next node reads them."""
    slot = schedule.slot(services.competitive().schedule.research_ingest, services.clock(), state["cycle"])
    if services.history.papers_slot == slot and not services.history.papers_due:
        return {"papers": "not_due"}
    return {"papers": papers.list_new(services, slot)}
