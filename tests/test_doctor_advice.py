"""What doctor advises: every failure has a place and a remedy, and the remedy is the right one."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from git_repositories import git
from tiny_solution import Tiny, build

from agent.doctor import machine
from agent.doctor.contract import Contract
from agent.doctor.documents import Documents, log
from agent.doctor.findings import Finding
from registry.documents import load_research, load_target
from registry.errors import BadInput
from registry.workspace import Workspace

TARGET = """\
version: 1
name: tiny
solution:
  repository: ../solution
  base: main
  config: configs/production.yaml
  editable: ["*.py", "configs/**"]
  protected: ["evaluate.py", "data/**"]
phases:
  train: {command: [python, train.py, "{config}", "{seed}", "{data}", "{out}"], data: data/train}
  predict:
    command: [python, predict.py, "{model}", "{inputs}", "{out}"]
    inputs: {dev: data/dev/inputs, test: data/test/inputs}
  evaluate:
    command: [python, evaluate.py, "{predictions}", "{labels}", "{out}"]
    labels: {dev: data/dev/labels, test: data/test/labels}
metrics: {primary: {name: accuracy, higher_is_better: true, leaderboard: Tiny}}
search_space:
  width: {path: model.width, values: [1, 2], tags: [width]}
fast:
  overrides: {model.noise: 0.001}
  timeout: 20s
environment:
  python: PYTHON
resources: {cpus: 1, memory: 128MiB}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    tiny = build(tmp_path)
    tiny.workspace.target.write_text(TARGET.replace("PYTHON", tiny.target["environment"]["python"]))
    return tiny


def _failures(workspace: Workspace) -> list[Finding]:
    documents = Documents(workspace)
    findings = list(documents.read())
    if documents.target is not None:
        findings += Contract(workspace, documents.target).check()
    return [finding for finding in findings if finding.status == "fail"]


def _changed(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_workspace_of_these_tests_is_sound(tiny: Tiny) -> None:
    assert _failures(tiny.workspace) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "advice"),
    [
        ("base: main", "base: main: x", 5, "edit {file}, line 5: "),
        ("version: 1", "version: one", 1, "edit {file}, line 1: "),
        ("base: main", "bass: main", 5, "edit {file}, line 5: one of repository, base"),
        ("config: configs/p", "config: ../p", 6, "a path inside the repository, relative and without .. is wanted"),
        ("base: main", "base: trunk", 5, "correct solution.base"),
        ("repository: ../solution", "repository: ../gone", 4, "correct solution.repository"),
        ("leaderboard: Tiny", "leaderboard: Big", 17, "add the board to competitive_registry.yaml"),
        (
            "higher_is_better: true",
            "higher_is_better: false",
            17,
            "make target.yaml and competitive_registry.yaml agree",
        ),
        ("path: model.width", "path: model.wide", 19, "correct the path in search_space"),
        ("{model.noise: 0.001}", "{model.noisy: 0.001}", 21, "correct the path in fast.overrides"),
        ("train.py", "learn.py", 10, "git add and commit it"),
        ("[1, 2]", "[small, large]", 19, ""),
    ],
)
def test_a_failure_has_its_line_and_what_mends_it(tiny: Tiny, old: str, new: str, line: int, advice: str) -> None:
    target = tiny.workspace.target
    _changed(target, old, new)
    first = _failures(tiny.workspace)[0]
    assert (first.file, first.line) == (str(target), line)
    assert f"{target}:{line}: " in first.found
    assert advice.format(file=target).removesuffix(" is wanted") in first.fix
    assert "is expected" not in first.found


