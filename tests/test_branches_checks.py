"""Which repositories are refused, with what reason, and which unusual ones are fine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from git_repositories import commit, git, make, write

from registry.errors import BadInput
from tools.branches import ensure_production
from tools.repository_checks import open_repository

POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "solution")


def refusal(path: Path, base: str = "main") -> str:
    with pytest.raises(BadInput) as caught:
        open_repository(path, base)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    assert "no such folder" in refusal(tmp_path / "absent")
    (tmp_path / "plain").mkdir()
    assert "no git repository" in refusal(tmp_path / "plain")


def test_a_folder_inside_a_repository_is_told_where_the_root_is(root: Path) -> None:
    assert f"root is {root}" in refusal(root / "configs")


def test_a_bare_repository_is_refused(root: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(root), str(tmp_path / "bare.git"))
    assert "bare" in refusal(tmp_path / "bare.git")
    git(root, "config", "core.bare", "true")
    assert "bare" in refusal(root)


def test_a_repository_without_a_commit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    git(tmp_path / "new", "init", "--quiet", "--initial-branch=main")
    assert "no commit" in refusal(tmp_path / "new")


def test_a_detached_head_is_refused_and_told_what_to_do(root: Path) -> None:
    git(root, "checkout", "--quiet", "--detach")
    assert "git switch" in refusal(root)


@pytest.mark.parametrize("base", ["trunk", "agent/production", "--help", "refs/heads/main", "", "@{-1}", "a..b"])
def test_a_base_that_is_no_branch_of_the_user_is_refused(root: Path, base: str) -> None:
    assert "solution.base" in refusal(root, base)


def test_a_missing_base_is_told_which_branches_there_are(root: Path) -> None:
    git(root, "branch", "develop")
    assert "develop, main" in refusal(root, "trunk")


def test_a_branch_that_takes_the_name_agent_is_refused(root: Path) -> None:
    git(root, "branch", "agent")
    assert "branch named agent" in refusal(root)


def test_submodules_are_refused(root: Path, tmp_path: Path) -> None:
    make(tmp_path / "inner")
    git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tmp_path / "inner"), "inner")
    git(root, "commit", "--quiet", "--message", "submodule")
    assert "submodule" in refusal(root)
    git(root, "rm", "--quiet", "--cached", ".gitmodules")
    git(root, "commit", "--quiet", "--message", "a link without a name")
    assert "submodule (inner)" in refusal(root)


def test_large_file_storage_is_refused_by_attribute_and_by_pointer(root: Path) -> None:
    commit(root, {"data/.gitattributes": "*.npz filter=lfs diff=lfs merge=lfs -text\n"})
    assert "filter=lfs in data/.gitattributes" in refusal(root)
    commit(root, {"data/.gitattributes": "*.npz -text\n", "data/big.npz": POINTER})
    assert "data/big.npz" in refusal(root)


def test_attributes_kept_out_of_the_tree_are_read_too(root: Path) -> None:
    write(root, {".git/info/attributes": "*.bin filter=lfs\n"})
    assert "LFS" in refusal(root)


@pytest.mark.parametrize("key", ["clean", "smudge", "process"])
def test_filters_are_refused_and_never_run(root: Path, tmp_path: Path, key: str) -> None:
    git(root, "config", f"filter.Odd.Name.{key}", f"touch '{tmp_path}/ran'")
    write(root, {".git/info/attributes": "* filter=Odd.Name\n"})
    assert "Odd.Name" in refusal(root)
    assert not (tmp_path / "ran").exists()


def test_filters_in_an_included_file_are_found(root: Path, tmp_path: Path) -> None:
    (tmp_path / "more").write_text('[filter "x"]\n\tclean = cat\n')
    git(root, "config", "include.path", str(tmp_path / "more"))
    assert "'x'" in refusal(root)


def test_a_shallow_clone_a_merge_in_progress_and_a_linked_worktree_are_fine(root: Path, tmp_path: Path) -> None:
    commit(root, {"a.txt": "1\n"})
    git(root, "switch", "--quiet", "--create", "other", "HEAD~1")
    commit(root, {"a.txt": "2\n"})
    git(root, "merge", "--quiet", "main", check=False)
    assert (root / ".git" / "MERGE_HEAD").exists()
    tip = git(root, "rev-parse", "main")
    assert ensure_production(open_repository(root, "main"), "main").commit == tip
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=main", f"file://{root}", str(tmp_path / "shallow"))
    assert ensure_production(open_repository(tmp_path / "shallow", "main"), "main").commit == tip
    git(root, "worktree", "add", "--quiet", "-b", "third", str(tmp_path / "linked"), "main")
    assert open_repository(tmp_path / "linked", "main").branch_tip("third") == tip


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository to another user")
def test_a_repository_of_another_user_can_be_read(root: Path) -> None:
    subprocess.run(["chown", "-R", "65534:65534", str(root)], check=True)
    assert open_repository(root, "main").branch_tip("main") is not None


def test_a_damaged_repository_is_an_error_with_a_reason_and_no_traceback_of_ours(root: Path) -> None:
    blob = git(root, "rev-parse", "HEAD^{tree}")
    (root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    from registry.errors import AgentError

    with pytest.raises(AgentError, match="git ls-tree"):
        open_repository(root, "main")
