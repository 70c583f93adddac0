"""The workspace's folder: its paths have the documents' names, and finding it never guesses."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import BadInput
from registry.workspace import Workspace, default_for


def make(root: Path) -> Path:
    (root / ".agent").mkdir(parents=True)
    (root / "target.yaml").write_text("version: 1\n")
    return root


def test_every_path_has_the_name_the_documents_give_it() -> None:
    workspace = Workspace(Path("/w"))
    results = workspace.results_of("H-042")
    production = workspace.production_results("0123456789abcdef0123456789abcdef01234567")
    paths = {
        workspace.competitive_registry: "competitive_registry.yaml",
        workspace.research_config: "research_config.yaml",
        workspace.target: "target.yaml",
        workspace.experiment_queue: "experiment_queue.yaml",
        workspace.hypothesis("H-042", "queued"): "experiments/queue/H-042.yaml",
        workspace.hypothesis("H-042", "active"): "experiments/active/H-042.yaml",
        workspace.hypothesis("H-042", "promoted"): "experiments/promoted/H-042.yaml",
        workspace.hypothesis("H-1234", "archived"): "experiments/archived/H-1234.yaml",
        results.config: "experiments/results/H-042/config.yaml",
        results.metrics: "experiments/results/H-042/metrics.json",
        results.train_log: "experiments/results/H-042/train.log",
        results.requirements: "experiments/results/H-042/requirements.lock",
        results.eval_on_leaderboard: "experiments/results/H-042/eval_on_leaderboard.json",
        results.decision: "experiments/results/H-042/decision.json",
        results.patch: "experiments/results/H-042/patch.diff",
        results.run(7): "experiments/results/H-042/runs/7",
        production.run("7"): "experiments/results/production/0123456789ab/runs/7",
        workspace.research_log: "research_log.md",
        workspace.technical_log: "TECHNICAL_LOG.md",
        workspace.changelog: "CHANGELOG.md",
        workspace.reports: "reports",
        workspace.audit: ".agent/audit.jsonl",
        workspace.checkpoints: ".agent/checkpoints.sqlite",
        workspace.index: ".agent/index.sqlite",
        workspace.cache: ".agent/cache",
        workspace.lock: ".agent/lock",
    }
    assert {str(path) for path in paths} == {f"/w/{name}" for name in paths.values()}
    assert all(str(path) == f"/w/{name}" for path, name in paths.items())


@pytest.mark.parametrize("name", ["", "..", "../H-001", "H-1", "H-001/..", "h-001", "H-001\n", "/etc"])
def test_no_id_leads_out_of_the_workspace(name: str) -> None:
    workspace = Workspace(Path("/w"))
    with pytest.raises(ValueError, match="is not a hypothesis"):
        workspace.results_of(name)
    with pytest.raises(ValueError, match="is not a hypothesis"):
        workspace.hypothesis(name, "queued")
    with pytest.raises(ValueError, match="is not a"):
        workspace.production_results(name)
    with pytest.raises(ValueError, match="a run's name"):
        workspace.results_of("H-001").run("../x")


def test_a_workspace_is_found_from_inside_and_from_its_repository(tmp_path: Path) -> None:
    root = make(tmp_path / "my digits-agent")
    source = tmp_path / "my digits" / "src"
    source.mkdir(parents=True)
    inside = root / "experiments" / "queue"
    inside.mkdir(parents=True)
    assert {Workspace.find(start).root for start in (root, inside, source, source.parent)} == {root}
    assert default_for(tmp_path / "my digits") == root


def test_the_nearest_workspace_wins_and_a_given_one_wins_over_all(tmp_path: Path) -> None:
    outer = make(tmp_path)
    inner = make(tmp_path / "inner")
    assert Workspace.find(inner).root == inner
    assert Workspace.find(inner, given=outer).root == outer


def test_a_target_file_in_the_users_repository_is_no_workspace(tmp_path: Path) -> None:
    repository = tmp_path / "digits"
    repository.mkdir()
    (repository / "target.yaml").write_text("theirs: true\n")
    with pytest.raises(BadInput) as caught:
        Workspace.find(repository)
    assert "agent init" in str(caught.value)
    assert "--workspace" in str(caught.value)
    assert str(repository) in str(caught.value)


@pytest.mark.parametrize(
    ("made", "found"),
    [([], "no target.yaml and no .agent/"), (["target.yaml"], "no .agent/"), ([".agent/x"], "no target.yaml")],
)
def test_a_given_folder_that_is_no_workspace_says_what_it_lacks(tmp_path: Path, made: list[str], found: str) -> None:
    for name in made:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    with pytest.raises(BadInput) as caught:
        Workspace.find(tmp_path, given=tmp_path)
    assert caught.value.problems[0].found == found


def test_a_given_folder_that_does_not_exist_says_so_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such folder"):
        Workspace.find(tmp_path, given=tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_creating_the_folders_twice_changes_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    workspace.create_folders()
    kept = workspace.state_folder("queued") / "H-001.yaml"
    kept.write_text("id: H-001\n")
    workspace.create_folders()
    assert kept.read_text() == "id: H-001\n"
    assert {folder.name for folder in workspace.experiments.iterdir()} == {
        "queue",
        "active",
        "promoted",
        "archived",
        "results",
    }


def test_the_repository_is_read_relative_to_the_workspace(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "digits-agent")
    assert workspace.repository("../digits") == tmp_path / "digits"
    assert workspace.repository("/elsewhere/digits") == Path("/elsewhere/digits")
