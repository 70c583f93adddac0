"""Branches of the agent in the user's repository: production, and one for each hypothesis.

Called by the nodes that start a night (`ensure_production`), write a patch (`create_candidate`), promote and clean
up. Each call is idempotent: a crash re-enters it and finds the same commit. In the user's `.git` nothing changes but
objects, `refs/heads/agent/*`, and the entry of a patch's worktree while that exists.

Not here: how a commit is made (`tools.commits`, `tools.worktrees`), what may be edited (`tools.patches`), reading trees
(`tools.trees`), opening the repository (`tools.repository_checks`).
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from registry.errors import BadInput, Problem, Retryable
from tools.commits import edited_tree, with_trailers, write_commit
from tools.repository import SolutionRepository
from tools.worktrees import clean_up

PRODUCTION = "agent/production"
SLUG_LENGTH = 40
GIT_USAGE = 129
STALE_LOCK_S = 1.0
"""A branch's lock is held for milliseconds; one that stays the same for this long belongs to a dead process."""
_HYPOTHESIS = re.compile(r"H-\d{3,}")


@dataclass(frozen=True, slots=True)
class ProductionState:
    """Where production stands; `changed` says that its tree is another than before and must be measured again."""

    commit: str
    tree: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A hypothesis as a commit on top of production. `empty`: the edits change nothing, and no branch was made."""

    branch: str
    commit: str
    tree: str
    diff: str
    empty: bool


def slug(title: str) -> str:
    """A short lower-case name for a branch, made of letters, digits and single hyphens only."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_LENGTH].strip("-") or "change"


def branch_name(hypothesis_id: str, title: str) -> str:
    if not _HYPOTHESIS.fullmatch(hypothesis_id):
        raise ValueError(f"{hypothesis_id!r} is no hypothesis id")
    return f"agent/{hypothesis_id}-{slug(title)}"


def ensure_production(repository: SolutionRepository, base: str) -> ProductionState:
    """Create production at `base`, or merge new commits of `base` into it. Production only ever moves forward.

    A conflict raises BadInput that names the files; production is then where it was.
    """
    base_commit = repository.branch_tip(base)
    if base_commit is None:
        raise repository.complaint(f"no branch {base!r}", "the branch that production follows", "correct solution.base")
    _clear_stale_locks(repository)
    current = repository.branch_tip(PRODUCTION)
    if current is None:
        _move_branch(repository, PRODUCTION, base_commit, None)
        return ProductionState(base_commit, repository.tree_of(base_commit), changed=True)
    if repository.is_ancestor(base_commit, current):
        return ProductionState(current, repository.tree_of(current), changed=False)
    if (place := _checked_out(repository, PRODUCTION)) is not None:
        raise repository.complaint(
            f"{PRODUCTION} checked out in {place}", "it checked out nowhere, so that it can move", "git switch " + base
        )
    ahead = repository.is_ancestor(current, base_commit)
    commit = base_commit if ahead else _merge(repository, current, base_commit, base)
    _move_branch(repository, PRODUCTION, commit, current)
    tree = repository.tree_of(commit)
    return ProductionState(commit, tree, changed=tree != repository.tree_of(current))


def create_candidate(
    repository: SolutionRepository,
    worktrees: Path,
    hypothesis_id: str,
    title: str,
    production_commit: str,
    edits: Mapping[str, bytes | None],
    message: str,
    trailers: Mapping[str, str],
    date: str,
) -> Candidate:
    """Commit the edits (None deletes) on top of production as the branch `agent/<id>-<slug of title>`.

    Called again with the same edits it gives the commit that is there, even where only message or trailers differ
    (the audit log's head has moved on since). A branch with other content is never overwritten.
    """
    branch = branch_name(hypothesis_id, title)
    parent = repository.commit_id(production_commit)
    tree = edited_tree(repository, worktrees, branch.removeprefix("agent/"), parent, edits)
    if tree == repository.tree_of(parent):
        return Candidate(branch, parent, tree, diff="", empty=True)
    commit = _standing(repository, branch, parent, tree)
    if commit is None:
        commit = write_commit(repository, tree, (parent,), with_trailers(message, hypothesis_id, trailers), date)
        _clear_stale_locks(repository)
        _move_branch(repository, branch, commit, None)
    return Candidate(branch, commit, tree, diff_between(repository, parent, commit), empty=False)


def promote(repository: SolutionRepository, production_commit_expected: str, candidate_commit: str) -> None:
    """Fast-forward production from the expected commit to the candidate, atomically; done already is fine."""
    expected, candidate = repository.commit_id(production_commit_expected), repository.commit_id(candidate_commit)
    current = repository.branch_tip(PRODUCTION)
    if current is not None and repository.is_ancestor(candidate, current):
        return
    if current != expected:
        raise repository.complaint(
            f"{PRODUCTION} at {current}", f"it at {expected}", "it was moved by hand; move it back or start again"
        )
    if not repository.is_ancestor(expected, candidate):
        raise repository.complaint(f"candidate {candidate} that does not descend from production", "one that does")
    if (place := _checked_out(repository, PRODUCTION)) is not None:
        raise Retryable(f"{PRODUCTION} is checked out in {place}; it can move once another branch is checked out there")
    _clear_stale_locks(repository)
    _move_branch(repository, PRODUCTION, candidate, expected)


