"""Watches production while we are first: the same commit measured again must not have become worse.

A regression without a change of code means that the environment, the data or a dependency has changed; the alert
names what differs in the records.
"""

from __future__ import annotations

import math

from agent import circumstances, schedule
from agent import production as productions
from agent.services import Services
from experiments import seeds, statistics
from experiments.plans import Plan

RUNS = 5
ALERT_BELOW = 0.01
"""One-sided level of the comparison that raises an alert; it is a warning, and decides nothing."""


def run(services: Services) -> str:
    """One re-run of production per slot of the experiment sweep: `held`, `regressed` or `not_due`."""
    production = services.history.production
    slot = schedule.slot(services.competitive().schedule.experiment_sweep, services.clock(), services.history.cycles)
    if production is None:
        return "not_due"
    if services.history.defence_slot == slot:
        _say_when_next(services)
        return "not_due"
    key = f"defence:{production.commit}:{slot}"
    if services.log.find(key) is not None:
        return "not_due"  # a clock that was set back names an old slot again
    first = services.history.first_baseline.get(production.commit, {})
    baseline = list(first.values()) or productions.measure(services)
    chosen = seeds.defence_seeds(services.history.defences + 1, RUNS)
    plans = [Plan("production", "production", "defence", production.commit, production.commit, seed) for seed in chosen]
    again = services.measurer.measure(plans)
    metric = services.target.metrics.primary
    sign = 1.0 if metric.higher_is_better else -1.0
    before = [sign * record.metrics[metric.name] for record in baseline]
    after = [sign * record.metrics[metric.name] for record in again]
    p_value = probability_of_no_regression(before, after)
    regressed = p_value < ALERT_BELOW
    change = statistics.mean(after) - statistics.mean(before)
    why = f"{metric.name} {change:+.4f} against its baseline (one-sided p = {p_value:.3g})"
    if regressed:
        circumstances.record(services, production.commit)  # data beside git may have changed since the night began
        why += f"; {circumstances.difference(services.log.find, baseline[0].key, again[0].key)}"
    services.record(
        "defended",
        "production",
        {
            "slot": slot,
            "number": services.history.defences + 1,
            "commit": production.commit,
            "before": before,
            "after": after,
            "p": p_value,
            "regressed": regressed,
        },
        reason=why,
        key=key,
    )
    services.progress.say(f"[{'ALERT' if regressed else 'STATUS'}] production measured again: {why}")
    for record in again:
        services.runner.discard_model(record.folder)
    return "regressed" if regressed else "held"


def _say_when_next(services: Services) -> None:
    """Once a night: production is not measured again, and when it will be."""
    sweep, night = services.competitive().schedule.experiment_sweep, services.history.night
    if sweep is not None and night is not None and night.cycles == 0:
        moment = schedule.upcoming(sweep, services.clock())
        services.progress.say(f"[STATUS] production has been measured again already; next from {moment:%Y-%m-%d %H:%M}")


def probability_of_no_regression(before: list[float], after: list[float]) -> float:
    """Welch's one-sided p that `after` is no lower than `before`; 0 or 1 where neither varies."""
    spread = statistics.standard_deviation(before) ** 2 / len(before)
    spread_after = statistics.standard_deviation(after) ** 2 / len(after)
    change = statistics.mean(after) - statistics.mean(before)
    total = spread + spread_after
    if total == 0.0:
        return 0.0 if change < 0 else 1.0
    freedom = total**2 / (spread**2 / max(len(before) - 1, 1) + spread_after**2 / max(len(after) - 1, 1))
    return statistics.student_t_upper_tail(freedom, -change / math.sqrt(total))
