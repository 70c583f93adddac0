"""Nights of candidates without effect: nothing is promoted, on a noisy target and on the digits; the log holds."""

from __future__ import annotations

import math
import shutil
import sys
from collections import Counter
from pathlib import Path
from string import Template

import pytest
from conftest import ROOT
from git_repositories import commit, git
from tiny_solution import SPACE, Page, Recorded, Tiny, build, real_sandbox, served

from agent import night
from agent.night import Goal, NightResult
from agent.researcher.null import IDENTICAL, NullResearcher
from agent.verification import verify
from agent.wiring import open_services
from registry.audit_events import Event, read_events
from registry.workspace import Workspace


def null_night(tiny: Tiny, goal: Goal) -> NightResult:
    with tiny.services() as services:
        services.researcher = NullResearcher(services.researcher)
        return night.run(services, goal)


# -- a target where a comment changes the draw: E is computed for every null -------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Its noise follows from every byte of the configuration, so a comment gives each run a value of its own.

    The values are facts of seeds and bytes: the night is the same on every machine.
    """
    tiny = build(tmp_path_factory.mktemp("null"))
    result = null_night(tiny, Goal(null=True))
    assert result.reason == "the season's end"
    assert result.promoted == ()
    assert not result.failed
    return tiny


def test_a_season_of_nothing_promotes_nothing_and_computes_evidence_for_it(finished: Tiny) -> None:
    entered, verdicts = finished.events("gate_entered"), finished.events("verdict")
    assert len(entered) == len(verdicts) == finished.target["gate"]["season"]
    assert {event.data["outcome"] for event in verdicts} <= {"archive", "park"}
    computed = [event.data["numbers"]["log_e"] for event in finished.events("look") if event.data["numbers"]["log_e"]]
    bar = math.log(20 / 0.05)
    assert len(computed) >= 20
    assert max(computed) < bar


def test_the_log_of_a_null_night_holds_and_nothing_moved(finished: Tiny) -> None:
    assert verify(finished.workspace).problems == ()
    assert finished.events("promoted") == []
    assert finished.tip("agent/production") == finished.tip("main")


def test_patches_without_any_change_take_no_place_in_the_season(finished: Tiny) -> None:
    refused = [event for event in finished.events("hypothesis_archived") if event.data["code"] == "no_op"]
    assert refused
    assert all("changes no file" in event.reason for event in refused)
    subjects = {event.subject for event in refused}
    assert not subjects & {event.subject for event in finished.events("gate_entered")}
    identical = {
        item["id"]
        for event in finished.events("hypotheses_proposed")
        for item in event.data["hypotheses"]
        if item["implementation"]["change"] == IDENTICAL
    }
    assert subjects <= identical


def test_a_null_candidate_is_labelled_wherever_the_log_names_it(finished: Tiny) -> None:
    (started,) = finished.events("night_started")
    assert started.data["null"] is True
    assert "null" in started.reason
    for event in finished.events("hypotheses_proposed"):
        assert event.data["researcher"] == NullResearcher.name
        for item in event.data["hypotheses"]:
            assert (item["strategy"], item["source"]) == ("null", NullResearcher.name)
            assert item["title"].startswith("null candidate ")
            assert item["implementation"]["settings"] == {}
    assert all(event.data["researcher"] == NullResearcher.name for event in finished.events("patch_committed"))


def test_ideas_that_wait_are_left_alone_by_a_null_night_and_null_candidates_by_any_other(tmp_path: Path) -> None:
    tiny = build(tmp_path)
    tiny.target["search_space"] = {name: SPACE[name] for name in ("width", "harm")}
    tiny.write_target()
    tiny.put_into_queue("H-500", settings={"model.harm": 2})
    null_night(tiny, Goal(cycles=2, null=True))
    assert tiny.events("hypothesis_started", "H-500") == []
    assert len(tiny.events("gate_entered")) == 2
    null = {event.subject for event in tiny.events("hypothesis_started")}
    tiny.night(Goal(cycles=3))
    later = {event.subject for event in tiny.events("hypothesis_started")} - null
    assert "H-500" in later
    kinds = Counter(
        item["strategy"]
        for event in tiny.events("hypotheses_proposed")
        for item in event.data["hypotheses"]
        if item["id"] in later
    )
    assert "null" not in kinds
    assert tiny.verdict("H-500") == ("archive", "below_baseline")
    assert verify(tiny.workspace).ok


def test_a_null_night_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    stopped, whole = build(tmp_path / "stopped"), build(tmp_path / "whole")
    for tiny, goals in ((stopped, [Goal(cycles=2, null=True)] * 2), (whole, [Goal(cycles=4, null=True)])):
        for goal in goals:
            null_night(tiny, goal)
    values = [
        [(e.subject, e.data["outcome"], e.data["reason"], e.data["mean"]) for e in tiny.events("verdict")]
        for tiny in (stopped, whole)
    ]
    assert values[0] == values[1]
    assert len(values[0]) == 4


def test_a_configuration_that_takes_no_comment_ends_the_night(tmp_path: Path) -> None:
    tiny = build(tmp_path)
    tiny.target["solution"]["editable"] = ["*.py"]
    tiny.write_target()
    result = null_night(tiny, Goal(null=True))
    assert result.promoted == ()
    assert tiny.events("gate_entered") == []
    assert "6 null patches in a row were refused" in tiny.events("hypotheses_proposed")[-1].reason


def test_the_command_line_says_that_the_night_is_a_null_one(tmp_path: Path) -> None:
    real_sandbox(tmp_path / "sandbox")
    tiny = build(tmp_path)
    done = tiny.agent("run", "--null", "--cycles", "1")
    assert done.returncode == 0, done.stderr
    assert "a null night: no candidate changes more than a comment" in done.stdout
    assert "promoted: nothing" in done.stdout
    assert "0 of its promotions are false" in done.stdout


# -- the digits: real training, real predictions, real labels ----------------------------------------------------

CANDIDATES = 6
"""Fewer than a season's, and short training below, so that the test takes seconds."""