def diff_between(repository: SolutionRepository, older: str, newer: str) -> str:
    """The patch from one commit to another, independent of anybody's diff settings; `git apply` takes it."""
    options = ("-p", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames")
    prefixes = ("--src-prefix=a/", "--dst-prefix=b/", "-U3", "--diff-algorithm=myers")
    ids = (repository.commit_id(older), repository.commit_id(newer))
    return repository.run("diff-tree", *options, *prefixes, *ids).decode(errors="replace")


def commits_between(repository: SolutionRepository, base: str, tip: str) -> list[tuple[str, str]]:
    """(commit, subject) of everything that merging `tip` into the branch `base` would bring, oldest first."""
    tips = (f"refs/heads/{base}", repository.commit_id(tip))
    listed = repository.run("log", "--reverse", "--topo-order", "--format=%H %s", f"{tips[0]}..{tips[1]}")
    lines = listed.decode(errors="replace").splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def cleanup_worktrees(repository: SolutionRepository, worktrees: Path) -> tuple[str, ...]:
    """Remove what a killed process left: the worktrees of its patches, and locks on the agent's own branches.

    The caller holds the workspace's lock, so nothing under `worktrees` is in use. The user's own worktrees and
    locks are left alone. Returns one line for each thing removed.
    """
    return (*_clear_stale_locks(repository), *clean_up(repository, worktrees))


def _merge(repository: SolutionRepository, current: str, base_commit: str, base: str) -> str:
    status, out, err = repository.attempt(
        "merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", current, base_commit
    )
    fields = out.decode(errors="replace").split("\0")
    if status == GIT_USAGE:
        raise BadInput(Problem("git", "a version that cannot merge without a checkout", "git 2.38 or newer"))
    if status == 1:
        files = ", ".join(dict.fromkeys(field for field in fields[1:] if field))
        raise repository.complaint(
            f"a conflict between {base} and {PRODUCTION} in {files}",
            "changes that merge by themselves",
            f"git switch {PRODUCTION}, git merge {base}, resolve and commit, then switch back",
        )
    if status != 0:
        raise repository.complaint(f"{base} and {PRODUCTION} that git cannot merge ({err.strip()[:300]})", "a merge")
    # The later parent's date: a merge repeated after a crash is then the same commit.
    dates = [repository.text("rev-list", "-n", "1", "--timestamp", tip).split()[0] for tip in (current, base_commit)]
    message = f"Merge {base} ({base_commit[:12]}) into {PRODUCTION}\n"
    moment = datetime.fromtimestamp(max(int(date) for date in dates), UTC).isoformat()
    return write_commit(repository, fields[0], (current, base_commit), message, moment)


def _standing(repository: SolutionRepository, branch: str, parent: str, tree: str) -> str | None:
    """The branch's commit where an earlier call made it; None where there is no branch."""
    tip = repository.branch_tip(branch)
    if tip is None:
        return None
    if repository.parents_of(tip) == (parent,) and repository.tree_of(tip) == tree:
        return tip
    raise repository.complaint(
        f"branch {branch} with other content ({tip[:12]})",
        "no such branch, or the same change on the same production",
        f"git branch -m {branch} <other name> keeps it",
    )


def _move_branch(repository: SolutionRepository, branch: str, new: str, old: str | None) -> None:
    """Compare and swap: the branch moves only if it is at `old` (None: only if it does not exist)."""
    repository.run("update-ref", "--no-deref", f"refs/heads/{branch}", new, old or "")


def _checked_out(repository: SolutionRepository, branch: str) -> str | None:
    """The checkout that has the branch; moving it would make that checkout's files look edited."""
    place = ""
    for line in repository.text("worktree", "list", "--porcelain").splitlines():
        if line.startswith("worktree "):
            place = line.removeprefix("worktree ")
        elif line == f"branch refs/heads/{branch}":
            return place
    return None


def _clear_stale_locks(repository: SolutionRepository) -> list[str]:
    """Remove locks on `agent/*` branches that a killed git left. Watches instead of trusting clocks and file times."""
    folder = repository.common_dir / "refs" / "heads" / "agent"
    seen = {lock: _identity(lock) for lock in folder.rglob("*.lock")}
    if not seen:
        return []
    time.sleep(STALE_LOCK_S)
    stale = [lock for lock, identity in seen.items() if identity is not None and _identity(lock) == identity]
    for lock in stale:
        lock.unlink(missing_ok=True)
    return [f"lock {lock.relative_to(repository.common_dir)}" for lock in stale]


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size)
