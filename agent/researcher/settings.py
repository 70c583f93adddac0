"""Values of the search space as a model writes them: text that is matched to declared values and to nothing else.

Used by the parts of the researcher that asks a model. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.researcher.history import settings_key
from registry.hypotheses import Scalar
from registry.target import Parameter


def parameter_called(space: Mapping[str, Parameter], name: str) -> Parameter | None:
    """The parameter of a name or a path, as written."""
    wanted = name.strip().strip("`")
    return space.get(wanted) or next((each for each in space.values() if each.path == wanted), None)


def declared_value(parameter: Parameter, written: str) -> Scalar | None:
    """The declared value that a text means; None where it means none of them."""
    text = written.strip().strip("`\"'")
    for value in parameter.values:
        if str(value) == text or (isinstance(value, bool) and str(value).lower() == text.lower()):
            return value
    try:
        number = float(text)
    except ValueError:
        return None
    numbers = (value for value in parameter.values if isinstance(value, (int, float)) and not isinstance(value, bool))
    return next((value for value in numbers if float(value) == number), None)


def differs(parameter: Parameter, value: Scalar, production: Mapping[str, Scalar]) -> bool:
    """Whether production has another value."""
    path = parameter.path
    return path not in production or settings_key({path: value}) != settings_key({path: production[path]})


def described(space: Mapping[str, Parameter], production: Mapping[str, Scalar]) -> str:
    """The search space for a prompt, a line a parameter."""
    lines = [
        f"- {name}: `{parameter.path}`, now {production.get(parameter.path, 'unknown')}, "
        f"may be {_values(parameter.values)} ({', '.join(parameter.tags)})"
        for name, parameter in space.items()
    ]
    return "\n".join(lines) or "None: this solution has no declared settings."


def _values(values: Sequence[Scalar]) -> str:
    return ", ".join(map(str, values))
