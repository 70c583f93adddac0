"""What a night learns from the world beyond its runs: boards, papers, the check of the evaluator, a board's attempt.

Handed to every night in its services. `World` asks the world itself; `agent.replay` puts in its place what a recorded
night was told, so that the same decisions can be drawn again with nothing asked, run or handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from agent.papers.sources import Configured
    from agent.researcher.contract import Edits
    from agent.services import Services
    from experiments.import_check import ImportCheck
    from experiments.plans import Plan
    from registry.competitive import Leaderboard
    from registry.errors import Problem
    from registry.facts import Test
    from registry.standings import Snapshot
    from tools.submissions import SubmissionResult
    from tools.web.robots import Robots


class Outside(Protocol):
    """Each method asks for one thing that the night cannot work out by itself."""

    def board(self, services: Services, board: Leaderboard, robots: Robots) -> Snapshot | None:
        """The board as it is now; None where it asked for patience and the time is not over.

        Raises RateLimited, Retryable where it cannot be had now, BadInput where it cannot be read.
        """
        ...

    def paper_sources(
        self, services: Services, order: Callable[[Configured], Any] | None = None, code: Sequence[str] = ()
    ) -> list[Configured]:
        """Every configured source with what to ask it, in an order; or only the competitors' `code` named here."""
        ...

    def evaluator_check(self, services: Services, plan: Plan) -> dict[str, Any]:
        """What the evaluator gives for answers that nobody worked for; recorded as `evaluator_checked`."""
        ...

    def boundary(self, services: Services, test: Test, edits: Edits) -> list[Problem]:
        """What speaks against changing these files, by their paths and by what the interpreter can import."""
        ...

    def import_check(self, services: Services, test: Test, edits: Edits) -> ImportCheck:
        """Whether the changed files can be imported, tried in the sandbox."""
        ...

    def submit(self, services: Services, hypothesis: str, test: Test, command: list[str]) -> SubmissionResult:
        """Hand a promotion to the leaderboard by the user's command."""
        ...


class World:
    """The world as it is."""

    def board(self, services: Services, board: Leaderboard, robots: Robots) -> Snapshot | None:
        from agent import boards

        return boards.fetch(services, board, robots)

    def paper_sources(
        self, services: Services, order: Callable[[Configured], Any] | None = None, code: Sequence[str] = ()
    ) -> list[Configured]:
        from agent.papers import listing

        return listing.sources(services, order, code)

    def evaluator_check(self, services: Services, plan: Plan) -> dict[str, Any]:
        from agent import evaluator

        return evaluator.check(services, plan, whole=False)

    def boundary(self, services: Services, test: Test, edits: Edits) -> list[Problem]:
        from experiments import installed

        python = services.runner.python
        modules = installed.modules(python) if python is not None else frozenset()
        return services.solution.check(test.production, edits, modules)

    def import_check(self, services: Services, test: Test, edits: Edits) -> ImportCheck:
        from experiments import import_check

        return import_check.check(services.runner, test.production, edits, services.cancel)

    def submit(self, services: Services, hypothesis: str, test: Test, command: list[str]) -> SubmissionResult:
        from tools import submissions

        code = services.runner.trees.candidate(test.commit, test.production)
        results = services.workspace.results_of(hypothesis).root
        asked = submissions.Promotion(hypothesis, test.branch, test.commit, code, results)
        timeout, folder = services.target.submission.timeout, services.workspace.root
        return submissions.submit(command, asked, timeout, folder, cancel=services.cancel)
