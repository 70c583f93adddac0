"""A handle on the user's git repository that runs git safely and never goes near the user's checkout.

Called by `tools.branches`, `tools.trees` and `tools.repository_checks`, which opens it. Every call runs git from
inside the common git folder with an environment made from nothing: no user or system configuration, no hooks, no
file-system monitor, no credential prompt, no network protocol, no index but one that the caller owns. Nothing
here checks anything out.
"""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# GitPython looks for git when it is imported and fails there; without a git, `attempt` says so in our own words.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from git.cmd import Git
from git.exc import GitCommandNotFound

from registry.errors import AgentError, BadInput, Problem, Retryable

AGENT_NAME = "auto-benchmark"
AGENT_EMAIL = "agent@localhost"
BATCH_BYTES, BATCH_BLOBS = 16 << 20, 2000
ENV_FOUND_NO_COMMAND = 127
OBJECT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
SYMLINK, SUBMODULE, EXECUTABLE, REGULAR = "120000", "160000", "100755", "100644"

# What the repository's own configuration must not decide for us. The rest of it (object format, alternates,
# extensions) is needed to read the repository at all.
_CONFIGURATION = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.attributesFile": os.devnull,
    "core.excludesFile": os.devnull,
    "core.logAllRefUpdates": "false",
    "core.fsync": "committed,reference",
    "core.quotePath": "false",
    # A split index would put its shared half into the user's .git, whoever's index it is.
    "core.splitIndex": "false",
    "core.sparseCheckout": "false",
    "core.untrackedCache": "false",
    "index.sparse": "false",
    "commit.gpgSign": "false",
    "credential.helper": "",
    "gc.auto": "0",
    "i18n.commitEncoding": "UTF-8",
    "i18n.logOutputEncoding": "UTF-8",
    "maintenance.auto": "false",
    "merge.renormalize": "false",
    "protocol.allow": "never",
    "safe.bareRepository": "explicit",
    "worktree.useRelativePaths": "false",
}


class GitFailed(AgentError):
    """Git said no for a reason the caller did not foresee; carries what it said."""

    def __init__(self, command: str, status: int, stderr: str) -> None:
        self.status = status
        self.stderr = stderr
        super().__init__(f"git {command} ended with status {status}: {stderr.strip()[:2000]}")


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file of a tree: git's mode, blob id, size (None for a submodule) and path."""

    mode: str
    blob: str
    size: int | None
    path: str


