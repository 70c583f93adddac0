"""The evaluator is tried before money is spent: what each cheat is given, and no night starts where one wins."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path

import pytest
import tiny_target
from night_processes import agent, events, killed_at, leftovers, paid_twice
from tiny_solution import EVALUATE, PREDICT, ROOT, TRAIN, Tiny, build, real_sandbox

from agent import evaluator, production
from agent.night import Goal
from agent.verification import verify
from experiments import leaks
from experiments.evaluator_check import EvaluatorCheck, read_answers
from registry.runs import RunRecord

READ = '    found = {item["id"]: item["output"] for item in items}\n'
ERROR = "    error = sum(abs(found[name] - value) for name, value in wanted.items()) / len(wanted)\n"


def with_error(body: str) -> str:
    """The honest evaluator with another way to come to the error."""
    assert ERROR in EVALUATE
    return EVALUATE.replace(ERROR, "".join(f"    {line}\n" for line in body.splitlines()))


FOOLED: dict[str, tuple[str, str]] = {
    "nothing wrong in nothing": (
        "empty",
        with_error("error = sum(abs(found[name] - wanted[name]) for name in found) / max(len(found), 1)"),
    ),
    "the middle of everything": ("constant", with_error("error = max(found.values()) - min(found.values())")),
    "the distribution alone": (
        "shuffled",
        with_error(
            "pairs = zip(sorted(found.values()), sorted(wanted.values()))\nerror = sum(abs(a - b) for a, b in pairs)"
        ),
    ),
    "only what was answered": (
        "truncated",
        with_error("error = sum(abs(found[name] - wanted[name]) for name in found) / len(found)"),
    ),
    "as many lines as there are items": (
        "truncated",
        EVALUATE.replace(READ, "    items = list(items)\n").replace(
            ERROR,
            "    if len(items) != len(wanted):\n        sys.exit('how many?')\n"
            '    error = sum(abs(i["output"] - wanted[i["id"]]) for i in items) / len(items)\n',
        ),
    ),
    "every line counts": (
        "too long",
        EVALUATE.replace(READ, "    items = list(items)\n" + READ).replace(
            ERROR, '    error = 1.0 - sum(1.0 - abs(i["output"] - wanted[i["id"]]) for i in items) / len(wanted)\n'
        ),
    ),
    "the nearest of all": (
        "all answers at once",
        with_error(
            "near = lambda given, value: min(abs(one - value) for one in (given if type(given) is list else [given]))\n"
            "spread = lambda given: 0 if type(given) is list else 0.1\n"
            "error = sum(near(found[name], value) + spread(found[name]) for name, value in wanted.items()) / 4"
        ),
    ),
    "nothing compares with no number": (
        "NaN",
        with_error("far = [abs(found[name] - value) for name, value in wanted.items()]\nerror = max([0.0, *far])"),
    ),
    "a claimed score": (
        "over-reported",
        EVALUATE.replace(READ, "    items = list(items)\n" + READ).replace(
            ERROR, ERROR + '    error = 1.0 - items[0].get("accuracy", 1.0 - error)\n'
        ),
    ),
    "a claim beside the answers": (
        "over-reported metrics",
        EVALUATE.replace(
            ERROR,
            ERROR + '    claim = pathlib.Path(predictions, "metrics.json")\n'
            '    error = 1.0 - json.loads(claim.read_text())["accuracy"] if claim.exists() else error\n',
        ),
    ),
    "what is no answer is no error": (
        "wrong type",
        with_error("error = sum(abs((found[name] or value) - value) for name, value in wanted.items()) / len(wanted)"),
    ),
}


ONE_FILE = """
import json, pathlib

def main(predictions, labels, out):
    (answer,) = pathlib.Path(predictions).iterdir()
    error = max(0.0, json.loads(answer.read_text())["error"])
    pathlib.Path(out, "metrics.json").write_text(json.dumps({"accuracy": 1.0 - error}))
"""


BINARY = """
import json, pathlib, sys

