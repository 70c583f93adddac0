"""Gap analysis of a rejection: where the result stands against production and #1, and what is left to try.

Called when a rejected test is closed. The note is an event, because what it says (board, queue, family) is true at
that moment; `decision.json`, the archived YAML, the technical log and `ask` show it as it was recorded.
"""

from __future__ import annotations

from typing import Any

from agent import boards, leading
from agent.papers import reported_results
from agent.services import Services
from experiments import statistics
from registry.facts import Test
from registry.history import History
from registry.hypotheses import Hypothesis
from registry.runs import RunRecord

Data = dict[str, Any]
MEASURED = ("gate", "fresh")


def note(services: Services, test: Test) -> None:
    """Record the note of a rejected test, once; nothing for a test that was not rejected."""
    hypothesis = services.history.hypotheses[test.hypothesis]
    key = f"gap:{test.hypothesis}:{test.commit}:{test.decided}"
    if hypothesis.status != "archived" or services.log.find(key) is not None:
        return
    result = _result(services, test)
    board = _board(services, result["difference"])
    family = _family(services.history, hypothesis)
    queued = _queued(services.history)
    reported = _reported(services, board)
    data = {"result": result, "board": board, "family": family, "queue": queued, "reported": reported}
    told = [_told_result(result), _told_board(board), reported_results.told(reported)]
    told += [_told_family(family), _told_rest(board, queued)]
    lines = [line for line in told if line]
    services.record("gap_noted", test.hypothesis, {**data, "notes": lines}, reason=" ".join(lines), key=key)


# -- facts --------------------------------------------------------------------------------------------------


def _result(services: Services, test: Test) -> Data:
    """Means over the seeds that both arms finished; production's baseline where no pair was run."""
    metric = services.target.metrics.primary
    ours, theirs = _values(test, "candidate", metric.name), _values(test, "production", metric.name)
    paired = sorted(ours.keys() & theirs.keys())
    if paired:
        candidate, production = [ours[key] for key in paired], [theirs[key] for key in paired]
    else:
        candidate = list(ours.values())
        baseline = services.history.baseline.get(test.production, {}).values()
        production = [record.metrics[metric.name] for record in baseline if metric.name in record.metrics]
    found: Data = {
        "metric": metric.name,
        "candidate": statistics.mean(candidate) if candidate else None,
        "candidate_seeds": len(candidate),
        "production": statistics.mean(production) if production else None,
        "production_seeds": len(production),
        "paired": bool(paired),
        "difference": None,
    }
    if candidate and production:
        sign = 1.0 if metric.higher_is_better else -1.0
        found["difference"] = sign * (found["candidate"] - found["production"])
    return found


def _values(test: Test, arm: str, metric: str) -> dict[tuple[str, int], float]:
    def counts(record: RunRecord) -> bool:
        return record.arm == arm and record.purpose in MEASURED and record.status == "ok" and metric in record.metrics

    return {(r.purpose, r.key.seed): r.metrics[metric] for r in test.runs.values() if counts(r)}


def _board(services: Services, difference: float | None) -> Data | None:
    """Our place on the primary metric's board, and the gap as it would be with the change. None before a reading."""
    board = boards.of_primary(services)
    snapshot = boards.snapshot_of(services, board.name) if board is not None else None
    if board is None or snapshot is None:
        return None
    state = services.history.boards[board.name]
    first = leading.best_of_the_others(snapshot, boards.our_name(services.competitive(), board))
    gap = state.gap
    return {
        "board": board.name,
        "rank": state.rank,
        "leader": first[0] if first is not None else "",
        "leader_score": first[1] if first is not None else None,
        "gap": gap,
        "projected_gap": gap + difference if gap is not None and difference is not None else None,
    }


def _reported(services: Services, standing: Data | None) -> Data | None:
    """What papers claim on the primary metric's board: information beside the gap, and no part of it."""
    board = boards.of_primary(services)
    if board is None:
        return None
    ours = services.history.scores.get(board.name)
    first = standing["leader_score"] if standing is not None else None
    higher = board.higher_is_better
    return reported_results.facts(
        services.history, board.name, board.primary_metric, ours, first, higher_is_better=higher
    )


def _family(history: History, hypothesis: Hypothesis) -> Data:
    """How the family of changes has done so far, this rejection included; a superseded test is no result."""
    same = [v for v in history.verdicts if v.family == hypothesis.family and v.reason != "superseded"]
    outcomes = [verdict.outcome for verdict in same]
    return {
        "family": hypothesis.family,
        "tried": len(outcomes),
        "failed": outcomes.count("archive"),
        "promoted": outcomes.count("promote"),
    }


def _queued(history: History) -> Data:
    waiting = history.with_status("queued")
    best = max(waiting, key=lambda idea: idea.estimated_gain, default=None)
    return {
        "queued": len(waiting),
        "best": best.id if best is not None else "",
        "best_gain": best.estimated_gain if best is not None else None,
    }


# -- words --------------------------------------------------------------------------------------------------


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _told_result(result: Data) -> str:
    metric = result["metric"]
    if result["candidate"] is None:
        return f"No {metric} was measured on the gate's seeds, so the change is not placed against production."
    ours = f"{metric} {result['candidate']:.4f} over {_seeds(result['candidate_seeds'])}"
    if result["production"] is None:
        return f"{ours}; production has no measured value to stand against."
    where = "on the same seeds" if result["paired"] else f"over {_seeds(result['production_seeds'])} of its baseline"
    difference = result["difference"]
    side = "better" if difference > 0 else "worse" if difference < 0 else "no different"
    amount = f"{abs(difference):.4f} " if difference else ""
    return f"{ours} against production's {result['production']:.4f} {where}: {amount}{side}."


def _told_board(board: Data | None) -> str:
    if board is None or board["gap"] is None or board["leader_score"] is None:
        return "" if board is None else f"Our place on {board['board']} is not known, so no gap is projected."
    place = f"{board['board']}: we are #{board['rank']}; the best of the others is {board['leader']} "
    place += f"with {board['leader_score']:.4f}, so the gap to it is {board['gap']:+.4f}"
    if board["projected_gap"] is None:
        return f"{place}; no result, so no projection with this change."
    return f"{place} and would be {board['projected_gap']:+.4f} with this change (projected from dev)."


def _told_family(family: Data) -> str:
    if not family["tried"]:
        return ""
    name = family["family"] or "changes without a family"
    times = "once" if family["tried"] == 1 else f"{family['tried']} times"
    return f"Family {name}: tried {times}, failed {family['failed']}, promoted {family['promoted']}."


def _told_rest(board: Data | None, queue: Data) -> str:
    """What remains: the queue, held against the gap where we are behind."""
    if not queue["queued"]:
        return "What remains: nothing is queued; the next cycle asks for ideas."
    count = "1 idea is queued" if queue["queued"] == 1 else f"{queue['queued']} ideas are queued"
    text = f"What remains: {count}, the best estimated at {queue['best_gain']:+.4f} ({queue['best']})"
    gap = board["gap"] if board is not None else None
    if gap is None or gap >= 0:
        return f"{text}."
    would = "would" if queue["best_gain"] >= -gap else "would not"
    return f"{text}, which alone {would} close the gap of {-gap:.4f}."