@dataclass(frozen=True, slots=True)
class SolutionRepository:
    """Where a repository's folders are, and git run on them. Made by `repository_checks.open_repository`."""

    path: Path
    """The checkout's root as the user named it, for messages."""
    git_dir: Path
    """Of this checkout: its HEAD. Differs from `common_dir` in a linked worktree."""
    common_dir: Path
    """Objects, branches and configuration."""

    def run(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> bytes:
        """Standard output of `git <arguments>`. Raises `Retryable` for a full disk or a held lock, else `GitFailed`."""
        status, out, err = self.attempt(*arguments, stdin=stdin, environment=environment)
        if status != 0:
            raise _failure(arguments[0], status, err)
        return out

    def attempt(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes, str]:
        """Exit status, output and errors of `git <arguments>`, for callers that read the status themselves."""
        with _as_file(stdin) as source:
            try:
                answer = Git(self.common_dir).execute(
                    self._command(arguments, environment),
                    istream=None if source is None else source.fileno(),
                    as_process=False,
                    with_extended_output=True,
                    stdout_as_string=False,
                    universal_newlines=False,
                    with_stdout=True,
                    with_exceptions=False,
                    strip_newline_in_stdout=False,
                    start_new_session=True,  # Ctrl-C is for the night, which ends where it is safe
                )
            except GitCommandNotFound as error:
                raise _no_git() from error
        status, out, err = answer
        if status == ENV_FOUND_NO_COMMAND:
            raise _no_git()
        # GitPython declares text and gives the errors as bytes where the output is asked for as bytes.
        return status, out, os.fsdecode(err)

    def text(self, *arguments: str, stdin: bytes | None = None, environment: Mapping[str, str] | None = None) -> str:
        return self.run(*arguments, stdin=stdin, environment=environment).decode(errors="replace").strip()

    def branch_tip(self, branch: str) -> str | None:
        """Commit a branch points at, or None where there is no such branch."""
        status, out, _ = self.attempt("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")
        return out.decode().strip() if status == 0 else None

    def commit_id(self, commit: str) -> str:
        """The full id of a commit given by full id; anything else (a name, an option, a tree) is refused."""
        status, out, _ = self.attempt("rev-parse", "--verify", "--quiet", self._commit(commit))
        if status != 0:
            raise self.complaint(f"no commit {commit}", "a commit of this repository", "was its branch deleted?")
        return out.decode().strip()

    def _commit(self, commit: str) -> str:
        """How git is asked for a commit and nothing else: only by its full id."""
        if not OBJECT_ID.fullmatch(commit):
            raise self.complaint(f"commit {commit!r}", "a full commit id")
        return f"{commit}^{{commit}}"

    def _of_commits(self, arguments: Sequence[str], *commits: str, allowed: Sequence[int] = (0,)) -> tuple[int, bytes]:
        """Status and output of a git that reads commits, in one call; it complains of a commit that is not there."""
        status, out, err = self.attempt(*arguments, *map(self._commit, commits))
        if status not in allowed:
            for commit in commits:
                self.commit_id(commit)
            raise _failure(arguments[0], status, err)
        return status, out

    def tree_of(self, commit: str) -> str:
        return self.text("rev-parse", "--verify", f"{self.commit_id(commit)}^{{tree}}")

    def parents_of(self, commit: str) -> tuple[str, ...]:
        _, out = self._of_commits(("rev-list", "--parents", "-n", "1"), commit)
        return tuple(out.decode().split()[1:])

    def is_ancestor(self, older: str, newer: str) -> bool:
        return self._of_commits(("merge-base", "--is-ancestor"), older, newer, allowed=(0, 1))[0] == 0

    def entries(self, commit: str) -> list[TreeEntry]:
        """Every file of the commit's tree, in git's order."""
        _, out = self._of_commits(("ls-tree", "-r", "-l", "-z", "--full-tree"), commit)
        entries = []
        for record in out.decode(errors="surrogateescape").split("\0"):
            if not record:
                continue
            head, path = record.split("\t", 1)
            mode, _, blob, size = head.split()
            entries.append(TreeEntry(mode, blob, None if size == "-" else int(size), path))
        return entries

    def blobs(self, entries: Sequence[TreeEntry]) -> Iterator[bytes]:
        """Contents of the entries in their order, exactly as stored, read in batches of bounded size."""
        batch: list[TreeEntry] = []
        size = 0
        for entry in entries:
            batch.append(entry)
            size += entry.size or 0
            if size >= BATCH_BYTES or len(batch) == BATCH_BLOBS:
                yield from self._batch(batch)
                batch, size = [], 0
        yield from self._batch(batch)

    def _batch(self, entries: Sequence[TreeEntry]) -> Iterator[bytes]:
        if not entries:
            return
        request = "".join(f"{entry.blob}\n" for entry in entries).encode()
        stream = io.BytesIO(self.run("cat-file", "--batch", stdin=request))
        for entry in entries:
            header = stream.readline().decode(errors="replace").split()
            if len(header) != 3 or header[1] != "blob":
                raise self.complaint(
                    f"no content for {entry.path} ({entry.blob})",
                    "a complete repository",
                    "git fsck, git fetch --refetch",
                )
            yield stream.read(int(header[2]))
            stream.read(1)

    def complaint(self, found: str, expected: str, fix: str = "", place: str = "") -> BadInput:
        """Bad input with this repository as the place."""
        return BadInput(Problem(where=str(self.path), found=found, expected=expected, fix=fix, place=place))

    def _command(self, arguments: tuple[str, ...], extra: Mapping[str, str] | None) -> list[str]:
        # GitPython adds to the inherited environment and cannot take from it, and inherited GIT_DIR, GIT_INDEX_FILE
        # or GIT_EXTERNAL_DIFF (the program started from a git hook, say) would redirect or run something.
        variables = {**self._environment(), **(extra or {})}
        return ["env", "-i", *(f"{name}={value}" for name, value in variables.items()), "git", *arguments]

    def _environment(self) -> dict[str, str]:
        # A named GIT_DIR is not subject to the ownership check, safe.directory says so to sub-commands too.
        settings = {**_CONFIGURATION, "safe.directory": "*"}
        pairs = {f"GIT_CONFIG_KEY_{index}": key for index, key in enumerate(settings)}
        pairs |= {f"GIT_CONFIG_VALUE_{index}": value for index, value in enumerate(settings.values())}
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": "/nonexistent",
            "LC_ALL": "C",
            "TZ": "UTC",
            "GIT_DIR": str(self.common_dir),
            # Work tree and index are aimed away from the user's, so that a command that would use them finds nothing.
            "GIT_WORK_TREE": str(self.common_dir),
            "GIT_INDEX_FILE": "/nonexistent/index",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_AUTHOR_NAME": AGENT_NAME,
            "GIT_AUTHOR_EMAIL": AGENT_EMAIL,
            "GIT_COMMITTER_NAME": AGENT_NAME,
            "GIT_COMMITTER_EMAIL": AGENT_EMAIL,
            "GIT_CONFIG_COUNT": str(len(settings)),
            **pairs,
        }


@contextmanager
def _as_file(content: bytes | None) -> Iterator[IO[bytes] | None]:
    """The content as a file that git can have as its input: no pipe to fill, so no deadlock however long it is."""
    if content is None:
        yield None
        return
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        yield file


def _failure(command: str, status: int, stderr: str) -> AgentError:
    if os.strerror(errno.ENOSPC) in stderr or os.strerror(errno.EDQUOT) in stderr:
        return Retryable(f"git {command}: the disk is full: {stderr.strip()[:500]}")
    if ".lock'" in stderr and os.strerror(errno.EEXIST) in stderr:
        return Retryable(f"git {command}: another git process holds a lock: {stderr.strip()[:500]}")
    return GitFailed(command, status, stderr)


def require_git() -> None:
    """BadInput where no git is on PATH, for callers that make something before they use it."""
    if shutil.which("git") is None:
        raise _no_git()


def _no_git() -> BadInput:
    return BadInput(
        Problem(where="PATH", found="no git on PATH", expected="git 2.38 or newer", fix="apt-get install git")
    )
