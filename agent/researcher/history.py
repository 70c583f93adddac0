"""What the night has taught so far: settings known, families that have stopped paying, gains to expect.

Used by `agent.researcher.search`; pure functions of the search space, production's settings and the trials made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from agent.researcher.contract import Trial
from registry.hypotheses import Scalar
from registry.target import Parameter

Key = frozenset[tuple[str, Hashable]]

FAILURES_TO_REST = 2
PRIOR_WEIGHT = 2.0
"""How many measured gains the prior counts for."""
COMBINATION = "combination"


def settings_key(settings: Mapping[str, Scalar]) -> Key:
    """Equal for equal changes: 1 and 1.0 are one value, True and 1 are two."""
    return frozenset((path, _value_key(value)) for path, value in settings.items())


def family_of(space: Mapping[str, Parameter], settings: Mapping[str, Scalar]) -> str:
    """The first tag of the parameter changed; several families changed at once are a family of their own."""
    families = {parameter.tags[0] for parameter in space.values() if parameter.path in settings}
    return families.pop() if len(families) == 1 and len(settings) == 1 else COMBINATION if families else ""


def families_of(space: Mapping[str, Parameter], trial: Trial) -> list[str]:
    """The one family a trial belongs to, or none."""
    family = trial.family or family_of(space, trial.settings)
    return [family] if family else []


def since_promotion(tried: Sequence[Trial]) -> Sequence[Trial]:
    """The trials made on today's production."""
    last = max((place for place, trial in enumerate(tried) if trial.verdict == "promote"), default=-1)
    return tried[last + 1 :]


class Known:
    """Changes that need not be proposed again, because they or their whole configuration were tried.

    `paths`: the settings that tell configurations apart.
    """

    def __init__(self, paths: frozenset[str], production: Mapping[str, Scalar], tried: Sequence[Trial]) -> None:
        self._paths = paths
        self._production = production
        self._changes = {settings_key(trial.settings) for trial in since_promotion(tried) if trial.settings}
        self._configurations = {self._whole({}, production)}
        for trial in tried:
            if trial.files and trial.verdict == "promote":  # the code is another one: what it makes of settings too
                self._configurations = {self._whole({}, production)}
            elif trial.production is not None and trial.settings.keys() <= paths:
                self._configurations.add(self._whole({}, trial.production))
                self._configurations.add(self._whole(trial.settings, trial.production))

    def __contains__(self, settings: object) -> bool:
        if not isinstance(settings, Mapping):
            return False
        whole = self._whole(settings, self._production)
        return settings_key(settings) in self._changes or whole in self._configurations

    def add(self, settings: Mapping[str, Scalar]) -> None:
        self._changes.add(settings_key(settings))

    def _whole(self, settings: Mapping[str, Scalar], production: Mapping[str, Scalar]) -> bytes:
        """Digest of a whole configuration: a night makes hundreds, and each would hold every setting."""
        whole = {path: value for path, value in {**production, **settings}.items() if path in self._paths}
        ordered = sorted((path, _value_key(value)) for path, value in whole.items())
        return hashlib.blake2b(repr(ordered).encode(), digest_size=16).digest()


def resting(tried: Sequence[Trial], labels: Callable[[Trial], Iterable[str]]) -> frozenset[str]:
    """Labels (families, or paths) that failed twice in a row with no promotion since.

    A later promotion, which changes production, wakes each of them once; one of its own makes it new again.
    """
    failures: dict[str, int] = {}
    woken: set[str] = set()
    for trial in tried:
        if trial.verdict == "promote":
            own = set(labels(trial))
            woken -= own
            for label, count in list(failures.items()):
                if label in own or count < FAILURES_TO_REST:
                    failures[label] = 0
                elif label not in woken:
                    failures[label] = 0
                    woken.add(label)
        elif trial.verdict == "archive":
            for label in labels(trial):
                failures[label] = failures.get(label, 0) + 1
    return frozenset(label for label, count in failures.items() if count >= FAILURES_TO_REST)


def expected_gain(gains: Sequence[float], prior: float) -> float:
    """Mean of measured gains drawn towards the prior; never below zero, since nobody proposes a loss."""
    return max(0.0, (sum(gains) + PRIOR_WEIGHT * prior) / (len(gains) + PRIOR_WEIGHT))


def _value_key(value: Scalar) -> Hashable:
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, (int, float)):
        return ("number", float(value))
    return ("text", value)
