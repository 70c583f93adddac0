"""Ranks what waits, retires what is superseded, and picks the hypothesis of this cycle."""

from __future__ import annotations

from agent import escalation, queueing
from agent.services import Services
from agent.state import State


def run(services: Services, state: State) -> State:
    """Bring the queue in order and take its head, or say why there is none."""
    queueing.take_in_by_hand(services)
    queueing.rank(services, urgent=bool(state.get("urgent")))
    queueing.retire(services)
    escalation.escalate_where_needed(services)
    chosen, why = queueing.pick(services)
    return {"queue": why, "hypothesis": chosen}
