"""What a run is identified by, that it is paid once, retried once, and what its measurements stand for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from git_repositories import git
from tiny_solution import InProcess, Tiny, build

from experiments.measuring import InfrastructureFailed, Measurer, ProductionFailed
from experiments.metrics import read_metrics
from experiments.plans import Plan
from registry.errors import BadInput
from registry.runs import RunRecord
from sandbox.contract import Outcome, RunSpec


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return build(tmp_path)


class Ledger:
    """A record of runs in memory; implements `experiments.measuring.RunLedger`."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, int], RunRecord] = {}
        self.announced: list[tuple[int, int]] = []

    def finished(self, run_id: str, attempt: int) -> RunRecord | None:
        return self.records.get((run_id, attempt))

    def started(self, plan: Plan, run_id: str, attempt: int) -> None:
        self.announced.append((plan.seed, attempt))

    def finish(self, record: RunRecord) -> None:
        self.records[record.run_id, record.attempt] = record

    def note(self, text: str) -> None:
        del text

    def advance(self, done: int, total: int) -> None:
        assert done <= total


def _plan(tiny: Tiny, **changed: Any) -> Plan:
    main = tiny.tip("main")
    return replace(Plan("H-001", "candidate", "gate", main, main, 7), **changed)


class Weak(InProcess):
    """The same sandbox, which says of itself that it isolates less."""

    isolation = "weak"


def _measurer(tiny: Tiny, ledger: Ledger, sandbox: InProcess | None = None, slots: int = 2) -> Measurer:
    return Measurer(tiny.runner(sandbox), ledger, threading.Event(), slots)


# -- identity -----------------------------------------------------------------------------------------------


def _other_training_data(tiny: Tiny, plan: Plan) -> Plan:
    made = tiny.commit({"data/train/knowledge.txt": "0.7\n"})
    return replace(plan, production=made)


def _other_evaluator(tiny: Tiny, plan: Plan) -> Plan:
    made = tiny.commit({"evaluate.py": "# another\n" + (tiny.repository / "evaluate.py").read_text()})
    return replace(plan, production=made)


def _other_configuration(tiny: Tiny, plan: Plan) -> Plan:
    return replace(plan, commit=tiny.commit(tiny.configured(width=2)))


def _other_code(tiny: Tiny, plan: Plan) -> Plan:
    return replace(plan, commit=tiny.commit({"train.py": "# another\n" + (tiny.repository / "train.py").read_text()}))


def _other_package(tiny: Tiny, plan: Plan) -> Plan:
    environment = tiny.root / "environment"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin/python").touch()
    (environment / "lib/python3.11/site-packages/numpy-2.0.0.dist-info").mkdir(parents=True)
    tiny.target["environment"] = {"python": str(environment / "bin/python")}
    return plan


def _other_variable(tiny: Tiny, plan: Plan) -> Plan:
    tiny.target["environment"]["variables"] = {"MODE": "fast"}
    return plan


def _other_command(tiny: Tiny, plan: Plan) -> Plan:
    tiny.target["phases"]["train"]["command"].insert(1, "-B")
    return plan


def _other_memory(tiny: Tiny, plan: Plan) -> Plan:
    tiny.target["resources"]["memory"] = "256MiB"
    return plan


def _other_timeout(tiny: Tiny, plan: Plan) -> Plan:
    tiny.target["full"]["timeout"] = 33
    return plan


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (_other_code, {"tree"}),
        (_other_configuration, {"tree", "configuration"}),
        (_other_training_data, {"data", "evaluator"}),  # data are protected, so the pinned evaluator covers them
        (_other_evaluator, {"evaluator"}),
        (_other_package, {"environment"}),
        (_other_variable, {"environment"}),
        (_other_command, {"settings"}),
        (_other_memory, {"settings"}),
        (_other_timeout, {"settings"}),
        (lambda tiny, plan: replace(plan, fast=True), {"settings"}),
        (lambda tiny, plan: replace(plan, purpose="cost"), {"settings"}),
        (lambda tiny, plan: replace(plan, split="test"), {"split"}),
        (lambda tiny, plan: replace(plan, seed=8), {"seed"}),
        (lambda tiny, plan: replace(plan, subject="H-002", arm="production", purpose="fresh"), set()),
    ],
)
def test_a_runs_identity_changes_with_what_it_depends_on_and_with_nothing_else(
    tiny: Tiny, change: Callable[[Tiny, Plan], Plan], parts: set[str]
) -> None:
    plan = _plan(tiny)
    before = tiny.runner().key(plan)
    changed = change(tiny, plan)
    tiny.write_target()
    after = tiny.runner().key(changed)
    assert {name for name, value in before.model_dump().items() if value != getattr(after, name)} == parts
    assert (before.run_id != after.run_id) == bool(parts)


def test_a_commit_with_another_date_and_message_is_the_same_run(tiny: Tiny) -> None:
    before = tiny.tip("main")
    git(tiny.repository, "commit", "-q", "--amend", "--date", "2020-01-01T00:00:00Z", "-m", "other words")
    after = tiny.tip("main")
    assert before != after
    runner = tiny.runner()
    ids = {runner.key(_plan(tiny, commit=commit, production=commit)).run_id for commit in (before, after)}
    assert len(ids) == 1


