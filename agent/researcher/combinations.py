"""Several settings changed at once, suggested by optuna's sampler from the trials made so far.

Called by `agent.researcher.search` after single changes. Through ask and tell an in-memory study is rebuilt from
the trials at each call: the audit log they come from is the storage that survives a crash, so there is no second
record that could disagree with it. Deterministic: the sampler's seed follows from the seed and the number of trials.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent.researcher.contract import Trial
from agent.researcher.history import settings_key
from registry.hypotheses import Scalar
from registry.target import Parameter

if TYPE_CHECKING:
    import optuna

MAX_CHANGES = 3
"""More changes at once could no longer be told apart when the result comes."""
ASKS = 32
STALE_ASKS = 6
"""Asks in a row without anything new after which the sampler is left for the plain enumeration."""
STARTUP_TRIALS = 5


def combinations(
    parameters: Sequence[Parameter],
    production: Mapping[str, Scalar],
    tried: Sequence[Trial],
    known: Container[Mapping[str, Scalar]],
    seed: int,
) -> Iterator[dict[str, Scalar]]:
    """New changes of two or three parameters away from production: the sampler's first, then every pair there is.

    Only declared values, only parameters that leave their production value, nothing that is `known`, which may grow
    between one suggestion and the next.
    """
    if next((True for pair in _pairs(parameters, production) if pair not in known), False):
        yield from _suggested(parameters, production, tried, known, seed)
        yield from (pair for pair in _pairs(parameters, production) if pair not in known)


def _suggested(
    parameters: Sequence[Parameter],
    production: Mapping[str, Scalar],
    tried: Sequence[Trial],
    known: Container[Mapping[str, Scalar]],
    seed: int,
) -> Iterator[dict[str, Scalar]]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    base = int.from_bytes(hashlib.sha256(f"{seed}:{len(tried)}".encode()).digest()[:4], "big")
    sampler = optuna.samplers.TPESampler(seed=base, n_startup_trials=STARTUP_TRIALS)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    distributions = {parameter.path: _distribution(parameter) for parameter in parameters}
    for configuration, value in _levels(production, tried):
        study.add_trial(_past(parameters, distributions, configuration, value))
    stale = 0
    for number in range(ASKS):
        if stale == STALE_ASKS:
            return
        trial = study.ask(distributions)
        chosen = {parameter.path: parameter.values[trial.params[parameter.path]] for parameter in parameters}
        # Failed trials leave the model as it is; only measured gains shape it.
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        changed = [path for path, value in chosen.items() if _differs(path, value, production)]
        if len(changed) > MAX_CHANGES:
            changed = sorted(changed, key=lambda path: _lot(base, number, path))[:MAX_CHANGES]
        suggestion = {path: value for path, value in chosen.items() if path in changed}
        stale = stale + 1 if len(changed) < 2 or suggestion in known else 0
        if not stale:
            yield suggestion


def _pairs(parameters: Sequence[Parameter], production: Mapping[str, Scalar]) -> Iterator[dict[str, Scalar]]:
    for first, second in itertools.combinations(parameters, 2):
        for one, other in itertools.product(first.values, second.values):
            if _differs(first.path, one, production) and _differs(second.path, other, production):
                yield {first.path: one, second.path: other}


def _levels(production: Mapping[str, Scalar], tried: Sequence[Trial]) -> Iterator[tuple[dict[str, Scalar], float]]:
    """Whole configurations with their level: gains are differences to a production that promotions moved."""
    level = 0.0
    for trial in tried:
        if trial.gain is not None:
            yield {**production, **(trial.production or {}), **trial.settings}, level + trial.gain
            if trial.verdict == "promote":
                level += trial.gain
    yield dict(production), level


def _past(
    parameters: Sequence[Parameter],
    distributions: Mapping[str, optuna.distributions.BaseDistribution],
    configuration: Mapping[str, Scalar],
    value: float,
) -> optuna.trial.FrozenTrial:
    import optuna

    places: dict[str, Any] = {}
    for parameter in parameters:
        place = _place(parameter, configuration)
        if place is not None:
            places[parameter.path] = place
    known = {path: distributions[path] for path in places}
    return optuna.trial.create_trial(params=places, distributions=known, value=value)


def _distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    import optuna

    last = len(parameter.values) - 1
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in parameter.values):
        return optuna.distributions.IntDistribution(0, last)
    return optuna.distributions.CategoricalDistribution(tuple(range(last + 1)))


def _place(parameter: Parameter, configuration: Mapping[str, Scalar]) -> int | None:
    if parameter.path not in configuration:
        return None
    wanted = settings_key({"": configuration[parameter.path]})
    return next((place for place, value in enumerate(parameter.values) if settings_key({"": value}) == wanted), None)


def _differs(path: str, value: Scalar, production: Mapping[str, Scalar]) -> bool:
    return path not in production or settings_key({path: value}) != settings_key({path: production[path]})


def _lot(base: int, number: int, path: str) -> bytes:
    return hashlib.sha256(f"{base}:{number}:{path}".encode()).digest()
