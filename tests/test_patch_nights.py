"""Patches of code in a night: attempts on record, reasons sent back, faults that are not the idea's own, crashes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tiny_solution import SPACE, Tiny, build

import prompts
from agent import ask, night
from agent.llm.contract import BudgetSpent, EndpointDown, LanguageModel, NoReply, Question, Record, Reply, Role
from agent.night import Goal, NightResult
from agent.readable import ReadableFiles
from agent.readers import Reader
from agent.researcher.contract import Edits, PatchRequest
from agent.researcher.offline import OfflineResearcher
from agent.researcher.patch_writing import PatchReply, write_patch
from agent.verification import verify
from registry.errors import BadInput, Retryable

GOOD = """train.py
<<<<<<< SEARCH
    worth = float(pathlib.Path(data, "knowledge.txt").read_text())
=======
    worth = float(pathlib.Path(data, "knowledge.txt").read_text()) + 0.05
>>>>>>> REPLACE

train.py
<<<<<<< SEARCH
    draw = random.Random(hashlib.sha256((text + seed).encode()).hexdigest())
=======
    draw = random.Random(hashlib.sha256((seed + text).encode()).hexdigest())
>>>>>>> REPLACE
"""
NOWHERE = GOOD.replace("worth = float(path", "worth = int(path", 1)
UNDEFINED = GOOD.replace("+ 0.05", "+ bonus")
PROTECTED = "evaluate.py\n<<<<<<< SEARCH\nimport json, pathlib, sys\n=======\nimport json\n>>>>>>> REPLACE\n"
Answer = str | PatchReply | Exception


class Scripted:
    """Implements `LanguageModel`: answers in turn, by what it is asked, so that the same question has one answer."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = answers
        self.asked: list[Question[Any]] = []
        self._known: dict[str, Answer] = {}

    def ask(self, question: Question[Record]) -> Reply[Record]:
        identity = repr((question.values, question.earlier, question.attempt))
        if identity not in self._known:
            self._known[identity] = self.answers[len(self._known)]
            self.asked.append(question)
        answer = self._known[identity]
        if isinstance(answer, Exception):
            if not isinstance(answer, NoReply):
                del self._known[identity]  # no answer is on record, so it is asked again
                self.answers = self.answers[1:]
            raise answer
        made = PatchReply(patch=answer) if isinstance(answer, str) else answer
        record = question.schema.model_validate(made.model_dump())
        return Reply(record, made.model_dump_json(), f"call-{len(self._known)}", self.name("patch"))

    def name(self, role: Role) -> str:
        return f"a script for {role}"

    def said(self, number: int) -> str:
        """Everything of one question: the prompt as it is rendered, and the turns."""
        question = self.asked[number]
        turns = [turn.text for turn in question.earlier]
        return "\n".join([prompts.text(question.prompt).fill(**question.values), *turns])


class Writing(OfflineResearcher):
    """Settings as ever, code by the model."""

    def __init__(self, usual: OfflineResearcher, model: LanguageModel) -> None:
        super().__init__(usual._edit, ())
        self._model = model

    def patch(self, request: PatchRequest) -> Edits:
        if request.hypothesis.implementation.settings:
            return super().patch(request)
        return write_patch(self._model, request)


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    tiny = build(tmp_path)
    tiny.commit(tiny.configured(noise=0))
    tiny.target["search_space"] = {"depth": SPACE["depth"]}
    tiny.target["gate"]["policy"] = "exact"  # two runs of each arm are a verdict
    tiny.write_target()
    return tiny


def queue(tiny: Tiny, name: str = "H-500", **more: Any) -> None:
    implementation = {"change": "adds a bonus", "effort": "Low", "files": ["train.py"], **more}
    tiny.put_into_queue(name, implementation=implementation, estimated_gain=0.5)


def nightly(tiny: Tiny, model: Scripted, goal: Goal | None = None) -> NightResult:
    with tiny.services() as services:
        assert isinstance(services.researcher, OfflineResearcher)
        services.researcher = Writing(services.researcher, model)
        return night.run(services, goal or Goal(only="H-500"))


def attempts(tiny: Tiny) -> list[tuple[int, bool]]:
    return [(event.data["number"], event.data["taken"]) for event in tiny.events("patch_attempted")]


def test_a_patch_of_code_is_applied_measured_and_judged(tiny: Tiny) -> None:
    queue(tiny)
    model = Scripted(GOOD)
    nightly(tiny, model)
    assert tiny.verdict("H-500")[0] == "promote"
    (attempt,) = tiny.events("patch_attempted")
    assert attempt.data["checks"] == {
        "applied": "passed",
        "boundary": "passed",
        "lint": "passed",
        "imports": attempt.data["checks"]["imports"],
    }
    with tiny.services() as services:
        assert services.blobs.get(attempt.data["text"]).decode() == GOOD
        assert "+ 0.05" in services.blobs.get(attempt.data["diff"]).decode()
    assert verify(tiny.workspace).ok


