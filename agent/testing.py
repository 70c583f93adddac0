"""Takes one hypothesis through validation and the gate: which runs to pay, one look, what the look said.

Called by the nodes validate, experiment and judge. Decisions are the gate's alone; this module brings it evidence
from the log and writes its answers back.
"""

from __future__ import annotations

import math
from hashlib import sha256

from agent import closing, environment_builds, environment_changes, production, seasons
from agent import evidence as evidences
from agent.services import Services
from experiments import gate, seeds
from experiments.gate import Decision, Evidence, Need
from experiments.plans import Plan
from registry.canonical import canonical
from registry.facts import Test
from registry.runs import Purpose
from registry.target import GateSettings, Split

PURPOSES: dict[str, Purpose] = {"stage": "gate", "fresh": "fresh", "cost": "cost"}


def validate(services: Services, hypothesis: str) -> str:
    """One fast run on a seed no gate ever sees: `passed`, or `failed` with the reason in the log."""
    test = services.history.tests.get(hypothesis)
    if test is None or test.decided == "archive":
        return "failed"  # decided before a crash, and closed since
    if test.validated:
        return "passed"
    if not environment_builds.prepare(services, test):
        return "failed"
    seed = seeds.validation_seed(int(hypothesis.removeprefix("H-")))
    plan = Plan(hypothesis, "candidate", "validation", test.commit, test.production, seed, fast=True)
    record = services.measurer.measure([plan])[0]
    passed = record.status == "ok"
    services.record(
        "validated",
        hypothesis,
        {"ok": passed, "run_id": record.run_id, "commit": test.commit, "status": record.status},
        reason="the fast run finished" if passed else record.why,
        key=f"validated:{hypothesis}:{test.commit}",
    )
    if passed:
        return "passed"
    closing.reject(services, hypothesis, "validation", f"fast validation failed: {record.why}")
    return "failed"


def enter_gate(services: Services, hypothesis: str) -> None:
    """Give the test its place in the season: t, R, level and seeds, frozen from here on."""
    test = services.history.tests[hypothesis]
    if test.gate is not None:
        return
    environment_builds.again(services, test)
    state = seasons.ready(services)
    settings = services.target.gate
    t = state.started + 1
    own = seeds.candidate_seeds(state.season.id, t)
    data = {
        "test": f"{hypothesis}@{test.commit[:12]}",
        "season": state.season.id,
        "t": t,
        "planned": state.season.planned,
        "promotions": state.promotions,
        "alpha": state.season.alpha,
        "day": services.clock().date().isoformat(),
        "settings": settings.model_dump(mode="json"),
        "stage_seeds": list(own.stage),
        "fresh_seeds": list(own.fresh),
        "baseline_seeds": list(production.screen_seeds(services)),
        "evaluator": services.runner.trees.evaluator_digest(test.production),
        "commit": test.commit,
        "production": test.production,
        **environment_changes.change_under_test(services, test),
    }
    services.record(
        "gate_entered",
        hypothesis,
        data,
        reason=f"candidate {t} of {state.season.planned} in season {state.season.id}, {state.promotions} promotions",
        key=f"gate:{hypothesis}:{test.commit}",
    )


def decide(services: Services, test: Test) -> Decision:
    """The gate's word on what its last look saw. Pure in the record: asked again after a crash it says the same."""
    return gate.decide(evidences.of_test(services, test, seen=True), policy_of(test))


def policy_of(test: Test) -> gate.Policy:
    """The policy that was fixed when the test entered the gate."""
    if test.gate is None:
        raise ValueError(f"{test.hypothesis} has not entered the gate")
    return gate.policy_for(GateSettings.model_validate(test.gate["settings"]))


def run_needed(services: Services, hypothesis: str) -> None:
    """Pay for the runs that the next look needs."""
    test = services.history.tests[hypothesis]
    need = decide(services, test).needs
    if need is not None:
        environment_builds.again(services, test)
        if environment_changes.follow(services, hypothesis):
            need = decide(services, test).needs
    if need is None:
        return
    records = services.measurer.measure(list(_plans(test, need)), exclusive=need.kind == "cost")
    environment_changes.take_up(services, hypothesis, records)


