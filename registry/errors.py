"""The two kinds of error the program knows, and the shape of a complaint about input.

Raised everywhere, caught at the node boundary and at the command line and nowhere else broadly.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with input: where it stands, what was found, what was expected, what mends it."""

    where: str
    """File (or URL, or option) the problem stands in."""
    found: str
    expected: str
    place: str = ""
    """Path inside the document, such as `phases.train.command`."""
    line: int | None = None
    """1-based line in the file, where known."""
    fix: str = ""

    def __str__(self) -> str:
        position = self.where if self.line is None else f"{self.where}:{self.line}"
        subject = f"{position}: {self.place}: " if self.place else f"{position}: "
        remedy = f" ({self.fix})" if self.fix else ""
        return f"{subject}found {self.found}, expected {self.expected}{remedy}"


class AgentError(Exception):
    """Base of every error this program raises on purpose; the command line prints it without a traceback."""

    exit_status = 2


class BadInput(AgentError):
    """A file, option or answer that cannot be used. Carries every problem found, not only the first."""

    def __init__(self, *problems: Problem) -> None:
        if not problems:
            raise ValueError("BadInput needs at least one Problem")
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class Retryable(AgentError):
    """Network, infrastructure or another's fault: the same call may succeed later."""


class RateLimited(Retryable):
    """The other side asked for patience. A soft status of the cycle, never a failed run."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class DiskFull(Retryable):
    """No room left (disk, quota or size limit). What was being written is not there, and nothing else changed."""
