"""`agent doctor --evaluator`: what the evaluator gives for answers that nobody worked for, as findings.

Called by the command line inside the workspace's lock. Production's runs for it are recorded and paid once; the table
is an event, which the next night goes by. No verdict of the gate reads any of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from agent import circumstances, evaluator
from agent.doctor.findings import Finding, fail, ok, warn
from agent.services import Services
from experiments import seeds
from experiments.plans import Plan
from registry.runs import RunRecord
from registry.target import Target

_CHECK = 1
"""Which of the check's seed lists: that of `agent doctor --noise`, so that its runs are paid once."""
_BEATS = "the evaluator must refuse it or score it as worthless; look at how it reads the answers"
_WORDS = {
    "empty": "no answer at all",
    "constant": "one answer for every item",
    "shuffled": "production's answers, dealt out to other items",
    "truncated": "half of the answers",
    "too long": "answers twice, or for items that are none",
    "wrong type": "answers that are none",
    "all answers at once": "every answer for every item",
    "NaN": "no numbers",
    "over-reported": "a score that the answers claim",
    "over-reported metrics": "a metrics.json beside the answers",
}


def examine(services: Services, tell: Callable[[str], None]) -> tuple[list[Finding], dict[str, Any]]:
    """Findings, and the table that was recorded. Raises ProductionFailed where production does not finish."""
    from tools.branches import PRODUCTION

    services.sandbox.reap()
    repository, target = services.solution.repository, services.target
    commit = repository.branch_tip(PRODUCTION) or repository.branch_tip(target.solution.base) or ""
    circumstances.record(services, commit)
    one, other = seeds.check_seeds(_CHECK, 2)
    plan = _plan(commit, one)
    tell(f"[STATUS] production {commit[:12]}: one seed twice, and another")
    first, again, second = services.measurer.measure([plan, _plan(commit, one, 1), _plan(commit, other)])
    tell("[STATUS] the evaluator, with answers that nobody worked for")
    data = evaluator.check(services, plan, whole=True, everywhere=True, runs=(first, second))
    for record in (first, again, second):
        services.runner.discard_model(record.folder)
    return list(_findings(target, data, first, again)), data


def _plan(commit: str, seed: int, repeat: int = 0) -> Plan:
    return Plan("production", "production", "check", commit, commit, seed, repeat=repeat)


def _findings(target: Target, data: dict[str, Any], first: RunRecord, again: RunRecord) -> Iterator[Finding]:
    yield _twice(target, first, again)
    yield _scored_twice(target, data)
    for row in data["rows"]:
        yield _row(row, data)
    yield from _leaks(data)
    yield _ceiling(target, data)


def _twice(target: Target, first: RunRecord, again: RunRecord) -> Finding:
    name = target.metrics.primary.name
    one, two = first.metrics[name], again.metrics[name]
    if one == two:
        return ok("the same solution twice", f"{name} {one:.6g} both times")
    found = f"{name} {one:.6g}, then {two:.6g}, on one seed"
    if target.noisy:
        return ok("the same solution twice", f"{found}; the target is declared noisy")
    fix = "take every random choice from {seed} (or AGENT_SEED), or say noisy: true in target.yaml"
    return fail("the same solution twice", found, fix)


def _scored_twice(target: Target, data: dict[str, Any]) -> Finding:
    """The same answers, scored once more: the solution has no part in it."""
    check, one, two = "the same answers twice", data["production"], data["again"]
    if one == two:
        return ok(check, f"{data['metric']} {one:.6g} both times")
    if two is None:
        return fail(check, f"{data['metric']} {one:.6g}, then no score", "an evaluator gives one score to one answer")
    found = f"{data['metric']} {one:.6g}, then {two:.6g}: the evaluator itself varies"
    if target.noisy:
        return warn(check, f"{found}; the target is declared noisy", "fix its random choices: they add to the noise")
    return fail(check, found, "fix the evaluator's random choices, or say noisy: true in target.yaml")


def _row(row: dict[str, Any], data: dict[str, Any]) -> Finding:
    check, about = f"cheat: {row['cheat']}", _WORDS.get(row["cheat"], row["cheat"])
    told = f"{about}: {_given(row)}; production {data['production']:.6g}"
    if row["verdict"] == "beats":
        return fail(check, f"{told}: BEATS PRODUCTION", _BEATS)
    if row["verdict"] == "equal":
        fix = "look at the metric: where it hardly tells a cheat from production, it hardly tells a gain from luck"
        return warn(check, f"{told}: equal within production's noise ({data['noise']:.2g})", fix)
    if row["verdict"] == "untried":
        return warn(check, f"{about}: not tried, {row['tried'][0]['why'] if row['tried'] else 'nothing to try'}")
    return ok(check, told)


def _given(row: dict[str, Any]) -> str:
    """What the evaluator did with each variant, those it treated alike together."""
    refused = [one for one in row["tried"] if one["score"] is None]
    scored = [f"{one['variant']} {one['score']:.6g}" for one in row["tried"] if one["score"] is not None]
    told = [f"scored {', '.join(scored)}"] if scored else []
    if refused:
        names = "" if not scored else f" {', '.join(one['variant'] for one in refused)}"
        told.append(f"refused{names} ({refused[0]['why'][:160]})")
    return "; ".join(told)


def _leaks(data: dict[str, Any]) -> Iterator[Finding]:
    check, searched = "labels in the sandbox", data["searched"]
    for leak in data["leaks"]:
        found = f"{leak['path']} {leak['what']}, where {leak['place']} runs"
        if leak["certain"]:
            yield fail(check, found, "take it out of what candidates see: solution.protected, or other data folders")
        else:
            yield warn(check, found, "see whether these lines give answers away")
    for trouble in data["trouble"]:
        yield warn(check, f"not searched: {trouble}")
    if not data["leaks"] and not data["trouble"]:
        labels = f"{searched['labels']} label files and {searched['lines']} of their lines"
        yield ok(check, f"none of {labels} in {searched['files']} files that a candidate can read")


def _ceiling(target: Target, data: dict[str, Any]) -> Finding:
    check, primary = "plausibility", target.metrics.primary
    if primary.plausible_best is not None:
        beyond = data["production"] - primary.plausible_best
        if (beyond if primary.higher_is_better else -beyond) > 0:
            found = f"production has {data['production']:.6g}, beyond plausible_best {primary.plausible_best:g}"
            return warn(check, f"{found}: every promotion will be held", "correct metrics.primary.plausible_best")
        return ok(check, f"results beyond {primary.plausible_best:g} are held for a person")
    if primary.higher_is_better and not 0.0 <= data["production"] <= 1.0:
        fix = "say metrics.primary.plausible_best in target.yaml: the best value that you would believe"
        return warn(check, "no ceiling is declared, and the metric has no best value that is known", fix)
    return ok(check, "nine tenths of the way to a perfect result, or beyond the board's best: held for a person")
