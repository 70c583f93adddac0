"""`agent season open` and `agent papers ingest` on a real repository: they take the lock and act only when due."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from git_repositories import git
from recorded_nights import EXAMPLE, Nights, make_workspace

from agent.cli.main import main
from agent.readers import Reader
from registry.locks import workspace_lock

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="no sandbox on this machine: bwrap is missing")


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    repository = tmp_path / "solution"
    shutil.copytree(EXAMPLE / "solution", repository)
    git(repository, "init", "-q", "-b", "main")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "a solution")
    (tmp_path / "papers").mkdir()
    (tmp_path / "workspace").mkdir()
    log = Nights(make_workspace(tmp_path / "workspace", repository, tmp_path / "papers"))
    log.start_night()
    log.make_production("base", "production starts here")
    return log


def run(log: Nights, *words: str) -> int:
    log.log.close()
    with pytest.raises(SystemExit) as ended:
        main([*words, "--workspace", str(log.workspace.root)])
    return int(ended.value.code or 0)


def kinds(log: Nights) -> list[str]:
    return [event.kind for event in Reader(log.workspace).events() if event.kind.startswith("season")]


def test_a_season_with_room_and_time_stays_open(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    nights.open_season(closes_on="2999-01-01")
    assert run(nights, "season", "open") == 1
    assert "20 of 20 candidates may still start, and it closes on 2999-01-01" in capsys.readouterr().err
    assert kinds(nights) == ["season_opened"]


def test_a_season_whose_date_has_come_is_closed_and_the_next_one_opened(nights: Nights) -> None:
    nights.open_season(closes_on="2026-11-19")
    assert run(nights, "season", "open") == 0
    assert kinds(nights) == ["season_opened", "season_closed", "season_opened"]


def test_opening_is_refused_beside_a_running_night(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    nights.open_season(closes_on="2026-11-19")
    with workspace_lock(nights.workspace.lock, "agent run"):
        assert run(nights, "season", "open") == 2
    assert "in use by process" in capsys.readouterr().err
    assert kinds(nights) == ["season_opened"]


def test_papers_are_read_now_and_once(nights: Nights, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for paper in (EXAMPLE / "papers").glob("*.pdf"):
        shutil.copy(paper, tmp_path / "papers")
    assert run(nights, "papers", "ingest") == 0
    assert "3 new; 3 read" in capsys.readouterr().out
    assert run(nights, "papers", "ingest") == 0
    assert "0 new; 0 read" in capsys.readouterr().out
    assert len([event for event in Reader(nights.workspace).events() if event.kind == "paper_read"]) == 3
