"""What is production now: its commit, its measured baseline, and its score on the test split.

Called when a night starts and after each promotion. The test split is read only here, behind a budget of looks
that the target sets; every look is an event, and no look ever feeds the gate.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent import boards, circumstances, environment_builds, projections, seasons
from agent.services import Services
from experiments import seeds
from experiments.gate import Exact
from experiments.measuring import ProductionFailed
from experiments.plans import Plan
from experiments.season import SeasonState
from registry.facts import Production
from registry.runs import Arm, RunRecord

CACHED_BASELINE = 20
"""Production runs that the cached screen compares first runs with (`gate.md`)."""
USED_UP = "used_up"
"""Why there was no look: the budget of looks, which a person may raise."""
SHOWN_BASELINE = 5
"""Production runs that give its mean where the gate pairs every run anyway."""
FIXED_RUNS = 2
"""Runs that give a mean under the policy `exact`, whose metric does not vary: the second one shows that."""


def open_for_the_night(services: Services) -> None:
    """Bring production up to its base and record the commit if it is new."""
    state = services.solution.ensure_production()
    record_commit(
        services, state.commit, "production starts here" if not services.history.productions else "base merged"
    )
    environment_builds.prepare_production(services, state.commit)
    circumstances.record(services, state.commit)
    _say_what_moved(services, state.commit)


def _say_what_moved(services: Services, commit: str) -> None:
    """Tell where packages, or the machine, are others than those that production was last measured with."""
    now = services.runner.environment(commit).sha256
    before = [record.key.environment for record in services.history.baseline.get(commit, {}).values()]
    if before and now not in before:
        what = circumstances.environment_difference(services.log.find, before[-1], now) or "its files"
        services.progress.say(f"[ALERT] the environment has changed ({what}): production is measured again")


def record_commit(services: Services, commit: str, why: str) -> None:
    """Say that a commit is production; nothing where it is already."""
    known = services.history.production
    if known is not None and known.commit == commit:
        return
    data = {
        "commit": commit,
        "tree": services.solution.tree(commit),
        "configuration": services.solution.settings(commit),
    }
    services.record("production_at", "production", data, reason=why, key=f"production:{commit}")
    for board in services.history.scored:
        projections.current_score(services, board)


def measure(services: Services) -> list[RunRecord]:
    """Production's own runs on seeds no candidate has: its mean on dev, and the cached screen's baseline."""
    production = services.history.production
    if production is None:
        raise ValueError("production is measured after it is recorded")
    gate = services.target.gate
    cached = gate.policy == "e-night" and gate.screen == "cached"
    count = FIXED_RUNS if gate.policy == Exact.name else CACHED_BASELINE if cached else SHOWN_BASELINE
    wanted = _baseline_seeds(seasons.standing(services), production.index, count)
    plans = [
        Plan("production", "production", "baseline", production.commit, production.commit, seed) for seed in wanted
    ]
    records = services.measurer.measure(plans)
    _take_up(services, production.commit, records)
    _let_go_of_models(services, records)
    projections.production_results(services, production, records)
    return records


def first_plan(services: Services) -> Plan:
    """The first run of production's baseline, for whoever needs one before all of it is paid."""
    production = services.history.production
    if production is None:
        raise ValueError("production is measured after it is recorded")
    (seed,) = _baseline_seeds(seasons.standing(services), production.index, 1)
    return Plan("production", "production", "baseline", production.commit, production.commit, seed)


def failed(record: RunRecord) -> ProductionFailed:
    """The error for a run of production that did not finish."""
    return ProductionFailed(f"production failed on seed {record.key.seed}: {record.why}")


def _let_go_of_models(services: Services, records: Sequence[RunRecord]) -> None:
    """Nothing is timed or asked again on a model of the baseline or of a look at the test split."""
    for record in records:
        services.runner.discard_model(record.folder)


def _take_up(services: Services, commit: str, records: list[RunRecord]) -> None:
    """Runs that were paid in an earlier night are the baseline again where another environment stood between."""
    now = services.history.baseline.get(commit, {})
    if all(record.key.seed in now and now[record.key.seed].run_id == record.run_id for record in records):
        return
    data = {"commit": commit, "runs": [record.model_dump(mode="json") for record in records]}
    services.record("baseline_taken_up", "production", data, reason="environment or data are as they were before")


