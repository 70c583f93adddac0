"""A board kept as a file in a local git repository: `scrape_method: git_file`, `url: REPOSITORY#REF:PATH`.

Reads one blob and runs nothing of the repository's: no hook, filter, pager, helper program or download. A plain file
name without `#` is read from disk by `tools.leaderboards.fetching`.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from registry.errors import BadInput, Problem, Retryable
from tools.leaderboards.names import printable

TIMEOUT_S = 30.0
_FORM = "REPOSITORY#REF:PATH, such as ../results#main:board.csv"


def names_a_commit(url: str) -> bool:
    """Whether the address names a ref inside a repository, and no plain file."""
    return "#" in url


def read(url: str, base: Path, *, max_bytes: int) -> bytes:
    """The file's bytes at the ref."""
    folder, _, rest = url.partition("#")
    ref, _, path = rest.partition(":")
    if not folder or not ref or not path or ref.startswith("-") or any(ord(char) < 32 for char in url):
        raise BadInput(Problem(printable(url), "an address that names no file at a ref", _FORM))
    repository = base / folder.removeprefix("file://")
    if not repository.is_dir():
        raise BadInput(
            Problem(printable(url), f"no folder {repository}", "a local git repository", fix="clone it first")
        )
    name = f"{ref}:{path}"
    size = _git(repository, url, "cat-file", "-s", name)
    kind = _git(repository, url, "cat-file", "-t", name).strip()
    if kind != b"blob":
        raise BadInput(Problem(printable(url), f"a {kind.decode('ascii', 'replace')}", "a file", place=printable(path)))
    if int(size) > max_bytes:
        raise BadInput(Problem(printable(url), f"{int(size)} bytes", f"at most {max_bytes} bytes"))
    return _git(repository, url, "cat-file", "blob", name)


def _git(repository: Path, url: str, *arguments: str) -> bytes:
    command = ["git", "-c", f"safe.directory={repository.resolve()}", "-c", "core.hooksPath=/dev/null"]
    command += ["-c", "core.fsmonitor=false", "-c", "safe.bareRepository=explicit", *arguments]
    try:
        finished = subprocess.run(
            command,
            cwd=repository,
            env=_environment(),
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            start_new_session=True,  # Ctrl-C is for the night: a git that it ends would look like a bad board
        )
    except FileNotFoundError:
        raise BadInput(Problem(printable(url), "no program git", "git on the PATH", fix="install git")) from None
    except (subprocess.TimeoutExpired, OSError) as error:
        raise Retryable(f"{printable(url)}: git did not answer ({error})") from None
    if finished.returncode != 0:
        said = printable(finished.stderr.decode("utf-8", "replace"))[:300]
        raise BadInput(Problem(printable(url), f"git says: {said or finished.returncode}", "a file at that ref"))
    return finished.stdout


def _environment() -> dict[str, str]:
    """Nothing of the user's settings, and no protocol through which a partial clone could fetch."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_ALLOW_PROTOCOL": "none",
    }
