"""Writes the reports that are due, and the technical log."""

from __future__ import annotations

from agent import reports, schedule
from agent.services import Services
from agent.state import State


def run(services: Services, state: State) -> State:
    """Digest on its schedule; the technical log after a verdict, unless it was written just now."""
    if state.get("verdict") and services.technical_log_pace.due():
        reports.write_technical_log(services)
    slot = schedule.slot(services.competitive().schedule.report_digest, services.clock(), state["cycle"])
    if services.history.report_slot == slot:
        return {"report": "not_due"}
    reports.write_digest(services, slot)
    return {"report": "written"}
