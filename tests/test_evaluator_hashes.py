"""No value counts without the hash of the evaluator that gave it: for the gate, and for whoever verifies the log."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from night_processes import agent
from recorded_nights import a_night, make_workspace

from agent.evidence import run_value
from agent.verification import verify
from experiments.gate.record import content_digest
from registry.canonical import canonical
from registry.runs import RunKey, RunRecord
from registry.workspace import Workspace

KEY = RunKey(tree="t", configuration="c", data="d", environment="e", evaluator="v", settings="s", split="dev", seed=7)
Document = dict[str, Any]


def record(**changes: Any) -> RunRecord:
    facts: Document = {
        "run_id": KEY.run_id,
        "key": KEY,
        "subject": "H-001",
        "arm": "candidate",
        "purpose": "gate",
        "commit": "c" * 40,
        "status": "ok",
        "metrics": {"accuracy": 0.9},
        "verified": "0" * 64,
        **changes,
    }
    return RunRecord.model_validate(facts)


def test_a_run_that_vouches_for_its_evaluator_brings_its_hash_to_the_gate() -> None:
    assert run_value(record(), "accuracy").evaluator == "v"
    crashed = record(status="crash", verified="", metrics={})
    assert run_value(crashed, "accuracy").evaluator == "v"  # a failure needs no evaluator to count against it


def test_a_run_whose_evaluator_was_not_held_or_whose_name_is_not_its_own_brings_none() -> None:
    assert run_value(record(verified=""), "accuracy").evaluator == ""
    assert run_value(record(run_id="r" + "0" * 24), "accuracy").evaluator == ""


def test_a_record_from_before_runs_were_held_says_nothing_and_counts() -> None:
    old = record().model_dump(mode="json")
    del old["verified"]
    assert run_value(RunRecord.model_validate(old), "accuracy").evaluator == "v"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A night with a promotion, whose log holds."""
    made = make_workspace(tmp_path)
    a_night(made)
    assert verify(made).ok
    return made


def rewritten(workspace: Workspace, change: Callable[[Document], None]) -> list[str]:
    """What verify finds after every event was changed so, and the chain and the looks' digests made anew."""
    lines, before = [], ""
    for line in workspace.audit.read_text().splitlines():
        event = json.loads(line)
        change(event)
        if event["kind"] == "look":
            event["data"]["digest"] = content_digest(event["data"])
        event["prev"] = before or event["prev"]
        del event["hash"]
        before = event["hash"] = hashlib.sha256(canonical(event)).hexdigest()
        lines.append(canonical(event).decode() + "\n")
    workspace.audit.write_text("".join(lines))
    return list(verify(workspace).problems)


def test_the_log_written_anew_without_a_change_still_holds(workspace: Workspace) -> None:
    assert rewritten(workspace, lambda event: None) == []


def test_runs_that_were_scored_by_another_evaluator_than_the_look_says_are_named(workspace: Workspace) -> None:
    def other(event: Document) -> None:
        if event["kind"] == "run_finished":
            event["data"]["key"]["evaluator"] = "other"

    found = rewritten(workspace, other)
    assert any("was scored by other and the look says eval" in line for line in found), found
    assert any("was identified by its inputs as" in line for line in found), found


def test_a_look_whose_evaluator_is_not_the_pinned_one_is_named(workspace: Workspace) -> None:
    def other(event: Document) -> None:
        if event["kind"] == "gate_entered":
            event["data"]["evaluator"] = "pinned"

    found = rewritten(workspace, other)
    assert any("its evaluator is" in line and "pinned was pinned for its test" in line for line in found), found


def test_a_run_that_was_not_held_is_named(workspace: Workspace) -> None:
    def other(event: Document) -> None:
        if event["kind"] == "run_finished":
            event["data"]["verified"] = ""

    found = rewritten(workspace, other)
    assert any("was scored by none and the look says eval" in line for line in found), found


def test_a_log_in_which_one_hash_was_edited_by_hand_is_named_by_the_command(workspace: Workspace) -> None:
    text = workspace.audit.read_text()
    line = next(line for line in text.splitlines() if '"kind":"look"' in line)
    number = json.loads(line)["seq"]
    workspace.audit.write_text(text.replace(line, line.replace('"evaluator":"eval"', '"evaluator":"evil"', 1)))
    done: subprocess.CompletedProcess[str] = agent(workspace, "audit", "verify")
    assert done.returncode == 1
    assert f"line {number}" in done.stdout + done.stderr or f"event {number}" in done.stdout + done.stderr
