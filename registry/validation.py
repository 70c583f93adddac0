"""Turns a located document into a validated record, or into every complaint about it at once, each with its line.

Called by `registry.documents`. Knows pydantic's error forms and none of the documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from registry.errors import BadInput, Problem
from registry.yaml_nodes import Located, NodePath, shown, shown_text

Model = TypeVar("Model", bound=BaseModel)
MAX_PROBLEMS = 100
_MISSING = object()


def validated(
    located: Located, model: type[Model], data: Any, at: NodePath = (), known: Sequence[Problem] = ()
) -> Model:
    """`data`, which stands at the path `at` of the document, as a record.

    Raises BadInput with the document's own faults, the problems already `known` and all that the record's rules find
    beside them, in line order.
    """
    problems = [*located.faults, *known]
    faulty = {problem.line for problem in located.faults}
    record: Model | None = None
    try:
        record = model.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            problem = _problem(located, model, data, at, detail)
            if problem not in problems and problem.line not in faulty:
                problems.append(problem)
    if problems or record is None:
        raise BadInput(*sorted(problems, key=lambda problem: problem.line or 0)[:MAX_PROBLEMS])
    return record


def _problem(located: Located, model: type[BaseModel], data: Any, at: NodePath, detail: Any) -> Problem:
    path, value = _standing(data, detail["loc"])
    kind, message = detail["type"], _expected(detail)
    if kind == "missing":
        name = str(detail["loc"][-1])
        return located.problem((*at, *path, name), "nothing", f"the key {name}")
    if kind == "extra_forbidden":
        names = ", ".join(_fields(model, path[:-1]))
        return located.problem((*at, *path), f'the unknown key "{shown_text(str(path[-1]))}"', f"one of {names}")
    if kind == "value_error" and isinstance(value, (dict, list)) and not str(detail["msg"]).endswith(" is expected"):
        return located.problem((*at, *path), shown_text_long(message), "values that agree with each other")
    if kind == "literal_error" and detail["loc"][-1:] == ("[key]",):
        return located.problem((*at, *path), f'the key "{shown_text(str(path[-1]))}"', message)
    return located.problem((*at, *path), shown(value), message)


def shown_text_long(text: str) -> str:
    """A message of ours that may quote the document: its parts are shown one by one so that none is cut short."""
    return " ".join(map(shown_text, text.split(" ")))


def _standing(data: Any, loc: tuple[str | int, ...]) -> tuple[NodePath, Any]:
    """The longest part of pydantic's location that exists in the data, and what stands there.

    The rest are its own words: names of union members, `[key]`, a missing field.
    """
    path: NodePath = ()
    for step in loc:
        inside: Any = _MISSING
        if isinstance(data, dict):
            inside = data.get(str(step), _MISSING)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            inside = data[step]
        if inside is _MISSING:
            break
        path, data = (*path, step), inside
    return path, data


def _expected(detail: Any) -> str:
    """Pydantic's message as the end of "expected …"."""
    if detail["type"] == "too_short" and detail["ctx"]["min_length"] > 1:
        return f"at least {detail['ctx']['min_length']} entries"
    if detail["type"] == "too_long":
        return f"at most {detail['ctx']['max_length']} entries"
    message = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    message = message.removeprefix("Assertion failed, ").removesuffix(" is expected")
    known = {
        "a valid dictionary": "a mapping",
        "a valid string": "text (in quotes where it looks like a number)",
        "a valid list": "a list",
        "a valid number": "a number",
        "a valid boolean": "true or false",
        "a valid integer": "a whole number",
        "a finite number": "a finite number",
        "Value should have at least 1 item": "something, and not an empty one",
        "List should have at least 1 item": "something, and not an empty one",
        "String should have at least 1 character": "something, and not an empty one",
    }
    return next((words for start, words in known.items() if message.startswith(start)), message)


def _fields(model: type[BaseModel], path: NodePath) -> list[str]:
    """Names of the fields of the record that stands at a path inside a model."""
    annotation: Any = model
    for step in path:
        owner = _record(annotation)
        if owner is not None and str(step) in owner.model_fields:
            annotation = owner.model_fields[str(step)].annotation
        else:
            annotation = next(iter(reversed(get_args(annotation))), None)
    owner = _record(annotation)
    return [] if owner is None else list(owner.model_fields)


def _record(annotation: Any) -> type[BaseModel] | None:
    """The record an annotation such as `Phase | None` holds directly; None for lists and mappings of records."""
    for choice in (annotation, *get_args(annotation)):
        if isinstance(choice, type) and issubclass(choice, BaseModel):
            return choice
    return None
