"""A whole short night on a real repository: what it promotes, what it archives and why, and what it leaves alone."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from git_repositories import git, picture
from tiny_solution import BOARD, SPACE, TEST_SHIFT, Tiny, build

from agent.night import Goal, NightResult
from agent.readers import Reader
from agent.verification import verify
from registry.audit import AuditLog
from registry.documents import load_queue
from registry.workspace import Workspace
from registry.yaml_parsing import read

AGENTS_OWN = (".git/objects", ".git/refs/heads/agent", ".git/logs/refs/heads/agent")


@dataclass
class Finished:
    tiny: Tiny
    result: NightResult
    repository_before: dict[str, str]
    status_before: str
    registry_before: str


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    tiny = build(tmp_path_factory.mktemp("night"))
    tiny.target["search_space"] = {name: SPACE[name] for name in ("width", "depth", "harm", "mode")}
    tiny.write_target()
    repository = tiny.repository
    (repository / "train.py").write_text("an edit put away\n")
    git(repository, "stash")
    (repository / "staged.txt").write_text("staged\n")
    git(repository, "add", "staged.txt")
    (repository / "predict.py").write_text("an edit in the middle\n")
    (repository / "untracked.txt").write_text("new\n")
    status = git(repository, "status", "--porcelain")
    before, registry = picture(repository, without=AGENTS_OWN), tiny.workspace.competitive_registry.read_text()
    result = tiny.night(Goal(cycles=5))
    return Finished(tiny, result, before, status, registry)


def test_a_real_improvement_is_promoted_and_nothing_else_is(finished: Finished) -> None:
    assert finished.result.promoted == (finished.tiny.changing(width=2),)
    assert not finished.result.failed


def test_the_gain_of_a_promotion_is_the_mean_over_fresh_seeds_that_decided_nothing(finished: Finished) -> None:
    tiny, winner = finished.tiny, finished.result.promoted[0]
    records = [event.data for event in tiny.events("run_finished", winner)]
    fresh = {(r["arm"], r["key"]["seed"]): r["metrics"]["accuracy"] for r in records if r["purpose"] == "fresh"}
    deciding = {r["key"]["seed"] for r in records if r["purpose"] == "gate"}
    seeds = {seed for _, seed in fresh}
    assert len(seeds) == 5
    assert not seeds & deciding
    mean = sum(fresh["candidate", seed] - fresh["production", seed] for seed in seeds) / 5
    (promoted,) = tiny.events("promoted")
    assert promoted.data["gain"] == pytest.approx(mean, abs=1e-12)
    assert 0.015 < mean < 0.025


def test_an_idea_without_effect_is_archived_by_the_gate(finished: Finished) -> None:
    outcome, reason = finished.tiny.verdict(finished.tiny.changing(depth=2))
    assert outcome == "archive"
    assert reason in {"below_baseline", "futility"}


def test_a_harmful_idea_is_archived_below_baseline_with_the_distance(finished: Finished) -> None:
    tiny = finished.tiny
    harmful = tiny.changing(harm=2)
    assert tiny.verdict(harmful) == ("archive", "below_baseline")
    decision = json.loads(tiny.workspace.results_of(harmful).decision.read_text())
    worse = float(re.search(r"accuracy is ([\d.]+) worse", decision["reason"])[1])
    assert 0.02 < worse < 0.04


def test_a_patch_that_crashes_in_validation_is_retried_once_and_archived_with_its_log(finished: Finished) -> None:
    tiny = finished.tiny
    broken = tiny.changing(mode="crash")
    attempts = [event.data["attempt"] for event in tiny.events("run_finished", broken)]
    assert attempts == [1, 2]
    (archived,) = tiny.events("hypothesis_archived", broken)
    assert archived.data["code"] == "validation"
    assert "no such mode" in archived.reason
    whole = tiny.workspace.results_of(broken).train_log.read_text()
    assert whole.count("no such mode") == 2
    assert "train (attempt-1, which failed)" in whole
    assert not tiny.events("gate_entered", broken)


def test_only_production_moves_and_the_checkout_index_stash_and_branch_stay(finished: Finished) -> None:
    tiny = finished.tiny
    assert picture(tiny.repository, without=AGENTS_OWN) == finished.repository_before
    assert git(tiny.repository, "status", "--porcelain") == finished.status_before
    (promoted,) = tiny.events("promoted")
    assert tiny.tip("agent/production") == promoted.data["commit"]
    assert tiny.tip("agent/production^") == tiny.tip("main")
    changed = git(tiny.repository, "diff", "--name-only", "main", "agent/production")
    assert changed == "configs/production.yaml"


def test_the_registry_changes_in_its_scores_and_its_new_rival_and_in_no_other_byte(finished: Finished) -> None:
    tiny = finished.tiny
    after = tiny.workspace.competitive_registry.read_text()
    score = tiny.events("board_score", BOARD)[-1].data["score"]
    assert f"    Tiny: {round(score, 6)}     # our test score\n" in after
    day = re.search(r"last_updated: (\d{4}-\d\d-\d\d)", after)[0]
    back = after.replace(f"Tiny: {round(score, 6)} ", "Tiny: null ").replace(f", {day}", "")
    new = "  - {name: Other, latest_score: 0.5, source: Tiny}\n"
    assert new in back
    assert back.replace(new, "").replace("latest_score: 0.9,", "latest_score: null,") == finished.registry_before


def test_the_score_on_the_board_is_the_test_score_and_decides_nothing(finished: Finished) -> None:
    tiny = finished.tiny
    runs = [event.data for event in tiny.events("run_finished")]
    tested = {r["run_id"] for r in runs if r["key"]["split"] == "test"}
    assert {r["purpose"] for r in runs if r["run_id"] in tested} == {"test_look"}
    evidence = json.dumps([event.data["evidence"] for event in tiny.events("look")])
    assert len(tested) == 10
    assert not any(run_id in evidence for run_id in tested)
    fresh = [r["metrics"]["accuracy"] for r in runs if r["purpose"] == "fresh" and r["arm"] == "candidate"]
    last = tiny.events("board_score", BOARD)[-1].data["score"]
    assert last == pytest.approx(sum(fresh) / 5 - TEST_SHIFT, abs=1e-9)


def test_a_promotion_is_one_line_of_the_changelog_a_pull_request_and_a_dated_file(finished: Finished) -> None:
    tiny, winner = finished.tiny, finished.result.promoted[0]
    (promoted,) = tiny.events("promoted")
    lines = [line for line in tiny.workspace.changelog.read_text().splitlines() if winner in line]
    assert len(lines) == 1
    assert promoted.data["commit"][:12] in lines[0]
    text = (tiny.workspace.reports / "pull-requests" / f"{winner}.md").read_text()
    assert promoted.data["branch"] in text
    assert f"{promoted.data['gain']:.4f}"[:5] in text
    kept = read(tiny.workspace.hypothesis(winner, "promoted")).data
    assert kept["hypothesis"]["status"] == "promoted"
    assert kept["decided"] == {"at": promoted.time, "reason": promoted.reason}
    assert not tiny.workspace.hypothesis(winner, "queued").exists()


def test_what_waited_on_the_promoted_setting_is_archived_as_superseded(finished: Finished) -> None:
    tiny = finished.tiny
    history = Reader(tiny.workspace).history()
    superseded = [e for e in tiny.events("hypothesis_archived") if e.data["code"] == "superseded"]
    assert superseded
    for event in superseded:
        assert "model.width" in history.hypotheses[event.subject].implementation.settings
        assert finished.result.promoted[0] in event.reason
        assert tiny.workspace.hypothesis(event.subject, "archived").is_file()


def test_the_queue_file_shows_what_waits_in_the_order_of_rank(finished: Finished) -> None:
    tiny = finished.tiny
    history = Reader(tiny.workspace).history()
    shown = load_queue(tiny.workspace.experiment_queue)
    assert 0 < len(shown) <= 10
    assert {item.id for item in shown} == {item.id for item in history.with_status("queued")}
    assert [i.priority_score for i in shown] == sorted((i.priority_score for i in shown), reverse=True)


def test_no_run_is_executed_twice_and_a_night_that_goes_on_pays_nothing_again(finished: Finished) -> None:
    tiny = finished.tiny
    keys = [(event.data["run_id"], event.data["attempt"]) for event in tiny.events("run_finished")]
    assert len(keys) == len(set(keys))
    phases = len(tiny.sandbox.started)
    assert phases == len(set(tiny.sandbox.started))


def test_the_log_of_the_night_holds(finished: Finished) -> None:
    found = verify(finished.tiny.workspace)
    assert found.problems == ()
    assert found.looks >= 8


def test_results_name_their_runs_and_their_aggregate(finished: Finished) -> None:
    tiny, winner = finished.tiny, finished.result.promoted[0]
    folder = tiny.workspace.results_of(winner)
    metrics = json.loads(folder.metrics.read_text())
    measured = [r["metrics"]["accuracy"] for r in metrics["runs"] if r["purpose"] in {"gate", "fresh"}]
    assert metrics["aggregate"]["accuracy"]["n"] == len(measured) == 13
    assert metrics["aggregate"]["accuracy"]["mean"] == pytest.approx(sum(measured) / 13)
    projected = json.loads(folder.eval_on_leaderboard.read_text())
    assert projected[BOARD]["projected_rank"] == 2
    assert "width: 2" in folder.config.read_text()
    assert "+  width: 2" in folder.patch.read_text()
    for run in metrics["runs"]:
        assert json.loads((tiny.workspace.root / run["folder"] / "run.json").read_text())["run_id"] == run["run_id"]


def test_models_are_let_go_of_once_no_decision_can_need_them(finished: Finished) -> None:
    results = finished.tiny.workspace.results
    assert [*results.rglob("run.json")]
    assert not [path.relative_to(results) for path in results.rglob("model")]


def test_no_index_worktree_or_half_done_run_is_left_over(finished: Finished) -> None:
    cache: Path = finished.tiny.workspace.cache
    assert not [*cache.glob("running/*"), *cache.glob("worktrees/*")]


def test_the_versions_of_the_environment_stand_in_the_log_and_beside_the_results(finished: Finished) -> None:
    (recorded,) = finished.tiny.events("environment_recorded")
    environments = {event.data["key"]["environment"] for event in finished.tiny.events("run_finished")}
    assert environments == {recorded.data["sha256"]}
    lock = finished.tiny.workspace.results_of(finished.result.promoted[0]).requirements.read_text()
    assert lock.startswith(f"# python {recorded.data['python']} on {recorded.data['machine']}\n")
    pins = dict(line.split("==") for line in lock.splitlines() if not line.startswith("#"))
    assert pins == recorded.data["packages"]


def test_a_log_whose_end_was_cut_off_shows_against_the_commits_that_name_its_heads(
    finished: Finished, tmp_path: Path
) -> None:
    whole = verify(finished.tiny.workspace)
    assert whole.ok
    assert whole.anchors >= 3
    other = Workspace(tmp_path / "workspace")
    shutil.copytree(finished.tiny.workspace.root, other.root, symlinks=True)
    lines = other.audit.read_bytes().splitlines(keepends=True)
    other.audit.write_bytes(b"".join(lines[:10]))
    problems = " ".join(verify(other).problems)
    assert "names, expected every published head in the log" in problems


def test_commits_of_an_earlier_workspace_are_no_anchors_of_a_new_log(finished: Finished, tmp_path: Path) -> None:
    new = Workspace(tmp_path / "workspace")
    shutil.copytree(finished.tiny.workspace.root, new.root, symlinks=True)
    new.audit.unlink()
    new.technical_log.unlink()
    shutil.rmtree(new.reports)
    later = datetime.now(UTC) + timedelta(minutes=1)  # commits hold whole seconds, and this night has just ended
    with AuditLog.open(new.audit, lambda: later) as log:
        log.append("workspace_created", "workspace", {})
    assert verify(new).ok