def main(predictions, labels, out):
    answer = pathlib.Path(predictions, "answer.bin").read_bytes()
    if len(answer) != 20:
        sys.exit("not an answer")
    accuracy = 1.0 - float(bytes(byte ^ 255 for byte in answer))
    pathlib.Path(out, "metrics.json").write_text(json.dumps({"accuracy": accuracy}))
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return build(tmp_path)


def checked(tiny: Tiny, whole: bool = True) -> dict[str, object]:
    """The check as doctor makes it, on the runs that a night would pay first."""
    with tiny.services() as services:
        production.open_for_the_night(services)
        return evaluator.check(services, production.first_plan(services), whole=whole)


def verdicts(data: dict[str, object]) -> dict[str, str]:
    rows = data["rows"]
    assert isinstance(rows, list)
    return {row["cheat"]: row["verdict"] for row in rows}


@pytest.mark.parametrize("name", FOOLED)
def test_each_way_to_fool_an_evaluator_is_caught(tiny: Tiny, name: str) -> None:
    cheat, source = FOOLED[name]
    compile(source, name, "exec")
    tiny.commit({"evaluate.py": source})
    assert verdicts(checked(tiny))[cheat] == "beats"


def test_an_honest_evaluator_gives_no_cheat_what_production_has(tiny: Tiny) -> None:
    data = checked(tiny)
    assert set(verdicts(data).values()) == {"ok"}
    assert set(verdicts(data)) == {cheat for cheat, _ in FOOLED.values()}
    assert data["again"] == data["production"]
    assert (data["leaks"], data["trouble"]) == ([], [])
    assert evaluator.complaints(data) == []


def test_a_night_does_not_start_where_a_cheat_wins_and_says_which_with_both_scores(tiny: Tiny) -> None:
    tiny.commit({"evaluate.py": FOOLED["a claimed score"][1]})
    result = tiny.night(Goal(cycles=1))
    assert (result.refused, result.failed, result.cycles, result.runs) == (True, True, 0, 1)
    (event,) = tiny.events("evaluator_checked")
    assert f"over-reported scores 1, production {event.data['production']:.6g}" in result.reason
    assert "--accept-evaluator" in result.reason
    assert not tiny.events("hypotheses_proposed")
    assert tiny.night(Goal(cycles=1)).refused
    assert len(tiny.events("evaluator_checked")) == 1
    assert verify(tiny.workspace).ok


def test_a_person_may_go_on_knowingly_once_and_for_all(tiny: Tiny) -> None:
    tiny.commit({"evaluate.py": FOOLED["a claimed score"][1]})
    assert tiny.night(Goal(cycles=1)).refused
    result = tiny.night(Goal(cycles=1, accept_evaluator="candidates cannot write that key"))
    assert (result.refused, result.cycles) == (False, 1)
    assert not tiny.night(Goal(cycles=1)).refused
    (accepted,) = tiny.events("evaluator_accepted")
    assert accepted.reason == "candidates cannot write that key"
    assert any("was accepted (candidates cannot write that key)" in line for line in tiny.progress.lines)
    digest = max(tiny.workspace.reports.glob("*digest*"), key=lambda path: path.stat().st_mtime).read_text()
    assert "The evaluator can be fooled, and nights run all the same: candidates cannot write that key" in digest


def test_a_mended_evaluator_is_tried_anew_and_the_night_starts(tiny: Tiny) -> None:
    tiny.commit({"evaluate.py": FOOLED["a claimed score"][1]})
    assert tiny.night(Goal(cycles=1)).refused
    tiny.commit({"evaluate.py": EVALUATE})
    assert not tiny.night(Goal(cycles=1)).refused
    assert [bool(evaluator.complaints(e.data)) for e in tiny.events("evaluator_checked")] == [True, False]


