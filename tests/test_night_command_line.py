"""Nights through the command line, in processes of their own and with the real sandbox."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_solution import OURS, SPACE, Tiny, build, real_sandbox

from registry.audit_events import fields_of, seal
from registry.locks import workspace_lock


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A night that `agent run` has promoted something in; the noise is small, so that it takes few seeds."""
    root = tmp_path_factory.mktemp("a night with spaces")
    real_sandbox(root / "sandbox")
    tiny = build(root)
    tiny.target["search_space"] = {"width": SPACE["width"], "mode": SPACE["mode"]}
    tiny.write_target()
    tiny.commit(tiny.configured(noise="0.00002"))
    tiny.write_registry(score="0.79")
    tiny.write_board(Rival=0.9, Other=0.5)
    done = tiny.agent("run", "--cycles", "2", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["promoted"] == [tiny.changing(width=2)]
    assert document["reason"] == "2 cycles done"
    assert document["failed"] is False
    return tiny


def test_a_night_in_the_sandbox_promotes_and_rejects_as_one_without_it(finished: Tiny) -> None:
    (promoted,) = finished.events("promoted")
    assert finished.tip("agent/production") == promoted.data["commit"]
    runs = [event.data for event in finished.events("run_finished")]
    assert {(run["backend"], run["isolation"]) for run in runs} == {("bwrap", "full")}
    (archived,) = finished.events("hypothesis_archived", finished.changing(mode="crash"))
    assert "exit status 1" in archived.reason
    assert "no such mode" in archived.reason


def test_review_and_verify_speak_of_the_night(finished: Tiny) -> None:
    winner = finished.changing(width=2)
    review = finished.agent("review", winner)
    assert (review.returncode, winner in review.stdout) == (0, True)
    refused = finished.agent("review", finished.changing(mode="crash"))
    assert refused.returncode == 1
    verified = finished.agent("audit", "verify")
    assert verified.returncode == 0, verified.stdout
    assert "The log holds" in verified.stdout


def test_verify_answers_no_where_one_digit_was_changed_and_the_chain_sealed_anew(finished: Tiny) -> None:
    whole = finished.workspace.audit.read_bytes()
    lines, previous = [], "0" * 64
    for event in finished.events():
        body = fields_of(event)
        del body["hash"]
        body["prev"] = previous
        if event.kind == "run_finished" and event.data["purpose"] == "fresh":
            body["data"]["metrics"]["accuracy"] += 1e-6
        lines.append(seal(body))
        previous = json.loads(lines[-1])["hash"]
    try:
        finished.workspace.audit.write_bytes(b"".join(lines))
        verified = finished.agent("audit", "verify")
    finally:
        finished.workspace.audit.write_bytes(whole)
    assert verified.returncode == 1
    assert "the look says" in verified.stdout


def test_a_second_night_on_a_locked_workspace_is_refused_and_an_unlocked_one_runs(finished: Tiny) -> None:
    with workspace_lock(finished.workspace.lock, "agent run"):
        refused = finished.agent("run", "--cycles", "1")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    events = len(finished.events())
    allowed = finished.agent("monitor", "--json")
    assert allowed.returncode == 0, allowed.stderr
    assert json.loads(allowed.stdout)["standing"]["Tiny"]["rank"] == 2
    assert len(finished.events()) > events


def test_a_conflict_with_the_base_is_exit_status_2_and_one_sentence(finished: Tiny, tmp_path: Path) -> None:
    production = finished.tip("agent/production")
    finished.commit(finished.configured(width=7))
    refused = finished.agent("run", "--cycles", "1")
    assert refused.returncode == 2
    assert "configs/production.yaml" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert finished.tip("agent/production") == production
    assert OURS not in refused.stderr


def test_a_full_disk_before_the_night_begins_is_said_with_its_place_and_its_mend(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import errno

    from agent.cli import main

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/workspace/.agent/sandbox")

    monkeypatch.setattr(main.agent, "main", full)
    with pytest.raises(SystemExit) as ended:
        main.main(["run"])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert "/workspace/.agent/sandbox: no room to write" in said
    assert "free some space" in said
    assert "fault of the program" not in said
