"""Starts a test and turns its hypothesis into a commit: written by the researcher, checked here, committed by git.

A patch of settings is checked once; a patch of code is checked at each attempt (`agent.attempts`), and what comes of
the last one is checked again here, whatever the researcher says it is. Where a model, a budget or the sandbox failed,
nothing speaks against the idea: it goes back to the queue.
"""

from __future__ import annotations

from agent import closing, projections
from agent.attempts import Attempts
from agent.llm.contract import BudgetSpent, NoReply
from agent.readable import ReadableFiles
from agent.researcher.contract import Attempt, Edits, PatchRequest
from agent.services import Services
from registry.errors import BadInput, DiskFull, Problem, Retryable
from registry.facts import Test
from registry.hypotheses import Hypothesis
from sandbox.outputs import plain_text


def start(services: Services, hypothesis: str) -> None:
    """Fix the production that this test is against; nothing where the test is under way or was decided already.

    A crash after the decision enters the node again, and the decided test may have been closed before that; so may one
    that this cycle has put back.
    """
    production = services.history.production
    if services.history.hypotheses[hypothesis].status != "queued" or production is None:
        return
    if _put_back_now(services, hypothesis):
        return
    before = services.history.postponed.get(hypothesis)
    times = before.times if before is not None else 0
    first = f"started:{hypothesis}:{production.commit}"
    key = f"{first}:{times}" if times else first
    services.record(
        "hypothesis_started",
        hypothesis,
        {"production": production.commit, "production_tree": production.tree},
        reason=services.history.hypotheses[hypothesis].source,
        key=key,
    )
    projections.hypothesis(services, hypothesis)
    projections.queue(services)


def commit(services: Services, hypothesis: str) -> str:
    """`committed`; `refused` with the reason in the log; or `postponed`: back in the queue, for a fault not its own.

    A crash in between gives the same commit again.
    """
    if _put_back_now(services, hypothesis):
        return "postponed"
    test = services.history.tests.get(hypothesis)
    if test is None or test.decided == "archive":
        return "refused"
    if test.commit:
        return "committed"
    idea = services.history.hypotheses[hypothesis]
    services.progress.say(f"{hypothesis}: {idea.title}")
    try:
        edits, problems = _written(services, test, idea)
    except BadInput as error:
        return _refused(services, hypothesis, list(error.problems))
    except NoReply as error:
        found = plain_text(str(error), 500)
        return _refused(services, hypothesis, [Problem("model", found, "a reply that can be used")])
    except DiskFull:
        raise
    except (BudgetSpent, Retryable) as error:
        return _postponed(services, hypothesis, error)
    if problems:
        return _refused(services, hypothesis, problems)
    return _committed(services, idea, edits)


def _written(services: Services, test: Test, idea: Hypothesis) -> tuple[Edits, list[Problem]]:
    """The researcher's edits, and what speaks against them."""
    files = ReadableFiles(services, test.production)
    attempts = Attempts(services, test)
    config = services.target.solution.config
    edits = services.researcher.patch(
        PatchRequest(
            hypothesis=idea,
            config=config,
            read=files.read,
            files=files.names,
            is_hidden=files.is_hidden,
            editable=tuple(services.target.solution.editable),
            protected=tuple(services.target.solution.protected),
            attempt=attempts.attempt,
        )
    )
    services.catch_up()
    if attempts.number == 0 and set(edits) == {config}:  # settings: checked once, and no attempt at code
        return edits, services.solution.check(test.production, edits)
    if attempts.taken is not None and dict(attempts.taken) == dict(edits):
        return edits, []
    return edits, attempts.attempt(Attempt("", edits, by=services.researcher.name))


def _put_back_now(services: Services, hypothesis: str) -> bool:
    """Whether this very cycle has put it back, before a crash."""
    last, cycle = services.history.postponed.get(hypothesis), services.history.cycle
    return last is not None and cycle is not None and last.cycle == cycle.number


def _postponed(services: Services, hypothesis: str, error: BudgetSpent | Retryable) -> str:
    cycle, night = services.history.cycle, services.history.night
    number = cycle.number if cycle is not None else services.history.cycles
    kind = "budget" if isinstance(error, BudgetSpent) else "fault"
    why = plain_text(" ".join(str(error).split()), 500)
    services.record(
        "hypothesis_postponed",
        hypothesis,
        {"cycle": number, "night": night.id if night is not None else "", "kind": kind},
        reason=why,
        key=f"postponed:{hypothesis}:{number}",
    )
    services.progress.say(f"[STATUS] {hypothesis} goes back to the queue: {why}")
    projections.hypothesis(services, hypothesis)
    projections.queue(services)
    return "postponed"


def _committed(services: Services, idea: Hypothesis, edits: Edits) -> str:
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