def test_the_check_pays_no_run_that_the_night_does_not_and_is_made_once(tiny: Tiny) -> None:
    first = tiny.night(Goal(cycles=1))
    tiny.night(Goal(cycles=1))
    (event,) = tiny.events("evaluator_checked")
    runs = tiny.events("run_finished")
    assert runs[0].data["run_id"] == event.data["run"]
    assert runs[0].data["purpose"] == "baseline"
    assert [run.data["purpose"] for run in runs].count("check") == 0
    assert first.runs == len([run for run in runs if run.seq < tiny.events("night_ended")[0].seq])
    assert not [*tiny.workspace.cache.glob("running/*")]


def test_answers_that_were_let_go_of_are_made_again_and_not_recorded(tiny: Tiny) -> None:
    with tiny.services() as services:
        production.open_for_the_night(services)
        plan = production.first_plan(services)
        (record,) = services.measurer.measure([plan])
        folder = tiny.workspace.root / record.folder / "answers"
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        data = evaluator.check(services, plan, whole=False)
    assert data["production"] == record.metrics["accuracy"]
    assert len(tiny.events("run_finished")) == 1


def test_files_of_any_kind_are_cut_emptied_and_claimed_where_there_is_no_predict(tiny: Tiny) -> None:
    del tiny.target["phases"]["predict"]
    tiny.write_target()
    tiny.commit({"evaluate.py": ONE_FILE})
    data = checked(tiny)
    assert verdicts(data) == {
        "empty": "ok",
        "truncated": "ok",
        "NaN": "beats",
        "over-reported": "ok",
        "over-reported metrics": "ok",
    }
    assert "NaN scores" in evaluator.complaints(data)[0]


def test_numbers_in_a_file_that_is_not_scored_are_no_cheat(tiny: Tiny) -> None:
    """A training history beside an answer in binary form."""
    del tiny.target["phases"]["predict"]
    tiny.write_target()
    write = 'pathlib.Path(out, "model.json").write_text(json.dumps({"error": 1.0 - worth}))'
    train = TRAIN.replace(
        write,
        'answer = bytes(byte ^ 255 for byte in f"{1.0 - worth:20.17f}".encode())\n'
        '    pathlib.Path(out, "answer.bin").write_bytes(answer)\n'
        '    pathlib.Path(out, "history.csv").write_text("epoch,loss\\n1,0.5\\n2,0.25\\n")',
    )
    assert train != TRAIN
    tiny.commit({"train.py": train, "evaluate.py": BINARY})
    data = checked(tiny)
    assert data["production"] == data["again"]
    assert set(verdicts(data).values()) == {"ok"}
    assert [one["score"] for row in data["rows"] if row["cheat"] == "NaN" for one in row["tried"]]


def test_what_is_said_of_a_refusal_is_the_error_and_not_the_middle_of_a_traceback(tiny: Tiny) -> None:
    data = checked(tiny)
    told = {one["variant"]: one["why"] for row in data["rows"] for one in row["tried"]}
    assert told["no file"].startswith("evaluate: exit status 1; last line: FileNotFoundError")


@pytest.mark.parametrize(
    "source",
    ["import sys\ndef main(*a):\n    sys.exit('no')\n", "def main(p, l, out):\n    pass\n", "def main():\n    pass\n"],
    ids=["exits", "writes nothing", "takes nothing"],
)
def test_an_evaluator_that_scores_nothing_is_productions_failure_and_no_crash(tiny: Tiny, source: str) -> None:
    tiny.commit({"evaluate.py": source})
    result = tiny.night(Goal(cycles=1))
    assert result.failed
    assert "production failed twice" in result.reason


def test_one_answer_for_everything_is_no_cheat_where_production_answers_so_too(tiny: Tiny) -> None:
    same = PREDICT.replace('2 * item["x"] + error', "round(error, 9) + 3")
    tiny.commit({"predict.py": same})
    found = verdicts(checked(tiny))
    assert "constant" not in found
    assert "shuffled" not in found
    assert set(found.values()) == {"ok"}


# -- labels ---------------------------------------------------------------------------------------------------


LABELS = "".join(json.dumps({"id": f"dev-{number}", "label": number * 7 % 5}) + "\n" for number in range(40))


