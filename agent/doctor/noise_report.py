"""What the noise of production means, in words, with the setting to change where one should be.

Called by `agent doctor --noise`. It reads a measurement and the target; it measures and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from agent.doctor import season
from agent.doctor.baseline import DETERMINISM
from agent.doctor.noise import Measured
from experiments import planning
from experiments.gate import ENight
from experiments.noise import COST_PAIRS, CostNoise
from registry.target import Target

CHANGED = (0.05, 0.20)
"""Shares of all items that a change is supposed to touch, where the power over items is told."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do, and the setting of `target.yaml` that does it; `setting` is empty where none does."""

    why: str
    setting: str = ""


@dataclass(frozen=True, slots=True)
class ItemPower:
    """What `per-item` finds at the season's level, as gains in the mean score."""

    fewest: float
    """The gain of a change that wins as few items as can suffice and loses none."""
    gains: dict[float, float | None]
    """Share of items that a change touches → net gain found four times in five; None where that is too few items."""


def item_power(found: Measured, target: Target) -> ItemPower | None:
    """None where scores of single items are missing, vary over seeds, or are no 0 or 1."""
    if found.items is None or not found.items.equal or not found.items.binary:
        return None
    level = planning.level(target.gate.season, target.gate.alpha)
    items = found.items.items
    gains = {share: planning.item_gain(items, share, level) for share in CHANGED}
    return ItemPower(planning.fewest_items_gained(level) / items, gains)


def advice(found: Measured, target: Target) -> Iterator[Advice]:
    """What should be changed, most important first."""
    yield from _policy(found, target)
    if not found.repeats.equal and not target.noisy:
        kernels = f", {DETERMINISM}" if target.resources.gpus else ""
        why = f"one seed gives different values: take every random choice from {{seed}}{kernels}, or declare it"
        yield Advice(why, "noisy: true")
    for one in found.spread.outliers:
        yield Advice(
            f"seed {one.seed} gave {one.value:.6g}, {abs(one.z):.0f} robust σ off: seeds that fail break the gate's"
            " guarantee; find out why before a night"
        )
    for cost in found.costs:
        if cost.confirmed < planning.POWER:
            name = f"metrics.secondary.{cost.name}.max_increase"
            why = f"{cost.name} is too noisy for its limit: {_cost(cost)}"
            yield Advice(f"{why}; a quieter machine or larger phases.predict.repeats help too", f"{name}: {_up(cost)}")


def _policy(found: Measured, target: Target) -> Iterator[Advice]:
    policy: str = target.gate.policy
    metric = found.metric
    if not found.spread.equal:
        if policy in {"exact", "per-item"}:
            yield Advice(f"{metric} varies over seeds, which {policy} refuses as evidence", "gate.policy: e-night")
        return
    why = (
        f"all {found.spread.n} seeds give {metric} = {found.spread.mean:.6g}, bit for bit: {ENight.name} never promotes"
    )
    if found.items is not None and found.items.equal:
        if policy == "per-item":
            return
        yield Advice(
            f"{why}, and items stand for more than themselves: {_stronger(found, target)}", "gate.policy: per-item"
        )
        return
    if policy == "exact":
        return
    coarse = "" if found.spread.outputs_equal else "; the outputs differ, so a finer metric would tell more"
    yield Advice(f"{why} there, and two runs an arm are enough{coarse}", "gate.policy: exact")


def _stronger(found: Measured, target: Target) -> str:
    power = item_power(found, target)
    if power is None:
        return "the test over items can promote, the one over seeds cannot"
    best = f"from {power.fewest:+.3g} on where no item is lost"
    told = [f"{gain:+.3g} where {share:.0%} of items change" for share, gain in power.gains.items() if gain is not None]
    return "over items gains are found " + ", ".join([best, *told])


def _up(cost: CostNoise) -> str:
    """The smallest limit that can be told, rounded up to whole percents."""
    return f"{-(-cost.smallest_limit * 100 // 1) / 100:.2f}"


def _cost(cost: CostNoise) -> str:
    return (
        f"{cost.cv:.1%} from run to run; {COST_PAIRS} pairs show an unchanged one within {cost.limit:.0%} in"
        f" {cost.confirmed:.0%} of cases, and can tell {cost.smallest_limit:.1%}"
    )


# -- for people and for programs ----------------------------------------------------------------------------


def lines(found: Measured, target: Target) -> Iterator[str]:
    """One screen."""
    spread = found.spread
    yield f"Noise of production {found.commit[:12]}: {found.metric} on {spread.n} seeds (event {found.event})"
    if spread.equal:
        yield f"  over seeds      always {spread.mean:.6g}: the metric is deterministic"
    else:
        yield (
            f"  over seeds      σ = {spread.sd:.3g} (90 % interval {spread.sd_low:.3g} to {spread.sd_high:.3g}),"
            f" mean {spread.mean:.6g}"
        )
        yield f"  two seeds       differ by √2 σ = {spread.difference_sd:.3g}: a pair whose arms share only the seed"
    yield f"  one seed twice  {_twice(found)}"
    if found.pairing is not None:
        pairing = found.pairing
        r = "unknown" if pairing.correlation is None else f"{pairing.correlation:+.2f}"
        yield (
            f"  real pairs      {pairing.pairs} of {pairing.candidates} candidates in the log: differences have sd"
            f" {pairing.difference_sd:.3g}, correlation by seed {r}"
        )
    yield f"  items           {_items(found)}"
    far = ", ".join(str(one.seed) for one in spread.outliers)
    yield f"  far-off seeds   {far or 'none'}"
    for cost in found.costs:
        yield f"  {cost.name:14s}  {_cost(cost)}"
    practice = season.practice(target.gate, spread.sd)
    if practice is not None:
        yield "In practice, before costs, for arms that share only the seed:"
        yield from (f"  {line}" for line in season.sentences(practice))
    told = list(advice(found, target))
    yield "Advice:" if told else f"Advice: none; {target.gate.policy} suits this target."
    for one in told:
        yield f"  {one.why}"
        if one.setting:
            yield f"    → {one.setting}   (target.yaml)"


def _twice(found: Measured) -> str:
    twice = found.repeats
    if twice.equal:
        outputs = "outputs too" if twice.outputs_equal else "not every byte of the outputs"
        return (
            f"bit-equal on {twice.runs} seeds, {outputs}; pairs of nothing differ by 0, which says nothing of a change"
        )
    r = "unknown" if twice.correlation is None else f"{twice.correlation:+.2f}"
    return f"σ = {twice.sd:.3g} on {twice.runs} seeds, correlation by seed {r}"


def _items(found: Measured) -> str:
    if found.items is None:
        return "no readable examples.jsonl in every run, so per-item does not apply"
    same = "bit-equal over seeds" if found.items.equal else f"{found.items.varying:.1%} of them vary over seeds"
    return f"{found.items.items} scores a run, {same}" + ("" if found.items.equal else ", so per-item does not apply")


def document(found: Measured, target: Target) -> dict[str, Any]:
    """Everything, for `--json`."""
    practice, power = season.practice(target.gate, found.spread.sd), item_power(found, target)
    return {
        **asdict(found),
        "values": [{"seed": seed, "value": value} for seed, value in found.values.items()],
        "difference_sd_unpaired": found.spread.difference_sd,
        "policy": target.gate.policy,
        "practice": asdict(practice) if practice is not None else None,
        "item_power": {"fewest": power.fewest, "gains": {str(k): v for k, v in power.gains.items()}} if power else None,
        "advice": [asdict(one) for one in advice(found, target)],
    }