def test_a_run_in_a_weak_sandbox_is_another_run_in_another_folder(tiny: Tiny) -> None:
    """What it gave counts for no promotion, so it must not stand for production's once there is a full sandbox."""
    plan, full, weak = _plan(tiny), tiny.runner(InProcess()), tiny.runner(Weak())
    assert full.key(plan).run_id != weak.key(plan).run_id
    assert full.folder(plan) != weak.folder(plan)
    assert full.key(plan).run_id == tiny.runner(InProcess()).key(plan).run_id


# -- paying -------------------------------------------------------------------------------------------------


def test_a_paid_run_is_never_executed_again(tiny: Tiny) -> None:
    ledger, plans = Ledger(), [_plan(tiny, seed=seed) for seed in (1, 2, 3)]
    first = _measurer(tiny, ledger).measure(plans)
    phases = len(tiny.sandbox.started)
    assert phases == 9
    assert _measurer(tiny, ledger).measure(list(reversed(plans))) == list(reversed(first))
    assert len(tiny.sandbox.started) == phases
    assert len(ledger.announced) == 3


def test_a_crash_is_retried_once_with_the_same_seed_and_then_stands(tiny: Tiny) -> None:
    commit = tiny.commit(tiny.configured(mode="crash"))
    ledger = Ledger()
    (record,) = _measurer(tiny, ledger).measure([_plan(tiny, commit=commit)])
    assert (record.status, record.attempt) == ("crash", 2)
    assert "no such mode" in record.why
    assert ledger.announced == [(7, 1), (7, 2)]
    assert "no such mode" in (tiny.workspace.root / record.folder / "train.log").read_text()
    assert _measurer(tiny, ledger).measure([_plan(tiny, commit=commit)]) == [record]
    assert len(ledger.announced) == 2


def test_production_that_fails_twice_stops_everything(tiny: Tiny) -> None:
    commit = tiny.commit(tiny.configured(mode="crash"))
    with pytest.raises(ProductionFailed, match="seed 7"):
        _measurer(tiny, Ledger()).measure([_plan(tiny, commit=commit, production=commit, arm="production")])


