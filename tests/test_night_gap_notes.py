"""A rejection is archived with notes that place it against production and #1, from the log's own figures."""

from __future__ import annotations

import json

import pytest
from tiny_solution import BOARD, SPACE, Tiny, build

from agent.ask import answer
from agent.night import Goal
from agent.readers import Reader
from agent.verification import verify
from registry.yaml_parsing import read


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    tiny = build(tmp_path_factory.mktemp("notes"))
    tiny.target["search_space"] = {name: SPACE[name] for name in ("harm", "mode")}
    tiny.write_target()
    tiny.night(Goal(cycles=3))
    return tiny


def notes(tiny: Tiny, name: str) -> list[str]:
    return list(read(tiny.workspace.hypothesis(name, "archived")).data["gap_analysis"])


def test_a_result_below_baseline_is_placed_against_production_and_the_first(tiny: Tiny) -> None:
    name = tiny.changing(harm=2)
    assert tiny.verdict(name) == ("archive", "below_baseline")
    (look,) = tiny.events("look", name)
    (pair,) = look.data["evidence"]["stage"]
    ours, theirs = (pair[arm]["primary"] for arm in ("candidate", "production"))
    (standing, *_) = tiny.events("standing", BOARD)
    gap = standing.data["gap"]
    lines = notes(tiny, name)
    assert lines[0] == (
        f"accuracy {ours:.4f} over 1 seed against production's {theirs:.4f} on the same seeds: "
        f"{theirs - ours:.4f} worse."
    )
    assert lines[1] == (
        f"Tiny: we are #2; the best of the others is Rival with 0.9000, so the gap to it is {gap:+.4f} and would be "
        f"{gap + ours - theirs:+.4f} with this change (projected from dev)."
    )
    assert lines[2] == "Family harm: tried once, failed 1, promoted 0."
    assert lines[3].startswith("What remains: 2 ideas are queued, the best estimated at ")
    assert lines[3].endswith(f"would not close the gap of {-gap:.4f}.")


def test_the_notes_are_in_the_decision_the_technical_log_and_the_answer(tiny: Tiny) -> None:
    name = tiny.changing(harm=2)
    lines = notes(tiny, name)
    decision = json.loads(tiny.workspace.results_of(name).decision.read_text())
    assert decision["gap_analysis"]["notes"] == lines
    assert lines[0] in answer(Reader(tiny.workspace), f"why was {name} rejected?").text
    assert "**Gap analysis:** accuracy" in tiny.workspace.technical_log.read_text()


def test_a_crash_has_no_score_and_says_so(tiny: Tiny) -> None:
    lines = notes(tiny, tiny.changing(mode="crash"))
    assert lines[0].startswith("No accuracy was measured on the gate's seeds")
    assert "no result, so no projection with this change" in lines[1]


def test_notes_are_of_their_moment_and_stay_as_they_were(tiny: Tiny) -> None:
    name = tiny.changing(harm=2)
    before = tiny.workspace.hypothesis(name, "archived").read_bytes()
    tiny.write_board(Rival=0.95, Other=0.5)
    tiny.night(Goal(cycles=1))
    assert tiny.workspace.hypothesis(name, "archived").read_bytes() == before
    assert len(tiny.events("gap_noted", name)) == 1
    assert verify(tiny.workspace).ok
