"""`agent run --replay`: recorded nights gone through again, the same decisions, and nothing written, run or asked."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from model_nights import CALIBRATE, WORTH, by_role, idea, model_night, patch, setting_idea, with_models
from scripted_endpoint import Asked, Step, serving
from tiny_solution import SPACE, Recorded, Tiny, build

from agent import handwork, night
from agent.answers.explained import explained
from agent.answers.sentences import fact
from agent.asking import open_model
from agent.llm.client import EndpointModel
from agent.llm.journal import Call
from agent.night import Goal
from agent.replay.recording import MissingInput
from agent.replay.replaying import as_text, replay
from agent.state import State
from agent.wiring import ask_models
from experiments.plans import Interrupted
from registry.audit_events import fields_of, seal
from registry.documents import load_models, load_target
from registry.errors import BadInput


class Watched(Recorded):
    """Does something once, the first time that a node begins."""

    def __init__(self, node: str, act: Callable[[], None], after: int = 1) -> None:
        super().__init__()
        self._node, self._act, self._left = node, act, after

    def node(self, name: str, state: State) -> None:
        super().node(name, state)
        if name == self._node:
            self._left -= 1
            if self._left == 0:
                self._act()


def contents(*folders: Path) -> str:
    """Hash over every file below the folders, with its name."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def quiet(root: Path, *settings: str) -> Tiny:
    """A solution with little noise, so that a verdict takes few runs."""
    tiny = build(root)
    tiny.target["search_space"] = {name: SPACE[name] for name in settings}
    tiny.write_target()
    tiny.commit(tiny.configured(noise="0.00002"))
    return tiny


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Two nights: a promotion, then a rejection with another board and target; the files were edited afterwards."""
    tiny = quiet(tmp_path_factory.mktemp("two nights"), "width", "harm")
    assert tiny.night(Goal(cycles=1)).promoted
    tiny.target["search_space"] = {name: SPACE[name] for name in ("width", "harm", "slight")}
    tiny.write_target()
    tiny.write_board(Rival=0.99, Other=0.5)
    tiny.night(Goal(cycles=1))
    tiny.target["gate"]["threshold"] = 0.5
    tiny.write_target()
    tiny.write_registry(score="0.123")
    return tiny


def test_every_night_is_replayed_the_same_although_its_files_were_edited_since(finished: Tiny) -> None:
    before = contents(finished.root)
    first = finished.agent("run", "--replay", "N-0001")
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == "N-0001 replayed: 1 cycles, 1 verdicts, all the same\n"
    second = finished.agent("run", "--replay", "N-0002", "--json")
    document = json.loads(second.stdout)
    assert (second.returncode, document["same"], document["cycles"], document["notes"]) == (0, True, 1, [])
    assert document["decisions"]["verdict"] == 1
    assert contents(finished.root) == before


def changed(tiny: Tiny, root: Path, alter: Callable[[str, dict[str, object]], None]) -> Tiny:
    """A copy of the workspace whose log was altered and sealed anew; the repository is the same one."""
    copy = Tiny(root, tiny.target)
    shutil.copytree(tiny.workspace.root, copy.workspace.root, symlinks=True)
    lines, previous = [], "0" * 64
    for event in tiny.events():
        body = fields_of(event)
        alter(event.kind, body["data"])
        body["prev"] = previous
        del body["hash"]
        lines.append(seal(body))
        previous = json.loads(lines[-1])["hash"]
    copy.workspace.audit.write_bytes(b"".join(lines))
    return copy


def test_one_changed_value_of_a_run_differs_at_the_look_that_read_it(finished: Tiny, tmp_path: Path) -> None:
    loser = finished.changing(harm=2)
    (wanted, *_) = [e.data["run_id"] for e in finished.events("run_finished", loser) if e.data["arm"] == "candidate"
                    and e.data["purpose"] == "gate"]  # fmt: skip

    def alter(kind: str, data: dict[str, object]) -> None:
        if kind == "run_finished" and data["run_id"] == wanted:
            data["metrics"]["accuracy"] += 0.2  # type: ignore[index]

    copy = changed(finished, tmp_path, alter)
    assert replay(copy.workspace, "N-0001").same
    done = copy.agent("run", "--replay", "N-0002")
    assert done.returncode == 1
    look = next(event for event in finished.events("look", loser))
    assert f"at event {look.seq} (look {loser}): " in done.stdout
    assert "recorded: " in done.stdout
    assert "replayed: " in done.stdout
    found = replay(copy.workspace, "N-0002").difference
    assert found is not None
    assert (found.kind, found.subject) == ("look", loser)


def test_a_verdict_that_the_gate_would_not_give_differs(finished: Tiny, tmp_path: Path) -> None:
    def alter(kind: str, data: dict[str, object]) -> None:
        if kind == "verdict" and data["outcome"] == "archive":
            data["outcome"] = "park"

    copy = changed(finished, tmp_path, alter)
    found = replay(copy.workspace, "N-0002").difference
    assert found is not None
    assert (found.kind, found.place, found.recorded, found.replayed) == ("verdict", "outcome", '"park"', '"archive"')


def test_a_run_that_the_record_does_not_have_is_never_made(finished: Tiny, tmp_path: Path) -> None:
    copy = changed(finished, tmp_path, lambda kind, data: None)
    lines, previous = [], "0" * 64
    for event in (e for e in copy.events() if not (e.kind == "run_finished" and e.data["purpose"] == "fresh")):
        body = {**fields_of(event), "prev": previous, "seq": len(lines) + 1}
        del body["hash"]
        lines.append(seal(body))
        previous = json.loads(lines[-1])["hash"]
    copy.workspace.audit.write_bytes(b"".join(lines))
    found = replay(copy.workspace, "N-0001").difference
    assert found is not None
    assert found.recorded == "nothing of it"
    assert "a run (candidate, fresh, dev, seed " in found.replayed


def test_what_the_record_lacks_is_named(finished: Tiny, tmp_path: Path) -> None:
    copy = changed(finished, tmp_path, lambda kind, data: None)
    read = next(event for event in finished.events("board_read"))
    digest = read.data["snapshot"]
    (copy.workspace.blobs / digest[:2] / digest).unlink()
    with pytest.raises(MissingInput, match=f"the recorded reading of Tiny: .*{digest}"):
        replay(copy.workspace, "N-0001")
    with pytest.raises(BadInput, match="found no night 'N-0009', expected N-0001, N-0002"):
        replay(copy.workspace, "N-0009")
    refused = copy.agent("run", "--replay", "N-0001", "--cycles", "3")
    assert refused.returncode == 2
    assert "--replay takes what the night was asked for from its record" in refused.stderr


def test_what_people_do_beside_a_night_is_handed_in_where_they_did_it(tmp_path: Path) -> None:
    tiny = quiet(tmp_path, "width", "harm", "mode")

    def by_hand() -> None:
        tiny.put_into_queue("H-500", settings={"model.harm": 3})
        settings = {"model.width": 2, "model.harm": 2, "model.mode": "crash"}
        idea = handwork.Idea("all at once", dict(settings), 0.5, "Low")
        handwork.add(tiny.workspace, load_target(tiny.workspace.target), idea, "a test")

    tiny.progress = Watched("validate", by_hand)
    tiny.night(Goal(cycles=3))
    assert {event.actor for event in tiny.events("hypothesis_taken_in")} == {"person", "agent"}
    found = replay(tiny.workspace, "N-0001")
    assert found.same, as_text(found)
    assert found.cycles == 3


@pytest.mark.parametrize("node", ["judge", "report"])
def test_a_night_that_was_stopped_and_went_on_is_replayed_over_the_stop(tmp_path: Path, node: str) -> None:
    tiny = quiet(tmp_path, "width", "harm")
    with pytest.raises(Interrupted), tiny.services() as services:
        services.progress = Watched(node, services.cancel.set)
        night.run(services, Goal(cycles=1))
    unfinished = replay(tiny.workspace, "N-0001")
    assert (unfinished.same, unfinished.ended) == (True, False)
    tiny.put_into_queue("H-500", settings={"model.width": 2, "model.harm": 2})
    tiny.commit({"notes.txt": "people went on meanwhile\n"})
    tiny.night(Goal(cycles=2))
    assert [event.kind for event in tiny.events() if event.kind.startswith("night_")][1] == "night_resumed"
    found = replay(tiny.workspace, "N-0001")
    assert found.same, as_text(found)
    assert (found.ended, found.cycles) == (True, 2)


def test_a_night_that_failed_is_replayed_to_its_failure(tmp_path: Path) -> None:
    tiny = quiet(tmp_path, "width")
    tiny.commit(tiny.configured(mode="crash"))
    result = tiny.night(Goal(cycles=1))
    assert result.failed
    found = replay(tiny.workspace, "N-0001")
    assert found.same, as_text(found)


def test_a_night_with_a_model_is_replayed_without_its_endpoint(tmp_path: Path) -> None:
    tiny = quiet(tmp_path, "width", "harm")
    code = {**setting_idea("Wider", "width", "2")}
    answers = {"propose": {"ideas": [code]}, "patch": patch(("x", "y"))}
    with serving(by_role(answers)) as endpoint:
        with_models(tiny, endpoint.base_url)
        result = model_night(tiny, Goal(cycles=2))
    assert result.promoted
    tiny.workspace.models.unlink()
    assert tiny.events("model_answered")
    found = replay(tiny.workspace, "N-0001")
    assert found.same, as_text(found)
    assert found.decisions["model_asked"] == len(tiny.events("model_asked"))


def test_a_question_that_a_person_asked_the_model_meanwhile_is_handed_in(tmp_path: Path) -> None:
    tiny = quiet(tmp_path, "width", "harm")
    proposing = by_role({"propose": {"ideas": [setting_idea("Wider", "width", "2")]}})
    said: list[str] = []

    def ask() -> None:
        with open_model(tiny.workspace) as model:
            explained(model, "what is production?", [fact("Production is what it was.", 1)])

    def script(asked: Asked) -> Step | str:
        said.append(first := str(asked.messages[0]["content"]))
        if not first.startswith("You propose"):
            return json.dumps({"statements": []})
        if len(said) > 1:
            return proposing(asked)
        ask()  # between the night's request and the one that follows its failure
        return Step(status=503)

    with serving(script) as endpoint:
        with_models(tiny, endpoint.base_url)
        models = json.loads(tiny.workspace.models.read_text())
        models["endpoints"]["main"]["retries"] = 1
        tiny.workspace.models.write_text(json.dumps(models))
        model_night(tiny, Goal(cycles=1))
    (answered,) = [event for event in tiny.events("model_answered") if event.subject == "ask"]
    assert (answered.actor, answered.data["night"]) == ("person", "N-0001")
    found = replay(tiny.workspace, "N-0001")
    assert found.same, as_text(found)
    assert found.decisions["model_asked"] == len(said) - 1


def test_a_night_stopped_between_a_patchs_attempt_and_its_commit_is_replayed(tmp_path: Path) -> None:
    tiny = quiet(tmp_path, "width", "harm")
    wrong = patch(("no such line", "x"))
    undefined = patch((WORTH, WORTH + "\n    nowhere_defined"))
    replies = iter([wrong, undefined, CALIBRATE])
    roles = {"propose": lambda: {"ideas": [idea("Calibrate")]}, "patch": lambda: next(replies)}
    with serving(by_role(lambda role, _: roles[role]())) as endpoint:
        with_models(tiny, endpoint.base_url)
        with tiny.services() as services, pytest.raises(KeyboardInterrupt):
            ask_models(services, load_models(tiny.workspace.models))

            def stopped(*words: object, **more: object) -> None:
                raise KeyboardInterrupt

            services.solution.commit = stopped  # type: ignore[assignment, method-assign]
            night.run(services, Goal(cycles=1))
        model_night(tiny, Goal(cycles=1))
    assert [event.data["number"] for event in tiny.events("patch_attempted")] == [1, 2, 3]
    found = replay(tiny.workspace, "N-0001")
    assert found.same, as_text(found)
    assert found.decisions["patch_attempted"] == 3


def test_what_a_command_records_before_a_stopped_night_goes_on_is_not_looked_for_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    tiny = quiet(tmp_path, "width", "harm")
    with_models(tiny, "http://127.0.0.1:9/v1")
    monkeypatch.setattr("agent.llm.wire.Wire.send", stopped)
    with pytest.raises(KeyboardInterrupt):
        model_night(tiny, Goal(cycles=1))
    assert tiny.events()[-1].kind == "model_asked"
    tiny.write_board(Rival=0.99, Other=0.5)
    assert tiny.agent("monitor").returncode == 0
    assert tiny.events()[-1].kind == "standing"
    found = replay(tiny.workspace, "N-0001")
    assert (found.same, found.ended) == (True, False), as_text(found)


def test_a_request_that_was_held_back_for_a_persons_is_replayed_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person's intent lands between the night's look at its budget and its own intent."""
    tiny = quiet(tmp_path, "harm")
    look, asked = EndpointModel._check_budget, []

    def late(self: EndpointModel, call: Call, estimate: dict[str, object]) -> None:
        look(self, call, estimate)
        if call.facts["role"] == "propose" and not asked:
            asked.append(call.id)
            with open_model(tiny.workspace) as model:
                explained(model, "what is next?", [fact("nothing", 1)])

    with serving(lambda _: '{"statements": []}') as endpoint:
        with_models(tiny, endpoint.base_url, budget={"night": {"calls": 1}})
        monkeypatch.setattr(EndpointModel, "_check_budget", late)
        model_night(tiny, Goal(cycles=1))
        monkeypatch.undo()
    assert len(endpoint.asked) == 1
    assert [event.data["code"] for event in tiny.events("model_failed")] == ["budget_of_night"]
    assert replay(tiny.workspace, "N-0001").same