class Failing(InProcess):
    """A sandbox that cannot do its part for the first so many phases."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def run(self, spec: RunSpec, cancel: threading.Event) -> Outcome:
        if self.left:
            self.left -= 1
            return self._outcome("infra", None, "no cgroup")
        return super().run(spec, cancel)


def test_a_failure_of_the_sandbox_is_no_result_of_the_candidate(tiny: Tiny) -> None:
    with pytest.raises(InfrastructureFailed):
        _measurer(tiny, Ledger(), Failing(2)).measure([_plan(tiny)])
    (record,) = _measurer(tiny, Ledger(), Failing(1)).measure([_plan(tiny)])
    assert (record.status, record.attempt) == ("ok", 2)


def test_a_night_that_the_sandbox_failed_goes_on_once_the_sandbox_works(tiny: Tiny) -> None:
    from agent.night import Goal

    tiny.sandbox = Failing(2)  # the first run of production, twice
    failed = tiny.night(Goal(cycles=1))
    assert failed.failed
    assert "the sandbox failed twice" in failed.reason
    assert not tiny.night(Goal(cycles=1)).failed
    assert tiny.events("verdict")


class Counting(InProcess):
    """Knows how many phases ran at once; the first two wait for each other where that is asked."""

    def __init__(self, together: int) -> None:
        super().__init__()
        self.most = self.now = 0
        self.lock = threading.Lock()
        self.barrier = threading.Barrier(together)

    def run(self, spec: RunSpec, cancel: threading.Event) -> Outcome:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.barrier.wait(timeout=20)
        outcome = super().run(spec, cancel)
        with self.lock:
            self.now -= 1
        return outcome


def test_two_seeds_run_side_by_side_and_measurements_of_time_alone(tiny: Tiny) -> None:
    plans = [_plan(tiny, seed=seed) for seed in (1, 2)]
    beside = Counting(together=2)
    assert [record.key.seed for record in _measurer(tiny, Ledger(), beside).measure(plans)] == [1, 2]
    assert beside.most == 2
    alone = Counting(together=1)
    _measurer(tiny, Ledger(), alone).measure(plans, exclusive=True)
    assert alone.most == 1


# -- costs --------------------------------------------------------------------------------------------------


def _with_costs(tiny: Tiny, repeats: int) -> None:
    tiny.target["metrics"]["secondary"] = {
        "latency_ms": {"source": "predict", "max_increase": 0.1},
        "memory_mb": {"source": "predict", "max_increase": 0.1},
    }
    tiny.target["phases"]["predict"]["repeats"] = repeats
    tiny.write_target()


def test_a_latency_is_host_time_by_item_over_repeated_items_with_ids_of_their_own(tiny: Tiny) -> None:
    _with_costs(tiny, repeats=25)
    tiny.commit({"data/dev/inputs/picture.txt": "shown beside the items\n"})
    ledger = Ledger()
    _measurer(tiny, ledger).measure([_plan(tiny)])
    before = len(tiny.sandbox.started)
    (record,) = _measurer(tiny, ledger).measure([_plan(tiny, purpose="cost")], exclusive=True)
    assert record.metrics == {"latency_ms": pytest.approx(1.0 / 100), "memory_mb": 1.0}
    assert [name.rpartition("-")[2] for name in tiny.sandbox.started[before:]] == ["predict"] * 3
    (shown,) = (tiny.workspace.cache / "trees").glob("timing-*")
    items = [json.loads(line) for line in (shown / "inputs.jsonl").read_text().splitlines()]
    assert len(items) == len({item["id"] for item in items}) == 100
    assert [item["x"] for item in items] == [0, 1, 2, 3] * 25
    assert (shown / "picture.txt").read_text() == "shown beside the items\n"


def test_a_cost_run_trains_by_itself_where_no_model_is_left(tiny: Tiny) -> None:
    _with_costs(tiny, repeats=1)
    (record,) = _measurer(tiny, Ledger()).measure([_plan(tiny, purpose="cost")], exclusive=True)
    assert record.status == "ok"
    assert [name.rpartition("-")[2] for name in tiny.sandbox.started] == ["train", "predict", "predict", "predict"]


def test_timing_inputs_follow_data_that_git_does_not_track(tiny: Tiny) -> None:
    _with_costs(tiny, repeats=10)
    (tiny.repository / ".gitignore").write_text("data/dev/inputs/\n")
    git(tiny.repository, "rm", "-q", "-r", "--cached", "data/dev/inputs")
    tiny.commit({})
    costs = []
    for items in (4, 2):
        lines = [json.dumps({"id": f"dev-{number}", "x": number}) for number in range(items)]
        (tiny.repository / "data/dev/inputs/inputs.jsonl").write_text("\n".join(lines))
        costs += _measurer(tiny, Ledger()).measure([_plan(tiny, purpose="cost")], exclusive=True)
    assert costs[1].metrics["latency_ms"] == pytest.approx(2 * costs[0].metrics["latency_ms"])


def test_items_without_an_id_cannot_be_repeated_and_the_line_is_named(tiny: Tiny) -> None:
    _with_costs(tiny, repeats=10)
    tiny.commit({"data/dev/inputs/inputs.jsonl": '{"id": "dev-0", "x": 0}\n{"x": 1}\n'})
    with pytest.raises(BadInput, match=r"inputs\.jsonl:2: .*repeats"):
        _measurer(tiny, Ledger()).measure([_plan(tiny, purpose="cost")], exclusive=True)


# -- metrics.json -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"accuracy": NaN}', "NaN"),
        ('{"accuracy": Infinity}', "Infinity"),
        ('{"accuracy": 1e999}', "1e999"),
        ('{"accuracy": {"dev": 1.0}}', "an object"),
        ('{"accuracy": true}', "true or false"),
        ('{"accuracy": "0.9"}', "a text"),
        ('{"accuracy": null}', "null"),
        ('{"loss": 0.1}', "'accuracy'"),
        ("{}", "'accuracy'"),
        ('{"accuracy": 0.9, "accuracy": 1.0}', "twice"),
        ("[0.9]", "a list"),
        ("0.9 and more", "valid JSON"),
        ("", "valid JSON"),
        ('{"accuracy": 0.9, "note": "' + "x" * (1 << 20) + '"}', "at most"),
        (json.dumps({"accuracy": 0.9} | {f"m{n}": 1.0 for n in range(200)}), "201 members"),
        ('{"accuracy": ' + "9" * 400 + "}", "digits"),
        ('{"accuracy": ' + "9" * 299 + "}", None),
    ],
)
def test_metrics_are_one_flat_object_of_finite_numbers_or_refused(tmp_path: Path, text: str, said: str | None) -> None:
    (tmp_path / "metrics.json").write_text(text)
    if said is None:
        assert read_metrics(tmp_path, "accuracy") == {"accuracy": 1e299}
        return
    with pytest.raises(BadInput) as caught:
        read_metrics(tmp_path, "accuracy")
    assert said in str(caught.value)


def test_an_evaluator_that_writes_nan_or_a_strange_examples_file_is_bad_output(tiny: Tiny) -> None:
    source = (tiny.repository / "evaluate.py").read_text()
    ends = ('    error = float("nan")\n', '    pathlib.Path(out, "examples.jsonl").symlink_to("/etc/passwd")\n')
    for end, said in zip(ends, ("NaN", "examples.jsonl"), strict=True):
        tiny.commit({"evaluate.py": source.replace("    pathlib.Path(out,", f"{end}    pathlib.Path(out,", 1)})
        (record,) = _measurer(tiny, Ledger()).measure([_plan(tiny)])
        assert (record.status, record.metrics) == ("bad_output", {})
        assert record.why.startswith("evaluate: ")
        assert said in record.why
