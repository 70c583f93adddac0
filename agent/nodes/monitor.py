"""Reads every leaderboard that is due and says where we stand on each."""

from __future__ import annotations

from agent import boards, schedule
from agent.services import Services
from agent.state import State


def run(services: Services, state: State) -> State:
    """Fetch due boards, compare them with what was read before, and draw the triggers from the result."""
    registry = services.competitive()
    slot = schedule.slot(registry.schedule.leaderboard_scrape, services.clock(), state["cycle"])
    statuses = boards.read_all(services, registry, slot)
    triggers = {
        board.name: boards.stand(services, registry, board, state["cycle"]) for board in registry.target_leaderboards
    }
    return {
        "monitor": ", ".join(dict.fromkeys(statuses.values())) or "no boards",
        "urgent": "urgent" in triggers.values(),
        "defend": bool(triggers) and set(triggers.values()) == {"defend"},
    }
