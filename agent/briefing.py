"""What a researcher that asks a model tells it beside trials and techniques: code, standing, noise, budget.

Called by `agent.proposals`, when the researcher asks. A pure reading of the history and of commits. Nothing of the dev
or test split is in it: data, protected files and outputs of phases are left out here.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent import boards, queueing
from agent.readable import ReadableFiles
from agent.researcher.contract import Brief, CodeFile, Noise
from agent.researcher.places import may_change
from agent.services import Services
from registry.model_usage import ModelUsage

MOST_FILES = 400
AHEAD = 5
"""Entries of the board that are named."""
FEWEST = 3
"""Runs below which a spread over seeds says nothing."""
EXACT = 2
"""The same where a metric does not vary: production is measured twice, and both give one value or the night says so."""


def brief(services: Services, commit: str, ledger: tuple[str, ...] = ()) -> Brief:
    """Everything for the production at a commit."""
    return Brief(
        code=code_files(services, commit),
        standing=tuple(_standing(services)),
        noise=_noise(services),
        ledger=ledger,
        left=tuple(_left(services)),
    )


def code_files(services: Services, commit: str) -> tuple[CodeFile, ...]:
    """What a hypothesis may change in a commit, configuration included; outlines where the language is known.

    No file that a patch writer may not read either (`agent.readable`): protected, data, with labels in it, a key.
    """
    from tools.code_map import outline

    sizes = services.solution.files(commit)
    readable = ReadableFiles(services, commit)
    paths = [path for path in readable.names if may_change(services.target, path)][:MOST_FILES]
    return tuple(CodeFile(path, sizes[path], outline(path, readable.read(path))) for path in paths)


def _standing(services: Services) -> Iterator[str]:
    """Where we stand on the primary board and who leads it."""
    name = services.target.metrics.primary.leaderboard
    state = services.history.boards.get(name) if name is not None else None
    if name is None or state is None:
        return
    rank = f"#{state.rank}" if state.rank is not None else "not ranked"
    others = "lead over the best of the others" if state.rank == 1 else "gap to the first place"
    gap = f", {others} {state.gap:+.4f}" if state.gap is not None else ""
    called = {"urgent": "a rank was lost", "defend": "we are first and defend it"}.get(state.trigger, state.trigger)
    yield f"{name}: we are {rank}{gap}" + (f"; {called}" if called else "")
    snapshot = boards.snapshot_of(services, name)
    if snapshot is None:
        return
    from tools.leaderboards import ranking

    best = sorted(ranking.scored(snapshot), key=lambda pair: (-ranking.oriented(snapshot, pair[1]), pair[0].name))
    for entry, score in best[:AHEAD]:
        yield f"- {entry.name[:100]}: {score:g}"


def _noise(services: Services) -> Noise | None:
    """From a measurement of today's production, else its baseline runs; None where too few are known."""
    from agent.doctor.season import practice
    from experiments import statistics

    history, target = services.history, services.target
    production = history.production
    if production is None:
        return None
    if history.noise is not None and history.noise["commit"] == production.commit:
        spread = history.noise["spread"]
        mean, sd, seeds = float(spread["mean"]), float(spread["sd"]), int(spread["n"])
    else:
        metric = target.metrics.primary.name
        runs = history.baseline.get(production.commit, {}).values()
        values = [record.metrics[metric] for record in runs if metric in record.metrics]
        if len(values) < (EXACT if target.gate.policy == "exact" else FEWEST):
            return None
        mean, sd, seeds = statistics.mean(values), statistics.standard_deviation(values), len(values)
    found = practice(target.gate, sd)
    return Noise(mean, sd, seeds, found.smallest_gain if found is not None else None)


def _left(services: Services) -> Iterator[str]:
    used, declared = queueing.budget(services), services.target.budget
    for name, spent, limit in (
        ("runs", float(used.runs), declared.runs),
        ("hours", used.hours, declared.hours),
        ("GPU hours", used.gpu_hours, declared.gpu_hours),
    ):
        if limit is not None:
            yield f"{max(limit - spent, 0.0):.4g} of {limit:g} {name}"
    yield from _left_for_models(services)


def _left_for_models(services: Services) -> Iterator[str]:
    """Of the night's budget for language models, as it was when the cycle began.

    What this cycle has asked is left out, so that the same question is asked again after a crash.
    """
    history, night, config = services.history, services.history.night, services.models
    started = services.log.find(f"cycle:{history.cycle.number}:started") if history.cycle is not None else None
    if night is None or config is None or started is None:
        return
    now = ModelUsage()
    for event in services.log.read_new(started.seq):
        if event.kind == "model_asked":
            now.asked(event.subject, event.data)
        elif event.kind in {"model_answered", "model_failed"} and event.data["request"] in now.in_flight:
            now.settled(event.data)
    spent = history.models.of_night(night.id) - now.of_night(night.id)
    allowed = config.budget.night
    for name, used, limit in (
        ("calls", float(spent.calls), allowed.calls),
        ("tokens", float(spent.tokens), allowed.tokens),
        (config.prices.currency, spent.money, allowed.money),
    ):
        if limit is not None:
            yield f"{max(limit - used, 0.0):.6g} of {limit:g} {name} for language models"