def _plans(test: Test, need: Need) -> list[Plan]:
    """The need as plans: arms alternate seed by seed, so that a stop in the middle leaves whole pairs."""
    if need.kind == "baseline":
        seeds_of_baseline = (test.gate or {})["baseline_seeds"][: need.up_to]
        return [
            Plan("production", "production", "baseline", test.production, test.production, seed)
            for seed in seeds_of_baseline
        ]
    purpose = PURPOSES[need.kind]
    confirms = purpose == "fresh" and (test.gate or {})["settings"]["policy"] == gate.PerItem.name
    split: Split = "confirm" if confirms else "dev"
    plans = []
    for seed in dict.fromkeys((*need.candidate_seeds, *need.production_seeds)):
        if seed in need.candidate_seeds:
            plans.append(Plan(test.hypothesis, "candidate", purpose, test.commit, test.production, seed, split))
        if seed in need.production_seeds:
            plans.append(Plan(test.hypothesis, "production", purpose, test.production, test.production, seed, split))
    return plans


def judge(services: Services, hypothesis: str) -> str:
    """One look: the gate's decision goes into the log whole, and its outcome back to the graph."""
    test = services.history.tests.get(hypothesis)
    if test is None or test.decided:
        return test.decided if test is not None else _decided_before(services, hypothesis)
    if environment_changes.mixed(services, test):
        environment_builds.again(services, test)
        if environment_changes.follow(services, hypothesis):
            return "extend"
    facts = evidences.of_test(services, test)
    policy = policy_of(test)
    decision = gate.decide(facts, policy)
    record_look(services, test, facts, decision, policy)
    if decision.outcome == "extend":
        return "extend"
    return record_verdict(services, test, decision)


def _decided_before(services: Services, hypothesis: str) -> str:
    """The outcome of a test that was decided before a crash and closed since."""
    status = services.history.hypotheses[hypothesis].status
    return {"promoted": "promote", "parked": "park"}.get(status, "archive")


def record_look(services: Services, test: Test, facts: Evidence, decision: Decision, policy: gate.Policy) -> None:
    """One look, whole: the raw values, what was derived from them and what was decided.

    Its identity is its content: the same evidence again is the same look, and evidence that has changed since a
    crash (production moved, a board was read again) is another one.
    """
    data = gate.look_record(facts, decision, policy)
    size = f"{len(facts.stage)}:{len(facts.fresh)}:{len(facts.costs)}:{len(facts.baseline)}"
    first = f"look:{test.hypothesis}:{test.commit}:{size}:{sha256(canonical(data)).hexdigest()[:12]}"
    # An environment that is back gives the looks of before, which were set aside.
    key = f"{first}:{test.restarts}" if test.restarts else first
    services.record("look", test.hypothesis, data, reason=decision.explanation, key=key)
    services.progress.say(f"  {test.hypothesis} {spoken(decision)}")


def spoken(decision: Decision) -> str:
    """One look in one line: where the evidence stands, or what was decided and why."""
    numbers = decision.numbers
    seeds = f"{numbers.n} seed" + ("" if numbers.n == 1 else "s")
    if decision.outcome != "extend":
        return f"{decision.outcome} after {seeds}: {decision.explanation}"
    if decision.needs is None or decision.needs.kind != "stage" or numbers.mean is None or numbers.log_e is None:
        return f"{seeds}: {decision.explanation}"
    bar = f" of {math.exp(numbers.log_bar):.0f} needed" if numbers.log_bar is not None else ""
    return f"{seeds}: mean gain {numbers.mean:+.4f}, evidence E = {math.exp(numbers.log_e):.3g}{bar}"


def record_verdict(services: Services, test: Test, decision: Decision, suffix: str = "") -> str:
    """The end of a test. Evidence that cannot be judged never promotes: it archives, and the reason says so."""
    outcome = "archive" if decision.outcome == "bad_evidence" else decision.outcome
    services.record(
        "verdict",
        test.hypothesis,
        {
            "outcome": outcome,
            "reason": decision.reason,
            "commit": test.commit,
            "production": test.production,
            "gain": decision.reported_gain,
            "gain_on": decision.gain_on,
            "log_e": decision.numbers.log_e,
            "mean": decision.numbers.mean,
            "n": decision.numbers.n,
            "interval": gate.gain_interval(decision.numbers),
            "screen_gain": decision.numbers.screen_gain,
            **environment_changes.described(services, test),
        },
        reason=decision.explanation,
        key=f"verdict:{test.hypothesis}:{test.commit}{suffix}",
    )
    return outcome
