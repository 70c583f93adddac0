"""Run records and season facts put into the form the gate reads.

Called by `agent.testing`. Nothing is computed or left out here: what is recorded is what the gate sees.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from agent import boards
from agent.services import Services
from experiments import metrics
from experiments.gate import (
    Evidence,
    ItemScores,
    Pair,
    PerItem,
    Plausibility,
    Readmission,
    RunValue,
    SeasonFacts,
    policy_for,
)
from registry.errors import BadInput
from registry.facts import Test
from registry.runs import Arm, Purpose, RunRecord
from registry.target import GateSettings

MAX_ITEMS = 100_000
"""More would not fit into one event of the log; clusters of items can be scored instead."""


def of_test(services: Services, test: Test, readmission: Readmission | None = None, seen: bool = False) -> Evidence:
    """Everything the gate may read about a test that has entered it.

    `seen` leaves out pairs that no look has seen yet: after a crash some of what the last look asked for is paid,
    and half-paid pairs are no evidence.
    """
    if test.gate is None:
        raise ValueError(f"{test.hypothesis} has not entered the gate")
    gate, metrics = test.gate, services.target.metrics
    board = boards.of_primary(services)
    stage = _pairs(test, "gate", gate["stage_seeds"], metrics.primary.name)
    fresh = _pairs(test, "fresh", gate["fresh_seeds"], metrics.primary.name)
    costs = _pairs(test, "cost", gate["stage_seeds"], "")
    if seen:
        last = test.last_look["evidence"] if test.last_look is not None else {"stage": (), "fresh": (), "costs": ()}
        stage, fresh, costs = stage[: len(last["stage"])], fresh[: len(last["fresh"])], costs[: len(last["costs"])]
    confirms = policy_for(GateSettings.model_validate(gate["settings"])).extent().fresh_pairs > 0
    production = services.history.production
    baseline = services.history.baseline.get(test.production, {})
    if seen and not all(seed in baseline for seed in gate["baseline_seeds"]):
        baseline = {}
    return Evidence(
        hypothesis=test.hypothesis,
        metric=metrics.primary.name,
        higher_is_better=metrics.primary.higher_is_better,
        threshold=gate["settings"]["threshold"],
        season=SeasonFacts(gate["season"], gate["t"], gate["planned"], gate["promotions"], gate["alpha"]),
        stage_seeds=tuple(gate["stage_seeds"]),
        fresh_seeds=tuple(gate["fresh_seeds"]),
        stage=stage,
        fresh=fresh,
        costs=costs,
        cost_limits={name: cost.max_increase for name, cost in metrics.secondary.items()},
        baseline=tuple(
            run_value(baseline[seed], metrics.primary.name) for seed in gate["baseline_seeds"] if seed in baseline
        ),
        projected_rank=boards.projected_rank(services, _candidate_mean(fresh if confirms else stage)),
        required_rank=board.victory.rank if board is not None else None,
        empty_diff=test.empty,
        identical_outputs=_identical(stage),
        production_commit_now=production.commit if production is not None else "",
        production_commit_paired=test.production,
        split="dev",
        evaluator=gate["evaluator"],
        board_higher_is_better=board.higher_is_better if board is not None else None,
        readmission=readmission,
        environments=tuple(gate["environments"]) if "environments" in gate else None,
        items=_items(services, test) if gate["settings"]["policy"] == PerItem.name else None,
        plausibility=Plausibility(
            best=metrics.primary.plausible_best,
            leader=boards.leader(services),
            season_gain=services.history.season_gain,
            released=test.commit in services.history.released,
        ),
    )


def run_value(record: RunRecord, metric: str) -> RunValue:
    """One run as the gate sees it; the primary value is absent where the run has none."""
    return RunValue(
        seed=record.key.seed,
        arm=record.arm,
        commit=record.commit,
        tree=record.key.tree,
        environment=surroundings(record),
        evaluator=_evaluator(record),
        status=record.status,
        primary=record.metrics.get(metric) if metric else None,
        secondary={} if metric else dict(record.metrics),
        run_id=record.run_id,
        isolation=record.isolation,
        outputs_sha256=record.outputs_sha256,
        attempts=record.attempt,
        items_sha256=record.items_sha256,
    )


def _evaluator(record: RunRecord) -> str:
    """Hash of the evaluator that gave a run its value; empty where the run's record does not vouch for it.

    Evaluator, code, data and environment are hashed before and after a run. A record that says of itself that they
    were not, or that calls itself something else than the hash of what went into it, gives the gate no value. Records
    that are older than this say nothing about it.
    """
    said = "verified" in record.model_fields_set and not record.verified and record.status == "ok"
    return "" if said or record.run_id != record.key.run_id else record.key.evaluator


def _items(services: Services, test: Test) -> ItemScores | None:
    """Scores of every item in both arms, from the folders of the first pair's runs; None until both are there.

    The gate holds them against the digests that the runs' records have, so a file that was changed since is found.
    """
    found = []
    for arm in ("candidate", "production"):
        record = next((r for (a, purpose, _), r in test.runs.items() if a == arm and purpose == "gate"), None)
        if record is None or not record.items_sha256:
            return None
        try:
            items = metrics.read_items(services.workspace.root / record.folder)
        except BadInput:
            return None
        if items is None or len(items.ids) > MAX_ITEMS:
            return None
        found.append(items)
    candidate, production = found
    if (candidate.ids, candidate.clusters) != (production.ids, production.clusters):
        return None
    return ItemScores(candidate.ids, candidate.scores, production.scores, candidate.clusters)


def surroundings(record: RunRecord) -> str:
    """Environment and data of a run in one digest, since the gate pairs no runs that differ in either."""
    return surroundings_of(record.key.environment, record.key.data)


def surroundings_of(environment: str, data: str) -> str:
    """The same, of the two digests."""
    return hashlib.sha256(f"{environment} {data}".encode()).hexdigest()


def _pairs(test: Test, purpose: Purpose, seeds: Sequence[int], metric: str) -> tuple[Pair, ...]:
    """Pairs in the order of the seed list; whatever stands behind a hole is shown too, for the gate to name."""
    pairs = []
    for seed in seeds:
        candidate = _value(test, "candidate", purpose, seed, metric)
        production = _value(test, "production", purpose, seed, metric)
        if candidate is not None or production is not None:
            pairs.append(Pair(seed, candidate, production))
    return tuple(pairs)


def _value(test: Test, arm: Arm, purpose: Purpose, seed: int, metric: str) -> RunValue | None:
    record = test.runs.get((arm, purpose, seed))
    return run_value(record, metric) if record is not None else None


def _identical(pairs: tuple[Pair, ...]) -> bool:
    """Whether the first pair's two arms answered the same on every item."""
    if not pairs or pairs[0].candidate is None or pairs[0].production is None:
        return False
    digest = pairs[0].candidate.outputs_sha256
    return bool(digest) and digest == pairs[0].production.outputs_sha256


def _candidate_mean(pairs: tuple[Pair, ...]) -> float | None:
    values = [pair.candidate.primary for pair in pairs if pair.candidate is not None]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
