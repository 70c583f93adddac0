"""Policies by name: what a target asks for is what judges, and what a record names is what recomputes."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from experiments.gate import POLICIES, ENight, Policy, SeedCard, policy_for
from experiments.gate.policies import parameters, policy_from_parameters
from registry.target import GateSettings


def test_a_target_that_says_nothing_gets_e_night_with_the_cached_screen() -> None:
    assert policy_for(GateSettings()) == ENight(screen="cached", unstable="flag", rank="row")


def test_what_the_target_says_reaches_the_policy() -> None:
    asked = GateSettings(screen="paired", unstable="archive", rank="binding")
    assert policy_for(asked) == ENight(screen="paired", unstable="archive", rank="binding")
    assert policy_for(GateSettings(policy="seed-card")) == SeedCard()
    for name, kind in POLICIES.items():
        asked = GateSettings.model_validate({"policy": name, "rank": "binding"})
        assert type(policy_for(asked)) is kind
        assert getattr(policy_for(asked), "rank", "binding") == "binding"


def test_every_policy_a_target_may_name_is_here() -> None:
    named = GateSettings.model_fields["policy"].annotation
    assert set(getattr(named, "__args__", ())) == set(POLICIES)


@pytest.mark.parametrize(
    "policy", [ENight(patient=True, screen="paired"), SeedCard(pairs=5), *(kind() for kind in POLICIES.values())]
)
def test_a_policy_comes_back_from_its_parameters(policy: Policy) -> None:
    assert policy_from_parameters(policy.name, policy.version, parameters(policy)) == policy
    assert set(parameters(policy)) == {field.name for field in fields(policy)}


@pytest.mark.parametrize(("name", "version"), [("e-night", 2), ("wishful", 1)])
def test_an_unknown_policy_is_refused_by_name(name: str, version: int) -> None:
    with pytest.raises(ValueError, match="not known here"):
        policy_from_parameters(name, version, parameters(ENight()))


def test_parameters_of_another_policy_are_refused() -> None:
    with pytest.raises(ValueError, match="parameters of seed-card"):
        policy_from_parameters("seed-card", 1, parameters(replace(ENight(), patient=True)))
