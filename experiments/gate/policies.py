"""The policies by name. A new policy is a new module and one line here."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from experiments.gate.decision import Policy
from experiments.gate.e_night import ENight
from experiments.gate.exact import Exact
from experiments.gate.per_item import PerItem
from experiments.gate.seed_card import SeedCard
from experiments.gate.seed_card_extend import SeedCardExtend

if TYPE_CHECKING:
    from registry.target import GateSettings

_Kind = type[ENight] | type[SeedCard] | type[SeedCardExtend] | type[PerItem] | type[Exact]
POLICIES: dict[str, _Kind] = {kind.name: kind for kind in (ENight, SeedCard, SeedCardExtend, PerItem, Exact)}


def policy_for(settings: GateSettings) -> Policy:
    """The policy that a target's file asks for."""
    if settings.policy == SeedCard.name:
        return SeedCard()
    if settings.policy == SeedCardExtend.name:
        return SeedCardExtend()
    if settings.policy == PerItem.name:
        return PerItem(rank=settings.rank, confirm=settings.confirm)
    if settings.policy == Exact.name:
        return Exact(rank=settings.rank)
    return ENight(screen=settings.screen, unstable=settings.unstable, rank=settings.rank)


def parameters(policy: Policy) -> dict[str, Any]:
    """The policy's parameters as JSON values."""
    values = {field.name: getattr(policy, field.name) for field in fields(POLICIES[policy.name])}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def policy_from_parameters(name: str, version: int, values: dict[str, Any]) -> Policy:
    """The policy that a record was decided by; ValueError where this program does not have it."""
    kind = POLICIES.get(name)
    if kind is None or kind.version != version:
        known = ", ".join(f"{each.name} version {each.version}" for each in POLICIES.values())
        raise ValueError(f"policy {name!r} version {version} is not known here; known: {known}")
    if set(values) != {field.name for field in fields(kind)}:
        raise ValueError(f"the parameters of {name} are not those of version {version}")
    given: dict[str, Any] = {
        field: tuple(value) if isinstance(value, list) else value for field, value in values.items()
    }
    return kind(**given)
