"""What each phase of a run can see and do, in the real sandbox."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from git_repositories import git
from tiny_solution import Tiny, build, real_sandbox

from experiments.plans import Plan
from registry.runs import RunRecord
from sandbox.contract import Sandbox

SPY = """
import json, os, pathlib, sys
def look(tempting):
    seen = {"files": {}, "read": [], "environment": dict(os.environ), "root": sorted(os.listdir("/"))}
    for top in ("/code", "/config", "/data", "/inputs", "/labels", "/model", "/predictions", "/work"):
        found = [str(path.relative_to(top)) for path in sorted(pathlib.Path(top).rglob("*")) if path.is_file()]
        seen["files"][top] = found if os.path.isdir(top) else None
    for path in tempting:
        try:
            os.listdir(path) if os.path.isdir(path) else open(path).close()
        except OSError:
            continue
        seen["read"].append(path)
    return seen
"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return real_sandbox(tmp_path_factory.mktemp("sandbox"))


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return build(tmp_path)


def _run(tiny: Tiny, sandbox: Sandbox, commit: str, *, seed: int = 7, arm: str = "candidate") -> RunRecord:
    plan = Plan("H-001", arm, "gate", commit, tiny.tip("main"), seed)  # type: ignore[arg-type]  (a literal of two)
    return tiny.runner(sandbox).execute(plan, 1, threading.Event())


def _candidate(tiny: Tiny, changed: dict[str, str]) -> str:
    """A commit on a branch beside main, made by hand with git, whatever a patch may contain."""
    git(tiny.repository, "switch", "-q", "-c", f"by-hand-{abs(hash(str(changed)))}")
    made = tiny.commit(changed)
    git(tiny.repository, "switch", "-q", "main")
    return made


def _folder(tiny: Tiny, record: RunRecord) -> Path:
    return tiny.workspace.root / record.folder


def _tempting(tiny: Tiny) -> list[str]:
    """Places a candidate would like to read, all of which exist on the host."""
    wanted = [tiny.repository, tiny.workspace.root, tiny.workspace.audit.parent, tiny.workspace.results]
    wanted += [tiny.repository / f"data/{split}/{kind}" for split in ("dev", "test") for kind in ("inputs", "labels")]
    wanted += [tiny.repository / "evaluate.py", tiny.workspace.target, tiny.workspace.competitive_registry]
    trees = sorted((tiny.workspace.cache / "trees").rglob("*"))
    results = sorted(tiny.workspace.results.rglob("*"))
    assert [path for path in trees if path.name == "labels.json"]
    assert [path for path in results if path.name == "metrics.json"]
    return [str(path) for path in [*wanted, *trees, *results]]


def test_train_sees_data_configuration_and_seed_and_predict_the_inputs_of_one_split(
    tiny: Tiny, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "of the orchestrator")
    _run(tiny, sandbox, tiny.tip("main"), arm="production")  # leaves labels, results and models to be found
    spy = SPY + f"TEMPTING = {_tempting(tiny)!r}\n"
    train = spy + (tiny.repository / "train.py").read_text().replace(
        "    text =", "    pathlib.Path(out, 'seen.json').write_text(json.dumps(look(TEMPTING)))\n    text =", 1
    )
    predict = spy + (tiny.repository / "predict.py").read_text().replace(
        "    pathlib.Path(out,", '    answers[0]["seen"] = look(TEMPTING)\n    pathlib.Path(out,', 1
    )
    record = _run(tiny, sandbox, _candidate(tiny, {"train.py": train, "predict.py": predict}))
    assert record.status == "ok", record.why
    trained: dict[str, Any] = json.loads((_folder(tiny, record) / "model/seen.json").read_text())
    answers = (_folder(tiny, record) / "answers/predictions.jsonl").read_text().splitlines()
    predicted: dict[str, Any] = json.loads(answers[0])["seen"]
    code = ["configs/production.yaml", "predict.py", "train.py"]
    absent = dict.fromkeys(("/data", "/inputs", "/labels", "/model", "/predictions"))
    assert trained["files"] == absent | {
        "/code": code,
        "/config": ["config.yaml"],
        "/data": ["knowledge.txt"],
        "/work": [],
    }
    assert predicted["files"] == absent | {
        "/code": code,
        "/config": ["config.yaml"],
        "/inputs": ["inputs.jsonl"],
        "/model": ["model.json", "seen.json"],
        "/work": [],
    }
    for seen in (trained, predicted):
        assert seen["read"] == []
        assert seen["environment"]["AGENT_SEED"] == seen["environment"]["PYTHONHASHSEED"] == "7"
        assert "SECRET_TOKEN" not in seen["environment"]
        assert "of the orchestrator" not in str(seen)


