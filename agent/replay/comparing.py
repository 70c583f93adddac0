"""What of a night counts as a decision, and what of each decision has to be the same in a replay.

Left out is what may differ without a difference in what was decided: wording, places in the log, how long a thing took,
and what other machines or versions print. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from registry.hypotheses import Hypothesis
from registry.papers import Reading

Data = dict[str, Any]
_VALUES = ("seed", "arm", "tree", "status", "primary", "secondary", "run_id")


def _only(*names: str) -> Callable[[Data], Data]:
    return lambda data: {name: data.get(name) for name in names}


def _proposed(data: Data) -> Data:
    """Each hypothesis in the form of this version, which may have more fields than the one that recorded it."""
    hypotheses = [Hypothesis.model_validate(item).model_dump(mode="json") for item in data["hypotheses"]]
    return {"hypotheses": hypotheses, "exhausted": data["exhausted"], "researcher": data["researcher"]}


def _reading(data: Data) -> Data:
    return Reading.model_validate(data["reading"]).model_dump(mode="json")


def _run(run: Data | None) -> Data | None:
    return None if run is None else {name: run.get(name) for name in _VALUES}


def _look(data: Data) -> Data:
    """What the gate saw of each run, and what it decided."""
    evidence, decision = data["evidence"], data["decision"]
    pairs = {
        line: [[_run(pair["candidate"]), _run(pair["production"])] for pair in evidence[line]]
        for line in ("stage", "fresh", "costs")
    }
    said = {name: decision.get(name) for name in ("outcome", "reason", "reported_gain", "gain_on", "needs")}
    return {**said, **pairs, "baseline": [_run(run) for run in evidence["baseline"]], "season": evidence["season"]}


_SEASON = ("test", "season", "t", "planned", "promotions", "alpha", "day", "settings", "stage_seeds", "fresh_seeds")
DECISIONS: dict[str, Callable[[Data], Data]] = {
    "cycle_started": _only("cycle"),
    "cycle_finished": _only("cycle", "hypothesis", "outcome", "verdict", "urgent", "defend", "defence"),
    "cycle_abandoned": _only("cycle"),
    "standing": _only("rank", "gap", "gap_points", "score", "trigger", "strategy", "research", "victory"),
    "paper_read": _reading,
    "hypotheses_proposed": _proposed,
    "hypothesis_ranked": _only("priority_score", "urgency"),
    "hypothesis_started": _only("production", "production_tree"),
    "hypothesis_archived": _only("code", "commit", "season"),
    "hypothesis_requeued": _only("production"),
    "patch_committed": _only("tree", "commit", "files", "empty"),
    "validated": _only("ok", "run_id", "status", "commit"),
    "season_opened": _only("id", "planned", "alpha", "opened_at", "closes_on"),
    "season_closed": _only("id", "day"),
    "gate_entered": _only(*_SEASON, "baseline_seeds", "evaluator", "commit", "production"),
    "model_asked": _only("role", "prompt", "call", "request", "rung", "limit"),
    "model_gave_up": _only("role", "call", "code"),
    "patch_attempted": _only("number", "taken", "text", "files", "checks", "problems"),
    "hypothesis_postponed": _only("cycle", "kind"),
    "look": _look,
    "verdict": _only("outcome", "reason", "commit", "production", "gain", "gain_on", "log_e", "mean", "n"),
    "promoted": _only("commit", "previous", "gain", "gain_on", "test_score"),
    "production_at": _only("commit", "tree", "configuration"),
    "test_look": _only("commit", "runs", "values", "mean", "look", "of"),
    "test_look_refused": _only("commit", "code"),
    "board_score": _only("score", "commit"),
    "readmission": _only("hypotheses", "promotions"),
    "defended": _only("slot", "commit", "before", "after", "regressed"),
    "environment_changed": _only("commit", "arm", "before", "after"),
    "escalated": _only("commit"),
    "night_ended": _only("promoted", "failed", "cycles"),
}
"""Kind of an event that is a decision → what of its data has to be the same."""


def differing(recorded: Any, replayed: Any, place: str = "") -> list[tuple[str, Any, Any]]:
    """Every place where two decisions differ, with both values; the same length of list is compared item by item."""
    if isinstance(recorded, dict) and isinstance(replayed, dict):
        names = [*recorded, *(name for name in replayed if name not in recorded)]
        found: list[tuple[str, Any, Any]] = []
        for name in names:
            found += differing(recorded.get(name), replayed.get(name), f"{place}.{name}" if place else name)
        return found
    if isinstance(recorded, list) and isinstance(replayed, list) and len(recorded) == len(replayed):
        several: list[tuple[str, Any, Any]] = []
        for number, (one, other) in enumerate(zip(recorded, replayed, strict=True)):
            several += differing(one, other, f"{place}[{number}]")
        return several
    return [] if recorded == replayed else [(place, recorded, replayed)]