def screen_seeds(services: Services) -> Sequence[int]:
    """Seeds of the cached screen's baseline for the production of today; none where every run is paired."""
    production = services.history.production
    if services.target.gate.policy != "e-night" or services.target.gate.screen != "cached" or production is None:
        return ()
    return _baseline_seeds(seasons.standing(services), production.index, CACHED_BASELINE)


def _baseline_seeds(state: SeasonState, index: int, count: int) -> tuple[int, ...]:
    return seeds.baseline_seeds(state.season.id, index + 1, count)


# -- the test split -----------------------------------------------------------------------------------------


def first_look(services: Services) -> None:
    """The score on the board of a production that has none: the first one, or one that moved with its base.

    The first may have its score from the registry, where a person wrote one down. A later one takes over the score
    of an earlier production with the same files, else it gets a look of its own within the budget.
    """
    production, board = services.history.production, boards.of_primary(services)
    if production is None or board is None or board.name in services.history.scores:
        return
    written = services.competitive().our_solution.current_scores.get(board.name)
    if written is not None and board.name not in services.history.scored:
        services.record(
            "board_score",
            board.name,
            {"score": written, "commit": ""},
            reason="as written in the registry",
            key=f"score:{board.name}:written",
        )
        return
    if _taken_over(services, production, board.name):
        return
    refused = services.log.find(f"test_look_refused:{production.commit}")
    if refused is not None and (refused.data.get("code") != USED_UP or _looks_used_up(services)):
        return  # asked again only where the budget of looks was raised since
    records = measure(services)
    plans_from = [record.key.seed for record in records[:SHOWN_BASELINE]]
    look_at_test(services, "production", production.commit, production.commit, plans_from)


def _taken_over(services: Services, production: Production, board: str) -> bool:
    """Record the score of an earlier production with the same tree as this one's; no look is spent on it again."""
    for earlier in reversed(services.history.productions[:-1]):
        known = services.log.find(f"score:{board}:{earlier.commit}") if earlier.tree == production.tree else None
        if known is not None:
            services.record(
                "board_score",
                board,
                {"score": known.data["score"], "commit": known.data["commit"]},
                reason=f"production has the same files as {earlier.commit[:12]} (event {known.seq})",
                key=f"score:{board}:{production.commit}",
            )
            projections.current_score(services, board)
            return True
    return False


def look_at_test(
    services: Services, subject: str, commit: str, evaluator: str, seeds_to_use: Sequence[int]
) -> float | None:
    """One look at the test split: the mean over the seeds' models, recorded; None beyond the budget of looks."""
    board = boards.of_primary(services)
    key = f"test_look:{commit}"
    done = services.log.find(key)
    if done is None and _looks_used_up(services):
        _no_score(services, subject, commit, USED_UP, f"all {services.target.gate.test_looks} looks are used")
        return None
    if done is None:
        arm: Arm = "production" if subject == "production" else "candidate"
        chosen = seeds_to_use[:FIXED_RUNS] if services.target.gate.policy == Exact.name else seeds_to_use
        plans = [Plan(subject, arm, "test_look", commit, evaluator, seed, split="test") for seed in chosen]
        records = services.measurer.measure(plans)
        _let_go_of_models(services, records)
        if failed := [record for record in records if record.status != "ok"]:
            why = f"it finishes on dev and not on the test split: {failed[0].why}"
            _no_score(services, subject, commit, "failed", why)
            return None
        name = services.target.metrics.primary.name
        values = [record.metrics[name] for record in records]
        data = {
            "commit": commit,
            "split": "test",
            "runs": [record.run_id for record in records],
            "values": values,
            "mean": sum(values) / len(values),
            "look": services.history.test_looks + 1,
            "of": services.target.gate.test_looks,
        }
        done = services.record("test_look", subject, data, reason="one look at a promotion or a first night", key=key)
    if board is not None:
        services.record(
            "board_score",
            board.name,
            {"score": done.data["mean"], "commit": commit},
            reason=f"test look {done.data['look']} of {done.data['of']}",
            key=f"score:{board.name}:{commit}",
        )
        projections.current_score(services, board.name)
    return float(done.data["mean"])


def _looks_used_up(services: Services) -> bool:
    return services.history.test_looks >= services.target.gate.test_looks


def _no_score(services: Services, subject: str, commit: str, code: str, why: str) -> None:
    """A promotion without a score on the board: the gate has decided on dev, and the test split decides nothing."""
    data = {"commit": commit, "code": code}
    services.record("test_look_refused", subject, data, reason=why, key=f"test_look_refused:{commit}")
    services.progress.say(f"[STATUS] no test score for {subject}: {why}")