def test_the_evaluator_is_productions_whatever_the_candidate_commits(tiny: Tiny, sandbox: Sandbox) -> None:
    evaluator = (tiny.repository / "evaluate.py").read_text()
    listing = '    names = sorted(str(path) for path in pathlib.Path("/code").rglob("*"))\n'
    listing += '    pathlib.Path(out, "examples.jsonl").write_text(json.dumps(names))\n'
    tiny.commit({"evaluate.py": evaluator.replace("    error =", listing + "    error =")})
    honest = _run(tiny, sandbox, tiny.tip("main"), arm="production")
    flattering = 'import pathlib, sys\npathlib.Path(sys.argv[3], "metrics.json").write_text(\'{"accuracy": 1.0}\')\n'
    commit = _candidate(tiny, {"evaluate.py": flattering, "metrics.json": '{"accuracy": 1.0}'})
    assert "1.0" in git(tiny.repository, "show", f"{commit}:evaluate.py")
    record = _run(tiny, sandbox, commit)
    assert record.status == "ok", record.why
    assert record.metrics == honest.metrics
    assert record.metrics["accuracy"] < 0.82
    assert record.key.evaluator == honest.key.evaluator
    assert json.loads((_folder(tiny, record) / "examples.jsonl").read_text()) == ["/code/evaluate.py"]


@pytest.mark.parametrize(
    ("ending", "status", "said"),
    [
        ("return", "bad_output", "predictions.jsonl"),
        ("pathlib.Path(out, 'predictions.jsonl').symlink_to('/labels/labels.json'); return", "bad_output", "regular"),
        ("pathlib.Path(out, 'predictions.jsonl').mkdir(); return", "bad_output", "no file"),
        ("pathlib.Path(out, 'predictions.jsonl').write_bytes(b'0' * (20 << 20)); return", "limit", "disk"),
        ("print('the last words'); sys.exit(3)", "crash", "exit status 3; last line: the last words"),
        ("print('one\\ntwo\\nthree\\nfour'); sys.exit(3)", "crash", "last lines: two | three | four"),
        (
            "print('x' * 3_000_000); import time; time.sleep(30)",
            "timeout",
            "MiB in 0 files, 1 processes, 2.9 MiB printed",
        ),
        ("bytearray(400 << 20); return", "oom", "134217728"),
        ("import time; time.sleep(30)", "timeout", "timeout"),
    ],
    ids=["missing", "link", "folder", "large", "crash", "crash-lines", "timeout-figures", "out-of-memory", "timeout"],
)
def test_a_predict_phase_that_leaves_no_answer_fails_by_its_own_name(
    tiny: Tiny, sandbox: Sandbox, ending: str, status: str, said: str
) -> None:
    tiny.target["full"] = {"timeout": 2 if status == "timeout" else 20}
    tiny.write_target()
    source = (tiny.repository / "predict.py").read_text()
    commit = _candidate(tiny, {"predict.py": source.replace("    error =", f"    {ending}\n    error =", 1)})
    record = _run(tiny, sandbox, commit)
    assert record.status == status, record.why
    assert said in record.why
    assert record.why.startswith("predict: ")
    assert record.metrics == {}
    assert (_folder(tiny, record) / "predict.log").is_file()
    assert "evaluate" not in record.phases


