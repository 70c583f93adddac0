"""`agent doctor` on sound and broken workspaces: what it says, its exit status, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
from git_repositories import commit, git, picture
from scripted_solution import FILES, TRAIN, agent, make_solution, needs_sandbox, solution_python

from agent.doctor.contract import Contract
from agent.doctor.documents import Documents
from agent.doctor.findings import exit_status
from registry.audit import AuditLog
from registry.locks import workspace_lock
from registry.workspace import Workspace

__all__ = ["needs_sandbox", "solution_python"]

Findings = dict[str, list[dict[str, str]]]


@pytest.fixture
def workspace(tmp_path: Path, solution_python: Path, capsys: pytest.CaptureFixture[str]) -> Workspace:
    return made(tmp_path, solution_python, capsys)


def made(tmp_path: Path, python: Path, capsys: pytest.CaptureFixture[str], **changed: str) -> Workspace:
    root = make_solution(tmp_path / "tiny", python, **changed)
    said = agent(capsys, "init", str(root), "--board", "B", "--url", "https://example.org/b")
    assert said.status == 0, said.err
    workspace = Workspace(tmp_path / "tiny-agent")
    replace(
        workspace.target, "memory: 2GiB", "memory: 128MiB", "disk: 1GiB", "disk: 8MiB", "timeout: 30m", "timeout: 20s"
    )
    return workspace


def replace(path: Path, *pairs: str) -> None:
    text = path.read_text()
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)


def examined(workspace: Workspace, capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, Findings]:
    """Exit status, and findings by check."""
    said = agent(capsys, "doctor", "--workspace", str(workspace.root), "--json", *flags)
    document = json.loads(said.out)
    assert document["status"] == said.status
    found: Findings = {}
    for finding in document["findings"]:
        found.setdefault(finding["check"], []).append(finding)
    return said.status, found


def reviewed(workspace: Workspace) -> tuple[int, Findings]:
    """The same from the documents and the contract alone, which is quicker: the machine stays out of it."""
    documents = Documents(workspace)
    findings = list(documents.read())
    if documents.target is not None:
        findings += Contract(workspace, documents.target).check()
    found: Findings = {}
    for finding in findings:
        found.setdefault(finding.check, []).append(asdict(finding))
    return exit_status(findings), found


def failures(found: Findings) -> str:
    return "\n".join(
        f"{f['check']}: {f['found']} -> {f['fix']}" for fs in found.values() for f in fs if f["status"] == "fail"
    )


# -- a sound workspace --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("needs_sandbox")
def test_a_sound_workspace_passes_and_its_baseline_is_measured(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    status, found = examined(workspace, capsys)
    assert failures(found) == ""
    assert status == 0
    for check in ("fast run", "baseline", "same seed twice", "two seeds", "cost"):
        assert [finding["status"] for finding in found[check]] == ["ok"], check
    assert "both times" in found["same seed twice"][0]["found"]
    assert "runs an hour" in found["cost"][0]["found"]
    assert found["latency"][0]["status"] == "warn"
    assert "repeats: " in found["latency"][0]["fix"]
    capabilities = {check.removeprefix("sandbox: ") for check in found if check.startswith("sandbox: ")}
    assert {"network", "filesystem", "pid namespace", "system calls", "memory", "disk", "GPU"} <= capabilities


@pytest.mark.usefixtures("needs_sandbox")
def test_doctor_leaves_log_results_and_repository_as_they_were(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = workspace.root.with_name("tiny")
    machinery = (".agent/lock", ".agent/sandbox")
    before = picture(workspace.root, without=machinery), picture(repository)
    (workspace.cache / "doctor-of-a-killed-one" / "runs").mkdir(parents=True)
    status, found = examined(workspace, capsys)
    assert (status, "cost" in found) == (0, True)
    assert (picture(workspace.root, without=machinery), picture(repository)) == before
    assert [path for path in (workspace.agent / "sandbox" / "runs").rglob("*") if path.is_file()] == []
    with workspace_lock(workspace.lock, "a night"):
        pass


def _as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _as_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("in the way")


@pytest.mark.parametrize(
    ("name", "breaks", "status"),
    [
        ("target.yaml", _as_folder, 2),
        (".agent/audit.jsonl", _as_folder, 2),
        (".agent/cache", _as_file, 2),
        (".agent", _as_file, 2),
        (".agent", shutil.rmtree, 2),
    ],
)
@pytest.mark.usefixtures("needs_sandbox")
def test_things_of_the_wrong_kind_in_a_workspace_are_failures(
    name: str,
    breaks: Callable[[Path], None],
    status: int,
    workspace: Workspace,
    capsys: pytest.CaptureFixture[str],
) -> None:
    breaks(workspace.root / name)
    found_status, found = examined(workspace, capsys)
    assert found_status == status, failures(found)


@pytest.mark.usefixtures("needs_sandbox")
def test_plain_lines_name_each_check_and_end_with_the_sum(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    said = agent(capsys, "doctor", "--workspace", str(workspace.root), "--no-baseline")
    lines = said.out.splitlines()
    assert (said.status, said.err) == (0, "")
    assert any(line.startswith("ok    git: ") for line in lines)
    assert lines[-1].startswith(
        f"{len([line for line in lines if line[:4] in ('ok  ', 'warn')])} checks: nothing failed"
    )
    assert not any(line.startswith("ok    cost") for line in lines)


# -- broken workspaces --------------------------------------------------------------------------------------------


def test_every_problem_of_every_file_is_told_with_its_line(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    replace(workspace.target, "base: main", "bass: main", "version: 1", "version: 7")
    workspace.competitive_registry.write_text("domain: [unclosed\n")
    workspace.research_config.write_text("research_sources: 5\n")
    status, found = examined(workspace, capsys)
    told = failures(found)
    assert status == 2
    for place in (
        "target.yaml:2: version",
        "target.yaml:8: solution.bass",
        "competitive_registry.yaml:",
        "research_sources",
    ):
        assert place in told
    assert all(finding["status"] == "ok" for finding in found["git"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("target.yaml", None),
        ("target.yaml", b"\x00\xff\xfe"),
        ("target.yaml", b"{" * 5000),
        ("competitive_registry.yaml", b""),
        ("competitive_registry.yaml", b"a: &x [*x]\n"),
        ("research_config.yaml", None),
        ("research_config.yaml", b"- 1\n"),
    ],
)
def test_a_broken_file_is_a_failure_that_names_it(name: str, content: bytes | None, workspace: Workspace) -> None:
    path = workspace.root / name
    path.unlink() if content is None else path.write_bytes(content)
    status, found = reviewed(workspace)
    assert status == 2
    assert name in failures(found)


def test_without_a_workspace_the_machine_is_still_examined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = agent(capsys, "doctor")
    assert said.status == 2
    assert "fail  workspace: " in said.out
    assert "agent init" in said.out
    assert "ok    python: " in said.out
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_as_workspace_lacks_each_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = examined(Workspace(tmp_path), capsys)
    assert status == 2
    for name in ("target.yaml", "competitive_registry.yaml", "research_config.yaml"):
        assert found[name][0]["status"] == "fail"
    assert list(tmp_path.iterdir()) == []


def test_a_repository_that_is_gone_is_told(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(workspace.root.with_name("tiny"))
    status, found = examined(workspace, capsys)
    assert status == 2
    assert "no such folder" in found["repository"][0]["found"]
    assert found["baseline"][0]["found"].startswith("not run")


def test_an_interpreter_that_is_gone_is_told(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    (workspace.root.with_name("tiny") / ".venv").unlink()
    status, found = examined(workspace, capsys)
    assert status == 2
    assert "does not exist" in found["interpreter"][0]["found"]
    assert "python3 -m venv" in found["interpreter"][0]["fix"]


def test_a_machine_without_bwrap_fails_with_the_command_that_mends_it(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("git", "env"):
        (programs / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(programs))
    status, found = examined(workspace, capsys)
    assert status == 1
    assert "bwrap is not installed" in found["sandbox"][0]["found"]
    assert "apt-get install bubblewrap" in found["sandbox"][0]["fix"]
    assert found["baseline"][0]["found"].startswith("not run")


def test_a_machine_without_git_fails_and_says_so(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "env").symlink_to("/usr/bin/env")
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    status, found = examined(workspace, capsys, "--no-baseline")
    assert (status, found["git"][0]["fix"]) == (2, "apt-get install git")


@pytest.mark.parametrize(
    ("change", "check", "told"),
    [
        (("base: main", "base: trunk"), "repository", "no branch 'trunk'"),
        (("[python, train.py", "[python, learn.py"), "phases", "no learn.py"),
        (("data: data/train", "data: data/gone"), "phases", "no folder data/gone"),
        (("protected: [evaluate.py, ", "protected: ["), "phases", "evaluator that no candidate can change"),
        (("protected: [evaluate.py, ", 'protected: ["*.py", '), "phases", "not shown to candidates"),
        (("path: model.hidden", "path: model.width"), "settings", "no value model.width"),
        (("values: [16, 32, 64]", "values: [small, large]"), "settings", "32 at model.hidden"),
        (('"configs/**"', '"docs/**"'), "editable, protected", "configs/production.yaml"),
        (("{train.epochs: 2}", "{train.rounds: 2}"), "fast", "train.rounds"),
        (("config: configs/production.yaml", "config: configs/none.yaml"), "settings", "no file configs/none.yaml"),
        (("leaderboard: B", "leaderboard: C"), "target.yaml", "one of the boards: B"),
    ],
)
def test_a_target_that_does_not_fit_the_solution_is_told(
    change: tuple[str, str], check: str, told: str, workspace: Workspace
) -> None:
    replace(workspace.target, *change)
    status, found = reviewed(workspace)
    assert status == 2
    failed = [finding["found"] for finding in found[check] if finding["status"] == "fail"]
    assert any(told in text for text in failed), failures(found)


def test_a_production_value_outside_the_declared_ones_is_a_warning(workspace: Workspace) -> None:
    replace(workspace.target, "values: [16, 32, 64]", "values: [16, 64]")
    status, found = reviewed(workspace)
    assert status == 0
    assert [one["status"] for one in found["settings"]] == ["warn", "ok"]
    assert "production has 32" in found["settings"][0]["found"]


def test_globs_that_match_nothing_and_exposed_data_are_warnings(workspace: Workspace) -> None:
    replace(
        workspace.target,
        'editable: ["*.py", ',
        'editable: ["*.py", "lib/**", "data/train/**", ',
        '"data/**"]',
        '"gone/**"]',
    )
    _, found = reviewed(workspace)
    told = "\n".join(one["found"] for one in found["editable, protected"] if one["status"] == "warn")
    for text in ("editable lib/**", "protected gone/**", "data/train may be edited"):
        assert text in told


def test_a_configuration_that_is_no_text_is_told(workspace: Workspace) -> None:
    root = workspace.root.with_name("tiny")
    (root / "configs" / "production.yaml").write_bytes(b"\xff\xfe\x00")
    git(root, "commit", "--all", "--quiet", "--message", "broken")
    status, found = reviewed(workspace)
    assert (status, found["settings"][0]["status"]) in {(1, "fail"), (2, "fail")}


def test_a_submodule_that_came_later_is_told(workspace: Workspace) -> None:
    commit(workspace.root.with_name("tiny"), {".gitmodules": '[submodule "x"]\n'})
    status, found = reviewed(workspace)
    assert (status, "a submodule" in found["repository"][0]["found"]) == (2, True)


def test_a_damaged_log_is_told(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    workspace.audit.write_bytes(workspace.audit.read_bytes().replace(b"agent init", b"agent 1nit"))
    status, found = examined(workspace, capsys, "--no-baseline")
    assert (status, found["audit log"][0]["status"]) == (1, "fail")


def test_a_clock_behind_the_log_is_told(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    with AuditLog.open(workspace.audit, lambda: datetime(2099, 1, 1, tzinfo=UTC)) as log:
        log.append("later", "", {})
    status, found = examined(workspace, capsys, "--no-baseline")
    assert status == 1
    assert "before the log's last event (2099-" in found["clock"][0]["found"]


def test_gpus_that_are_not_there_are_told(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    replace(workspace.target, "gpus: 0", "gpus: 2")
    status, found = examined(workspace, capsys, "--no-baseline")
    assert status == 1
    assert "0 of 2" in found["GPUs"][0]["found"]


# -- the baseline -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("needs_sandbox")
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"train": "import sys\nsys.exit('no such luck')\n"}, "no such luck"),
        ({"train": "x = [0] * (1 << 30)\nimport time\ntime.sleep(5)\n"}, "oom"),
        ({"predict": "pass\n"}, "predictions.jsonl"),
        (
            {"evaluate": FILES["evaluate.py"].replace("1 - wrong", 'float("nan")')},
            "NaN",
        ),
        ({"evaluate": FILES["evaluate.py"].replace('"accuracy"', '"other"')}, "the primary metric"),
    ],
)
def test_a_baseline_that_breaks_is_told_with_a_command_to_try(
    changed: dict[str, str],
    told: str,
    tmp_path: Path,
    solution_python: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workspace = made(tmp_path, solution_python, capsys)
    commit(tmp_path / "tiny", {f"{name}.py": text for name, text in changed.items()})
    before = picture(workspace.root, without=(".agent/lock", ".agent/sandbox"))
    status, found = examined(workspace, capsys)
    assert status == 1
    assert told.lower() in failures(found).lower()
    assert "try it by hand in" in failures(found)
    assert picture(workspace.root, without=(".agent/lock", ".agent/sandbox")) == before


@pytest.mark.usefixtures("needs_sandbox")
def test_a_seed_that_gives_two_values_fails_unless_the_target_is_noisy(
    tmp_path: Path, solution_python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    careless = TRAIN.replace("random.Random(given.seed)", "random.Random()")
    workspace = made(tmp_path, solution_python, capsys, train=careless)
    status, found = examined(workspace, capsys)
    assert "same seed twice" in found, failures(found)
    assert (status, found["same seed twice"][0]["status"]) == (1, "fail")
    assert "noisy: true" in found["same seed twice"][0]["fix"]
    workspace.target.write_text(workspace.target.read_text() + "\nnoisy: true\n")
    status, found = examined(workspace, capsys)
    assert "same seed twice" in found, failures(found)
    assert (status, found["same seed twice"][0]["status"]) == (0, "ok")


@pytest.mark.usefixtures("needs_sandbox")
def test_seeds_that_change_nothing_are_a_warning(
    tmp_path: Path, solution_python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = TRAIN.replace("random.Random(given.seed)", "random.Random(1)")
    status, found = examined(made(tmp_path, solution_python, capsys, train=fixed), capsys)
    assert "two seeds" in found, failures(found)
    assert (status, found["two seeds"][0]["status"]) == (0, "warn")
    assert "seeds change nothing" in found["two seeds"][0]["found"]


@pytest.mark.usefixtures("needs_sandbox")
def test_no_baseline_is_run_beside_a_night(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    with workspace_lock(workspace.lock, "agent run"):
        status, found = examined(workspace, capsys)
    assert status == 0
    assert f"process {os.getpid()} (agent run)" in found["lock"][0]["found"]
    assert found["baseline"][0]["status"] == "warn"
    assert "is using the workspace" in found["baseline"][0]["found"]
