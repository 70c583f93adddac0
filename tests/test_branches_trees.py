"""Trees read from commits: written out whole, digested by parts, and never leaving their folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from git_repositories import FILES, commit, git, make

from registry.errors import BadInput
from tools import trees
from tools.patches import FileChange
from tools.repository_checks import open_repository


def test_a_tree_is_written_without_git_and_without_what_is_excluded(tmp_path: Path) -> None:
    root = make(tmp_path / "solution")
    (root / "run.sh").write_bytes(b"#!/bin/sh\r\n")
    (root / "run.sh").chmod(0o700)
    tip = commit(root, {"data/train/x.csv": "1\n"})
    repository = open_repository(root, "main")
    out = trees.archive_tree(repository, tip, tmp_path / "code", ["evaluate.py", "data/dev/**"])
    found = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    assert set(found) == {"train.py", "configs/production.yaml", "data/train/x.csv", "run.sh"}
    assert found["run.sh"].stat().st_mode & 0o777 == 0o755
    assert found["train.py"].stat().st_mode & 0o777 == 0o644
    assert found["train.py"].read_text() == FILES["train.py"]
    assert not (out / "data" / "dev").exists()
    part = trees.archive_tree(repository, tip, tmp_path / "part", ["data/dev"], ["data"])
    assert [path.relative_to(part).as_posix() for path in part.rglob("*") if path.is_file()] == ["data/train/x.csv"]
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_attributes_in_the_tree_neither_drop_nor_rewrite_files(tmp_path: Path) -> None:
    root = make(tmp_path / "solution", {".gitattributes": "hidden export-ignore\n*.txt eol=crlf export-subst\n"})
    git(root, "config", "core.autocrlf", "true")
    tip = commit(root, {"hidden": "x\n", "a.txt": "$Format:%H$\n"})
    out = trees.archive_tree(open_repository(root, "main"), tip, tmp_path / "code")
    assert (out / "hidden").read_bytes() == b"x\n"
    assert (out / "a.txt").read_bytes() == b"$Format:%H$\n"


def test_links_inside_the_tree_are_kept_and_those_that_leave_it_are_refused(tmp_path: Path) -> None:
    root = make(tmp_path / "solution")
    (root / "configs" / "again.py").symlink_to("../train.py")
    tip = commit(root, {})
    repository = open_repository(root, "main")
    out = trees.archive_tree(repository, tip, tmp_path / "code")
    assert (out / "configs" / "again.py").read_text() == FILES["train.py"]
    (root / "configs" / "secret").symlink_to("../../outside")
    bad = commit(root, {})
    with pytest.raises(BadInput, match="configs/secret"):
        trees.archive_tree(repository, bad, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("path", "target", "inside"),
    [
        ("a", "b", True),
        ("x/a", "../b", True),
        ("x/a", "../../b", False),
        ("a", "../b", False),
        ("a", "/etc/passwd", False),
        ("a", "x/link/../../b", False),
        ("x/a", "..", True),
        ("a", "", False),
    ],
)
def test_where_a_link_may_lead(path: str, target: str, inside: bool) -> None:
    assert trees.stays_inside(path, target) is inside


def test_a_folder_that_holds_something_is_not_written_into(tmp_path: Path) -> None:
    root = make(tmp_path / "solution")
    repository = open_repository(root, "main")
    (tmp_path / "code").mkdir()
    tip = git(root, "rev-parse", "main")
    trees.archive_tree(repository, tip, tmp_path / "code")
    with pytest.raises(BadInput, match="not empty"):
        trees.archive_tree(repository, tip, tmp_path / "code")


def test_what_a_killed_call_left_goes_with_the_next(tmp_path: Path) -> None:
    root = make(tmp_path / "solution")
    left = tmp_path / "runs" / ".code.partial-abc"
    other = tmp_path / "runs" / ".code2.partial-abc"
    for folder in (left, other):
        folder.mkdir(parents=True)
    trees.archive_tree(open_repository(root, "main"), git(root, "rev-parse", "main"), tmp_path / "runs" / "code")
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [".code2.partial-abc", "code"]


def test_files_are_read_together_by_pattern_without_links_and_large_ones(tmp_path: Path) -> None:
    root = make(tmp_path / "solution")
    (root / "link.py").symlink_to("train.py")
    tip = commit(root, {"src/a.py": "A = 1\n", "large.py": "#" * 500})
    found = trees.read_files(open_repository(root, "main"), tip, ["**/*.py"], max_bytes=400)
    assert found == {
        "evaluate.py": FILES["evaluate.py"].encode(),
        "src/a.py": b"A = 1\n",
        "train.py": FILES["train.py"].encode(),
    }


def test_a_digest_of_paths_changes_with_content_mode_and_name_and_with_nothing_else(tmp_path: Path) -> None:
    root = make(tmp_path / "solution")
    repository = open_repository(root, "main")
    patterns = ["evaluate.py", "data/**"]
    first = trees.paths_digest(repository, git(root, "rev-parse", "main"), patterns)
    same = commit(root, {"train.py": "LEARNING_RATE = 0.2\n"})
    assert trees.paths_digest(repository, same, patterns) == first
    seen = {first}
    changed = commit(root, {"data/dev/labels": "1\n3\n"})
    seen.add(trees.paths_digest(repository, changed, patterns))
    git(root, "mv", "data/dev/labels", "data/dev/label")
    seen.add(trees.paths_digest(repository, commit(root, {}), patterns))
    (root / "evaluate.py").chmod(0o755)
    seen.add(trees.paths_digest(repository, commit(root, {}), patterns))
    assert len(seen) == 4


def test_files_are_read_as_stored_and_absent_ones_are_named(tmp_path: Path) -> None:
    root = make(tmp_path / "solution")
    (root / "odd name\n.bin").write_bytes(bytes(range(256)))
    tip = commit(root, {})
    repository = open_repository(root, "main")
    assert trees.read_file(repository, tip, "odd name\n.bin") == bytes(range(256))
    assert trees.list_paths(repository, tip) == sorted([*FILES, "odd name\n.bin"])
    assert trees.tree_of(repository, tip) == git(root, "rev-parse", "main^{tree}")
    with pytest.raises(BadInput, match=r"absent\.py"):
        trees.read_file(repository, tip, "absent.py")
    with pytest.raises(BadInput, match="full commit id"):
        trees.read_file(repository, "--output=/tmp/x", "train.py")


def test_changed_files_are_counted_by_line_and_binary_ones_named(tmp_path: Path) -> None:
    root = make(tmp_path / "solution")
    repository = open_repository(root, "main")
    first = git(root, "rev-parse", "main")
    (root / "b\tin.dat").write_bytes(bytes(4000))
    (root / "evaluate.py").unlink()
    second = commit(root, {"train.py": "LEARNING_RATE = 0.1\nWIDTH = 3\nDEPTH = 2\n"})
    assert trees.changed_files(repository, first, second) == [
        FileChange("b\tin.dat", None, None),
        FileChange("evaluate.py", 0, 1),
        FileChange("train.py", 2, 0),
    ]
    assert trees.changed_files(repository, first, first) == []
