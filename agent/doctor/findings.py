"""What a check says: ok, warn or fail, why, and what mends it.

Every check of `agent.doctor` returns these. A check that stumbles over broken input says so as a failure of its own,
so that one broken file hides nothing else.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from registry.errors import AgentError, BadInput, Problem

Status = Literal["ok", "warn", "fail"]
STUMBLES = (AgentError, OSError, ValueError, subprocess.SubprocessError)
"""What a broken workspace or machine makes a check raise: our own errors, the system's, and text that is no text."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table."""

    check: str
    status: Status
    found: str
    fix: str = ""
    configuration: bool = False
    """A failure that people mend in a file: exit status 2 instead of 1."""
    file: str = ""
    """The file that it is about, where it is about one."""
    line: int | None = None
    """1-based line in that file, where known."""


def ok(check: str, found: str) -> Finding:
    return Finding(check, "ok", found)


def warn(check: str, found: str, fix: str = "") -> Finding:
    return Finding(check, "warn", found, fix)


def fail(check: str, found: str, fix: str = "") -> Finding:
    return Finding(check, "fail", found, fix)


def complaints(check: str, error: Exception) -> list[Finding]:
    """An error as failures, one for each problem that it names."""
    if isinstance(error, BadInput):
        return [
            Finding(
                check,
                "fail",
                str(replace(problem, fix="")),
                problem.fix or _edit(problem),
                configuration=True,
                file=_file(problem),
                line=problem.line,
            )
            for problem in error.problems
        ]
    first, *rest = str(error).strip().splitlines() or [type(error).__name__]
    return [fail(check, "; ".join([first, *rest]))]


def _file(problem: Problem) -> str:
    return problem.where if "/" in problem.where else ""


def _edit(problem: Problem) -> str:
    """What mends a problem that names no remedy of its own: an edit of the place that it names."""
    if not _file(problem):
        return ""
    line = f", line {problem.line}" if problem.line is not None else ""
    return f"edit {problem.where}{line}: {problem.expected} is wanted there"


def guarded(check: str, examine: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of a check, and a failure where it stumbles."""
    try:
        yield from examine()
    except STUMBLES as error:
        yield from complaints(check, error)


def exit_status(findings: list[Finding]) -> int:
    """0 where nothing failed, 2 where a file must be mended, else 1."""
    failed = [finding for finding in findings if finding.status == "fail"]
    if any(finding.configuration for finding in failed):
        return 2
    return 1 if failed else 0
