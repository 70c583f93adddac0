"""What to run, and the two things the runner is given from outside: the solution's files and a way to stop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from registry.errors import AgentError
from registry.hypotheses import Scalar
from registry.runs import Arm, Purpose
from registry.target import Split


class Interrupted(AgentError):
    """A person or the end of the night asked to stop; the runs in flight are not recorded and start again."""

    exit_status = 130


class Source(Protocol):
    """The solution's repository as the runner needs it (implemented over git in `agent.solution`)."""

    def tree(self, commit: str) -> str:
        """Hash of the commit's tree."""
        ...

    def materialise(self, commit: str, destination: Path, include: list[str], exclude: list[str]) -> None:
        """Write the files that match `include` and not `exclude` (globs) under `destination`."""
        ...

    def digest(self, commit: str, globs: list[str]) -> str:
        """Hash over names and contents of the matching paths."""
        ...

    def hashes(self, commit: str, globs: list[str]) -> dict[str, str]:
        """SHA-256 of every file that the globs cover, by path."""
        ...

    def contents(self, commit: str, include: list[str], exclude: list[str]) -> dict[str, tuple[str, str]]:
        """Git's mode and blob id of every path that `materialise` writes."""
        ...

    def configuration(self, commit: str, overrides: dict[str, Scalar]) -> bytes:
        """The configuration file at the commit, with values replaced in place."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """One run to do. `production` is the commit whose evaluator, data and labels are used."""

    subject: str
    arm: Arm
    purpose: Purpose
    commit: str
    production: str
    seed: int
    split: Split = "dev"
    fast: bool = False
    repeat: int = 0
    """Above 0: the same run once more, as a run of its own, to see whether one seed gives one value."""
