"""What the season's length and the measured noise mean in practice, in sentences.

Called by `agent.doctor.checkup` (from what the log knows) and by `agent.doctor.noise`. It measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.doctor.findings import Finding, ok
from experiments import planning, statistics
from experiments.gate import ENight, policy_for
from registry.audit_events import read_events
from registry.errors import AgentError
from registry.history import History
from registry.target import GateSettings, Target
from registry.workspace import Workspace

SHORT = 12
"""Seeds that a person may be thinking of; the policy's last look is the other answer."""
FEWEST = 5
"""Runs below which a spread over seeds says nothing."""


@dataclass(frozen=True, slots=True)
class Practice:
    """What `e-night` does with gains of a target whose single runs have the standard deviation `sd`.

    Gains and `sd` are in the metric's unit; two arms of a pair are taken to share nothing but the seed, so that one
    difference has standard deviation sqrt(2) sd.
    """

    planned: int
    alpha: float
    bar: float
    """Evidence needed before the first promotion: N / alpha."""
    sd: float
    null_seeds: float
    last_look: int
    smallest_gain: float | None
    """Promoted four times in five within all seeds, costs left out."""
    smallest_gain_short: float | None
    """The same within 12 seeds."""
    median_seeds: int | None
    """At the smallest gain, for those that are found."""
    threshold: float
    threshold_found: float
    """Probability that the evidence for a gain as large as the threshold is found."""


def practice(settings: GateSettings, sd: float) -> Practice | None:
    """None where the policy is another one, or nothing varies: then seeds are no evidence."""
    policy = policy_for(settings)
    if not isinstance(policy, ENight) or settings.policy != ENight.name or sd <= 0.0:
        return None
    level = planning.level(settings.season, settings.alpha)
    unit = 2.0**0.5 * sd
    threshold = settings.threshold / unit
    smallest = planning.minimum_effect(policy, level, threshold)
    short = planning.minimum_effect(policy, level, threshold, SHORT)
    return Practice(
        planned=settings.season,
        alpha=settings.alpha,
        bar=1.0 / level,
        sd=sd,
        null_seeds=planning.null_seeds(policy, level),
        last_look=policy.looks[-1],
        smallest_gain=smallest * unit if smallest is not None else None,
        smallest_gain_short=short * unit if short is not None else None,
        median_seeds=planning.prospect(policy, level, smallest).median_seeds if smallest is not None else None,
        threshold=settings.threshold,
        threshold_found=planning.prospect(policy, level, threshold).found,
    )


def sentences(found: Practice) -> list[str]:
    """For people; gains in the metric's unit."""
    null = f"a candidate that is nothing costs about {found.null_seeds:.1f}"
    lines = []
    if found.smallest_gain is None:
        lines.append(f"no gain reaches the bar of {found.bar:.0f} within {found.last_look} seeds; {null}")
    else:
        lines.append(
            f"to detect {found.smallest_gain:+.3g} at σ = {found.sd:.3g} you need about {found.median_seeds} seeds;"
            f" {null} (a season of {found.planned} at alpha {found.alpha:g})"
        )
        shorter = "no gain" if found.smallest_gain_short is None else f"{found.smallest_gain_short:+.3g}"
        lines.append(
            f"found four times in five: {found.smallest_gain:+.3g} within {found.last_look} seeds,"
            f" {shorter} within {SHORT}"
        )
    if found.threshold > 0 and found.threshold_found < planning.POWER:
        share = f"{100 * found.threshold_found:.2g} %"
        lines.append(f"a gain of no more than the threshold {found.threshold:+.3g} is found in {share} of cases")
    return lines


def finding(workspace: Workspace, target: Target) -> Iterator[Finding]:
    """One line from what the log knows: a noise measurement of today's production, or its baseline."""
    history = History()
    try:
        for event in read_events(workspace.audit) if workspace.audit.exists() else ():
            history.apply(event)
    except (AgentError, LookupError, ValueError):
        return  # the check of the log says what is wrong with it
    settings = target.gate
    bar = 1.0 / planning.level(settings.season, settings.alpha)
    opening = f"{settings.season} candidates at alpha {settings.alpha:g}"
    if settings.policy != ENight.name:
        yield ok("season", f"{opening}; policy {settings.policy}")
        return
    known = _sd(history, target)
    if known is None:
        how = "`agent doctor --noise` measures what that means in seeds"
        yield ok("season", f"{opening}: evidence of {bar:.0f} promotes; {how}")
        return
    sd, where = known
    found = practice(settings, sd)
    said = "; ".join(sentences(found)) if found is not None else "the metric does not vary over seeds"
    yield ok("season", f"{said} ({where})")


def _sd(history: History, target: Target) -> tuple[float, str] | None:
    """(standard deviation over seeds, where it is from) for today's production."""
    production, noise = history.production, history.noise
    if noise is not None and (production is None or noise["commit"] == production.commit):
        return float(noise["spread"]["sd"]), f"noise of {noise['spread']['n']} seeds"
    if production is None:
        return None
    name = target.metrics.primary.name
    runs = history.baseline.get(production.commit, {}).values()
    values = [record.metrics[name] for record in runs if name in record.metrics]
    return (statistics.standard_deviation(values), f"baseline of {len(values)} runs") if len(values) >= FEWEST else None
