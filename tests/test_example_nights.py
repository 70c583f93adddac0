"""The exact examples as a user's own repositories: from `agent init` to promotions, by search and by a model."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sandbox_backends
from markdown_files import ROOT
from night_processes import events

from registry.workspace import Workspace
from sandbox.backends import choose
from sandbox.contract import SandboxUnavailable

EXAMPLES = ROOT / "examples"


@pytest.fixture(autouse=True)
def _sandbox(tmp_path: Path) -> None:
    """Every run is in a real sandbox; skipped, or failed where one has to be there, without it."""
    try:
        choose(tmp_path / "sandbox")
    except SandboxUnavailable as error:
        sandbox_backends.absent(str(error))


def script(*words: str) -> subprocess.CompletedProcess[str]:
    """A script of the examples, run as its README says."""
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)


def of_kind(workspace: Workspace, kind: str) -> list[dict[str, Any]]:
    return [event for event in events(workspace) if event["kind"] == kind]


def test_distances_goes_from_init_to_a_promotion_without_any_model(tmp_path: Path) -> None:
    done = script("examples/walk.py", "distances", str(tmp_path / "own"), "--cycles", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "with both, as the policy exact asks for" in done.stdout
    workspace = Workspace(tmp_path / "own" / "distances-agent")
    (promoted,) = of_kind(workspace, "promoted")
    assert promoted["reason"].startswith("exact: Gain +")
    (look,) = [event for event in of_kind(workspace, "look") if event["data"]["decision"]["outcome"] == "promote"]
    assert (look["data"]["policy"]["name"], look["data"]["evidence"]["higher_is_better"]) == ("exact", False)
    assert "The log holds" in done.stdout


def test_a_recorded_model_takes_circles_from_a_grid_to_2_63_and_fakes_are_refused(tmp_path: Path) -> None:
    """Five cycles; `benchmarks/circles_night.py` goes on to 2.634."""
    done = script("examples/circles/night.py", str(tmp_path / "night"), "--cycles", "5", "--least", "2.63")
    assert done.returncode == 0, done.stdout + done.stderr
    workspace = Workspace(tmp_path / "night" / "circles-agent")
    assert [event["subject"] for event in of_kind(workspace, "promoted")] == ["H-003", "H-004", "H-005"]
    assert all(event["reason"].startswith("exact: Gain +") for event in of_kind(workspace, "promoted"))
    values = [event["data"]["mean"] for event in of_kind(workspace, "test_look")]
    assert values == sorted(values)
    assert values[0] < 2.09
    assert values[-1] >= 2.63

    # Radii that were over-reported are refused by the evaluator, and a score of its own earns a candidate nothing.
    (refused,) = of_kind(workspace, "hypothesis_archived")
    assert "evaluate.py: refused: circle 1 reaches" in refused["reason"]
    own_score = next(event for event in of_kind(workspace, "verdict") if event["subject"] == "H-002")
    assert own_score["data"]["outcome"] == "archive"
    runs = [event["data"] for event in of_kind(workspace, "run_finished")]
    assert {run["metrics"]["sum_of_radii"] for run in runs if run["subject"] == "H-002"} == {values[0]}
    assert all(run["verified"] for run in runs if run["status"] == "ok")
    assert len({run["key"]["evaluator"] for run in runs}) == 1

    # A patch that does not fit was sent back with the reason, and the next round was taken.
    assert "attempt 1 of 3 refused: pack.py:25" in done.stdout


@pytest.fixture
def recorded() -> ModuleType:
    path = EXAMPLES / "circles" / "recorded_model.py"
    spec = importlib.util.spec_from_file_location("recorded_model", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_the_recorded_model_gives_the_first_idea_that_the_question_does_not_name(recorded: ModuleType) -> None:
    replies = recorded.load()
    titles = [one["idea"]["title"] for one in replies]

    def proposed(told: str) -> list[str]:
        request = {"model": recorded.PROPOSE, "messages": [{"role": "user", "content": told}]}
        return [idea["title"] for idea in recorded.answer(replies, request)["ideas"]]

    assert len(titles) == len(set(titles)) == 6
    assert [proposed(" ".join(titles[:number])) for number in range(7)] == [*([title] for title in titles), []]


def test_the_recorded_model_gives_the_next_patch_after_a_refusal_and_none_beyond(recorded: ModuleType) -> None:
    replies = recorded.load()
    relaxing = next(one for one in replies if len(one["patches"]) == 2)
    asked = [{"role": "user", "content": relaxing["idea"]["title"]}]
    back = [{"role": "assistant", "content": "a patch"}, {"role": "user", "content": "refused"}]
    given = [
        recorded.answer(replies, {"model": recorded.PATCH, "messages": asked + back * rounds})["patch"]
        for rounds in range(3)
    ]
    assert given == [*(patch["patch"] for patch in relaxing["patches"]), ""]
    assert json.dumps(given[1]).count("<<<<<<< SEARCH") == 5