@pytest.mark.parametrize("python", ["/nonexistent/python", "image"])
def test_an_environment_that_cannot_be_had_has_its_line(tiny: Tiny, python: str) -> None:
    now = next(line for line in tiny.workspace.target.read_text().splitlines() if line.startswith("  python:"))
    written = f"  image: x@sha256:{'0' * 64}" if python == "image" else f"  python: {python}"
    _changed(tiny.workspace.target, now, written)
    (failure,) = _failures(tiny.workspace)
    assert (failure.file, failure.line) == (str(tiny.workspace.target), 23)
    assert failure.fix


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"- a\n", b"a: [\n", b"\xff\n", b"a: 1\na: 2\n", b"\tx\n"])
@pytest.mark.parametrize("name", ["target.yaml", "competitive_registry.yaml", "research_config.yaml"])
def test_a_document_that_is_none_has_advice(tiny: Tiny, name: str, content: bytes) -> None:
    (tiny.workspace.root / name).write_bytes(content)
    failures = _failures(tiny.workspace)
    assert failures
    for failure in failures:
        assert failure.file == str(tiny.workspace.root / name)
        assert failure.line is not None
        assert failure.fix


def test_a_missing_document_is_restored_or_written_anew(tiny: Tiny) -> None:
    tiny.workspace.competitive_registry.unlink()
    tiny.workspace.research_config.unlink()
    registry, research = _failures(tiny.workspace)
    assert "docs/registry.md" in registry.fix
    assert research.fix.endswith(shlex.quote(str(tiny.workspace.research_config)))
    subprocess.run(["sh", "-c", research.fix], check=True)
    assert load_research(tiny.workspace.research_config)


def test_a_workspace_that_lost_its_target_is_not_told_to_be_made_again(tiny: Tiny) -> None:
    tiny.workspace.target.unlink()
    with pytest.raises(BadInput, match=r"restore target\.yaml from a copy"):
        Workspace.find(tiny.root, tiny.workspace.root)
    assert "restore " in _failures(tiny.workspace)[0].fix


def test_the_branches_named_for_a_wrong_base_are_the_users(tiny: Tiny) -> None:
    for number in range(12):
        git(tiny.repository, "branch", f"agent/H-{number:03d}-an-idea")
    _changed(tiny.workspace.target, "base: main", "base: trunk")
    (failure,) = _failures(tiny.workspace)
    assert "expected one of main" in failure.found
    assert "H-0" not in failure.found


def test_a_torn_last_line_of_the_log_needs_no_mending(tiny: Tiny) -> None:
    tiny.agent("monitor")
    with tiny.workspace.audit.open("ab") as stream:
        stream.write(b'{"torn')
    (found,) = [finding for finding in log(tiny.workspace) if finding.status != "ok"]
    assert (found.status, found.file) == ("warn", str(tiny.workspace.audit))
    assert found.line == len(tiny.workspace.audit.read_bytes().splitlines())
    assert found.fix == "nothing: the next writer sets it aside; it was never acknowledged"


@pytest.mark.parametrize(
    ("written", "asks"),
    [
        ("cpus: 100000", "resources.cpus asks for 100000"),
        ("memory: 900000GiB", "resources.memory allows a run 878.9 TiB"),
    ],
)
def test_more_than_the_machine_has_is_a_warning(tiny: Tiny, written: str, asks: str) -> None:
    def capacity() -> list[Finding]:
        return list(machine.capacity(load_target(tiny.workspace.target)))

    assert [finding.status for finding in capacity()] == ["ok"]
    _changed(tiny.workspace.target, "cpus: 1" if "cpus" in written else "memory: 128MiB", written)
    (found,) = capacity()
    assert found.status == "warn"
    assert asks in found.found
    assert "in target.yaml to" in found.fix


def test_where_the_two_thresholds_differ_doctor_warns(tiny: Tiny) -> None:
    assert "promotion_threshold" not in str(list(Documents(tiny.workspace).read()))
    _changed(tiny.workspace.competitive_registry, "promotion_threshold: 0.005", "promotion_threshold: 0.01")
    found = [finding for finding in Documents(tiny.workspace).read() if "promotion_threshold" in finding.found]
    assert [finding.status for finding in found] == ["warn"]
