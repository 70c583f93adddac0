"""What speaks against a hypothesis before anything is paid for it: a pure reading of the history and the target.

Called by `agent queue add` for ideas of people, and by the loop for ideas of the researcher.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.researcher import diversity, places
from agent.researcher.history import Key, settings_key
from registry.errors import Problem
from registry.facts import Verdict
from registry.history import History
from registry.hypotheses import Implementation, Scalar
from registry.target import Target

PROMOTED = "promoted "
"""How the reason begins for which a promoted commit is production."""


INFRASTRUCTURE = diversity.RETRIED
"""Ends that say nothing of an idea, after which the same change of code may be proposed again."""


def beyond(target: Target, change: Implementation, where: str) -> list[Problem]:
    """Everything that a change asks for and the target does not allow: settings, values, files."""
    return [*outside(target, change.settings, where), *places.outside(target, change.files, where)]


def repeats(history: History, change: Implementation, own: str = "") -> str:
    """Why a change is not worth a run, because it repeats something; else empty. `own` as for `objection`."""
    return _repeated_code(history, change, own) if change.files else objection(history, change.settings, own)


def _repeated_code(history: History, change: Implementation, own: str) -> str:
    """The same words about the same files, open or decided: on whatever production, code that failed is let be."""
    wanted = diversity.canonical(change.change, change.files)

    def asks_for_it(name: str) -> bool:
        other = history.hypotheses[name].implementation
        return name != own and bool(other.files) and diversity.canonical(other.change, other.files) == wanted

    for other in history.open_hypotheses():
        if asks_for_it(other.id):
            return f"{other.id} asks for the same change of the same files"
    for verdict in history.verdicts:
        if verdict.reason not in INFRASTRUCTURE and asks_for_it(verdict.hypothesis):
            return f"{verdict.hypothesis} tried the same change of the same files: {verdict.reason}"
    return ""


def outside(target: Target, settings: Mapping[str, Scalar], where: str) -> list[Problem]:
    """Every setting that the target does not allow to search."""
    allowed = {parameter.path: parameter.values for parameter in target.search_space.values()}
    problems = []
    for path, value in settings.items():
        if path not in allowed:
            expected = "a path of the search space: " + ", ".join(sorted(allowed))
            problems.append(
                Problem(where, f"the setting {path}", expected, fix="add it to search_space in target.yaml")
            )
        elif not _among(value, allowed[path]):
            expected = "one of " + ", ".join(map(str, allowed[path]))
            problems.append(Problem(where, f"{path} = {value}", expected, fix="or add the value to target.yaml"))
    return problems


def _among(value: Scalar, allowed: list[Scalar]) -> bool:
    """Equality that tells true from 1."""
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in allowed)


def objection(history: History, settings: Mapping[str, Scalar], own: str = "") -> str:
    """Why these settings are not worth a run: production has or had them, they wait or they were tried; else empty.

    The same change on another production is another configuration, and may be tried there; so may the same
    configuration once people have changed the code.
    `own` is the id of the hypothesis that asks, where it is among the open ones already.
    """
    production = history.production
    if not settings:
        return ""
    if production is not None and all(production.configuration.get(path) == value for path, value in settings.items()):
        return "production has these settings already"
    for other in history.open_hypotheses():
        if other.id != own and other.implementation.settings == settings and not other.implementation.files:
            return f"{other.id} asks for the same settings"
    if production is None:
        return ""
    configurations = _of_this_code(history)
    whole = settings_key({**production.configuration, **settings})
    for commit, configuration in configurations.items():
        if settings_key(configuration) == whole:
            return f"that is production as it was at {commit[:12]}"
    for verdict in history.verdicts:
        if history.hypotheses[verdict.hypothesis].implementation.files:
            continue  # what code did is not what its settings did
        if verdict.settings == settings and verdict.production == production.commit:
            return f"{verdict.hypothesis} tried the same on this production: {verdict.reason}"
        if verdict.reason != "superseded" and _gave(verdict, configurations.get(verdict.production), whole):
            return f"{verdict.hypothesis} tried the same configuration: {verdict.reason}"
    return ""


def _of_this_code(history: History) -> dict[str, Mapping[str, Scalar]]:
    """Commit → configuration of the productions since the code last changed, by people or by a promoted patch."""
    found: dict[str, Mapping[str, Scalar]] = {}
    for production in history.productions:
        promoted = history.hypotheses.get(production.why.removeprefix(PROMOTED))
        if promoted is None or promoted.implementation.files:
            found = {}
        found[production.commit] = production.configuration
    return found


def _gave(verdict: Verdict, production: Mapping[str, Scalar] | None, whole: Key) -> bool:
    """Whether the candidate was this whole configuration."""
    changed = settings_key(verdict.settings)
    return (
        production is not None and bool(changed) and changed <= whole and _with(production, verdict.settings) == whole
    )


def _with(production: Mapping[str, Scalar], settings: Mapping[str, Scalar]) -> Key:
    return settings_key({**production, **settings})
