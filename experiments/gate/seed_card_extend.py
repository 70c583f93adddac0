"""The policy `seed-card-extend`: the documents' rule with more seeds where it is inconclusive. Uncontrolled.

Three pairs, then five, then ten: each further look is one more chance for a candidate that is nothing. It is here to
be compared with, and every text that shows it says that it controls nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from experiments.gate import soundness
from experiments.gate.decision import Criterion, Decision, Extent, Stop
from experiments.gate.evidence import Evidence
from experiments.gate.seed_card import SeedCard

UNCONTROLLED = "uncontrolled"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedCardExtend:
    """Parameters as the documents give them, and the looks at which the card is held against the pairs."""

    name: ClassVar[str] = "seed-card-extend"
    version: ClassVar[int] = 1

    looks: tuple[int, ...] = (3, 5, 10)
    significance: float = 0.05
    stability: float = 0.005

    def extent(self) -> Extent:
        return Extent(stage_pairs=self.looks[-1], fresh_pairs=0, cost_pairs=self.looks[-1])

    def judge(self, evidence: Evidence) -> Decision:
        """The first look whose card is not inconclusive decides; the last look decides in any case."""
        for n in self.looks:
            decision = self._card(n).judge(replace(evidence, stage=evidence.stage[:n]))
            if n == self.looks[-1] or not _inconclusive(decision):
                break
        overrun = _overrun(evidence, n)
        return self._labelled(decision if overrun is None else self._card(n).unjudged(evidence, overrun))

    def unjudged(self, evidence: Evidence, stop: Stop) -> Decision:
        """The table where nothing was judged."""
        return self._labelled(self._card(self.looks[0]).unjudged(evidence, stop))

    def _card(self, n: int) -> SeedCard:
        return SeedCard(pairs=n, significance=self.significance, stability=self.stability)

    def _labelled(self, decision: Decision) -> Decision:
        explanation = decision.explanation
        if decision.outcome == "promote":
            explanation = f"{explanation} {UNCONTROLLED.capitalize()}: it had {len(self.looks)} chances."
        flags = (*decision.flags, UNCONTROLLED)
        return replace(decision, rows=(*decision.rows, _error_control(self)), explanation=explanation, flags=flags)


def _inconclusive(decision: Decision) -> bool:
    """A gain of at least the threshold that the t-test does not confirm, whatever the rows after it say."""
    result = {row.name: row.result for row in decision.rows}
    mean = decision.numbers.mean
    not_confirmed = result["paired_t_test"] == "failed" and not decision.numbers.zero_variance
    return result["gain"] == "passed" and not_confirmed and mean is not None and mean > 0.0


def _overrun(evidence: Evidence, n: int) -> Stop | None:
    """Pairs beyond the look that decided: somebody looked further and could choose."""
    for kind, found in (("stage", len(evidence.stage)), ("cost", len(evidence.costs))):
        if found > n:
            text = soundness.BAD_EVIDENCE["overrun"].capitalize()
            return Stop("bad_evidence", "overrun", f"{text}: {found} {kind} pairs, the verdict stands at {n}.")
    return None


def _error_control(policy: SeedCardExtend) -> Criterion:
    looks = ", ".join(str(n) for n in policy.looks)
    why = f"{UNCONTROLLED}: looks at {looks} pairs, each with a chance of its own"
    return Criterion("error_control", None, "false promotions of a season <= alpha", "failed", why, False)
