"""Carries out a promotion the gate decided: one test look, the branch, the scores, the files, a fresh baseline.

Every step is an event under a key or a file written from the log, so a crash anywhere is repaired by doing all of
it again.
"""

from __future__ import annotations

from typing import Any

from agent import closing, evidence, production, projections, review, seasons, testing
from agent.services import Services
from experiments import gate
from experiments.plans import Interrupted
from registry.facts import Test

RELEASED = ":released"
"""Ends the key of the verdict on a candidate that a person has released."""


def promote(services: Services, hypothesis: str) -> None:
    """Make the hypothesis production."""
    test = services.history.tests.get(hypothesis)
    if test is None:
        return
    key = f"verdict:{hypothesis}:{test.commit}"
    verdict = services.log.find(f"{key}{RELEASED}") or services.log.find(key)
    if verdict is None or verdict.data["outcome"] != "promote" or test.gate is None:
        raise ValueError(f"{hypothesis} is promoted by a verdict of the gate and by nothing else")
    score = production.look_at_test(services, hypothesis, test.commit, test.production, test.gate["fresh_seeds"])
    data = {
        "commit": test.commit,
        "previous": test.production,
        "branch": test.branch,
        "gain": verdict.data["gain"],
        "gain_on": verdict.data["gain_on"],
        "verdict": verdict.seq,
        "test_score": score,
    }
    services.record("promoted", hypothesis, data, reason=verdict.reason, key=f"promoted:{hypothesis}:{test.commit}")
    services.solution.promote(test.production, test.commit)
    production.record_commit(services, test.commit, f"promoted {hypothesis}")
    title = services.history.hypotheses[hypothesis].title
    services.progress.say(f"PROMOTED {hypothesis}: {title} ({verdict.data['gain']:+.4f} on {verdict.data['gain_on']})")
    projections.changelog(services, hypothesis)
    _submit(services, hypothesis, test)
    review.write(services, hypothesis)  # last, because it tells how the submission went
    _supersede(services, hypothesis)
    closing.close(services, hypothesis)


def finish_interrupted(services: Services) -> None:
    """After a crash between a promotion's verdict and its last step: do all of it again.

    What the cycle would still do after it (measure, readmit) follows from the log too, so it is done here for a
    cycle that will not be resumed.
    """
    tests = list(services.history.tests.items())
    interrupted = [name for name, test in tests if test.decided == "promote"]
    for name in interrupted:
        promote(services, name)
    for name in services.history.hypotheses:
        closing.try_again_if_superseded(services, name)
    if interrupted:
        readmit_parked(services)


def remeasure(services: Services) -> None:
    """Measure the new production on seeds of its own; the winner's runs are never its baseline."""
    production.measure(services)


def _supersede(services: Services, promoted: str) -> None:
    """Queued ideas about the same settings were written against a production that is no more."""
    settings = services.history.hypotheses[promoted].implementation.settings
    for other in services.history.with_status("queued"):
        if other.implementation.settings.keys() & settings.keys():
            closing.reject(services, other.id, "superseded", f"superseded: {promoted} changed the same setting")


def _submit(services: Services, hypothesis: str, test: Test) -> None:
    """Hand the promotion to the leaderboard's command, where the target has one."""
    command = services.target.submission.command
    if command is None or services.log.find(f"submission:{hypothesis}:{test.commit}") is not None:
        return
    announced = f"submission_started:{hypothesis}:{test.commit}"
    if services.log.find(announced) is not None:
        # Handing in twice may cost one of few attempts, and nobody can tell whether the first one arrived.
        _submitted(
            services,
            hypothesis,
            test,
            {"status": "unknown", "exit_status": None, "argv": command, "output": ""},
            "the agent was killed while it was handed in; look at the board before handing it in by hand",
        )
        return
    if services.cancel.is_set():
        raise Interrupted("stopped before it was handed in; the same command goes on with that")
    services.record("submission_started", hypothesis, {"argv": command}, key=announced)
    result = services.outside.submit(services, hypothesis, test, command)
    data = {
        "status": result.status,
        "exit_status": result.exit_status,
        "argv": list(result.argv),
        "output": result.output,
    }
    _submitted(services, hypothesis, test, data, result.why)


def _submitted(services: Services, hypothesis: str, test: Test, data: dict[str, Any], why: str) -> None:
    services.record("submission", hypothesis, data, reason=why, key=f"submission:{hypothesis}:{test.commit}")
    services.progress.say(f"  submission of {hypothesis}: {data['status']} {why}")


# -- parked candidates --------------------------------------------------------------------------------------


def readmit_parked(services: Services) -> None:
    """After a promotion, parked candidates whose evidence reaches the new bar get a new test on the new production.

    They are let in together, so one bar holds for all of them: N / (alpha (R + their number)). Who they are is
    recorded before the first is, so that a crash between two of them changes neither the bar nor their number.
    """
    state = seasons.current(services.history)
    if state is None or state.closed or not state.parked:
        return
    parked = {candidate.subject.partition("@")[0]: candidate.log_e for candidate in state.parked}
    key = f"readmission:{state.season.id}:{state.promotions}"
    decided = services.log.find(key)
    if decided is None:
        known = {name: log_e for name, log_e in parked.items() if log_e is not None}
        season = state.season
        chosen = gate.parked_promotions(list(known.values()), season.planned, season.alpha, state.promotions)
        if not chosen:
            return
        names = [list(known)[index] for index in chosen]
        data = {"hypotheses": names, "promotions": state.promotions}
        decided = services.record("readmission", f"S-{season.id}", data, key=key)
    names = decided.data["hypotheses"]
    for name in names:
        if name in parked:
            _rebase(services, name, state.promotions, len(names))


def _rebase(services: Services, hypothesis: str, promotions: int, position: int) -> None:
    test = services.history.tests.get(hypothesis)
    if test is None:
        return
    back = gate.Readmission(promotions, position)
    facts = evidence.of_test(services, test, readmission=back)
    policy = testing.policy_of(test)
    decision = gate.decide(facts, policy)
    testing.record_look(services, test, facts, decision, policy)
    testing.record_verdict(services, test, decision, suffix=f":readmitted:{promotions}")
    closing.try_again_if_superseded(services, hypothesis)
