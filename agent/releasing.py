"""What a person says to a candidate that was held as too good to be believed: let it go on, or archive it.

`release` and `reject` are called by `agent review`, beside a running night too: each is one event. `judge_released`
is called when a night starts: the gate judges the same evidence once more, with the person's word in it, and what then
passes every criterion is promoted. Nothing is run again.
"""

from __future__ import annotations

from agent import closing, evidence, promotion, testing
from agent.continuity import refuse_lost_log
from agent.services import Services
from experiments import gate
from registry.audit import AuditLog
from registry.audit_events import Event
from registry.errors import BadInput, Problem
from registry.facts import Test
from registry.history import History
from registry.workspace import Workspace

HELD = "implausible"
"""Reason of the gate's verdict on what is held."""
PERSON = "person"
REJECTED = "rejected"
"""Code of the end that a person gives to what is held."""


def release(workspace: Workspace, hypothesis: str, why: str) -> Event:
    """Let a held candidate go on; the next night judges it again. BadInput where it is not held."""
    refuse_lost_log(workspace)
    with AuditLog.open(workspace.audit) as log:
        test = _held(log, hypothesis)
        return log.append(
            "released",
            hypothesis,
            {"commit": test.commit, "production": test.production},
            why,
            actor=PERSON,
            key=f"released:{hypothesis}:{test.commit}",
        )


def reject(workspace: Workspace, hypothesis: str, why: str) -> Event:
    """Archive a held candidate. BadInput where it is not held."""
    refuse_lost_log(workspace)
    with AuditLog.open(workspace.audit) as log:
        test = _held(log, hypothesis)
        data = {"code": REJECTED, "commit": test.commit, "production": test.production}
        key = f"archived:{hypothesis}:{test.commit}:{REJECTED}"
        return log.append("hypothesis_archived", hypothesis, data, f"by a person: {why}", actor=PERSON, key=key)


def _held(log: AuditLog, hypothesis: str) -> Test:
    history = History()
    for event in log.read_new(0):
        history.apply(event)
    known = history.hypotheses.get(hypothesis)
    if known is None:
        fix = "`agent queue list --all` shows every one"
        raise BadInput(Problem(hypothesis, "no record of it", "the id of a held hypothesis", fix=fix))
    test = history.tests.get(hypothesis)
    if test is None or hypothesis not in history.held:
        why = f": {history.why[hypothesis]}" if hypothesis in history.why else ""
        fix = "`agent review` lists what is held"
        raise BadInput(Problem(hypothesis, f"status {known.status}{why}", "a hypothesis that is held", fix=fix))
    return test


def judge_released(services: Services) -> None:
    """Judge again what a person has released, before production moves for any other reason; repeatable."""
    for name in list(services.history.held):
        test = services.history.tests.get(name)
        if test is None or test.commit not in services.history.released or test.gate is None:
            continue
        facts, policy = evidence.of_test(services, test), testing.policy_of(test)
        decision = gate.decide(facts, policy)
        if decision.outcome == "extend":  # a cost was declared since, say
            services.progress.say(f"[STATUS] {name} is released and still held: {decision.explanation}")
            continue
        testing.record_look(services, test, facts, decision, policy)
        outcome = testing.record_verdict(services, test, decision, suffix=promotion.RELEASED)
        if outcome == "promote":
            promotion.promote(services, name)
            continue
        closing.close(services, name)
        closing.try_again_if_superseded(services, name)
