"""The evaluator is tried before money is spent: a night does not start where answers nobody worked for win.

Called when a night starts, and by `agent doctor --evaluator`. What was found is an event of the log. A check that was
passed holds for as long as evaluator, data and environment are the same; one that was failed, for that production.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent import production
from agent.services import Services
from experiments import leaks, statistics
from experiments.evaluator_check import EvaluatorCheck, answers_folder, as_data, read_answers
from experiments.plans import Plan
from experiments.runner import Runner
from registry.canonical import canonical
from registry.errors import AgentError
from registry.runs import RunRecord

Data = dict[str, Any]
LEAST_RUNS = 3
"""Runs of production that give its noise, where it was not measured by itself."""
FIX = (
    "mend that (`agent doctor --evaluator` shows all that was tried), or go on knowingly with"
    " `agent run --accept-evaluator WHY`"
)


class Fooled(AgentError):
    """The evaluator gives a cheat at least what production has, or the labels can be read; exit status 2."""


def before_a_night(services: Services, accepted: str = "") -> None:
    """Check the evaluator where this one was not checked yet. Raises Fooled where a night would reward a cheat.

    `accepted` is why a person lets the night start all the same; it is recorded, and later nights start too.
    """
    current = services.history.production
    if current is None:
        raise ValueError("the evaluator is checked after production is recorded")
    name = identity(services, current.commit)
    known = services.history.evaluator_checks.get(name)
    if known is None or (complaints(known) and known["tree"] != current.tree):
        services.progress.say("[STATUS] trying what the evaluator gives for answers that nobody worked for")
        known = services.outside.evaluator_check(services, production.first_plan(services))
    found = complaints(known)
    if not found:
        return
    if accepted:
        data = {"identity": name, "complaints": found}
        key = f"evaluator_accepted:{name}"
        if services.log.find(key) is None:
            services.record("evaluator_accepted", known["evaluator"][:16], data, reason=accepted, key=key)
    if (why := services.history.accepted_evaluators.get(name)) is not None:
        services.progress.say(f"[ALERT] the evaluator can be fooled, and was accepted ({why}): {'; '.join(found)}")
        return
    raise Fooled(f"the evaluator can be fooled: {'; '.join(found)}; {FIX}")


def identity(services: Services, commit: str) -> str:
    """What the check depends on besides the solution: evaluator, data, environment, its command, the metric."""
    trees, target = services.runner.trees, services.target
    facts = [
        trees.evaluator_digest(commit),
        trees.data_digest(commit),
        services.runner.environment(commit).sha256,
        target.phases.evaluate.model_dump(mode="json"),
        [target.metrics.primary.name, target.metrics.primary.higher_is_better],
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def check(
    services: Services, plan: Plan, whole: bool, everywhere: bool = False, runs: Sequence[RunRecord] = ()
) -> Data:
    """Try the cheats on the answers of a run of production, look for the labels, and record what was found.

    `everywhere` looks for labels outside what the phases are given too, in every file that the sandbox shows.
    `runs` are runs of production on different seeds, which give its noise where nothing better is known.

    Raises ProductionFailed where production does not finish. Killed before its end, it leaves nothing and is done
    again; the run of production is paid once.
    """
    (record,) = services.measurer.measure([plan])
    record, honest = _answers(services, plan, record)
    checker = EvaluatorCheck(services.runner, plan.commit, services.cancel, services.measurer.slots)
    table = checker.table(honest, record, _noise(services, plan.commit, runs), whole)
    searched = leaks.search(services.runner, plan.commit, services.cancel, everywhere)
    trees = services.runner.trees
    data: Data = {
        "identity": identity(services, plan.commit),
        "evaluator": trees.evaluator_digest(plan.commit),
        "data": trees.data_digest(plan.commit),
        "commit": plan.commit,
        "tree": services.solution.tree(plan.commit),
        "run": record.run_id,
        "seed": plan.seed,
        "whole": whole,
        **as_data(table),
        "leaks": [
            {"place": leak.place, "path": leak.path, "what": leak.what, "certain": leak.certain}
            for leak in searched.leaks
        ],
        "searched": {"labels": searched.files, "lines": searched.lines, "files": searched.seen},
        "trouble": list(searched.trouble),
    }
    found = complaints(data)
    digest = hashlib.sha256(canonical(data)).hexdigest()[:12]
    services.record(
        "evaluator_checked",
        data["evaluator"][:16],
        data,
        reason="; ".join(found) if found else "no cheat is worth what production is",
        key=f"evaluator:{data['identity']}:{data['tree'][:12]}:{digest}",
    )
    return data


def complaints(data: Mapping[str, Any]) -> list[str]:
    """Why no night should start on this evaluator; empty where one may."""
    found = [
        f"{row['cheat']} scores {row['score']:.6g}, production {data['production']:.6g}"
        for row in data["rows"]
        if row["verdict"] == "beats"
    ]
    return found + [
        f"labels can be read: {leak['path']} {leak['what']} ({leak['place']})"
        for leak in data["leaks"]
        if leak["certain"]
    ]


def _answers(services: Services, plan: Plan, record: RunRecord) -> tuple[RunRecord, dict[str, bytes]]:
    """What production's run handed to the evaluator; run once more in a place of its own where that was let go of."""
    folder = answers_folder(services.runner, record)
    if folder is not None:
        return record, read_answers(folder)
    services.workspace.cache.joinpath("running").mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="evaluator-", dir=services.workspace.cache / "running"))
    try:
        runner = Runner(services.target, services.repository, services.solution, services.sandbox, root)
        again = runner.execute(plan, 1, services.cancel)
        folder = answers_folder(runner, again)
        if again.status != "ok" or folder is None:
            raise production.failed(again)
        return again, read_answers(folder)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _noise(services: Services, commit: str, given: Sequence[RunRecord]) -> float | None:
    """Production's standard deviation over seeds, where it is known."""
    name, measured = services.target.metrics.primary.name, services.history.noise
    if measured is not None and measured["commit"] == commit and measured["metric"] == name:
        return float(measured["spread"]["sd"])
    runs = services.history.baseline.get(commit, {}).values()
    values = [run.metrics[name] for run in runs if name in run.metrics]
    if len(values) < LEAST_RUNS:
        values = [run.metrics[name] for run in given]
    return statistics.standard_deviation(values) if len(values) > 1 else None
