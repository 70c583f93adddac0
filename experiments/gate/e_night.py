"""The policy `e-night`: evidence over the whole night, confirmation on fresh seeds, costs as bounds. The default.

A candidate climbs the looks of `looks`; at each one it passes, is archived as futile, or goes on. What passes is
confirmed on five fresh pairs, whose mean is the only gain ever reported. Steps are numbered as in docs/gate.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiments.gate import confirmation, e_night_table, soundness, stage
from experiments.gate.decision import Decision, Numbers, Stop
from experiments.gate.e_night_parameters import ENightParameters
from experiments.gate.evidence import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class ENight(ENightParameters):
    """The policy: its parameters and how it judges."""

    name: ClassVar[str] = "e-night"
    version: ClassVar[int] = 1

    def judge(self, evidence: Evidence) -> Decision:
        """Walk the stage (steps 1 to 4); what passes goes through confirmation (steps 5 to 10)."""
        climbed = stage.climb(evidence, self)
        if climbed.stop is not None:
            stop = _overrun(evidence, climbed.stop, climbed.look.n) or climbed.stop
            return e_night_table.decision(evidence, self, stop, climbed.look, confirmation.Confirmed())
        confirmed = confirmation.confirm(evidence, self, climbed.look.n)
        stop = confirmed.stop or _promotion(evidence, confirmed)
        if len(evidence.stage) > climbed.look.n:
            stop = _too_many("stage", len(evidence.stage), climbed.look.n)
        return e_night_table.decision(evidence, self, stop, climbed.look, confirmed)

    def unjudged(self, evidence: Evidence, stop: Stop) -> Decision:
        """The table where nothing was judged."""
        look = stage.Look(0, Numbers())
        return e_night_table.decision(evidence, self, stop, look, confirmation.Confirmed())


def _overrun(evidence: Evidence, stop: Stop, n: int) -> Stop | None:
    """Values beyond a verdict mean that someone looked further and may choose; that is never judged."""
    if stop.outcome == "bad_evidence":
        return None
    decided = stop.outcome in {"archive", "park"}
    if decided and len(evidence.stage) > n:
        return _too_many("stage", len(evidence.stage), n)
    if evidence.fresh:
        return _too_many("fresh", len(evidence.fresh), 0)
    if evidence.costs:
        return _too_many("cost", len(evidence.costs), 0)
    return None


def _too_many(kind: str, found: int, allowed: int) -> Stop:
    text = soundness.BAD_EVIDENCE["overrun"].capitalize()
    return Stop("bad_evidence", "overrun", f"{text}: {found} {kind} pairs, the verdict stands at {allowed}.")


def _promotion(evidence: Evidence, confirmed: confirmation.Confirmed) -> Stop:
    gain = confirmed.fresh_mean if confirmed.fresh_mean is not None else 0.0
    text = f"Gain {gain:+.4g} in {evidence.metric} on fresh seeds, at least the threshold {evidence.threshold:.4g}"
    return Stop("promote", "promote", f"{text}, with every binding criterion passed.")
