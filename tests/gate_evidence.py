"""Builds evidence for the gate's tests: runs with given values, and the caller's loop that follows `needs`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from experiments.gate import Decision, ENight, Evidence, Pair, Policy, RunValue, SeasonFacts, decide
from experiments.seeds import baseline_seeds, candidate_seeds

PRODUCTION, CANDIDATE = "p" * 40, "c" * 40
SEASON = SeasonFacts(id=1, t=7, planned=100, promotions=0, alpha=0.05)
COSTS = {"latency_ms": 0.10, "memory_mb": 0.15}


def run(seed: int, arm: str, value: float | None, **changes: Any) -> RunValue:
    """One sound run; `changes` overrides any field."""
    commit = CANDIDATE if arm == "candidate" else PRODUCTION
    kind = "cost" if changes.get("secondary") else "value"
    fields: dict[str, Any] = {
        "seed": seed,
        "arm": arm,
        "commit": commit,
        "tree": commit[:1] * 12,
        "environment": "env",
        "evaluator": "eval",
        "status": "ok",
        "primary": value,
        "run_id": f"{arm}-{kind}-{seed}",
        "isolation": "full",
        "outputs_sha256": f"{arm}-{seed}",
        **changes,
    }
    return RunValue(**fields)


def pair(seed: int, candidate: float, production: float) -> Pair:
    return Pair(seed, run(seed, "candidate", candidate), run(seed, "production", production))


def pairs(seeds: Sequence[int], given: Sequence[float] | Sequence[Pair], level: float = 0.9) -> tuple[Pair, ...]:
    """One pair for each difference, production at `level`; whole pairs stay as they are."""
    return tuple(
        d if isinstance(d, Pair) else pair(seed, level + d, level) for seed, d in zip(seeds, given, strict=False)
    )


def cost_pairs(seeds: Sequence[int], given: Sequence[float] | Sequence[Pair], memory: float = 1.0) -> tuple[Pair, ...]:
    """One pair for each ratio of latencies; whole pairs stay as they are."""
    made = []
    for seed, ratio in zip(seeds, given, strict=False):
        if isinstance(ratio, Pair):
            made.append(ratio)
            continue
        candidate = run(seed, "candidate", 0.9, secondary={"latency_ms": 10.0 * ratio, "memory_mb": 100.0 * memory})
        production = run(seed, "production", 0.9, secondary={"latency_ms": 10.0, "memory_mb": 100.0})
        made.append(Pair(seed, candidate, production))
    return tuple(made)


def evidence(
    stage: Sequence[float] | Sequence[Pair] = (),
    fresh: Sequence[float] | Sequence[Pair] = (),
    *,
    costs: Sequence[float] | Sequence[Pair] = (),
    baseline: Sequence[float] = (),
    season: SeasonFacts = SEASON,
    **changes: Any,
) -> Evidence:
    """Evidence with these paired differences; every field can be overridden."""
    own = candidate_seeds(season.id, season.t)
    fields: dict[str, Any] = {
        "hypothesis": "H-042",
        "metric": "accuracy",
        "higher_is_better": True,
        "threshold": 0.0,
        "season": season,
        "stage_seeds": own.stage,
        "fresh_seeds": own.fresh,
        "stage": pairs(own.stage, stage),
        "fresh": pairs(own.fresh, fresh),
        "costs": cost_pairs(own.stage, costs),
        "baseline": tuple(
            run(seed, "production", value)
            for seed, value in zip(baseline_seeds(season.id, 1, 20), baseline, strict=False)
        ),
        "production_commit_now": PRODUCTION,
        "production_commit_paired": PRODUCTION,
        **changes,
    }
    return Evidence(**fields)


Draw = Callable[[str, int, str], RunValue]


def follow(start: Evidence, policy: Policy, draw: Draw) -> tuple[Evidence, Decision]:
    """What the runner does: run exactly what `needs` says, add it, ask again, until there is a verdict.

    `draw(kind, seed, arm)` performs one run.
    """
    current = start
    for _ in range(40):
        decision = decide(current, policy)
        need = decision.needs
        if decision.outcome != "extend":
            return current, decision
        assert need is not None, "an extension says what to run"
        if need.kind == "baseline":
            runs = tuple(draw("baseline", seed, "production") for seed in baseline_seeds(1, 1, need.up_to))
            current = replace(current, baseline=runs)
            continue
        field = {"stage": "stage", "fresh": "fresh", "cost": "costs"}[need.kind]
        merged = {made.seed: made for made in getattr(current, field)}
        for seed in need.candidate_seeds:
            merged[seed] = Pair(seed, draw(need.kind, seed, "candidate"))
        for seed in need.production_seeds:
            merged[seed] = replace(merged[seed], production=draw(need.kind, seed, "production"))
        current = replace(current, **{field: tuple(merged.values())})
    raise AssertionError("the gate never came to a verdict")


STRONG = (0.020, 0.022, 0.019, 0.021, 0.018, 0.023, 0.020, 0.022)
"""Differences of about ten standard deviations: pass at the eighth pair of a season of a hundred."""
FRESH = (0.020, 0.019, 0.021, 0.022, 0.018)


PAIRED = ENight(screen="paired")
"""The default policy without the cached screen: every look reads pairs."""


def judged(*args: Any, policy: ENight = PAIRED, **changes: Any) -> Decision:
    return decide(evidence(*args, **changes), policy)


def row(decision: Decision, name: str) -> tuple[str, bool]:
    found = next(each for each in decision.rows if each.name == name)
    return found.result, found.binding
