"""Closes a test: a rejection that no gate has to decide, and the results folder of every decided hypothesis."""

from __future__ import annotations

from agent import gap_notes, projections
from agent.services import Services


def reject(services: Services, hypothesis: str, code: str, why: str) -> None:
    """Archive a hypothesis that never reached the gate (refused patch, failed validation, superseded)."""
    test = services.history.tests.get(hypothesis)
    commit = test.commit if test is not None else ""
    production = services.history.production
    services.record(
        "hypothesis_archived",
        hypothesis,
        {"code": code, "commit": commit, "production": production.commit if production is not None else ""},
        reason=why,
        key=f"archived:{hypothesis}:{commit}:{code}",
    )
    services.progress.say(f"  {hypothesis} archived: {why}")
    projections.hypothesis(services, hypothesis)


def close(services: Services, hypothesis: str) -> None:
    """Write the results of a decided test and let go of its models; repeatable."""
    test = services.history.tests.get(hypothesis)
    if test is None:
        projections.hypothesis(services, hypothesis)
        return
    gap_notes.note(services, test)
    projections.results(services, test)
    for record in test.runs.values():
        services.runner.discard_model(record.folder)
    if test.environment_files and test.decided == "archive":
        services.runner.environments.discard(test.commit, test.production)
    if test.commit and test.decided == "archive":
        services.runner.builds.discard(test.commit, test.production)
    services.record(
        "results_written",
        hypothesis,
        {"commit": test.commit, "outcome": test.decided, "runs": len(test.runs)},
        key=f"results:{hypothesis}:{test.commit}:{test.decided}",
    )
    projections.hypothesis(services, hypothesis)
    projections.queue(services)


def try_again_if_superseded(services: Services, hypothesis: str) -> None:
    """Production moved on under the test, which says nothing against the idea: a new test decides; repeatable."""
    last = next((verdict for verdict in reversed(services.history.verdicts) if verdict.hypothesis == hypothesis), None)
    if last is None or last.reason != "superseded" or services.history.hypotheses[hypothesis].status != "archived":
        return
    services.record(
        "hypothesis_requeued",
        hypothesis,
        {"production": last.production},
        reason="production moved on during its test; a new test on the new production decides",
        key=f"requeued:{hypothesis}:{last.production}",
    )
    projections.hypothesis(services, hypothesis)
    projections.queue(services)


def close_interrupted(services: Services) -> None:
    """After a crash: finish closing whatever was decided and not yet written down."""
    for name in list(services.history.tests):
        status, test = services.history.hypotheses[name].status, services.history.tests[name]
        written = services.log.find(f"results:{name}:{test.commit}:{test.decided}") is not None
        if status == "archived" or (status == "parked" and not written):
            close(services, name)
