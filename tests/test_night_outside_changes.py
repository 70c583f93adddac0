"""Nights in which something around the loop changes or is missing: data, environment, a broken base, no board."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from git_repositories import git
from real_environments import install, make_environment
from tiny_solution import SPACE, InProcess, Recorded, Tiny, build

from agent import night, queueing
from agent.night import Goal
from agent.verification import verify
from experiments.plans import Interrupted
from registry.documents import load_queue
from sandbox.contract import Outcome, RunSpec


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    tiny = build(tmp_path)
    tiny.target["search_space"] = {"width": SPACE["width"]}
    tiny.write_target()
    return tiny


def _untracked_training_data(tiny: Tiny) -> Path:
    (tiny.repository / ".gitignore").write_text("data/train/\n")
    git(tiny.repository, "rm", "-q", "-r", "--cached", "data/train")
    tiny.commit({})
    return tiny.repository / "data/train/knowledge.txt"


class StopsAt(Recorded):
    """Asks the night to stop where it says a line that begins like this."""

    def __init__(self, beginning: str) -> None:
        super().__init__()
        self.beginning = beginning
        self.cancel = threading.Event()

    def say(self, line: str) -> None:
        super().say(line)
        if line.startswith(self.beginning):
            self.cancel.set()


def _interrupted(tiny: Tiny, beginning: str) -> None:
    stopping = tiny.progress = StopsAt(beginning)
    with tiny.services() as services, pytest.raises(Interrupted):
        stopping.cancel = services.cancel
        night.run(services, Goal(cycles=2))
    tiny.progress = Recorded()


def test_a_promotion_that_was_interrupted_is_finished_before_the_base_is_merged(tiny: Tiny) -> None:
    _interrupted(tiny, "  H-001 promote after")
    assert not tiny.events("promoted")
    tiny.commit({"notes.md": "written in between\n"})
    result = tiny.night(Goal(cycles=2))
    assert result.promoted == ("H-001",)
    (promoted,) = tiny.events("promoted")
    assert tiny.tip("agent/production^1") == promoted.data["commit"]
    assert tiny.tip("agent/production^2") == tiny.tip("main")


def test_a_test_that_production_moved_away_from_is_made_again_on_the_new_production(tiny: Tiny) -> None:
    _interrupted(tiny, "  H-001 3 seeds")
    tiny.commit({"notes.md": "written in between\n"})
    result = tiny.night()
    assert result.promoted == ("H-001",)
    first, again = tiny.events("verdict", "H-001")
    assert (first.data["outcome"], first.data["reason"]) == ("archive", "superseded")
    assert again.data["outcome"] == "promote"
    assert [event.data["t"] for event in tiny.events("gate_entered", "H-001")] == [1, 2]
    assert tiny.tip(f"{again.data['commit']}^") == again.data["production"] != first.data["production"]
    assert verify(tiny.workspace).ok


def test_pairs_measured_on_different_data_are_never_judged(tiny: Tiny) -> None:
    knowledge = _untracked_training_data(tiny)

    class ChangesTheDataAtTheFirstLook(Recorded):
        def say(self, line: str) -> None:
            super().say(line)
            if line.startswith("  H-001 1 seed"):
                knowledge.write_text("0.81\n")

    tiny.progress = ChangesTheDataAtTheFirstLook()
    result = tiny.night(Goal(cycles=1))
    assert result.promoted == ()
    assert tiny.verdict("H-001") == ("archive", "mixed_environments")


def test_a_baseline_that_was_measured_before_is_taken_up_again_with_its_environment(tiny: Tiny) -> None:
    tiny.target["gate"]["screen"] = "cached"
    for number, mode in enumerate(("old", "new", "old")):
        tiny.target["environment"]["variables"] = {"MODE": mode}
        tiny.write_target()
        tiny.put_into_queue(f"H-{100 + number}", settings={"model.harm": 2 + number}, estimated_gain=0.5)
        tiny.night(Goal(cycles=1))
    verdicts = [(event.data["outcome"], event.data["reason"]) for event in tiny.events("verdict")]
    assert verdicts == [("archive", "below_baseline")] * 3
    paid = [event.data["run_id"] for event in tiny.events("run_finished") if event.data["purpose"] == "baseline"]
    assert len(paid) == len(set(paid)) == 40
    assert verify(tiny.workspace).ok


class Costly(InProcess):
    """Reports the memory of `predict` by what the configuration says: a wider model needs twice as much."""

    def run(self, spec: RunSpec, cancel: threading.Event) -> Outcome:
        outcome = super().run(spec, cancel)
        config = next((mount.host for mount in spec.mounts if mount.inside.startswith("/config")), None)
        wide = config is not None and "width: 2" in config.read_text()
        return replace(outcome, peak_memory_bytes=(2 if wide else 1) << 20)


@pytest.mark.parametrize(("allowed", "outcome"), [(1.5, "promote"), (0.5, "archive")])
def test_a_gain_is_promoted_or_not_by_what_it_costs(tiny: Tiny, allowed: float, outcome: str) -> None:
    tiny.target["metrics"]["secondary"] = {"memory_mb": {"source": "predict", "max_increase": allowed}}
    tiny.write_target()
    tiny.sandbox = Costly()
    tiny.night(Goal(cycles=1))
    assert tiny.verdict("H-001") == (outcome, "promote" if outcome == "promote" else "cost_regression")
    purposes = [event.data["purpose"] for event in tiny.events("run_finished", "H-001")]
    assert purposes.index("cost") > max(i for i, purpose in enumerate(purposes) if purpose in {"gate", "fresh"})
    costs = [event.data for event in tiny.events("run_finished") if event.data["purpose"] == "cost"]
    assert {(run["arm"], run["metrics"]["memory_mb"]) for run in costs} == {("production", 1.0), ("candidate", 2.0)}
    assert verify(tiny.workspace).ok


def test_a_change_that_changes_nothing_is_archived_without_a_run_or_a_place_in_the_season(tiny: Tiny) -> None:
    tiny.put_into_queue("H-042", settings={"model.noise": 0.002}, estimated_gain=0.5)
    tiny.night(Goal(cycles=1))
    (archived,) = tiny.events("hypothesis_archived", "H-042")
    assert archived.data["code"] == "no_op"
    assert tiny.events("run_finished", "H-042") == []
    assert tiny.events("gate_entered", "H-042") == []
    assert verify(tiny.workspace).ok


def test_a_base_that_does_not_run_ends_the_night_and_a_mended_one_goes_on(tiny: Tiny) -> None:
    tiny.commit(tiny.configured(mode="crash"))
    failed = tiny.night()
    assert failed.failed
    assert "production failed twice" in failed.reason
    assert "no such mode" in failed.reason
    assert not tiny.events("verdict")
    tiny.commit(tiny.configured(mode="plain"))
    result = tiny.night(Goal(cycles=1))
    assert result.promoted == ("H-001",)


def test_a_target_without_a_board_is_improved_all_the_same(tiny: Tiny) -> None:
    del tiny.target["metrics"]["primary"]["leaderboard"]
    tiny.write_target()
    tiny.workspace.competitive_registry.write_text(
        "domain: toys\ntarget_leaderboards: []\n"
        "our_solution: {name: Ours, current_scores: {}, promotion_threshold: 0.005}\n"
    )
    result = tiny.night()
    assert result.promoted == ("H-001",)
    assert result.reason == "out of ideas"
    assert not tiny.events("board_score")


def test_an_id_that_is_taken_gets_the_next_one_and_the_old_decision_stays(tiny: Tiny) -> None:
    tiny.put_into_queue("H-042", settings={"model.harm": 2}, estimated_gain=0.5)
    tiny.night(Goal(cycles=1))
    assert tiny.verdict("H-042") == ("archive", "below_baseline")
    tiny.put_into_queue("H-042", settings={"model.harm": 3}, estimated_gain=0.5)
    tiny.night(Goal(cycles=1))
    again = tiny.changing(harm=3)
    assert int(again[2:]) > 42
    assert tiny.verdict(again) == ("archive", "below_baseline")
    assert len(tiny.events("verdict", "H-042")) == 1
    assert not [*tiny.workspace.state_folder("queued").glob("H-042.yaml")]


def test_a_night_ends_at_its_hour(tiny: Tiny) -> None:
    tiny.clock = lambda: datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
    result = tiny.night(Goal(until=datetime(2026, 5, 1, 6, 0, tzinfo=UTC)))
    assert (result.cycles, result.reason) == (0, "it is 06:00")


def test_one_hypothesis_alone_is_taken_to_its_verdict_before_better_ones(tiny: Tiny) -> None:
    tiny.put_into_queue("H-042", settings={"model.harm": 2}, estimated_gain=0.001)
    tiny.put_into_queue("H-043", settings={"model.harm": 3}, estimated_gain=0.5)
    result = tiny.night(Goal(only="H-042"))
    assert result.reason == "H-042 has its verdict"
    assert [event.subject for event in tiny.events("verdict")] == ["H-042"]


def test_one_hypothesis_that_never_reached_the_gate_is_not_said_to_have_its_verdict(tiny: Tiny) -> None:
    tiny.put_into_queue("H-042", settings={"model.mode": "crash"}, estimated_gain=0.001)
    result = tiny.night(Goal(only="H-042"))
    assert result.reason.startswith("H-042 was archived without a verdict of the gate: fast validation failed: ")


def test_what_is_under_test_counts_among_the_ten_of_the_queue(tiny: Tiny) -> None:
    _interrupted(tiny, "  H-001 1 seed")
    for number in range(12):
        tiny.put_into_queue(f"H-{100 + number}", settings={"model.harm": 2 + number})
    with tiny.services() as services:
        queueing.take_in_by_hand(services)
        queueing.retire(services)
    shown = load_queue(tiny.workspace.experiment_queue)
    assert len(shown) == 10
    assert [item.id for item in shown if item.status == "active"] == ["H-001"]


def test_packages_that_changed_between_two_nights_are_named_and_production_is_measured_again(tiny: Tiny) -> None:
    python = make_environment(tiny.root / "environment")
    install(python, "gadget", "1.0", {"gadget.py": ""})
    tiny.target["environment"] = {"python": str(python)}
    tiny.write_target()
    tiny.night(Goal(cycles=1))
    measured = len(_baseline(tiny))
    tiny.night(Goal(cycles=1))
    assert not [line for line in tiny.progress.lines if "the environment has changed" in line]
    install(python, "gadget", "1.1", {"gadget.py": ""})
    tiny.night(Goal(cycles=1))
    (said,) = [line for line in tiny.progress.lines if "the environment has changed" in line]
    assert said == "[ALERT] the environment has changed (gadget 1.0 → 1.1): production is measured again"
    assert len(_baseline(tiny)) > measured
    assert verify(tiny.workspace).ok


def _baseline(tiny: Tiny) -> list[str]:
    return [event.data["run_id"] for event in tiny.events("run_finished") if event.data["purpose"] == "baseline"]
