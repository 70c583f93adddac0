"""A log that was lost, emptied or cut off is noticed by what stands beside it, and never begun anew in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_solution import SPACE, Tiny, build

from agent.continuity import lost_log, refuse_lost_log
from agent.handwork import Idea, add
from agent.night import Goal
from agent.progress import Silent
from agent.verification import verify
from agent.wiring import open_services
from registry.documents import load_target
from registry.errors import BadInput


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    made = build(tmp_path)
    made.target["search_space"] = {"width": SPACE["width"], "depth": SPACE["depth"]}
    made.write_target()
    return made


@pytest.mark.parametrize("how", ["emptied", "removed"])
def test_a_lost_log_is_refused_by_whoever_would_begin_it_anew(tiny: Tiny, how: str) -> None:
    tiny.night(Goal(cycles=2))
    before = {path: path.read_bytes() for path in tiny.workspace.experiments.rglob("*.yaml")}
    if how == "emptied":
        tiny.workspace.audit.write_bytes(b"")
    else:
        tiny.workspace.audit.unlink()
    with pytest.raises(BadInput) as refused, open_services(tiny.workspace, Silent(), "agent run"):
        pass
    assert "restore it from a copy" in str(refused.value)
    idea = Idea("deeper", {"model.depth": 2}, 0.01, "Low")
    with pytest.raises(BadInput):
        add(tiny.workspace, load_target(tiny.workspace.target), idea, "--set")
    assert {path: path.read_bytes() for path in tiny.workspace.experiments.rglob("*.yaml")} == before
    if how == "emptied":
        assert not verify(tiny.workspace).ok


def test_a_workspace_without_a_night_has_lost_nothing(tiny: Tiny) -> None:
    tiny.put_into_queue("H-042", settings={"model.depth": 2})
    assert lost_log(tiny.workspace) is None
    refuse_lost_log(tiny.workspace)


def test_a_log_whose_end_was_cut_off_is_found_by_the_reports_that_saw_it(tiny: Tiny) -> None:
    tiny.night(Goal(cycles=2))
    assert verify(tiny.workspace).ok
    lines = tiny.workspace.audit.read_bytes().splitlines(keepends=True)
    tiny.workspace.audit.write_bytes(b"".join(lines[:-6]))
    found = verify(tiny.workspace)
    assert not found.ok
    assert any("TECHNICAL_LOG.md" in problem and "cut off" in problem for problem in found.problems)


def test_a_report_of_another_log_is_found(tiny: Tiny) -> None:
    tiny.night(Goal(cycles=2))
    text = tiny.workspace.technical_log.read_text()
    place = text.index(", hash ") + len(", hash ")
    other = "0" if text[place] != "0" else "1"
    tiny.workspace.technical_log.write_text(text[:place] + other + text[place + 1 :])
    assert any("was written from one with" in problem for problem in verify(tiny.workspace).problems)
