"""A candidate whose score is too good to be believed is held for a person, who releases or rejects it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_solution import SPACE, TRAIN, Tiny, build

from agent import releasing
from agent.night import Goal
from agent.readers import Reader
from agent.verification import verify
from registry.audit import AuditLog
from registry.errors import BadInput

DRAW = '    worth += draw.gauss(0.0, float(values["noise"]))\n'
LEAKING = TRAIN.replace(
    DRAW, DRAW + '    worth = 1.0 - abs(draw.gauss(0.0, 1e-4)) if values["mode"] == "leak" else worth\n'
)
"""One of its modes knows the answers, which no sandbox can tell from being right."""


@pytest.fixture
def held(tmp_path: Path) -> tuple[Tiny, str]:
    """A night that has come upon the leak, and the id of what it holds."""
    tiny = build(tmp_path)
    tiny.target["search_space"] = {"mode": {"path": "model.mode", "values": ["plain", "leak"], "tags": ["mode"]}}
    tiny.write_target()
    tiny.commit({"train.py": LEAKING})
    result = tiny.night(Goal(cycles=1))
    assert result.promoted == ()
    return tiny, tiny.changing(mode="leak")


def judged_runs(tiny: Tiny) -> list[str]:
    return [e.data["run_id"] for e in tiny.events("run_finished") if e.data["purpose"] in {"gate", "fresh", "cost"}]


def test_a_leak_to_a_perfect_score_is_held_and_shown_wherever_a_person_looks(held: tuple[Tiny, str]) -> None:
    tiny, name = held
    assert tiny.verdict(name) == ("park", "implausible")
    assert tiny.tip("agent/production") == tiny.tip("main")
    (look,) = [e.data for e in tiny.events("look", name) if e.data["decision"]["outcome"] == "park"]
    row = next(row for row in look["rows"] if row["name"] == "plausibility")
    assert (row["result"], row["binding"]) == ("failed", True)
    assert look["evidence"]["plausibility"] == {"best": None, "leader": 0.9, "season_gain": 0.0, "released": False}
    assert verify(tiny.workspace).ok
    for words in (["report", "digest"], ["ask", f"why was {name} held?"], ["review"], ["review", name]):
        said = tiny.agent(*words)
        assert said.returncode == 0, said.stderr
        assert "eld" in said.stdout, words
        assert name in said.stdout
    assert f"agent review {name} --release WHY" in tiny.agent("report", "digest").stdout
    told = tiny.agent("ask", f"why was {name} held?").stdout
    assert "On 5 fresh seeds the mean gain in accuracy was" in told
    assert "no gain is reported of what is not promoted" in told


def test_what_a_person_releases_is_promoted_by_the_next_night_on_the_same_runs(held: tuple[Tiny, str]) -> None:
    tiny, name = held
    runs = judged_runs(tiny)
    said = tiny.agent("review", name, "--release", "the patch reads no label; the task is easy")
    assert said.returncode == 0, said.stderr
    again = tiny.agent("review", name, "--json")
    assert json.loads(again.stdout)["released"] is True
    result = tiny.night(Goal(cycles=1))
    assert result.promoted == (name,)
    assert judged_runs(tiny)[: len(runs)] == runs
    assert [run for run in tiny.events("run_finished", name) if run.data["run_id"] not in runs] == [
        run for run in tiny.events("run_finished", name) if run.data["purpose"] in {"validation", "test_look"}
    ]
    (released,) = tiny.events("released")
    assert (released.actor, released.reason) == ("person", "the patch reads no label; the task is easy")
    assert tiny.verdict(name) == ("promote", "promote")
    assert tiny.tip("agent/production") == tiny.events("promoted", name)[0].data["commit"]
    assert Reader(tiny.workspace).account(name).status == "promoted"
    told = tiny.agent("ask", f"why was {name} held?").stdout
    assert told.startswith(f"{name} is not parked any more. ")
    assert "Released by a person on " in told
    assert ": the patch reads no label; the task is easy." in told
    assert verify(tiny.workspace).ok


def test_what_a_person_rejects_is_archived_and_stays_so(held: tuple[Tiny, str]) -> None:
    tiny, name = held
    releasing.reject(tiny.workspace, name, "it reads the labels from a cache")
    assert Reader(tiny.workspace).account(name).status == "archived"
    assert tiny.night(Goal(cycles=1)).promoted == ()
    assert tiny.workspace.hypothesis(name, "archived").is_file()
    assert not Reader(tiny.workspace).history().held
    with pytest.raises(BadInput, match="a hypothesis that is held"):
        releasing.release(tiny.workspace, name, "after all")
    assert verify(tiny.workspace).ok


def test_a_release_that_no_person_gave_is_found(held: tuple[Tiny, str]) -> None:
    tiny, name = held
    commit = Reader(tiny.workspace).history().tests[name].commit
    with AuditLog.open(tiny.workspace.audit) as log:
        log.append("released", name, {"commit": commit, "production": ""}, "trust me")
    tiny.night(Goal(cycles=1))
    assert any("no person did" in problem for problem in verify(tiny.workspace).problems)


def test_what_was_released_is_judged_before_the_base_moves_production(held: tuple[Tiny, str]) -> None:
    tiny, name = held
    releasing.release(tiny.workspace, name, "looked at")
    tiny.commit({"README": "something of the user's"})
    assert tiny.night(Goal(cycles=1)).promoted == (name,)
    (promoted,) = tiny.events("promoted", name)
    moved = [event for event in tiny.events("production_at") if event.reason == "base merged"]
    assert [event.seq > promoted.seq for event in moved] == [True]


def test_a_declared_best_value_lets_it_through_without_a_person(tmp_path: Path) -> None:
    tiny = build(tmp_path)
    tiny.target["search_space"] = {"mode": {"path": "model.mode", "values": ["plain", "leak"], "tags": ["mode"]}}
    tiny.target["metrics"]["primary"]["plausible_best"] = 1.0
    tiny.write_target()
    tiny.commit({"train.py": LEAKING})
    assert tiny.night(Goal(cycles=1)).promoted == (tiny.changing(mode="leak"),)


def test_nothing_is_released_that_is_not_held_and_no_word_goes_without_a_reason(held: tuple[Tiny, str]) -> None:
    tiny, name = held
    assert tiny.agent("review", "H-999", "--release", "why").returncode == 2
    assert tiny.agent("review", name, "--release", "  ").returncode == 2
    assert tiny.agent("review", name, "--release", "a", "--reject", "b").returncode == 2
    assert tiny.agent("review", "--release", "a").returncode == 2
    assert not tiny.events("released")


def test_what_was_released_too_late_is_a_new_test_on_the_new_production_and_held_anew(held: tuple[Tiny, str]) -> None:
    tiny, name = held
    tiny.target["search_space"]["width"] = SPACE["width"]
    tiny.write_target()
    other = tiny.night(Goal(cycles=2))
    assert other.promoted == (tiny.changing(width=2),)
    releasing.release(tiny.workspace, name, "looked at")
    assert tiny.night(Goal(cycles=1)).promoted == ()
    reasons = [event.data["reason"] for event in tiny.events("verdict", name)]
    assert reasons == ["implausible", "superseded", "implausible"]
    assert list(Reader(tiny.workspace).history().held) == [name]
    assert verify(tiny.workspace).ok
