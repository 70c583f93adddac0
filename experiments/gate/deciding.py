"""`decide`: from evidence and a policy to a verdict. The only door to a promotion."""

from __future__ import annotations

from dataclasses import replace

from experiments.gate import plausibility, soundness
from experiments.gate.decision import Decision, Policy, Stop
from experiments.gate.evidence import Evidence, Pair

CHANGED = "environment_changed"
"""The flag of a candidate that runs in another environment than production, by its own patch."""


def decide(evidence: Evidence, policy: Policy) -> Decision:
    """Judge the evidence, and say where the change under test is one of the environment."""
    decision = _decide(evidence, policy)
    return decision if evidence.environments is None else replace(decision, flags=(*decision.flags, CHANGED))


def _decide(evidence: Evidence, policy: Policy) -> Decision:
    """Judge the evidence as far as it goes.

    Outcome `extend` comes with `needs`: run exactly that, add it to the evidence and ask again. Every other outcome
    is final, and values beyond the point where it fell are the error `overrun`.
    """
    if evidence.empty_diff:
        text = f"The patch of {evidence.hypothesis} changes nothing."
        return _unjudged(evidence, policy, Stop("archive", "no_op", text))
    fault = soundness.fault(evidence, policy.extent())
    if fault is not None:
        return _unjudged(evidence, policy, fault)
    if evidence.identical_outputs or _identical(evidence.stage):
        text = f"The outputs of {evidence.hypothesis} are identical to production's."
        return _unjudged(evidence, policy, Stop("archive", "no_op", text))
    decision = plausibility.with_plausibility(evidence, policy.judge(evidence))
    if decision.outcome == "promote" and (
        failed := [row.name for row in decision.rows if _blocks(row.binding, row.result)]
    ):
        raise RuntimeError(f"policy {policy.name} promotes although {', '.join(failed)} failed")
    return decision


def _unjudged(evidence: Evidence, policy: Policy, stop: Stop) -> Decision:
    return plausibility.with_plausibility(evidence, policy.unjudged(evidence, stop))


def _blocks(binding: bool, result: str) -> bool:
    return binding and result == "failed"


def _identical(pairs: tuple[Pair, ...]) -> bool:
    """Whether every pair left the same outputs in both arms."""
    return bool(pairs) and all(
        pair.candidate is not None
        and pair.production is not None
        and pair.candidate.outputs_sha256 != ""
        and pair.candidate.outputs_sha256 == pair.production.outputs_sha256
        for pair in pairs
    )
