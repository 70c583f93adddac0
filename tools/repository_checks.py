"""Opens the user's repository, or says clearly why the program cannot work on it.

Called at start-up, by `agent init` and by `agent doctor`. Reads only; what it refuses is what would make a
commit's tree differ from the files that people and programs see (submodules, LFS, filters), or what leaves
production without a place to start from.
"""

from __future__ import annotations

from pathlib import Path

from registry.errors import BadInput, Problem
from tools.repository import SUBMODULE, SolutionRepository, TreeEntry

LFS_HEADER = b"version https://git-lfs.github.com/spec/"
LFS_POINTER_BYTES = range(100, 1025)
"""Sizes a large-file pointer can have; its specification bounds it at 1024."""
FILTER_KEYS = ("clean", "smudge", "process")


def open_repository(path: Path, base: str) -> SolutionRepository:
    """The repository whose root is `path` and that has the branch `base`; raises BadInput with the first reason."""
    repository = _locate(path)
    _check_head(repository)
    _check_base(repository, base)
    _check_filters(repository)
    tip = repository.branch_tip(base)
    if tip is not None:
        check_tree(repository, tip)
    return repository


def check_tree(repository: SolutionRepository, commit: str) -> None:
    """Refuse a tree with submodules or large-file pointers: their content is not in the repository's objects."""
    entries = repository.entries(commit)
    for entry in entries:
        if entry.mode == SUBMODULE or entry.path == ".gitmodules":
            raise repository.complaint(
                f"a submodule ({entry.path}) in commit {commit[:12]}",
                "a repository whose files are all its own",
                "copy the submodule's files into the repository, or point solution.repository at one without",
            )
    _check_large_files(repository, commit, entries)


def _locate(path: Path) -> SolutionRepository:
    where = str(path)
    root = path.resolve()
    if not root.is_dir():
        raise BadInput(Problem(where, "no such folder", "a git repository", fix="correct solution.repository"))
    mark = root / ".git"
    git_dir = _linked(mark) if mark.is_file() else mark
    if not (git_dir / "HEAD").is_file():
        if (root / "HEAD").is_file() and (root / "objects").is_dir():
            raise BadInput(
                Problem(where, "a bare repository", "one with a checkout", fix="clone it and name the clone")
            )
        raise BadInput(
            Problem(where, "no git repository", "the root of one (the folder that holds .git)", fix=_start(root))
        )
    common = git_dir / "commondir"
    common_dir = (git_dir / common.read_text().strip()).resolve() if common.is_file() else git_dir
    return SolutionRepository(root, git_dir, common_dir)


def _linked(mark: Path) -> Path:
    """The git folder that a `.git` file (a linked worktree's) names."""
    text = mark.read_text(errors="replace").strip()
    return (mark.parent / text.removeprefix("gitdir:").strip()).resolve()


def _start(root: Path) -> str:
    for parent in root.parents:
        if (parent / ".git").exists():
            return f"the repository's root is {parent}"
    return "git init, git add, git commit"


def _check_head(repository: SolutionRepository) -> None:
    environment = {"GIT_DIR": str(repository.git_dir), "GIT_COMMON_DIR": str(repository.common_dir)}
    if repository.text("config", "--type=bool", "--default=false", "--get", "core.bare") == "true":
        raise repository.complaint("a bare repository", "one with a checkout", "clone it and name the clone")
    status, _, err = repository.attempt("rev-parse", "--git-dir", environment=environment)
    if status != 0:
        raise repository.complaint(f"a repository git cannot read: {err.strip()[:300]}", "a git repository")
    status, out, _ = repository.attempt("symbolic-ref", "--quiet", "HEAD", environment=environment)
    if status != 0:
        raise repository.complaint(
            "a detached HEAD", "a checkout on a branch", "git switch <branch>, or git switch -c <new branch> to keep it"
        )
    branch = out.decode(errors="replace").strip().removeprefix("refs/heads/")
    if repository.branch_tip(branch) is None and not repository.text("for-each-ref", "--count=1", "refs/heads"):
        raise repository.complaint("no commit", "at least one commit", "git add . && git commit")


def _check_base(repository: SolutionRepository, base: str) -> None:
    status, _, _ = repository.attempt("check-ref-format", "--branch", base)
    if status != 0 or base.startswith(("agent/", "refs/", "-", "@")):
        raise repository.complaint(
            f"base {base!r}", "the name of your own branch, such as main", "correct solution.base", "solution.base"
        )
    if repository.branch_tip(base) is None:
        listed = repository.text("for-each-ref", "--sort=-committerdate", "--format=%(refname:short)", "refs/heads")
        names = [name for name in listed.split() if not name.startswith("agent/")][:10]
        raise repository.complaint(
            f"no branch {base!r}",
            f"one of {', '.join(names)}" if names else "a branch of yours",
            "correct solution.base",
            "solution.base",
        )
    if repository.branch_tip("agent") is not None:
        raise repository.complaint(
            "a branch named agent", "that name free for agent/production", "git branch -m agent <other name>"
        )


def _check_filters(repository: SolutionRepository) -> None:
    for file in ("config", "config.worktree"):
        source = repository.common_dir / file
        if not source.is_file():
            continue
        names = repository.run("config", "--file", str(source), "--includes", "--name-only", "-z", "--list")
        for name in names.decode(errors="replace").split("\0"):
            section, _, key = name.rpartition(".")
            if section.startswith("filter.") and key in FILTER_KEYS:
                driver = section.removeprefix("filter.")
                fix = "git lfs uninstall --local" if driver == "lfs" else f"git config --remove-section {section}"
                raise repository.complaint(
                    f"the clean/smudge filter {driver!r} in {source.name}",
                    "no filters: they run programs, and make files differ from what is committed",
                    f"{fix}, or name a clone without it",
                )


def _check_large_files(repository: SolutionRepository, commit: str, entries: list[TreeEntry]) -> None:
    attributes = [entry for entry in entries if entry.path.rsplit("/", 1)[-1] == ".gitattributes"]
    named = [(entry.path, text) for entry, text in zip(attributes, repository.blobs(attributes), strict=True)]
    private = repository.common_dir / "info" / "attributes"
    if private.is_file():
        named.append((".git/info/attributes", private.read_bytes()))
    for path, text in named:
        if b"filter=lfs" in text:
            raise _large_files(repository, f"filter=lfs in {path}", commit)
    small = [entry for entry in entries if entry.size in LFS_POINTER_BYTES]
    for entry, content in zip(small, repository.blobs(small), strict=True):
        if content.startswith(LFS_HEADER):
            raise _large_files(repository, f"a large-file pointer, {entry.path}", commit)


def _large_files(repository: SolutionRepository, what: str, commit: str) -> BadInput:
    return repository.complaint(
        f"Git LFS ({what}) in commit {commit[:12]}",
        "files whose content is in the repository",
        "git lfs migrate export --include='*' in a clone, and name the clone",
    )
