"""Candidates and production in a real repository: what is made, what is refused, what stays as it was."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from git_repositories import DATE, commit, git, make, picture, write
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import AgentError, BadInput, Retryable
from tools import branches, commits
from tools.repository import GitFailed, SolutionRepository
from tools.repository_checks import open_repository

EDITS: dict[str, bytes | None] = {"configs/production.yaml": b"train:\n  epochs: 9\n", "src/new.py": b"WIDTH = 4\n"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "a solution")


@pytest.fixture
def repository(root: Path) -> SolutionRepository:
    return open_repository(root, "main")


def candidate(
    repository: SolutionRepository,
    tmp_path: Path,
    production: str,
    edits: dict[str, bytes | None] | None = None,
    audit_head: str = "ab" * 32,
    message: str | None = None,
) -> branches.Candidate:
    return branches.create_candidate(
        repository,
        tmp_path / "worktrees",
        "H-042",
        "Longer Training!",
        production,
        EDITS if edits is None else edits,
        message or commits.commit_message("H-042", "Longer training", "epochs 3 to 9", "it underfits", "arXiv 1"),
        {"Audit-Head": audit_head},
        DATE,
    )


def test_a_candidate_is_one_commit_on_production_with_message_trailers_and_identity(
    repository: SolutionRepository, root: Path, tmp_path: Path
) -> None:
    production = branches.ensure_production(repository, "main")
    made = candidate(repository, tmp_path, production.commit)
    assert made.branch == "agent/H-042-longer-training"
    assert git(root, "rev-parse", made.branch) == made.commit
    assert git(root, "rev-parse", f"{made.branch}^") == production.commit
    assert git(root, "show", f"{made.branch}:configs/production.yaml") == "train:\n  epochs: 9"
    body = git(root, "show", "--no-patch", "--format=%B", made.commit)
    assert "What: epochs 3 to 9" in body
    assert "Why: it underfits" in body
    assert "Source: arXiv 1" in body
    trailers = git(root, "show", "--no-patch", "--format=%(trailers:only)", made.commit).splitlines()
    assert [line for line in trailers if line] == ["Hypothesis: H-042", "Audit-Head: " + "ab" * 32]
    written_by = git(root, "show", "--no-patch", "--format=%an <%ae> %cn <%ce> %aI", made.commit)
    name = "auto-benchmark <agent@localhost>"
    assert written_by == f"{name} {name} 2026-03-04T05:06:07+00:00"
    assert git(root, "fsck", "--full", "--strict") == ""


def test_the_diff_of_a_candidate_applies_to_production(
    repository: SolutionRepository, root: Path, tmp_path: Path
) -> None:
    git(root, "config", "diff.noprefix", "true")
    git(root, "config", "diff.external", "false")
    production = branches.ensure_production(repository, "main").commit
    made = candidate(repository, tmp_path, production, {**EDITS, "blob.bin": bytes(range(256)), "train.py": None})
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(root), str(clone))
    (tmp_path / "the.patch").write_text(made.diff)
    git(clone, "apply", "--index", str(tmp_path / "the.patch"))
    assert git(clone, "write-tree") == made.tree


def test_the_same_candidate_again_is_the_same_commit_even_when_the_audit_head_moved_on(
    repository: SolutionRepository, root: Path, tmp_path: Path
) -> None:
    production = branches.ensure_production(repository, "main").commit
    first = candidate(repository, tmp_path, production)
    assert candidate(repository, tmp_path, production) == first
    assert candidate(repository, tmp_path, production, audit_head="cd" * 32) == first
    git(root, "update-ref", "-d", f"refs/heads/{first.branch}")
    assert candidate(repository, tmp_path, production) == first


def test_a_branch_with_other_content_is_never_overwritten(repository: SolutionRepository, tmp_path: Path) -> None:
    production = branches.ensure_production(repository, "main").commit
    first = candidate(repository, tmp_path, production)
    with pytest.raises(BadInput, match="other content"):
        candidate(repository, tmp_path, production, {"train.py": b"LEARNING_RATE = 0.3\n"})
    assert repository.branch_tip(first.branch) == first.commit


def test_edits_that_change_nothing_make_no_branch(repository: SolutionRepository, root: Path, tmp_path: Path) -> None:
    production = branches.ensure_production(repository, "main").commit
    made = candidate(repository, tmp_path, production, {"train.py": b"LEARNING_RATE = 0.1\n"})
    assert made.empty
    assert made.diff == ""
    assert git(root, "for-each-ref", "--format=%(refname)", "refs/heads/agent") == "refs/heads/agent/production"


def test_text_of_a_stranger_in_the_message_cannot_pose_as_a_trailer(
    repository: SolutionRepository, root: Path, tmp_path: Path
) -> None:
    production = branches.ensure_production(repository, "main").commit
    forged = commits.commit_message("H-042", "t\n\nAudit-Head: fake", "c\x1b[31m\n\nHypothesis: H-001", "w", "s")
    made = candidate(repository, tmp_path, production, message=forged)
    trailers = git(root, "show", "--no-patch", "--format=%(trailers:only)", made.commit)
    assert "fake" not in trailers
    assert "H-001" not in trailers
    assert "\x1b" not in git(root, "show", "--no-patch", "--format=%B", made.commit)


def test_the_executable_bit_of_an_edited_file_stays(root: Path, tmp_path: Path) -> None:
    (root / "train.py").chmod(0o755)
    git(root, "commit", "--quiet", "--all", "--message", "executable")
    repository = open_repository(root, "main")
    made = candidate(
        repository, tmp_path, branches.ensure_production(repository, "main").commit, {"train.py": b"X=1\n"}
    )
    assert git(root, "ls-tree", made.commit, "train.py").startswith("100755")


@pytest.mark.parametrize(
    ("path", "content"),
    [("link", b"x"), ("train.py/inner.py", b"x"), ("configs", b"x"), ("absent.py", None)],
)
def test_edits_that_git_could_only_guess_at_are_refused(
    root: Path, tmp_path: Path, path: str, content: bytes | None
) -> None:
    (root / "link").symlink_to("train.py")
    commit(root, {})
    repository = open_repository(root, "main")
    production = branches.ensure_production(repository, "main").commit
    with pytest.raises(BadInput, match=path.split("/", maxsplit=1)[0]):
        candidate(repository, tmp_path, production, {path: content})


def test_a_dirty_checkout_comes_out_byte_for_byte_as_it_was(root: Path, tmp_path: Path) -> None:
    write(root, {"stashed.py": "s\n", "train.py": "LEARNING_RATE = 7\n"})
    git(root, "stash", "push", "--quiet", "--include-untracked")
    write(root, {"staged.py": "a\n", "train.py": "LEARNING_RATE = 8\n"})
    git(root, "add", "--all")
    write(root, {"train.py": "LEARNING_RATE = 9\n", "untracked.txt": "u\n", "configs/production.yaml": "broken: ["})
    (root / "evaluate.py").unlink()
    hook = root / ".git" / "hooks" / "reference-transaction"
    hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/hook-ran'\n")
    hook.chmod(0o755)
    for setting in (
        "core.splitIndex",
        "core.logAllRefUpdates",
        "log.showSignature",
        "commit.gpgSign",
        "core.fsmonitor",
    ):
        git(root, "config", setting, "true")
    git(root, "config", "gpg.program", "false")
    allowed = (".git/refs/heads/agent", ".git/objects")
    before = picture(root, without=allowed)
    status = git(root, "-c", "core.hooksPath=/dev/null", "--no-optional-locks", "status", "--porcelain=v2")

    repository = open_repository(root, "main")
    production = branches.ensure_production(repository, "main").commit
    made = candidate(repository, tmp_path, production)
    branches.promote(repository, production, made.commit)
    branches.ensure_production(repository, "main")
    branches.cleanup_worktrees(repository, tmp_path / "worktrees")

    assert picture(root, without=allowed) == before
    assert git(root, "-c", "core.hooksPath=/dev/null", "--no-optional-locks", "status", "--porcelain=v2") == status
    assert not (tmp_path / "hook-ran").exists()
    assert list((tmp_path / "worktrees").iterdir()) == []


def test_the_environment_of_a_git_hook_redirects_nothing(root: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other", {"other.txt": "o\n"})
    before = picture(other)
    script = (
        "import sys; from pathlib import Path; from tools import branches; "
        "from tools.repository_checks import open_repository; "
        "print(branches.ensure_production(open_repository(Path(sys.argv[1]), 'main'), 'main').commit)"
    )
    hostile = {
        "GIT_DIR": str(other / ".git"),
        "GIT_INDEX_FILE": str(other / ".git" / "index"),
        "GIT_WORK_TREE": str(other),
        "GIT_OBJECT_DIRECTORY": str(other / ".git" / "objects"),
        "GIT_CONFIG_PARAMETERS": "'core.bare=true'",
        "GIT_NAMESPACE": "elsewhere",
    }
    done = subprocess.run(
        [sys.executable, "-c", script, str(root)],
        env={**os.environ, **hostile, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == git(root, "rev-parse", "main"), done.stderr
    assert picture(other) == before


def test_production_starts_at_base_and_follows_it(repository: SolutionRepository, root: Path, tmp_path: Path) -> None:
    first = branches.ensure_production(repository, "main")
    assert (first.commit, first.changed) == (git(root, "rev-parse", "main"), True)
    assert branches.ensure_production(repository, "main") == branches.ProductionState(first.commit, first.tree, False)
    moved = commit(root, {"notes.md": "new\n"})
    assert branches.ensure_production(repository, "main").commit == moved


def test_new_commits_of_base_are_merged_into_a_promoted_production_once_and_the_same_each_time(
    repository: SolutionRepository, root: Path, tmp_path: Path
) -> None:
    start = branches.ensure_production(repository, "main").commit
    made = candidate(repository, tmp_path, start)
    branches.promote(repository, start, made.commit)
    base = commit(root, {"notes.md": "new\n"})
    merged = branches.ensure_production(repository, "main")
    assert merged.changed
    assert repository.parents_of(merged.commit) == (made.commit, base)
    names = git(root, "ls-tree", "-r", "--name-only", merged.commit).splitlines()
    assert {"notes.md", "src/new.py"} <= set(names)
    git(root, "update-ref", "refs/heads/agent/production", made.commit)
    assert branches.ensure_production(repository, "main").commit == merged.commit
    assert not branches.ensure_production(repository, "main").changed


def test_a_conflict_with_base_names_the_files_and_leaves_production_where_it_was(
    repository: SolutionRepository, root: Path, tmp_path: Path
) -> None:
    start = branches.ensure_production(repository, "main").commit
    made = candidate(repository, tmp_path, start)
    branches.promote(repository, start, made.commit)
    commit(root, {"configs/production.yaml": "train:\n  epochs: 5\n"})
    with pytest.raises(BadInput, match=r"conflict.*configs/production\.yaml"):
        branches.ensure_production(repository, "main")
    assert repository.branch_tip(branches.PRODUCTION) == made.commit


def test_promotion_is_a_compare_and_swap_and_repeating_it_is_fine(
    repository: SolutionRepository, root: Path, tmp_path: Path
) -> None:
    start = branches.ensure_production(repository, "main").commit
    made = candidate(repository, tmp_path, start)
    branches.promote(repository, start, made.commit)
    branches.promote(repository, start, made.commit)
    assert repository.branch_tip(branches.PRODUCTION) == made.commit
    later = branches.create_candidate(
        repository, tmp_path / "worktrees", "H-043", "b", start, {"b.py": b"1\n"}, "b", {}, DATE
    )
    with pytest.raises(BadInput, match="moved by hand"):
        branches.promote(repository, start, later.commit)
    with pytest.raises(BadInput, match="does not descend"):
        branches.promote(repository, made.commit, later.commit)
    assert repository.branch_tip(branches.PRODUCTION) == made.commit


def test_production_that_somebody_has_checked_out_is_not_moved_under_them(
    repository: SolutionRepository, root: Path, tmp_path: Path
) -> None:
    start = branches.ensure_production(repository, "main").commit
    made = candidate(repository, tmp_path, start)
    git(root, "worktree", "add", "--quiet", str(tmp_path / "looking"), "agent/production")
    with pytest.raises(Retryable, match="looking"):
        branches.promote(repository, start, made.commit)
    commit(root, {"notes.md": "new\n"})
    with pytest.raises(BadInput, match="checked out"):
        branches.ensure_production(repository, "main")
    assert repository.branch_tip(branches.PRODUCTION) == start


@pytest.mark.parametrize("path", [".git/hooks/x", "../x", "/x", "a//b", "", "a\0b", "src/.git/config"])
def test_paths_that_git_does_not_take_make_no_branch(
    repository: SolutionRepository, root: Path, tmp_path: Path, path: str
) -> None:
    production = branches.ensure_production(repository, "main").commit
    with pytest.raises(AgentError):
        candidate(repository, tmp_path, production, {path: b"x"})
    assert git(root, "for-each-ref", "--format=%(refname)", "refs/heads/agent") == "refs/heads/agent/production"
    assert list((tmp_path / "worktrees").glob("*")) == []


def test_packed_branches_and_longer_object_ids_work_alike(tmp_path: Path) -> None:
    root = tmp_path / "long"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main", "--object-format=sha256")
    commit(root, {"train.py": "x = 1\n", "gone.py": "y = 1\n"})
    repository = open_repository(root, "main")
    start = branches.ensure_production(repository, "main").commit
    made = candidate(repository, tmp_path, start, {"train.py": b"x = 2\n", "gone.py": None})
    assert len(made.commit) == 64
    git(root, "pack-refs", "--all", "--prune")
    assert candidate(repository, tmp_path, start, {"train.py": b"x = 2\n", "gone.py": None}) == made
    branches.promote(repository, start, made.commit)
    assert git(root, "ls-tree", "-r", "--name-only", "agent/production") == "train.py"


def test_a_full_disk_and_a_held_lock_may_be_tried_again_and_a_missing_git_is_named(
    repository: SolutionRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    for text, expected in [
        ("fatal: write error: No space left on device", Retryable),
        ("fatal: Unable to create '/r/.git/refs/heads/agent/x.lock': File exists.", Retryable),
        ("fatal: bad object", GitFailed),
    ]:
        fake.write_text(f'#!/bin/sh\necho "{text}" >&2\nexit 128\n')
        fake.chmod(0o755)
        monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
        with pytest.raises(expected, match=text.split(": ")[-1][:10]):
            repository.run("cat-file", "-t", "HEAD")
    fake.unlink()
    (fake.parent / "env").symlink_to("/usr/bin/env")
    monkeypatch.setenv("PATH", str(fake.parent))
    with pytest.raises(BadInput, match="no git"):
        repository.run("version")


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Longer Training!", "longer-training"),
        ("../../main.lock", "main-lock"),
        ("Élan über Alles", "elan-uber-alles"),
        ("日本", "change"),
        ("--x--", "x"),
        ("a" * 39 + " bcd", "a" * 39),
    ],
)
def test_a_slug_is_a_plain_bounded_name(title: str, expected: str) -> None:
    assert branches.slug(title) == expected


@given(st.text(max_size=80))
def test_any_title_gives_a_branch_name_that_git_takes_and_a_slug_of_itself(title: str) -> None:
    made = branches.slug(title)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", made)
    assert len(made) <= branches.SLUG_LENGTH
    assert branches.slug(made) == made
