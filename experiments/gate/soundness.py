"""Whether evidence may be judged at all: every way it can be wrong has a name, and none leads to a promotion.

Called by `experiments.gate.decide` before any policy. Checks facts and structure; it computes no statistic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from experiments import seeds
from experiments.gate import plausibility
from experiments.gate.decision import Extent, Stop
from experiments.gate.evidence import Evidence, Pair, RunValue

LARGEST_VALUE = 1e100
"""Beyond it squares leave the range of a double; no metric is that large."""
BAD_EVIDENCE = {
    "uncommitted_patch": "the candidate has changes that no commit holds",
    "test_split": "values come from another split than dev",
    "wrong_direction": "the metric's direction differs from its leaderboard's",
    "bad_threshold": "the threshold is not a number of zero or more",
    "season_reset": "the season's counters contradict each other or the log",
    "season_over": "the season has no place for this candidate",
    "too_few": "a seed list or baseline is shorter than the policy needs",
    "substituted_seed": "a run has another seed than the list gives it",
    "repeated_seed": "one seed, or one run, is used twice",
    "missing_seed": "a seed of the prefix was left out",
    "wrong_order": "the seeds of the prefix are not in the list's order",
    "unequal_pairs": "one arm has a value on a seed and the other has none",
    "wrong_arm": "a run stands in the place of the other arm",
    "overrun": "there are more values than the verdict was reached with",
    "nan": "a value is not a number",
    "infinite": "a value is infinite, or larger than any metric",
    "missing_value": "a finished run has no value",
    "weak_sandbox": "a run was not fully isolated",
    "mixed_commits": "runs of one arm come from different commits",
    "mixed_environments": "runs come from different environments",
    "no_evaluator": "a value comes without the hash of the evaluator that gave it",
    "evaluator_changed": "runs were scored by different evaluators, or not by the pinned one",
    "missing_cost": "a declared cost was not measured",
    "bad_cost": "a cost is not above zero, or its limit is not",
    "production_failed": "a run of production failed",
    "infrastructure": "a run failed for reasons outside the candidate",
    "not_retried": "a failed run of the candidate was not tried a second time",
    "not_readmitted": "the candidate is not one that was parked",
    "not_deterministic": "a metric that is said not to vary does",
    "items_missing": "there are no per-item scores that can be compared",
    "items_vary": "per-item scores of one arm differ between seeds",
    "items_changed": "the per-item scores are not those the runs had",
    "bad_ceiling": "what a result is held against is not a number",
}


def fault(evidence: Evidence, extent: Extent) -> Stop | None:
    """The first thing wrong with the evidence, or None."""
    found = (
        _facts(evidence)
        or _season(evidence)
        or _seed_lists(evidence, extent)
        or _lines(evidence, extent)
        or _runs(evidence)
        or _origins(evidence)
        or _costs(evidence)
    )
    return Stop("bad_evidence", found[0], f"{BAD_EVIDENCE[found[0]].capitalize()}: {found[1]}.") if found else None


_Found = tuple[str, str] | None


def _facts(evidence: Evidence) -> _Found:
    if evidence.uncommitted:
        return "uncommitted_patch", f"{evidence.hypothesis} was run from a changed working tree"
    if evidence.split != "dev":
        return "test_split", f"split is {evidence.split!r}"
    if evidence.board_higher_is_better not in {None, evidence.higher_is_better}:
        return "wrong_direction", f"{evidence.metric} is read as higher_is_better = {evidence.higher_is_better}"
    if not (math.isfinite(evidence.threshold) and evidence.threshold >= 0.0):
        return "bad_threshold", f"threshold is {evidence.threshold}"
    if evidence.plausibility is not None and (unusable := plausibility.unusable(evidence.plausibility)):
        return "bad_ceiling", unusable
    return None


def _season(evidence: Evidence) -> _Found:
    facts = evidence.season
    if facts.planned < 20 or not 0.0 < facts.alpha < 0.5 or facts.id < 1 or facts.t < 1:
        return "season_reset", f"season {facts.id}, t = {facts.t}, N = {facts.planned}, alpha = {facts.alpha}"
    if facts.t > facts.planned:
        return "season_over", f"t = {facts.t} of {facts.planned} planned"
    if not 0 <= facts.promotions < facts.t:
        return "season_reset", f"{facts.promotions} promotions before candidate {facts.t}"
    if facts.counted_t not in {None, facts.t} or facts.counted_promotions not in {None, facts.promotions}:
        counted = f"t = {facts.counted_t}, R = {facts.counted_promotions}"
        return "season_reset", f"the log counts {counted}; the evidence says t = {facts.t}, R = {facts.promotions}"
    back = evidence.readmission
    if back is not None and (back.position < 1 or back.promotions <= facts.promotions):
        return "season_reset", f"readmitted with R = {back.promotions}, position {back.position}"
    return None


def _seed_lists(evidence: Evidence, extent: Extent) -> _Found:
    stage, fresh = evidence.stage_seeds, evidence.fresh_seeds
    if len(stage) < extent.stage_pairs or len(fresh) < extent.fresh_pairs:
        needed = f"{extent.stage_pairs} and {extent.fresh_pairs} are needed"
        return "too_few", f"{len(stage)} stage seeds and {len(fresh)} fresh seeds, {needed}"
    baseline = tuple(run.seed for run in evidence.baseline)
    if len({*stage, *fresh, *baseline}) != len(stage) + len(fresh) + len(baseline):
        return "repeated_seed", "stage, fresh and baseline seeds are not all different"
    if evidence.baseline and len(evidence.baseline) < extent.baseline_runs:
        return "too_few", f"{len(evidence.baseline)} baseline runs, {extent.baseline_runs} are needed"
    if evidence.seeds_derived:
        try:
            own = seeds.candidate_seeds(evidence.season.id, evidence.season.t)
        except ValueError as error:
            return "season_over", str(error)
        if own.stage[: len(stage)] != stage or own.fresh[: len(fresh)] != fresh:
            return "substituted_seed", "the seed lists are not those of this season and t"
    return None


def _lines(evidence: Evidence, extent: Extent) -> _Found:
    """The three lines of pairs against their seed lists."""
    return (
        _line("stage", evidence.stage, evidence.stage_seeds, extent.stage_pairs, extent.unpaired)
        or _line("fresh", evidence.fresh, evidence.fresh_seeds, extent.fresh_pairs, 0)
        or _line("cost", evidence.costs, evidence.stage_seeds, extent.cost_pairs, 0)
        or _baseline(evidence, extent)
        or _repeated_runs(evidence)
    )


def _baseline(evidence: Evidence, extent: Extent) -> _Found:
    if any(run.arm != "production" for run in evidence.baseline):
        return "wrong_arm", "a run of the candidate stands in the baseline"
    if extent.baseline_runs and len(evidence.baseline) > extent.baseline_runs:
        return "overrun", f"{len(evidence.baseline)} baseline runs, the policy reads {extent.baseline_runs}"
    return None


def _line(name: str, pairs: tuple[Pair, ...], expected: tuple[int, ...], most: int, unpaired: int) -> _Found:
    got = tuple(pair.seed for pair in pairs)
    prefix = expected[: len(got)]
    if got != prefix:
        if len(set(got)) != len(got):
            return "repeated_seed", f"the {name} pairs use a seed twice"
        if not set(got) <= set(expected):
            return "substituted_seed", f"a seed of the {name} pairs is not in their list"
        if set(got) == set(prefix):
            return "wrong_order", f"the {name} pairs are not in the order of their list"
        return "missing_seed", f"the {name} pairs skip a seed of their list"
    if len(got) > most:
        return "overrun", f"{len(got)} {name} pairs, the policy ends at {most}"
    return _sides(name, pairs, unpaired)


def _sides(name: str, pairs: tuple[Pair, ...], unpaired: int) -> _Found:
    """Each run in the place it belongs, and both arms wherever both are needed."""
    failed = False
    for pair in pairs:
        for run, arm in ((pair.candidate, "candidate"), (pair.production, "production")):
            if run is not None and run.seed != pair.seed:
                return "substituted_seed", f"a {name} run of {arm} has seed {run.seed} in the place of {pair.seed}"
            if run is not None and run.arm != arm:
                return "wrong_arm", f"a {name} run of {run.arm} stands as {arm}"
        # What was to run beside or after a failed candidate run may never have been started.
        failed = failed or (pair.candidate is not None and not pair.candidate.ok)
        if pair.candidate is None and not failed:
            return "unequal_pairs", f"seed {pair.seed} of the {name} pairs has no candidate"
        if pair.production is None and not failed and len(pairs) > unpaired:
            return "unequal_pairs", f"seed {pair.seed} of the {name} pairs has no production"
    return None


def _repeated_runs(evidence: Evidence) -> _Found:
    for lines in ((evidence.stage, evidence.fresh), (evidence.costs,)):
        named = [run.run_id for pairs in lines for run in _both(pairs) if run.run_id]
        if len(set(named)) != len(named):
            return "repeated_seed", "one run stands in two places"
    return None


def _both(pairs: tuple[Pair, ...]) -> Iterator[RunValue]:
    for pair in pairs:
        if pair.candidate is not None:
            yield pair.candidate
        if pair.production is not None:
            yield pair.production


def _every(evidence: Evidence) -> Iterator[RunValue]:
    yield from _both(evidence.stage)
    yield from _both(evidence.fresh)
    yield from _both(evidence.costs)
    yield from evidence.baseline


def _runs(evidence: Evidence) -> _Found:
    timed = {id(run) for run in _both(evidence.costs)}
    for run in _every(evidence):
        if run.isolation != "full":
            return "weak_sandbox", f"seed {run.seed} of {run.arm} ran under isolation {run.isolation or 'unknown'!r}"
        if run.status != "ok":
            if run.arm == "production":
                return "production_failed", f"seed {run.seed} ended with {run.status}"
            if run.status == "infra":
                return "infrastructure", f"seed {run.seed} ended with infra"
            if run.attempts < 2:
                return "not_retried", f"seed {run.seed} ended with {run.status}"
        elif id(run) in timed:
            continue  # only its costs are read, and `_costs` reads them
        elif run.primary is None:
            return "missing_value", f"seed {run.seed} of {run.arm}"
        elif not abs(run.primary) <= LARGEST_VALUE:
            kind = "nan" if math.isnan(run.primary) else "infinite"
            return kind, f"seed {run.seed} of {run.arm} gave {run.primary}"
    return None


def _origins(evidence: Evidence) -> _Found:
    """One commit and tree per arm, one evaluator, one environment: per arm where that is the change under test."""
    commits: dict[str, tuple[str, str]] = {}
    first: RunValue | None = None
    for run in _every(evidence):
        first = first or run
        if commits.setdefault(run.arm, (run.commit, run.tree)) != (run.commit, run.tree):
            return "mixed_commits", f"{run.arm} ran from {run.commit[:12]} and {commits[run.arm][0][:12]}"
        expected = _environment(evidence, run, first)
        if run.environment != expected:
            return "mixed_environments", f"{run.environment[:12]} and {expected[:12]}"
        if run.ok and not run.evaluator:
            return "no_evaluator", f"seed {run.seed} of {run.arm}"
        if run.evaluator != (evidence.evaluator or first.evaluator):
            return "evaluator_changed", f"{run.evaluator[:12]} and {(evidence.evaluator or first.evaluator)[:12]}"
    paired = evidence.production_commit_paired
    if paired and "production" in commits and commits["production"][0] != paired:
        return "mixed_commits", f"production ran from {commits['production'][0][:12]}, not {paired[:12]}"
    return None


def _environment(evidence: Evidence, run: RunValue, first: RunValue) -> str:
    """What a run has to have run in."""
    if evidence.environments is None:
        return first.environment
    return evidence.environments[0 if run.arm == "production" else 1]


def _costs(evidence: Evidence) -> _Found:
    for name, limit in evidence.cost_limits.items():
        if not (math.isfinite(limit) and limit > 0.0):
            return "bad_cost", f"the limit of {name} is {limit}"
        for run in _both(evidence.costs):
            if not run.ok:
                continue
            value = run.secondary.get(name)
            if value is None:
                return "missing_cost", f"{name} of seed {run.seed}"
            if math.isnan(value):
                return "nan", f"{name} of seed {run.seed}"
            if not 0.0 < value <= LARGEST_VALUE:
                return ("infinite" if value > 0.0 else "bad_cost"), f"{name} of seed {run.seed} is {value}"
    return None