def digits(root: Path, board: str) -> Workspace:
    """The bundled solution in git, trained for two epochs on 300 images, with the interpreter of this test."""
    solution = root / "digits"
    shutil.copytree(ROOT / "examples/digits/solution", solution)
    config = solution / "configs/production.yaml"
    text = config.read_text()
    for old, new in (
        ("epochs: 20", "epochs: 2"),
        ("limit: 0", "limit: 300"),
        ("learning_rate: 0.03", "learning_rate: 0.1"),
    ):
        assert old in text
        text = text.replace(old, new)
    git(solution, "init", "--quiet", "--initial-branch=main")
    commit(solution, {"configs/production.yaml": text}, "start")
    workspace = Workspace(root / "digits-agent")
    workspace.root.mkdir()
    workspace.create_folders()
    values = {"repository": solution, "python": sys.executable, "board_url": board, "papers": root / "papers"}
    (root / "papers").mkdir()
    for path in (workspace.target, workspace.competitive_registry, workspace.research_config):
        template = Template((ROOT / "examples/digits" / path.name).read_text())
        path.write_text(template.substitute({name: f'"{value}"' for name, value in values.items()}))
    return workspace


def log(workspace: Workspace, kind: str) -> list[Event]:
    return [event for event in read_events(workspace.audit) if event.kind == kind]


def test_nothing_is_promoted_on_the_digits_where_candidates_change_a_comment(tmp_path: Path) -> None:
    real_sandbox(tmp_path / "sandbox")
    with served(Page(body='[{"name": "Rival", "accuracy": 0.99}]')) as board:
        workspace = digits(tmp_path, board)
        text = workspace.target.read_text()
        assert "screen: paired" in text
        workspace.target.write_text(text.replace("screen: paired", "screen: cached"))
        with open_services(workspace, Recorded(), "a test", null=True) as services:
            result = night.run(services, Goal(cycles=CANDIDATES + 1, null=True))
    assert (result.promoted, result.failed) == ((), False)
    entered, verdicts = log(workspace, "gate_entered"), log(workspace, "verdict")
    assert len(entered) == len(verdicts) == CANDIDATES
    # The screen compares one arm with the baseline of other seeds; what it lets on is paired on the same seeds, where
    # the outputs are production's to the last byte.
    assert {event.data["reason"] for event in verdicts} <= {"below_baseline", "futility", "no_op"}
    assert all(event.data["outcome"] == "archive" for event in verdicts)
    runs = [event.data for event in log(workspace, "run_finished") if event.data["purpose"] == "gate"]
    assert {run["status"] for run in runs} == {"ok"}
    assert len({run["metrics"]["accuracy"] for run in runs}) > 3
    found = verify(workspace)
    assert found.problems == ()
    assert found.looks >= CANDIDATES
