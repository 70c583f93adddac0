"""Parked candidates that a promotion lets in together stay together, a crash between them or not."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent import promotion
from agent.services import Services
from registry.audit import AuditLog

DAY = "2026-11-20"
TOGETHER = math.log(100 / (0.05 * 3))  # reaches the bar of two let in together, not the bar of one alone


@pytest.fixture
def services(tmp_path: Path) -> Services:
    """A season with two parked candidates and one promotion, on a real log."""
    opening = {"id": 1, "planned": 100, "alpha": 0.05, "opened_at": DAY, "closes_on": "2027-05-20"}
    events: list[tuple[str, dict[str, Any]]] = [("season_opened", opening)]
    events += [("gate_entered", {"test": f"H-00{t}@c", "day": DAY}) for t in (1, 2, 3)]
    events += [("park", {"t": t, "log_e": TOGETHER + 0.01}) for t in (1, 2)]
    events += [("promote", {"t": 3, "log_e": 9.0})]
    log = AuditLog.open(tmp_path / "audit.jsonl")

    def record(kind: str, subject: str, data: dict[str, Any], reason: str = "", key: str | None = None) -> object:
        return log.append(kind, subject, data, reason=reason, key=key)

    return cast("Services", SimpleNamespace(history=SimpleNamespace(season_events=events), log=log, record=record))


def test_a_crash_between_two_readmissions_changes_neither_the_bar_nor_their_number(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, int, int]] = []

    def rebase(services: Services, hypothesis: str, promotions: int, position: int) -> None:
        if len(done) == 1 and not crashed:
            crashed.append(hypothesis)
            raise KeyboardInterrupt
        done.append((hypothesis, promotions, position))
        t = int(hypothesis[-1])
        services.history.season_events.append(("archive", {"t": t, "log_e": None}))

    crashed: list[str] = []
    monkeypatch.setattr(promotion, "_rebase", rebase)
    with pytest.raises(KeyboardInterrupt):
        promotion.readmit_parked(services)
    promotion.readmit_parked(services)
    promotion.readmit_parked(services)
    assert done == [("H-001", 1, 2), ("H-002", 1, 2)]
    assert len(list(services.log.events("readmission"))) == 1
