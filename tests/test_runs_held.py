"""What a run is shown is hashed before it and after it, and where it changed meanwhile the run has no outcome."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from git_repositories import git
from real_environments import install, make_environment
from test_runner_identity import Ledger
from tiny_solution import SPACE, InProcess, Recorded, Tiny, build, real_sandbox

from agent.night import Goal
from agent.verification import verify
from experiments.measuring import InfrastructureFailed, Measurer
from experiments.plans import Plan
from registry.runs import Arm
from sandbox.contract import Outcome, RunSpec


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    tiny = build(tmp_path)
    tiny.target["environment"] = {"python": str(make_environment(tmp_path / "environment"))}
    tiny.write_target()
    return tiny


def _plan(tiny: Tiny, **changed: Any) -> Plan:
    main = tiny.tip("main")
    return replace(Plan("H-001", "candidate", "gate", main, main, 7), **changed)


def _layout(tiny: Tiny, kind: str) -> Path:
    (folder,) = (tiny.workspace.cache / "trees").glob(f"*-{kind}-*")
    return folder


class Meddles(InProcess):
    """Does something to the host in the middle of a phase, so many times."""

    def __init__(self, phase: str, change: Callable[[], None], times: int) -> None:
        super().__init__()
        self.phase, self.change, self.left = phase, change, times

    def run(self, spec: RunSpec, cancel: threading.Event) -> Outcome:
        outcome = super().run(spec, cancel)
        if spec.run_id.endswith(self.phase) and self.left:
            self.left -= 1
            self.change()
        return outcome


def _evaluator(tiny: Tiny) -> None:
    path = _layout(tiny, "evaluator") / "evaluate.py"
    path.write_text(path.read_text() + "# easier\n")


def _labels(tiny: Tiny) -> None:
    (_layout(tiny, "data") / "data/dev/labels/labels.json").write_text("{}")


def _code(tiny: Tiny) -> None:
    (_layout(tiny, "code") / "helper.py").write_text("# new\n")


def _untracked_data(tiny: Tiny) -> None:
    path = tiny.repository / "data/train/knowledge.txt"
    path.write_text(f"{float(path.read_text()) + 0.01}\n")


def _package(tiny: Tiny) -> None:
    version = next(VERSIONS)
    install(Path(tiny.target["environment"]["python"]), "alpha", f"1.{version}", {"alpha.py": f"V = {version}\n"})


VERSIONS = itertools.count()
CHANGES: list[tuple[Callable[[Tiny], None], str]] = [
    (_evaluator, "evaluator"),
    (_labels, "data"),
    (_code, "code"),
    (_untracked_data, "data data/train"),
    (_package, "environment"),
]


@pytest.mark.parametrize("arm", ["candidate", "production"])
@pytest.mark.parametrize(("change", "named"), CHANGES)
def test_a_run_during_which_something_changed_is_nobodys_result_and_is_done_again(
    tiny: Tiny, change: Callable[[Tiny], None], named: str, arm: Arm
) -> None:
    if change is _untracked_data:
        (tiny.repository / ".gitignore").write_text("data/train/\n")
        git(tiny.repository, "rm", "-q", "-r", "--cached", "data/train")
        tiny.commit({})
    tiny.sandbox = Meddles("evaluate", lambda: change(tiny), times=1)
    runner, ledger = tiny.runner(), Ledger()
    (record,) = Measurer(runner, ledger, threading.Event(), 1).measure([_plan(tiny, arm=arm)])
    first = next(each for each in ledger.records.values() if each.attempt == 1)
    assert (first.status, first.metrics, first.verified) == ("infra", {}, "")
    assert f"changed while it ran: {named}" in first.why
    assert (record.status, record.attempt) == ("ok", 2)
    assert len(record.verified) == 64
    with pytest.raises(InfrastructureFailed, match="changed while it ran"):
        tiny.sandbox = Meddles("train", lambda: change(tiny), times=2)
        Measurer(tiny.runner(), Ledger(), threading.Event(), 1).measure([_plan(tiny, seed=8, arm=arm)])


def test_a_candidates_crash_does_not_count_where_its_surroundings_changed(tiny: Tiny) -> None:
    commit = tiny.commit(tiny.configured(mode="crash"))
    tiny.sandbox = Meddles("train", lambda: _labels(tiny), times=1)
    record = tiny.runner().execute(_plan(tiny, commit=commit), 1, threading.Event())
    assert (record.status, "crash does not count" in record.why) == ("infra", True)


def test_equal_runs_carry_one_proof_and_other_data_another(tiny: Tiny) -> None:
    runner = tiny.runner()
    one, two = (runner.execute(_plan(tiny, seed=seed), 1, threading.Event()) for seed in (1, 2))
    assert one.verified == two.verified != ""
    made = tiny.commit({"data/train/knowledge.txt": "0.7\n"})
    three = tiny.runner().execute(_plan(tiny, production=made), 1, threading.Event())
    assert three.verified not in {"", one.verified}


@pytest.mark.parametrize("change", [_evaluator, _labels, _code])
@pytest.mark.parametrize("same_process", [True, False])
def test_a_layout_that_was_changed_between_runs_is_laid_out_again_and_said_so(
    tiny: Tiny, change: Callable[[Tiny], None], same_process: bool
) -> None:
    runner = tiny.runner()
    before = runner.execute(_plan(tiny), 1, threading.Event())
    assert runner.take_notes() == []
    change(tiny)
    runner = runner if same_process else tiny.runner()
    after = runner.execute(_plan(tiny), 1, threading.Event())
    assert (after.status, after.metrics, after.verified) == (before.status, before.metrics, before.verified)
    (note,) = runner.take_notes()
    assert "changed by somebody" in note
    assert "laid out again" in note


def test_a_file_that_gets_the_size_and_time_of_the_old_one_is_noticed(tiny: Tiny) -> None:
    runner = tiny.runner()
    runner.execute(_plan(tiny), 1, threading.Event())
    path = _layout(tiny, "evaluator") / "evaluate.py"
    state, text = path.stat(), path.read_text()
    path.write_text(text.replace("1.0 - error", "2.0 - error"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert path.stat().st_size == state.st_size
    record = runner.execute(_plan(tiny), 1, threading.Event())
    assert record.metrics["accuracy"] < 1.0
    assert "evaluate.py" in runner.take_notes()[0]


def test_in_the_real_sandbox_a_run_is_held_too(tiny: Tiny, tmp_path: Path) -> None:
    sandbox = real_sandbox(tmp_path / "sandbox")
    runner = tiny.runner(sandbox)
    assert runner.execute(_plan(tiny), 1, threading.Event()).verified
    ended = threading.Event()

    class Late(Meddles):
        def run(self, spec: RunSpec, cancel: threading.Event) -> Outcome:
            outcome = sandbox.run(spec, cancel)
            if spec.run_id.endswith("train"):
                _package(tiny)
                ended.set()
            return outcome

    record = tiny.runner(Late("train", lambda: None, 0)).execute(_plan(tiny), 1, threading.Event())
    assert ended.is_set()
    assert (record.status, "environment" in record.why) == ("infra", True)


# -- nights -------------------------------------------------------------------------------------------------


class Installs(Recorded):
    """Installs something at the first line that begins like this."""

    def __init__(self, beginning: str, change: Callable[[], None]) -> None:
        super().__init__()
        self.beginning, self.change, self.done = beginning, change, False

    def say(self, line: str) -> None:
        super().say(line)
        if not self.done and line.startswith(self.beginning):
            self.done = True
            self.change()


@pytest.mark.parametrize("screen", ["paired", "cached"])
def test_an_upgrade_in_the_middle_of_a_test_starts_it_over_on_its_own_seeds_in_the_new_environment(
    tiny: Tiny, screen: str
) -> None:
    tiny.target["search_space"] = {"width": SPACE["width"]}
    tiny.target["gate"]["screen"] = screen
    tiny.write_target()
    python = Path(tiny.target["environment"]["python"])
    install(python, "alpha", "1.0", {"alpha.py": "A = 1\n"})
    upgrade = lambda: install(python, "alpha", "1.1", {"alpha.py": "A = 2\n"})  # noqa: E731
    tiny.progress = Installs("  H-001 3 seeds", upgrade)
    result = tiny.night(Goal(cycles=1))
    assert result.promoted == ("H-001",)
    (changed,) = tiny.events("environment_changed")
    assert "alpha 1.0 → 1.1" in changed.reason
    assert changed.data["set_aside"] >= 4
    assert any("[ALERT] the environment has changed (alpha 1.0 → 1.1)" in line for line in tiny.progress.lines)
    (last,) = [look for look in tiny.events("look") if look.data["decision"]["outcome"] == "promote"]
    evidence = last.data["evidence"]
    judged = {
        run["environment"] for pair in evidence["stage"] for run in (pair["candidate"], pair["production"]) if run
    }
    assert len(judged | {run["environment"] for run in evidence["baseline"]}) == 1
    finished = {event.data["run_id"]: event for event in tiny.events("run_finished")}
    used = [pair["candidate"]["run_id"] for pair in evidence["stage"]]
    assert {finished[name].data["key"]["environment"] for name in used} == {changed.data["after"]}
    assert all(finished[name].seq > changed.seq for name in used)
    entered = tiny.events("gate_entered")
    assert [event.data["t"] for event in entered] == [1]
    assert [pair["seed"] for pair in evidence["stage"]] == entered[0].data["stage_seeds"][: len(used)]
    recorded = {event.data["sha256"]: event.data for event in tiny.events("environment_recorded")}
    assert recorded[changed.data["before"]]["packages"]["alpha"] == "1.0"
    assert recorded[changed.data["after"]]["packages"]["alpha"] == "1.1"
    lock = tiny.workspace.results_of("H-001").requirements.read_text()
    assert "alpha==1.1\n" in lock
    assert changed.data["after"] in lock
    assert verify(tiny.workspace).ok


def test_an_environment_that_comes_back_brings_its_paid_runs_back(tiny: Tiny) -> None:
    tiny.target["search_space"] = {"width": SPACE["width"]}
    tiny.write_target()
    python = Path(tiny.target["environment"]["python"])
    install(python, "alpha", "1.0", {"alpha.py": "A = 1\n"})

    class ThereAndBack(Recorded):
        versions = ("1.1", "1.0")

        def say(self, line: str) -> None:
            super().say(line)
            if line.startswith("  H-001 3 seeds") and self.versions:
                install(python, "alpha", self.versions[0], {"alpha.py": "A = 1\n"})
                self.versions = self.versions[1:]

    tiny.progress = ThereAndBack()
    assert tiny.night(Goal(cycles=1)).promoted == ("H-001",)
    assert len(tiny.events("environment_changed")) == 2
    assert tiny.events("runs_taken_up")
    ids = [event.data["run_id"] for event in tiny.events("run_finished")]
    assert len(ids) == len(set(ids))
    assert verify(tiny.workspace).ok


def test_an_environment_that_never_rests_ends_the_test_and_promotes_nothing(tiny: Tiny) -> None:
    tiny.target["search_space"] = {"width": SPACE["width"]}
    tiny.write_target()
    python = Path(tiny.target["environment"]["python"])

    class Restless(Recorded):
        count = 0

        def say(self, line: str) -> None:
            super().say(line)
            if line.startswith("  H-001 3 seeds"):
                self.count += 1
                install(python, "alpha", f"1.{self.count}", {"alpha.py": f"A = {self.count}\n"})

    tiny.progress = Restless()
    assert tiny.night(Goal(cycles=1)).promoted == ()
    assert tiny.verdict("H-001") == ("archive", "mixed_environments")
    assert verify(tiny.workspace).ok
