"""What a crash leaves in the records alone: broken attempts, a checkpoint store nobody can read, a full season."""

from __future__ import annotations

from pathlib import Path

import night_processes as nights
import pytest
import tiny_target
from tiny_target import TinyTarget

from agent.ledger import LogLedger
from agent.progress import Silent
from registry.audit import AuditLog
from registry.history import History
from registry.runs import RunKey, RunRecord, RunStatus
from sandbox.backends import choose
from sandbox.contract import SandboxUnavailable

KEY = RunKey(tree="t", configuration="c", data="d", environment="e", evaluator="v", settings="s", split="dev", seed=7)


def _record(status: RunStatus, attempt: int) -> RunRecord:
    return RunRecord(
        run_id=KEY.run_id,
        key=KEY,
        subject="production",
        arm="production",
        purpose="baseline",
        commit="abc",
        status=status,
        attempt=attempt,
    )


def test_a_run_that_the_sandbox_broke_is_not_paid_and_may_be_done_again(tmp_path: Path) -> None:
    with AuditLog.open(tmp_path / "audit.jsonl") as log:
        ledger = LogLedger(log, History(), Silent())
        for attempt in (1, 2, 1):
            ledger.finish(_record("infra", attempt))
        assert ledger.finished(KEY.run_id, 1) is None
        ledger.finish(_record("ok", 1))
        assert ledger.finished(KEY.run_id, 1) == _record("ok", 1)
        assert [event.kind for event in log.events()] == ["run_broken"] * 3 + ["run_finished"]


def test_a_second_attempt_after_a_broken_first_one_is_the_outcome(tmp_path: Path) -> None:
    with AuditLog.open(tmp_path / "audit.jsonl") as log:
        ledger = LogLedger(log, History(), Silent())
        ledger.finish(_record("infra", 1))
        ledger.finish(_record("ok", 2))
        assert ledger.finished(KEY.run_id, 1) == _record("ok", 2)


def test_a_failed_attempt_stays_paid(tmp_path: Path) -> None:
    with AuditLog.open(tmp_path / "audit.jsonl") as log:
        ledger = LogLedger(log, History(), Silent())
        failed = _record("crash", 1).model_copy(update={"arm": "candidate", "subject": "H-001"})
        ledger.finish(failed)
        assert ledger.finished(KEY.run_id, 1) == failed
        assert ledger.finished(KEY.run_id, 2) is None


def test_a_failure_of_production_is_noted_and_tried_again_the_next_night(tmp_path: Path) -> None:
    with AuditLog.open(tmp_path / "audit.jsonl") as log:
        ledger = LogLedger(log, History(), Silent())
        ledger.finish(_record("crash", 1))
        assert ledger.finished(KEY.run_id, 1) is None
        assert [event.kind for event in log.events()] == ["run_broken"]


@pytest.fixture
def target(tmp_path: Path) -> TinyTarget:
    try:
        choose(tmp_path / "state")
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    return tiny_target.make(tmp_path / "night")


def test_a_checkpoint_store_that_cannot_be_read_is_made_anew(target: TinyTarget) -> None:
    nights.killed_at(target, "gate_entered")
    store = target.workspace.checkpoints
    store.write_bytes(b"no database at all\n" * 500)
    store.with_name(store.name + "-wal").unlink(missing_ok=True)
    done = nights.agent(target.workspace, "run", "--cycles", "1")
    assert done.returncode == 0, done.stderr
    log = nights.events(target.workspace)
    assert sum(event["kind"] == "verdict" for event in log) == 1
    assert [event["data"]["cycle"] for event in log if event["kind"] == "cycle_finished"] == [1]
    assert any(store.name in event["data"]["removed"] for event in log if event["kind"] == "recovered")
    assert nights.paid_twice(log) == []