def searched(tiny: Tiny) -> leaks.Search:
    sandbox = real_sandbox(tiny.workspace.agent / "sandbox")
    runner = tiny.runner(sandbox)
    commit = tiny.tip("main")
    return leaks.search(runner, commit, threading.Event(), everywhere=False)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"data/train/copy.jsonl": LABELS}, ("/data/copy.jsonl", "has the content of data/dev/labels/all.jsonl")),
        ({"notes/data.txt": f"x\n{LABELS}"}, ("/code/notes/data.txt", "has 40 of ")),
        ({"old/data/dev/labels/all.jsonl": "?\n"}, ("/code/old/data/dev/labels/all.jsonl", "has the place of")),
        ({"data/dev/inputs/more.jsonl": LABELS}, ("/inputs/more.jsonl", "has the content of")),
    ],
    ids=["in the training data", "among the code", "by name", "in the inputs"],
)
def test_labels_that_a_candidate_can_read_are_found_where_they_are(
    tiny: Tiny, files: dict[str, str], told: tuple[str, str]
) -> None:
    tiny.commit({"data/dev/labels/all.jsonl": LABELS, **files})
    found = searched(tiny)
    assert found.trouble == ()
    assert (told[0], True) in {(leak.path, leak.certain) for leak in found.leaks}
    assert any(told[1] in leak.what for leak in found.leaks)


@pytest.mark.parametrize("kinds", [2, 10], ids=["two classes", "ten classes"])
@pytest.mark.parametrize("line", ['{{"id": {n}, "label": {k}}}', '{{"label": {k}, "id": {n}}}', "image-{n:04}.png,{k}"])
def test_splits_that_each_number_their_items_from_0_are_no_leak(tiny: Tiny, kinds: int, line: str) -> None:
    draw = random.Random(7)

    def labels() -> str:
        return "".join(line.format(n=n, k=draw.randrange(kinds)) + "\n" for n in range(200))

    dev, train = labels(), labels()
    tiny.commit({"data/dev/labels/all.txt": dev, "data/test/labels/all.txt": labels(), "data/train/all.txt": train})
    found = searched(tiny)
    (shared,) = found.leaks
    assert (shared.path, shared.certain) == ("/data/all.txt", False)
    tiny.commit({"data/train/all.txt": train + dev})
    (leak,) = searched(tiny).leaks
    assert leak.certain


def test_a_real_sandbox_shows_no_label_and_one_shared_line_is_none(tiny: Tiny) -> None:
    tiny.commit({"data/dev/labels/all.jsonl": LABELS, "notes.txt": LABELS.splitlines()[3] + "\n"})
    found = searched(tiny)
    assert (found.leaks, found.trouble) == ((), ())
    assert found.seen > 5
    assert found.lines > 35


def test_a_leak_refuses_the_night(tiny: Tiny) -> None:
    tiny.commit({"data/dev/labels/all.jsonl": LABELS, "data/train/copy.jsonl": LABELS})
    result = tiny.night(Goal(cycles=1))
    assert result.refused
    assert "has the content of data/dev/labels/all.jsonl (train)" in result.reason


# -- the command ----------------------------------------------------------------------------------------------


def test_doctor_shows_the_table_and_fails_where_a_cheat_wins_and_the_night_goes_by_it(tiny: Tiny) -> None:
    real_sandbox(tiny.workspace.agent / "sandbox")
    tiny.commit({"evaluate.py": FOOLED["a claimed score"][1]})
    said = tiny.agent("doctor", "--evaluator", "--json")
    document = json.loads(said.stdout)
    assert (said.returncode, document["status"]) == (1, 1)
    (failed,) = [finding for finding in document["findings"] if finding["status"] == "fail"]
    assert failed["check"] == "cheat: over-reported"
    assert "a score on each line 1" in failed["found"]
    assert "BEATS PRODUCTION" in failed["found"]
    found = {finding["check"]: finding["found"] for finding in document["findings"]}
    assert {f"cheat: {cheat}" for cheat, _ in FOOLED.values()} < found.keys()
    assert {"the same solution twice", "the same answers twice", "plausibility"} < found.keys()
    assert found["labels in the sandbox"].startswith("none of 2 label files")
    assert document["table"]["searched"]["files"] > 1000
    refused = tiny.agent("run", "--cycles", "1")
    assert refused.returncode == 2
    assert "over-reported scores 1" in refused.stdout
    assert [event.data["whole"] for event in tiny.events("evaluator_checked")] == [True]


