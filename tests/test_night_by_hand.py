"""What people put in between nights (hypotheses, commits, budgets), and what a log must agree with."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from git_repositories import git
from tiny_solution import SPACE, Tiny, build

from agent.handwork import Idea, add
from agent.night import Goal
from agent.verification import verify
from experiments.gate.record import content_digest
from registry.audit_events import fields_of, seal
from registry.documents import load_target
from registry.errors import BadInput


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    tiny = build(tmp_path)
    tiny.target["search_space"] = {"depth": SPACE["depth"]}
    tiny.write_target()
    return tiny


# -- hypotheses by hand -------------------------------------------------------------------------------------


def test_a_hypothesis_put_into_the_queue_by_hand_is_taken_in_and_tried(tiny: Tiny) -> None:
    path = tiny.put_into_queue("H-042", settings={"model.harm": 2}, estimated_gain=0.5)
    tiny.night(Goal(cycles=1))
    (taken,) = tiny.events("hypothesis_taken_in")
    assert taken.subject == "H-042"
    assert tiny.verdict("H-042") == ("archive", "below_baseline")
    assert not path.exists()
    assert tiny.workspace.hypothesis("H-042", "archived").is_file()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"model.depth": 2}, "tried the same on this production"),
        ({"model.depth": 1}, "production has these settings already"),
    ],
)
def test_a_dead_end_by_hand_is_refused_before_anything_is_paid(
    tiny: Tiny, settings: dict[str, object], why: str
) -> None:
    tiny.night()
    assert tiny.verdict(tiny.changing(depth=2))[0] == "archive"
    tiny.put_into_queue("H-042", settings=settings)
    tiny.night(Goal(cycles=1))
    (refused,) = tiny.events("hypothesis_refused")
    assert why in refused.reason
    assert not tiny.events("run_started", "H-042")
    tiny.night(Goal(cycles=1))
    assert len(tiny.events("hypothesis_refused")) == 1


def test_a_configuration_that_production_had_is_refused_before_anything_is_paid(tiny: Tiny) -> None:
    tiny.target["search_space"] = {"width": SPACE["width"]}
    tiny.write_target()
    (winner,) = tiny.night().promoted
    tiny.put_into_queue("H-042", settings={"model.width": 1})
    tiny.night(Goal(cycles=1))
    (refused,) = tiny.events("hypothesis_refused")
    assert winner == tiny.changing(width=2)
    assert "that is production as it was at" in refused.reason
    assert not tiny.events("run_started", "H-042")


def test_the_same_configuration_may_be_tried_once_people_have_changed_the_code(tiny: Tiny) -> None:
    tiny.target["search_space"] = {"width": SPACE["width"]}
    tiny.write_target()
    tiny.night()
    tiny.commit({"notes.md": "the code is another now\n"})
    tiny.night(Goal(cycles=1))
    tiny.put_into_queue("H-042", settings={"model.width": 1})
    tiny.night(Goal(cycles=1))
    assert not tiny.events("hypothesis_refused")
    assert tiny.verdict("H-042")[0] == "archive"


def test_moves_that_wait_are_let_go_once_their_family_has_stopped_paying(tiny: Tiny) -> None:
    tiny.target["search_space"] = {"harm": {**SPACE["harm"], "values": [1, 2, 3, 4, 5]}}
    tiny.write_target()
    tiny.write_board(Rival=0.806, Other=0.5)
    tiny.write_registry(score="0.8")
    tiny.put_into_queue("H-040", settings={"model.harm": 7})
    tiny.night()
    tried = {event.subject for event in tiny.events("verdict")}
    let_go = [event for event in tiny.events("hypothesis_archived") if "has stopped paying" in event.reason]
    assert {event.reason for event in let_go} == {"superseded: the family harm has stopped paying"}
    assert "H-040" in tried, "what a person asked for is tried whatever its family did"
    assert len(tried) == 2
    assert not {event.subject for event in let_go} & {event.subject for event in tiny.events("run_started")}


def test_a_duplicate_by_hand_is_refused_and_the_first_one_stays(tiny: Tiny) -> None:
    tiny.put_into_queue("H-041", settings={"model.harm": 2}, estimated_gain=0.01)
    tiny.put_into_queue("H-040", settings={"model.harm": 3}, estimated_gain=0.5)
    tiny.night(Goal(cycles=1))
    tiny.put_into_queue("H-042", settings={"model.harm": 2})
    tiny.night(Goal(cycles=1))
    (refused,) = tiny.events("hypothesis_refused")
    assert (refused.subject, "H-041" in refused.reason) == ("H-042", True)
    assert tiny.verdict("H-041") == ("archive", "below_baseline")


def test_a_malformed_file_in_the_queue_is_named_once_and_the_loop_goes_on(tiny: Tiny) -> None:
    path = tiny.workspace.state_folder("queued") / "H-042.yaml"
    path.write_text("hypothesis: {id: 42, title: [}")
    assert not tiny.night(Goal(cycles=1)).failed
    (refused,) = tiny.events("input_refused")
    assert refused.subject == "H-042.yaml"
    assert any("H-042.yaml is not taken in" in line for line in tiny.progress.lines)
    assert tiny.verdict(tiny.changing(depth=2))[0] == "archive"
    assert path.exists()


def test_a_hypothesis_in_words_alone_is_refused_by_the_patch_writer(tiny: Tiny) -> None:
    tiny.put_into_queue("H-042", estimated_gain=0.5)
    tiny.night(Goal(cycles=1))
    (archived,) = tiny.events("hypothesis_archived", "H-042")
    assert archived.data["code"] == "patch"
    assert "no settings" in archived.reason


def test_settings_that_the_configuration_does_not_have_are_refused(tiny: Tiny) -> None:
    tiny.put_into_queue("H-042", settings={"model.nowhere": 3}, estimated_gain=0.5)
    tiny.night(Goal(cycles=1))
    (archived,) = tiny.events("hypothesis_archived", "H-042")
    assert archived.data["code"] == "patch"
    assert "nowhere" in archived.reason


# -- the base, the budget, the test split -------------------------------------------------------------------


def test_new_commits_of_the_base_are_merged_when_a_night_starts_and_measured_again(tiny: Tiny) -> None:
    tiny.target["search_space"] = {"width": SPACE["width"]}
    tiny.write_target()
    tiny.night(Goal(cycles=1))
    first = tiny.tip("agent/production")
    tiny.commit({"notes.md": "from the user\n"})
    tiny.night(Goal(cycles=1))
    merged = tiny.tip("agent/production")
    assert git(tiny.repository, "rev-parse", "agent/production^1", "agent/production^2").split() == [
        first,
        tiny.tip("main"),
    ]
    assert git(tiny.repository, "show", "agent/production:notes.md") == "from the user"
    assert tiny.events("production_at")[-1].data["commit"] == merged
    baseline = {
        event.data["key"]["tree"]
        for event in tiny.events("run_finished", "production")
        if event.data["purpose"] == "baseline"
    }
    assert tiny.tip("agent/production^{tree}") in baseline


def test_a_conflict_with_the_base_stops_before_anything_is_paid_and_names_the_file(tiny: Tiny) -> None:
    tiny.target["search_space"] = {"width": SPACE["width"]}
    tiny.write_target()
    tiny.night(Goal(cycles=1))
    production, runs = tiny.tip("agent/production"), len(tiny.events("run_finished"))
    tiny.commit(tiny.configured(width=3))
    with pytest.raises(BadInput, match=r"configs/production\.yaml") as caught:
        tiny.night(Goal(cycles=1))
    assert caught.value.exit_status == 2
    assert tiny.tip("agent/production") == production
    assert len(tiny.events("run_finished")) == runs


def test_the_budget_of_runs_ends_the_night(tiny: Tiny) -> None:
    tiny.target["budget"] = {"runs": 8}
    tiny.write_target()
    tiny.put_into_queue("H-010", settings={"model.harm": 2}, estimated_gain=0.5)
    result = tiny.night()
    assert result.reason.startswith("budget used: ")
    assert "of 8 runs" in result.reason
    again = tiny.night(Goal(cycles=1))
    assert again.runs < 8  # every night has a budget of its own


def test_no_look_at_the_test_split_is_taken_beyond_its_budget(tiny: Tiny) -> None:
    tiny.target["gate"]["test_looks"] = 1
    tiny.target["search_space"] = {"width": SPACE["width"]}
    tiny.write_target()
    result = tiny.night(Goal(cycles=1))
    assert len(result.promoted) == 1
    assert len(tiny.events("test_look")) == 1
    (refused,) = tiny.events("test_look_refused")
    assert refused.subject == result.promoted[0]
    assert tiny.events("promoted")[0].data["test_score"] is None
    tested = [event.data for event in tiny.events("run_finished") if event.data["key"]["split"] == "test"]
    assert {record["subject"] for record in tested} == {"production"}


def test_a_candidate_that_fails_on_the_test_split_has_no_score_and_stops_no_night(tiny: Tiny) -> None:
    tiny.target["search_space"] = {"width": SPACE["width"]}
    tiny.write_target()
    source = (tiny.repository / "predict.py").read_text()
    mark = "    items = map("
    trap = '    if error < 0.19 and "test-0" in pathlib.Path(inputs, "inputs.jsonl").read_text():\n'
    tiny.commit({"predict.py": source.replace(mark, trap + '        sys.exit("unexpected input")\n' + mark)})
    result = tiny.night(Goal(cycles=1))
    assert result.promoted == (tiny.changing(width=2),)
    (refused,) = tiny.events("test_look_refused")
    assert "unexpected input" in refused.reason
    assert tiny.events("promoted")[0].data["test_score"] is None
    assert not tiny.night(Goal(cycles=1)).failed


# -- the log against itself ---------------------------------------------------------------------------------


def _rewritten(tiny: Tiny, change: Callable[[dict[str, Any]], bool]) -> int:
    """Change the first event that `change` changes, and seal every line after it anew: the chain holds."""
    previous, changed = "", 0
    lines = []
    for event in tiny.events():
        body = fields_of(event)
        del body["hash"]
        if previous:
            body["prev"] = previous
        if not changed and change(body):
            changed = event.seq
        line = seal(body)
        previous = json.loads(line)["hash"]
        lines.append(line)
    tiny.workspace.audit.write_bytes(b"".join(lines))
    return changed


def _primary_of_a_look(body: dict[str, Any]) -> bool:
    if body["kind"] == "look" and body["data"]["evidence"]["stage"]:
        body["data"]["evidence"]["stage"][0]["candidate"]["primary"] += 1e-12
        body["data"]["digest"] = content_digest(body["data"])
        return True
    return False


def _number_of_a_look(body: dict[str, Any]) -> bool:
    if body["kind"] == "look" and body["data"]["numbers"]["mean"] is not None:
        body["data"]["numbers"]["mean"] += 1e-6
        body["data"]["digest"] = content_digest(body["data"])
        return True
    return False


def _metric_of_a_gate_run(body: dict[str, Any]) -> bool:
    if body["kind"] == "run_finished" and body["data"]["purpose"] == "gate":
        body["data"]["metrics"]["accuracy"] += 1e-12
        return True
    return False


def _metric_of_a_test_run(body: dict[str, Any]) -> bool:
    if body["kind"] == "run_finished" and body["data"]["purpose"] == "test_look":
        body["data"]["metrics"]["accuracy"] += 1e-3
        return True
    return False


def _mean_of_a_test_look(body: dict[str, Any]) -> bool:
    if body["kind"] == "test_look":
        body["data"]["mean"] += 1e-3
        return True
    return False


def _score_on_the_board(body: dict[str, Any]) -> bool:
    if body["kind"] == "board_score":
        body["data"]["score"] += 1e-3
        return True
    return False


def _gain_of_a_promotion(body: dict[str, Any]) -> bool:
    if body["kind"] == "promoted":
        body["data"]["gain"] += 1e-9
        return True
    return False


def _verdict_of_a_rejection(body: dict[str, Any]) -> bool:
    if body["kind"] == "verdict":
        body["data"]["reason"] = "rank"
        return True
    return False


def _seed_of_a_run(body: dict[str, Any]) -> bool:
    if body["kind"] == "run_finished" and body["data"]["purpose"] == "gate":
        body["data"]["key"]["seed"] += 1
        return True
    return False


@pytest.fixture(scope="module")
def log_of_a_night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tiny, bytes]:
    tiny = build(tmp_path_factory.mktemp("log"))
    tiny.target["search_space"] = {"width": SPACE["width"]}
    tiny.write_target()
    tiny.night(Goal(cycles=1))
    return tiny, tiny.workspace.audit.read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        _primary_of_a_look,
        _number_of_a_look,
        _metric_of_a_gate_run,
        _metric_of_a_test_run,
        _mean_of_a_test_look,
        _score_on_the_board,
        _gain_of_a_promotion,
        _verdict_of_a_rejection,
        _seed_of_a_run,
    ],
    ids=lambda change: change.__name__.strip("_"),
)
def test_a_log_rewritten_with_a_consistent_chain_still_contradicts_itself(
    log_of_a_night: tuple[Tiny, bytes], change: Callable[[dict[str, Any]], bool]
) -> None:
    tiny, whole = log_of_a_night
    tiny.workspace.audit.write_bytes(whole)
    assert verify(tiny.workspace).ok
    assert _rewritten(tiny, lambda body: False) == 0
    assert verify(tiny.workspace).ok, "sealing anew is consistent by itself"
    assert _rewritten(tiny, change) > 0
    found = verify(tiny.workspace)
    assert not found.ok
    chain = [line for line in found.problems if "audit.jsonl" in line and "published head" not in line]
    assert not chain, "the chain itself holds"


def _lock_of_an_editor(path: Path) -> None:
    path.with_name(".#H-050.yaml").symlink_to("root@host.1:9")


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link_to_everything(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _huge(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(3 << 30)


@pytest.mark.parametrize("put", [_lock_of_an_editor, _folder, _pipe, _link_to_everything, _huge])
def test_an_odd_entry_of_the_queues_folder_is_said_once_and_the_night_goes_on(
    tiny: Tiny, put: Callable[[Path], None]
) -> None:
    tiny.put_into_queue("H-042", settings={"model.harm": 2}, estimated_gain=0.5)
    put(tiny.workspace.state_folder("queued") / "odd.yaml")
    tiny.night(Goal(cycles=1))
    tiny.night(Goal(cycles=1))
    assert tiny.verdict("H-042") == ("archive", "below_baseline")
    refused = [event.subject for event in tiny.events("input_refused")]
    said = [line for line in tiny.progress.lines if "odd.yaml is not taken in" in line]
    assert (refused, len(said)) == (([], 0) if put is _lock_of_an_editor else (["odd.yaml"], 1))


def test_a_repeat_is_refused_before_the_first_night_too(tiny: Tiny) -> None:
    idea = Idea("deeper", {"model.depth": 2}, 0.01, "Low")
    target = load_target(tiny.workspace.target)
    assert add(tiny.workspace, target, idea, "--set").taken
    again = add(tiny.workspace, target, idea, "--set")
    assert not again.taken
    assert "asks for the same settings" in again.event.reason
