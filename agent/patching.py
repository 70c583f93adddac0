"""Starts a test and turns its hypothesis into a commit: written by the researcher, checked here, committed by git."""

from __future__ import annotations

from functools import partial

from agent import closing, projections
from agent.researcher.contract import PatchRequest
from agent.services import Services
from registry.errors import BadInput, Problem
from registry.hypotheses import Hypothesis


def start(services: Services, hypothesis: str) -> None:
    """Fix the production that this test is against; nothing where the test is under way or was decided already.

    A crash after the decision enters the node again, and the decided test may have been closed before that.
    """
    production = services.history.production
    if services.history.hypotheses[hypothesis].status != "queued" or production is None:
        return
    services.record(
        "hypothesis_started",
        hypothesis,
        {"production": production.commit, "production_tree": production.tree},
        reason=services.history.hypotheses[hypothesis].source,
        key=f"started:{hypothesis}:{production.commit}",
    )
    projections.hypothesis(services, hypothesis)
    projections.queue(services)


def commit(services: Services, hypothesis: str) -> str:
    """`committed`, or `refused` with the reason in the log. A crash in between gives the same commit again."""
    test = services.history.tests.get(hypothesis)
    if test is None or test.decided == "archive":
        return "refused"
    if test.commit:
        return "committed"
    idea = services.history.hypotheses[hypothesis]
    services.progress.say(f"{hypothesis}: {idea.title}")
    try:
        edits = services.researcher.patch(
            PatchRequest(idea, services.target.solution.config, partial(services.solution.read, test.production))
        )
        problems = services.solution.check(test.production, edits)
    except BadInput as error:
        return _refused(services, hypothesis, list(error.problems))
    if problems:
        return _refused(services, hypothesis, problems)
    return _committed(services, idea, edits)


def _committed(services: Services, idea: Hypothesis, edits: dict[str, bytes]) -> str:
    from tools import commits

    test = services.history.tests[idea.id]
    implementation = idea.implementation
    again = services.history.requeued.get(idea.id, 0)
    candidate = services.solution.commit(
        idea.id,
        f"again {again} {idea.title}" if again else idea.title,  # names the branch; the first test's stays as it is
        test.production,
        edits,
        commits.commit_message(idea.id, idea.title, implementation.change, idea.claim, idea.source),
        {"Hypothesis": idea.id, "Audit-Head": services.log.head().hash},
        test.started_at,
    )
    if candidate.empty:  # before the gate, so that it takes no place in the season
        closing.reject(services, idea.id, "no_op", "the patch changes no file of production")
        return "refused"
    if (earlier := services.history.tried_trees.get(candidate.tree)) is not None:
        repeated = Problem(candidate.branch, f"the same files as {earlier}", "a change that was not tried yet")
        return _refused(services, idea.id, [repeated])
    services.record(
        "patch_committed",
        idea.id,
        {
            "branch": candidate.branch,
            "commit": candidate.commit,
            "tree": candidate.tree,
            "diff": services.blobs.put(candidate.diff.encode()),
            "empty": candidate.empty,
            "files": sorted(edits),
            "environment_files": services.solution.environment_files(edits),
            "researcher": services.researcher.name,
        },
        reason=implementation.change,
        key=f"patch:{idea.id}:{test.production}",
    )
    return "committed"


def _refused(services: Services, hypothesis: str, problems: list[Problem]) -> str:
    why = "; ".join(str(problem) for problem in problems[:5])
    closing.reject(services, hypothesis, "patch", f"patch refused: {why}")
    return "refused"