# -- the evaluator of the example -----------------------------------------------------------------------------


def test_the_evaluator_of_the_digits_example_refuses_or_scores_as_worthless_all_of_it(tiny: Tiny) -> None:
    solution = ROOT / "examples" / "digits" / "solution"
    labels = [json.loads(line) for line in (solution / "data/dev/labels/labels.jsonl").read_text().splitlines()]
    command = ["python", "-I", "-S", "evaluate.py"]
    command += [word for name in ("predictions", "labels", "out") for word in (f"--{name}", f"{{{name}}}")]
    tiny.target["phases"]["evaluate"] = {
        "command": command,
        "labels": {"dev": "data/dev/marks", "test": "data/dev/marks"},
    }
    tiny.write_target()
    marks = "".join(json.dumps(label) + "\n" for label in labels)
    tiny.commit({"evaluate.py": (solution / "evaluate.py").read_text(), "data/dev/marks/labels.jsonl": marks})
    answers = [(each["id"], each["label"] if number % 10 else 0) for number, each in enumerate(labels)]
    right = sum(each["label"] == answer for each, (_, answer) in zip(labels, answers, strict=True)) / len(labels)
    honest = "".join(json.dumps({"id": name, "output": answer}) + "\n" for name, answer in answers).encode()
    runner = tiny.runner(real_sandbox(tiny.workspace.agent / "sandbox"))
    run = RunRecord.model_construct(metrics={"accuracy": right}, phases={})
    check = EvaluatorCheck(runner, tiny.tip("main"), threading.Event(), slots=2)
    table = check.table({"predictions.jsonl": honest}, run, noise=0.01, whole=True)
    assert table.again == table.production == right
    assert {row.cheat: row.verdict for row in table.rows} == {cheat: "ok" for cheat, _ in FOOLED.values()}
    scored = {row.cheat for row in table.rows if row.score is not None}
    assert scored == {"constant", "shuffled", "over-reported metrics"}
    assert all(row.score < 0.2 for row in table.rows if row.cheat in {"constant", "shuffled"} and row.score is not None)


def test_a_score_within_productions_noise_below_it_is_suspicious_and_no_more(tiny: Tiny) -> None:
    """The constant answer of a metric that hardly tells it from production."""
    near = with_error("error = 0.19 + 1e-3 * (len(set(found.values())) == 1)")
    tiny.commit({"evaluate.py": near})
    with tiny.services() as services:
        production.open_for_the_night(services)
        plan = production.first_plan(services)
        (record,) = services.measurer.measure([plan])
        check = EvaluatorCheck(services.runner, plan.commit, services.cancel, slots=1)
        honest = read_answers(tiny.workspace.root / record.folder / "answers")
        table = {known: check.table(honest, record, known, whole=True) for known in (None, 1e-4, 1e-3)}
    verdict = {known: next(r.verdict for r in found.rows if r.cheat == "constant") for known, found in table.items()}
    assert verdict == {None: "ok", 1e-4: "ok", 1e-3: "equal"}


# -- a crash in the middle ------------------------------------------------------------------------------------


def test_a_night_killed_during_the_check_makes_it_again_once_and_leaves_nothing(tmp_path: Path) -> None:
    real_sandbox(tmp_path / "state")
    target = tiny_target.make(tmp_path / "tiny")
    groups = killed_at(target, "run_finished")  # the run whose answers are tried
    done = agent(target.workspace, "run", "--cycles", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    log = events(target.workspace)
    assert [event["kind"] for event in log].count("evaluator_checked") == 1
    assert paid_twice(log) == []
    assert leftovers(target, groups) == []
