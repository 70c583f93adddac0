"""The policy `per-item`: a test over the items of the split, for pipelines whose scores do not vary over seeds.

Where two seeds give every item the same score to the bit, seeds say nothing and items are the sample: McNemar's exact
test where every score is 0 or 1, else a one-sided t-test over items or declared clusters. Where runs vary, the test
is refused: a single-run McNemar test rejects up to a third of nulls then. The level is the season's at this place,
but these are p-values, so the season's guarantee rests on the independence of its candidates (LOND). The gain is not
fresh, because it comes from the items that were tested, unless a split `confirm` is declared to measure it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from experiments import statistics
from experiments.gate import confirmation, rows, stage
from experiments.gate.decision import Criterion, Decision, Extent, ItemNumbers, Need, Numbers, Stop, decided, short
from experiments.gate.evidence import Evidence, ItemScores, differences, first_failure
from experiments.gate.fixed_runs import FixedRuns, gain_row, too_small
from experiments.gate.soundness import BAD_EVIDENCE
from experiments.items import items_digest

CONFIRMING = 1
"""Pairs on the split `confirm`: scores do not vary over seeds, so one says everything."""
CONFIRM_SPLIT = "the split confirm"
NOT_FRESH = "of the very items that were tested: not fresh"


@dataclass(frozen=True, slots=True, kw_only=True)
class PerItem(FixedRuns):
    """The policy: its parameters and how it judges. One look."""

    name: ClassVar[str] = "per-item"
    version: ClassVar[int] = 1

    minimum_units: int = 20
    """Items or clusters that a t-test over them needs."""
    confirm: bool = False
    """Whether the gain is measured on a split of its own, whose items have chosen nothing."""

    def extent(self) -> Extent:
        return replace(FixedRuns.extent(self), fresh_pairs=CONFIRMING if self.confirm else 0)

    def judge(self, evidence: Evidence) -> Decision:
        """Equal items within each arm, the test, the gain, then costs and rank."""
        if stop := self.incomplete(evidence) or _fault(evidence):
            return self.unjudged(evidence, stop)
        gains = differences(evidence, evidence.stage)
        level, items = evidence.season.level, _test(evidence)
        numbers = Numbers(n=self.runs, differences=gains, mean=gains[0], level=level, items=items)
        stop = self._refusal(evidence, items, level)
        if stop is not None and (evidence.fresh or evidence.costs):
            stop = _bad("overrun", "pairs beyond the test over items, which had decided")
        if stop is None:
            numbers, stop = self._gain(evidence, numbers)
            if stop is not None and evidence.costs:
                stop = _bad("overrun", "cost pairs beyond the gain, which had decided or is not measured yet")
        if stop is None:
            costs, stop = self.after_the_gain(evidence)
            numbers = replace(numbers, costs=costs)
        return self._decision(evidence, stop or _promotion(evidence, numbers), numbers)

    def _gain(self, evidence: Evidence, numbers: Numbers) -> tuple[Numbers, Stop | None]:
        """The gain against the threshold: that of the tested items, or that of the split `confirm` where asked for."""
        if not self.confirm:
            return numbers, too_small(evidence, numbers.differences[0])
        if superseding := confirmation.superseded(evidence):
            return numbers, superseding
        failure = first_failure(evidence.fresh)
        if failure is not None:
            return numbers, stage.crash(evidence.fresh[failure].candidate, "confirming")
        if len(evidence.fresh) < CONFIRMING:
            seeds = evidence.fresh_seeds[:CONFIRMING]
            text = f"The items have decided; {CONFIRM_SPLIT} must show the gain."
            return numbers, Stop("extend", "confirm", text, Need("fresh", CONFIRMING, seeds, seeds))
        gains = differences(evidence, evidence.fresh)
        mean = statistics.mean(gains)
        confirmed = replace(numbers, fresh_differences=gains, fresh_mean=mean)
        return confirmed, confirmation.gain_refused(evidence, mean, CONFIRM_SPLIT)

    def unjudged(self, evidence: Evidence, stop: Stop) -> Decision:
        """The table where nothing was judged."""
        return self._decision(evidence, stop, Numbers())

    def _refusal(self, evidence: Evidence, items: ItemNumbers, level: float) -> Stop | None:
        if items.gained + items.lost == 0:
            return Stop("archive", "items_unchanged", f"None of {items.units} items has another score.")
        if items.kind == "graded" and items.units < self.minimum_units:
            text = f"{items.units} items or clusters, at least {self.minimum_units} are needed for a test over them"
            return _bad("items_missing", text)
        if items.p is None:
            return Stop("archive", "invalid", f"All {items.units} differences are equal, so a t-test is invalid.")
        if items.p > level:
            text = f"The one-sided p over {items.units} {_unit(items, evidence)} is {short(items.p)}"
            return Stop("archive", "not_significant", f"{text}, above the season's level {short(level)}.")
        return None

    def _decision(self, evidence: Evidence, stop: Stop, numbers: Numbers) -> Decision:
        table = (
            rows.soundness(stop),
            rows.differs(evidence, stop),
            self._items(evidence, numbers),
            *(_confirmed_rows(evidence, numbers) if self.confirm else (gain_row(evidence, numbers, NOT_FRESH),)),
            rows.not_yet("paired_t_test", "none", "seeds do not vary here; item_test replaces it", binding=False),
            rows.not_yet("seeds", f"{self.runs} runs of each arm, equal items", "judged by evidence", binding=False),
            rows.not_yet("stability", "none", "scores do not vary over seeds", binding=False),
            *self.last_rows(evidence, numbers),
        )
        if numbers.fresh_mean is None:
            flags = ("not_fresh",) if numbers.mean is not None else ()
            return decided(stop, table, numbers, "the tested items", flags)
        decision = decided(stop, table, numbers, "")
        return replace(decision, reported_gain=numbers.fresh_mean, gain_is_fresh=True, gain_on=CONFIRM_SPLIT)

    def _items(self, evidence: Evidence, numbers: Numbers) -> Criterion:
        level = evidence.season.level
        requirement = f"one-sided p <= {short(level)}"
        items = numbers.items
        if items is None:
            return rows.not_yet("item_test", requirement, "no items have been compared")
        changed = f"{items.gained} better and {items.lost} worse of {items.units} {_unit(items, evidence)}"
        why = f"{changed}; p-values hold the season's level where its candidates are independent (LOND)"
        if items.p is None:
            return Criterion("item_test", None, requirement, "failed", f"{changed}; nothing to test", True)
        enough = items.kind == "binary" or items.units >= self.minimum_units
        return rows.judged("item_test", items.p, requirement, items.p <= level and enough, why)


def _bad(code: str, found: str) -> Stop:
    return Stop("bad_evidence", code, f"{BAD_EVIDENCE[code].capitalize()}: {found}.")


def _fault(evidence: Evidence) -> Stop | None:
    """Whether the items are whole, are those of the runs, and are the same on every seed of an arm."""
    items = evidence.items
    if items is None or not items.ids:
        return _bad("items_missing", "the evidence has none")
    if len(set(items.ids)) != len(items.ids):
        return _bad("items_missing", "an id stands twice")
    for arm, scores in (("candidate", items.candidate), ("production", items.production)):
        if not all(math.isfinite(score) for score in scores):
            return _bad("nan", f"a per-item score of {arm}")
        digests = {getattr(pair, arm).items_sha256 for pair in evidence.stage}
        if "" in digests:
            return _bad("items_missing", f"a run of {arm} left no per-item scores")
        if len(digests) > 1:
            return _bad("items_vary", f"{arm} on seeds {', '.join(str(pair.seed) for pair in evidence.stage)}")
        try:
            digest = items_digest(items.ids, scores, items.clusters)
        except ValueError as error:
            return _bad("items_missing", str(error))
        if digests != {digest}:
            return _bad("items_changed", f"{arm}'s give {digest[:12]}, its runs had {digests.pop()[:12]}")
    return None


def _test(evidence: Evidence) -> ItemNumbers:
    items = evidence.items
    if items is None:
        raise ValueError("items are tested only where there are some")
    if not items.clusters and {*items.candidate, *items.production} <= {0.0, 1.0}:
        gains = [evidence.oriented(c - p) for c, p in zip(items.candidate, items.production, strict=True)]
        gained, lost = sum(gain > 0.0 for gain in gains), sum(gain < 0.0 for gain in gains)
        p = statistics.sign_test_p_greater(gained, lost) if gained + lost else None
        return ItemNumbers("binary", len(gains), gained, lost, statistics.mean(gains), None, p)
    gains = _by_cluster(evidence, items)
    gained, lost = sum(gain > 0.0 for gain in gains), sum(gain < 0.0 for gain in gains)
    test = statistics.paired_t(gains, max(map(abs, (*items.candidate, *items.production))))
    return ItemNumbers("graded", len(gains), gained, lost, test.mean, test.t, test.p_greater)


def _by_cluster(evidence: Evidence, items: ItemScores) -> list[float]:
    """Oriented mean difference of each cluster, in the order of their names; of each item where there are none."""
    members: dict[str, list[float]] = {}
    for name, candidate, production in zip(items.clusters or items.ids, items.candidate, items.production, strict=True):
        members.setdefault(name, []).append(evidence.oriented(candidate - production))
    return [statistics.mean(members[name]) for name in sorted(members)]


def _unit(items: ItemNumbers, evidence: Evidence) -> str:
    clustered = evidence.items is not None and evidence.items.clusters
    return "clusters" if items.kind == "graded" and clustered else "items"


def _confirmed_rows(evidence: Evidence, numbers: Numbers) -> tuple[Criterion, Criterion]:
    gain, there = f">= {short(evidence.threshold)} on {CONFIRM_SPLIT}", f"> 0 on {CONFIRM_SPLIT}"
    if numbers.fresh_mean is None:
        why = "it is run only after the test over items"
        return rows.not_yet("gain", gain, why), rows.not_yet("confirmation", there, why)
    enough = numbers.fresh_mean >= evidence.threshold
    return (
        rows.judged("gain", numbers.fresh_mean, gain, enough, "one run of each arm, which do not vary"),
        rows.judged("confirmation", numbers.fresh_mean, there, numbers.fresh_mean > 0.0, "items that chose nothing"),
    )


def _promotion(evidence: Evidence, numbers: Numbers) -> Stop:
    fresh = numbers.fresh_mean is not None
    gain = numbers.fresh_mean if numbers.fresh_mean is not None else numbers.differences[0]
    where, label = (CONFIRM_SPLIT, "") if fresh else ("the items", "; the gain is not fresh")
    text = f"Gain {gain:+.4g} in {evidence.metric} over {where}, at least the threshold {short(evidence.threshold)}"
    return Stop("promote", "promote", f"{text}, with every binding criterion passed{label}.")
