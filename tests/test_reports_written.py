"""The reports on disk: once for each slot, whole, and again from the log where a file is lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from recorded_nights import a_night, make_workspace

from agent import reports
from agent.services import Services
from registry.documents import load_target
from registry.history import History

SLOT = "2026-11-23T09:00:00+00:00"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """Services with a real log, history and documents; nothing here runs a candidate, so those parts are absent."""
    workspace = make_workspace(tmp_path)
    nights = a_night(workspace)
    history = History()
    for event in nights.log.read_new(0):
        history.apply(event)
    absent = cast("Any", None)
    clock = [datetime(2026, 11, 20, 6, 0, tzinfo=UTC)]

    def now() -> datetime:
        clock[0] += timedelta(hours=1)
        return clock[0]

    with nights.log as log:
        yield Services(
            workspace=workspace,
            target=load_target(workspace.target),
            repository=tmp_path,
            log=log,
            blobs=absent,
            history=history,
            solution=absent,
            sandbox=absent,
            runner=absent,
            measurer=absent,
            researcher=absent,
            progress=absent,
            clock=now,
        )


def written(services: Services) -> list[dict[str, Any]]:
    return [event.data for event in services.log.events("report_written")]


def test_a_slot_has_one_digest_and_one_event(services: Services) -> None:
    reports.write_digest(services, SLOT)
    reports.write_digest(services, SLOT)
    assert written(services) == [{"slot": SLOT, "file": "reports/digest-2026-11-20.md"}]
    assert services.history.report_slot == SLOT
    text = (services.workspace.reports / "digest-2026-11-20.md").read_text()
    assert text.startswith("# Benchmark Digest — Week of 2026-11-16")


def test_a_slot_written_before_midnight_and_again_after_it_is_one(services: Services) -> None:
    reports.write_digest(services, SLOT)
    for _ in range(24):
        services.clock()
    reports.write_digest(services, SLOT)
    assert len(written(services)) == 1
    assert [path.name for path in services.workspace.reports.iterdir()] == ["digest-2026-11-20.md"]


def test_the_end_of_a_night_writes_a_digest_and_leaves_the_schedule_as_it_is(services: Services) -> None:
    reports.write_digest(services, SLOT)
    reports.write_digest(services, "")
    reports.write_digest(services, "")
    assert [data["slot"] for data in written(services)] == [SLOT, SLOT]
    assert services.log.find("digest:night:N-0001") is not None
    assert services.history.report_slot == SLOT


def test_a_lost_digest_is_written_again_without_a_second_event(services: Services) -> None:
    reports.write_digest(services, SLOT)
    path = services.workspace.reports / "digest-2026-11-20.md"
    path.unlink()
    reports.write_digest(services, SLOT)
    assert path.is_file()
    assert len(written(services)) == 1


def test_the_technical_log_is_regenerated_whole(services: Services) -> None:
    services.workspace.technical_log.write_text("an old text")
    reports.write_technical_log(services)
    text = services.workspace.technical_log.read_text()
    assert text.startswith("# Technical log\n")
    assert "an old text" not in text
    assert [path.name for path in services.workspace.root.iterdir() if path.name.endswith(".tmp")] == []


def test_reports_of_a_night_that_was_killed_after_its_end_are_written_when_asked_again(services: Services) -> None:
    assert services.history.night is not None
    assert services.history.night.ended
    reports.write_at_nights_end(services)
    reports.write_at_nights_end(services)
    assert services.workspace.technical_log.is_file()
    assert len(written(services)) == 1


def test_a_night_that_goes_on_gets_no_reports_of_its_end(services: Services) -> None:
    assert services.history.night is not None
    services.history.night.ended = ""
    reports.write_at_nights_end(services)
    assert written(services) == []