def test_blanks_that_were_wrong_are_still_there_in_the_reason_that_goes_back(tiny: Tiny) -> None:
    queue(tiny)
    model = Scripted(GOOD.replace("SEARCH\n    worth", "SEARCH\n  worth"), GOOD)
    nightly(tiny, model)
    assert attempts(tiny) == [(1, False), (2, True)]
    assert "is '    worth = " in model.said(1) or "has '    worth = " in model.said(1)


def test_reasons_go_back_to_the_writer_for_three_rounds_and_the_third_may_do(tiny: Tiny) -> None:
    queue(tiny)
    model = Scripted(NOWHERE, UNDEFINED, GOOD)
    nightly(tiny, model)
    assert attempts(tiny) == [(1, False), (2, False), (3, True)]
    assert "no place for the block" in model.said(1)
    assert "worth = float(pathlib" in model.said(1)
    assert "undefined name 'bonus'" in model.said(2)
    assert [turn.speaker for turn in model.asked[2].earlier] == ["model", "agent", "model", "agent"]
    assert tiny.verdict("H-500")[0] == "promote"
    story = ask.answer(Reader(tiny.workspace), "why was H-500 promoted?").text
    assert "Attempt 2 of 3 at its code was refused: train.py" in story
    assert "Attempt 3 of 3 at its code was taken" in story
    assert "undefined name 'bonus'" in ask.answer(Reader(tiny.workspace), "which patches were refused?").text


def test_after_three_refusals_the_idea_is_archived_with_the_reason_and_each_attempt_is_kept(tiny: Tiny) -> None:
    queue(tiny)
    model = Scripted(NOWHERE, PROTECTED, NoReply("it refused"), GOOD)
    nightly(tiny, model)
    assert attempts(tiny) == [(1, False), (2, False), (3, False)]
    (archived,) = tiny.events("hypothesis_archived", "H-500")
    assert archived.data["code"] == "patch"
    assert "it refused" in archived.reason
    assert tiny.events("run_finished", "H-500") == []
    problems = [event.data["problems"] for event in tiny.events("patch_attempted")]
    assert "protected" in problems[1][0]
    nightly(tiny, model)
    assert len(attempts(tiny)) == 3


@pytest.mark.parametrize(
    "fault",
    [
        BudgetSpent("no money left for it", of_night=False),
        Retryable("the sandbox failed"),
    ],
)
def test_a_fault_that_is_not_its_own_puts_the_idea_back_and_the_next_night_goes_on_with_it(
    tiny: Tiny, fault: Exception
) -> None:
    queue(tiny)
    model = Scripted(NOWHERE, fault, GOOD)
    result = nightly(tiny, model)
    assert result.reason.startswith("what is queued waits: H-500")
    assert str(fault) in result.reason
    assert tiny.events("hypothesis_archived", "H-500") == []
    assert len(tiny.events("hypothesis_postponed")) == 1
    assert tiny.workspace.hypothesis("H-500", "queued").is_file()
    nightly(tiny, model)
    assert tiny.verdict("H-500")[0] == "promote"
    assert len(tiny.events("hypothesis_started", "H-500")) == 2
    assert verify(tiny.workspace).ok


def test_other_ideas_go_on_while_one_waits_and_it_is_asked_for_again_more_and_more_seldom(tiny: Tiny) -> None:
    tiny.target["search_space"] = {name: SPACE[name] for name in ("depth", "harm", "slight", "mode")}
    tiny.write_target()
    queue(tiny)
    model = Scripted(*[EndpointDown("nobody answers")] * 40)
    nightly(tiny, model, Goal())
    cycles = [event.data["cycle"] for event in tiny.events("hypothesis_postponed")]
    assert cycles[0] == 1
    assert all(later - earlier >= 4 * 2**n for n, (earlier, later) in enumerate(pairwise(cycles)))
    assert len(tiny.events("verdict")) >= 2
    assert tiny.workspace.hypothesis("H-500", "queued").is_file()


