"""`agent doctor --noise`: production against itself on seeds of its own, paid and recorded like every other run.

Called by the command line inside the workspace's lock. Its seeds are in no list of the gate's, its runs are events of
the log, so a second call pays nothing, and nothing here reaches a verdict. Of production only the commit is read that
a night would start from; no branch moves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from agent import circumstances
from agent.researcher.contract import NULL
from agent.services import Services
from experiments import metrics, noise, seeds
from experiments.items import ItemAgreement, agreement
from experiments.noise import CostNoise, Pairing, Repeats, Spread
from experiments.plans import Plan
from registry.errors import BadInput
from registry.runs import RunRecord

SEEDS = 12
"""Seeds measured where nothing else is asked for."""
REPEATED = 3
"""Seeds run twice at first; all of them where one of these differs."""
TIMED = 5
"""Seeds whose costs are measured twice, with nothing beside them."""
_CHECK = 1
"""Which of the check's seed lists: 0 is the baseline's of an ordinary `agent doctor`."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found. All but `pairing`, which is read from the looks in the log, stands in `noise_measured`."""

    commit: str
    metric: str
    spread: Spread
    repeats: Repeats
    pairing: Pairing | None
    costs: tuple[CostNoise, ...]
    items: ItemAgreement | None
    values: dict[int, float]
    event: int
    """Number of the event."""


def measure(services: Services, count: int, tell: Callable[[str], None]) -> Measured:
    """Run what is not paid yet, and record what it says. Raises ProductionFailed where production does not finish."""
    from tools.branches import PRODUCTION

    services.sandbox.reap()
    repository = services.solution.repository
    commit = repository.branch_tip(PRODUCTION) or repository.branch_tip(services.target.solution.base) or ""
    circumstances.record(services, commit)
    chosen = seeds.check_seeds(_CHECK, count)
    tell(f"[STATUS] {count} seeds of production {commit[:12]}")
    runs = services.measurer.measure([_plan(commit, seed) for seed in chosen])
    again = _repeated(services, commit, runs, tell)
    timed = _timed(services, commit, chosen[:TIMED], tell)
    for record in (*runs, *again):
        services.runner.discard_model(record.folder)
    return _recorded(services, commit, runs, again, timed)


def _plan(commit: str, seed: int, repeat: int = 0) -> Plan:
    return Plan("production", "production", "check", commit, commit, seed, repeat=repeat)


def _repeated(
    services: Services, commit: str, runs: Sequence[RunRecord], tell: Callable[[str], None]
) -> list[RunRecord]:
    """A second run of some seeds: a few where they are bit-equal, else all, to know the noise on one seed."""
    name = services.target.metrics.primary.name
    tell("[STATUS] the same seeds once more")
    first = runs[:REPEATED]
    again = services.measurer.measure([_plan(commit, record.key.seed, 1) for record in first])
    if all(one.metrics[name] == other.metrics[name] for one, other in zip(first, again, strict=True)):
        return again
    return again + services.measurer.measure([_plan(commit, record.key.seed, 1) for record in runs[REPEATED:]])


def _timed(
    services: Services, commit: str, chosen: Sequence[int], tell: Callable[[str], None]
) -> list[tuple[RunRecord, RunRecord]]:
    """Costs of the same thing twice, one after the other, as the gate's pairs are measured."""
    if not services.target.metrics.secondary:
        return []
    tell(f"[STATUS] costs, {2 * len(chosen)} times with nothing else running")
    plans = [
        Plan("production", "production", "cost", commit, commit, seed, repeat=repeat)
        for seed in chosen
        for repeat in (0, 1)
    ]
    records = services.measurer.measure(plans, exclusive=True)
    return list(zip(records[::2], records[1::2], strict=True))


def _recorded(
    services: Services,
    commit: str,
    runs: Sequence[RunRecord],
    again: Sequence[RunRecord],
    timed: Sequence[tuple[RunRecord, RunRecord]],
) -> Measured:
    metrics = services.target.metrics
    name = metrics.primary.name
    values = {record.key.seed: record.metrics[name] for record in runs}
    twice = [(values[record.key.seed], record.metrics[name]) for record in again]
    outputs = {record.key.seed: record.outputs_sha256 for record in runs}
    spread = noise.spread(values, list(outputs.values()))
    repeats = noise.repeats(twice, [(outputs[record.key.seed], record.outputs_sha256) for record in again])
    pairing = noise.pairing(_pairs_of_candidates(services))
    items = _items(services, runs)
    costs = tuple(
        noise.cost(cost, [(one.metrics[cost], other.metrics[cost]) for one, other in timed], limit.max_increase)
        for cost, limit in metrics.secondary.items()
    )
    paid = [record.run_id for record in (*runs, *again)] + [record.run_id for pair in timed for record in pair]
    digest = hashlib.sha256(" ".join(paid).encode()).hexdigest()[:12]
    event = services.record(
        "noise_measured",
        "production",
        {
            "commit": commit,
            "metric": name,
            "runs": [record.run_id for record in runs],
            "seeds": list(values),
            "values": list(values.values()),
            "again": [record.run_id for record in again],
            "again_values": [second for _, second in twice],
            "timed": [[one.run_id, other.run_id] for one, other in timed],
            "costs": [asdict(cost) for cost in costs],
            "spread": {**asdict(spread), "outliers": [asdict(one) for one in spread.outliers]},
            "repeats": asdict(repeats),
            "items": asdict(items) if items is not None else None,
        },
        reason=f"{name}: standard deviation {spread.sd:.4g} over {len(runs)} seeds",
        key=f"noise:{commit}:{digest}",
    )
    return Measured(commit, name, spread, repeats, pairing, costs, items, values, event.seq)


def _items(services: Services, runs: Sequence[RunRecord]) -> ItemAgreement | None:
    """Scores of single items, where every run has left readable ones."""
    scores = []
    for record in runs:
        try:
            found = metrics.read_items(services.workspace.root / record.folder)
        except BadInput as error:
            services.progress.say(f"[STATUS] the scores of single items cannot be read: {error}")
            return None
        if found is None:
            return None
        scores.append(found)
    return agreement(scores)


def _pairs_of_candidates(services: Services) -> list[list[tuple[float, float]]]:
    """(candidate, production) on the same seeds, from the last look at each real candidate."""
    last: dict[str, list[tuple[float, float]]] = {}
    for event in services.log.read_new(0):
        hypothesis = services.history.hypotheses.get(event.subject)
        if event.kind != "look" or hypothesis is None or hypothesis.strategy == NULL:
            continue
        arms = [(pair["candidate"], pair["production"]) for pair in event.data["evidence"]["stage"]]
        pairs = [(one["primary"], other["primary"]) for one, other in arms if one is not None and other is not None]
        last[event.subject] = [(one, other) for one, other in pairs if one is not None and other is not None]
    return list(last.values())
