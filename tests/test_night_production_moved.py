"""A person moves production through the base branch: our score on the board follows, or is said to be unknown."""

from __future__ import annotations

from pathlib import Path

import pytest
from git_repositories import git
from tiny_solution import BOARD, SPACE, Tiny, build

from agent.ask import answer
from agent.night import Goal
from agent.readers import Reader
from agent.verification import verify
from registry.documents import load_competitive


def promoted(tmp_path: Path, looks: int = 10) -> Tiny:
    """A night that promoted H-001, and a person who merged it."""
    tiny = build(tmp_path)
    tiny.target["search_space"] = {"width": SPACE["width"]}
    tiny.target["gate"]["test_looks"] = looks
    tiny.write_target()
    assert tiny.night(Goal(cycles=1)).promoted == ("H-001",)
    branch = tiny.events("promoted")[0].data["branch"]
    git(tiny.repository, "merge", "--quiet", "--no-ff", "--no-edit", branch)
    return tiny


def score_in_registry(tiny: Tiny) -> float | None:
    return load_competitive(tiny.workspace.competitive_registry).our_solution.current_scores[BOARD]


def last_score(tiny: Tiny) -> float:
    return float(tiny.events("board_score", BOARD)[-1].data["score"])


def told(tiny: Tiny) -> dict[str, str]:
    reader = Reader(tiny.workspace)
    questions = ("what is our rank?", "who is first?", "what is the test score?")
    found = {question: answer(reader, question).text.splitlines()[0] for question in questions}
    found["digest"] = sorted(tiny.workspace.reports.glob("digest-*.md"))[-1].read_text().split("## What Changed")[0]
    found["technical log"] = tiny.workspace.technical_log.read_text().split("## Outcomes")[0]
    return found


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return promoted(tmp_path)


def test_a_merge_that_changes_no_file_keeps_the_score_and_spends_no_look(tiny: Tiny) -> None:
    before = last_score(tiny)
    tiny.night(Goal(cycles=1))
    assert tiny.events("production_at")[-1].data["commit"] == tiny.tip("main")
    assert len(tiny.events("test_look")) == 2
    assert (last_score(tiny), score_in_registry(tiny)) == (before, round(before, 6))
    assert f"{before:.4f}" in told(tiny)["what is the test score?"]


def test_a_reverted_promotion_has_the_score_from_before_it_again(tiny: Tiny) -> None:
    first = float(tiny.events("board_score", BOARD)[0].data["score"])
    tiny.night(Goal(cycles=1))
    git(tiny.repository, "revert", "--no-edit", tiny.events("promoted")[0].data["commit"])
    tiny.night(Goal(cycles=1))
    assert tiny.events("production_at")[-1].data["configuration"] == {"model.width": 1}
    assert len(tiny.events("test_look")) == 2
    assert last_score(tiny) == first
    assert score_in_registry(tiny) == round(first, 6)
    assert tiny.events("standing", BOARD)[-1].data["score"] == first
    assert f"{first:.4f}" in told(tiny)["what is our rank?"]
    assert f"{first:.4f}" in told(tiny)["what is the test score?"]
    assert verify(tiny.workspace).ok


def test_a_production_of_other_files_gets_a_look_of_its_own(tiny: Tiny) -> None:
    tiny.commit(tiny.configured(width=3), "a person's own change")
    tiny.night(Goal(cycles=1))
    looks = tiny.events("test_look")
    assert len(looks) == 3
    assert looks[-1].data["commit"] == tiny.events("production_at")[-1].data["commit"]
    assert last_score(tiny) == looks[-1].data["mean"] == pytest.approx(0.83, abs=0.006)
    assert score_in_registry(tiny) == round(last_score(tiny), 6)
    assert f"{last_score(tiny):.4f}" in told(tiny)["what is the test score?"]


def test_beyond_the_budget_the_score_is_unknown_everywhere(tmp_path: Path) -> None:
    tiny = promoted(tmp_path, looks=2)
    tiny.commit(tiny.configured(width=3), "a person's own change")
    old = last_score(tiny)
    tiny.night(Goal(cycles=1))
    assert len(tiny.events("test_look")) == 2
    assert score_in_registry(tiny) is None
    standing = tiny.events("standing", BOARD)[-1].data
    assert (standing["rank"], standing["score"]) == (None, None)
    shown = told(tiny)
    assert shown.pop("what is the test score?").endswith("]")
    assert all(f"unknown since production moved (last known {old:.4f}" in text for text in shown.values()), shown
    assert "is not known: all 2 looks are used" in answer(Reader(tiny.workspace), "what is the test score?").text
    tiny.night(Goal(cycles=1))
    assert len(tiny.events("test_look_refused")) == 1

    tiny.target["gate"]["test_looks"] = 3
    tiny.write_target()
    tiny.night(Goal(cycles=1))
    assert len(tiny.events("test_look")) == 3
    assert score_in_registry(tiny) == round(last_score(tiny), 6) != old


def test_a_score_that_a_person_wrote_is_not_overwritten_with_nothing(tmp_path: Path) -> None:
    tiny = promoted(tmp_path, looks=2)
    text = tiny.workspace.competitive_registry.read_text()
    tiny.workspace.competitive_registry.write_text(text.replace(f"Tiny: {score_in_registry(tiny)}", "Tiny: 0.123"))
    tiny.commit(tiny.configured(width=3), "a person's own change")
    tiny.night(Goal(cycles=1))
    assert score_in_registry(tiny) == 0.123