@pytest.mark.parametrize(
    ("resources", "act", "status", "said"),
    [
        ({"files": 20}, "[pathlib.Path(out, str(n)).touch() for n in range(99)]; time.sleep(9)", "limit", "files"),
        ({"cpu_time": "1s"}, "all(True for _ in iter(int, 1))", "timeout", "CPU time 1 s"),
        ({"output": "1KiB"}, "[print('x' * 1000) for _ in range(9999)]; time.sleep(9)", "limit", "output"),
        ({"processes": 4}, "[os.fork() for _ in range(8)]", "crash", "BlockingIOError"),
    ],
    ids=["files", "cpu_time", "output", "processes"],
)
def test_every_limit_that_the_target_declares_is_kept(
    tiny: Tiny, sandbox: Sandbox, resources: dict[str, object], act: str, status: str, said: str
) -> None:
    tiny.target["resources"] = {**tiny.target.get("resources", {}), **resources}
    tiny.write_target()
    source = (tiny.repository / "predict.py").read_text()
    act = f"    import os, pathlib, time\n    {act}\n"
    commit = _candidate(tiny, {"predict.py": source.replace("    error =", f"{act}    error =", 1)})
    record = _run(tiny, sandbox, commit)
    assert record.status == status, record.why
    assert said in record.why


def _without_predict(tiny: Tiny) -> None:
    """What train leaves is the answer: a list of guesses, which the evaluator holds against one of the same form."""
    del tiny.target["phases"]["predict"]
    tiny.target["phases"]["evaluate"]["labels"] = {"dev": "data/dev/labels", "test": "data/test/labels"}
    tiny.write_target()
    answers = "".join(json.dumps({"id": f"dev-{n}", "output": 2 * n}) + "\n" for n in range(4))
    train = (tiny.repository / "train.py").read_text()
    guess = '    guesses = [{"id": f"dev-{n}", "output": 2 * n + 1.0 - worth} for n in range(4)]\n'
    guess += '    text = "".join(json.dumps(guess) + "\\n" for guess in guesses)\n'
    guess += '    pathlib.Path(out, "predictions.jsonl").write_text(text)\n'
    mark = "    pathlib.Path(out,"
    tiny.commit({"train.py": train.replace(mark, guess + mark, 1), "data/dev/labels/answers.jsonl": answers})


def test_a_target_without_predict_has_the_output_of_train_judged(tiny: Tiny, sandbox: Sandbox) -> None:
    _without_predict(tiny)
    record = _run(tiny, sandbox, tiny.tip("main"), arm="production")
    assert record.status == "ok", record.why
    assert 0.79 < record.metrics["accuracy"] < 0.81
    assert set(record.phases) == {"train", "evaluate"}
    assert record.outputs_sha256


def test_an_answer_that_is_a_link_to_the_labels_is_never_judged(tiny: Tiny, sandbox: Sandbox) -> None:
    _without_predict(tiny)
    train = (
        (tiny.repository / "train.py")
        .read_text()
        .replace(
            '    pathlib.Path(out, "predictions.jsonl").write_text(text)',
            '    pathlib.Path(out, "predictions.jsonl").symlink_to("/labels/answers.jsonl")',
        )
    )
    record = _run(tiny, sandbox, _candidate(tiny, {"train.py": train}))
    assert record.status == "bad_output", record.metrics
    assert "predictions.jsonl" in record.why
    assert record.metrics == {}


def test_data_that_git_does_not_track_come_from_the_checkout_and_are_part_of_the_identity(
    tiny: Tiny, sandbox: Sandbox
) -> None:
    (tiny.repository / ".gitignore").write_text("data/train/\n")
    git(tiny.repository, "rm", "-q", "-r", "--cached", "data/train")
    tiny.commit({})
    first = _run(tiny, sandbox, tiny.tip("main"), arm="production")
    (tiny.repository / "data/train/knowledge.txt").write_text("0.7\n")
    second = _run(tiny, sandbox, tiny.tip("main"), arm="production")
    assert first.key.data != second.key.data
    assert first.run_id != second.run_id
    assert first.metrics["accuracy"] - second.metrics["accuracy"] == pytest.approx(0.1, abs=1e-9)
