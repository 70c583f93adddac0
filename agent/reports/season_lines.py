"""The digest's lines about the season: how far it is, what it means, who waits, and how noisy production is."""

from __future__ import annotations

from collections.abc import Iterator

from agent.answers.sentences import safe
from agent.chronicle import Chronicle
from agent.experience import escaped


def lines(known: Chronicle) -> Iterator[str]:
    from agent.answers import season

    found = season.facts(known.history)
    if found is not None:
        state = "closed" if found.closed else f"open until {found.closes_on}"
        numbers = f"t = {found.started} started, R = {found.promotions} promoted"
        yield f"Season {found.id}: N = {found.planned} candidates planned, {numbers} ({state})"
        yield f"What it means: {found.meaning()}"
        if found.parked:
            held = [name for name in found.parked if name in known.history.held]
            waiting = [name for name in found.parked if name not in held]
            if waiting:
                yield f"Parked, waiting for the bar to fall: {', '.join(waiting)}"
            if held:
                yield f"Held for a person: {', '.join(held)}"
    if (noise := _noise(known)) is not None:
        yield noise


def _noise(known: Chronicle) -> str | None:
    """Spread of production over seeds, where it was measured often enough to say."""
    from statistics import stdev

    production = known.history.production
    metric = next((a.last_look["evidence"]["metric"] for a in known.accounts.values() if a.last_look), None)
    if production is None or metric is None:
        return None
    runs = known.history.baseline.get(production.commit, {}).values()
    values = [run.metrics[metric] for run in runs if run.purpose == "baseline" and metric in run.metrics]
    if len(values) < 3:
        return None
    spread = f"{stdev(values):.4f} in {escaped(safe(metric, 60))} (sd over {len(values)} seeds)"
    return f"Noise: one run of production varies by {spread}"