@pytest.mark.parametrize("place", ["patch_attempted", "hypothesis_postponed"])
def test_a_crash_after_any_event_doubles_no_attempt(tiny: Tiny, place: str) -> None:
    class Killed(BaseException):
        pass

    queue(tiny)
    model = Scripted(NOWHERE, EndpointDown("nobody answers"), GOOD)
    left = {place: 1}

    def dying(record: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(kind: str, *words: Any, **more: Any) -> Any:
            event = record(kind, *words, **more)
            if left.get(kind, 0):
                left[kind] -= 1
                raise Killed
            return event

        return recorded

    with pytest.raises(Killed), tiny.services() as services:
        append = services.log.append
        services.log.append = dying(append)  # type: ignore[method-assign]
        assert isinstance(services.researcher, OfflineResearcher)
        services.researcher = Writing(services.researcher, model)
        night.run(services, Goal(only="H-500"))
    nightly(tiny, model)
    nightly(tiny, model)
    assert tiny.verdict("H-500")[0] == "promote"
    assert attempts(tiny).count((1, False)) <= 2  # once in each test that was started
    assert len(tiny.events("hypothesis_postponed")) == 1
    assert verify(tiny.workspace).ok


def test_only_some_files_can_be_read_and_the_prompt_has_no_label_and_no_evaluator(tiny: Tiny) -> None:
    tiny.commit({".env": "KEY=sesame\n", "notes/keys/id_rsa": "sesame\n", "src/help.py": "x = 1\n"})
    tiny.commit({"copies.txt": "label of dev-1\n"})
    queue(tiny)
    wanted = PatchReply(read=["evaluate.py", "data/dev/labels/labels.json", ".env", "../x", "src/help.py"])
    model = Scripted(wanted, GOOD)
    nightly(tiny, model)
    said = model.said(1)
    assert "x = 1" in said
    for hidden in ("sesame", "metrics.json", '"dev-0"', '"x": 0', "accuracy"):
        assert hidden not in said
    assert "These are not among the files that you may read" in said
    with tiny.services() as services:
        files = ReadableFiles(services, tiny.tip("main"))
        assert set(files.names) == {"copies.txt", "train.py", "predict.py", "configs/production.yaml", "src/help.py"}
        for path in (".env", "evaluate.py", "data/train/knowledge.txt", "data/dev/inputs/inputs.jsonl", "no\nsuch"):
            with pytest.raises(BadInput):
                files.read(path)


def test_files_in_which_labels_were_found_are_not_shown(tiny: Tiny) -> None:
    tiny.commit({"copies.txt": "label of dev-1\n"})
    with tiny.services() as services:
        services.record(
            "evaluator_checked",
            "x",
            {"identity": "x", "leaks": [{"place": "train", "path": "/code/copies.txt", "what": "", "certain": False}]},
        )
        assert "copies.txt" not in ReadableFiles(services, tiny.tip("main")).names


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        ("train.py\n<<<<<<< DELETE\n", "crash"),
        ("configs/production.yaml\n<<<<<<< DELETE\n", "a deletion of the configuration"),
        (GOOD.replace(" + 0.05", "").replace("(seed + text)", "(text + seed)"), "no change: every file is as it was"),
        ("data/x.txt\n<<<<<<< SEARCH\n=======\nx = 1\n>>>>>>> REPLACE\n", "a protected path"),
    ],
)
def test_a_patch_that_may_not_be_is_refused_with_its_reason(tiny: Tiny, patch: str, reason: str) -> None:
    queue(tiny)
    model = Scripted(*[patch] * 3)
    nightly(tiny, model, Goal(cycles=1))
    (archived,) = tiny.events("hypothesis_archived", "H-500")
    assert reason in archived.reason or reason == "crash"
    if reason != "crash":
        assert attempts(tiny) == [(1, False), (2, False), (3, False)]


def test_settings_are_no_attempt_at_code_and_a_file_of_ones_own_is(tiny: Tiny) -> None:
    class Sneaking(Writing):
        def patch(self, request: PatchRequest) -> Edits:
            return {"evaluate.py": b"x = 1\n"}

    nightly(tiny, Scripted(), Goal(cycles=1))
    assert attempts(tiny) == []
    queue(tiny)
    with tiny.services() as services:
        assert isinstance(services.researcher, OfflineResearcher)
        services.researcher = Sneaking(services.researcher, Scripted())
        night.run(services, Goal(only="H-500"))
    assert attempts(tiny) == [(1, False)]
    assert "protected" in tiny.events("hypothesis_archived", "H-500")[0].reason


def test_a_reply_with_neither_patch_nor_question_counts_and_files_are_shown_three_times_at_most(tiny: Tiny) -> None:
    queue(tiny)
    asks = [
        PatchReply(read=["train.py"]),
        PatchReply(read=["predict.py"]),
        PatchReply(read=["configs/production.yaml"]),
    ]
    model = Scripted(PatchReply(note="hm"), *asks, PatchReply(read=["train.py", "predict.py"]), GOOD)
    nightly(tiny, model)
    assert attempts(tiny) == [(1, False), (2, False), (3, True)]
    assert tiny.verdict("H-500")[0] == "promote"
