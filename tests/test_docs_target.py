"""docs/target.md has every key of target.yaml with the default that the code has, and its example is valid."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from markdown_files import ROOT, code, rows, section
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from registry.documents import load_target
from registry.target import PLACEHOLDERS, Target

PAGE = ROOT / "docs" / "target.md"


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key with its dotted path; `*` stands for names that people choose."""
    for name, field in model.model_fields.items():
        inner = _model(field.annotation)
        mapped = get_origin(field.annotation) is dict
        if inner is None or mapped or field.default is None:
            yield f"{prefix}{name}", field
        if inner is not None:
            yield from keys(inner, f"{prefix}{name}.*." if mapped else f"{prefix}{name}.")


def _model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model(part)) is not None), None)


def _choices(annotation: Any) -> set[str]:
    if get_origin(annotation) is Literal:
        return {str(choice) for choice in get_args(annotation)}
    if get_origin(annotation) in {Union, types.UnionType, Annotated, dict}:
        return set().union(*(_choices(part) for part in get_args(annotation)))
    return set()


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{json.dumps(value)}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def told() -> dict[str, tuple[str, str]]:
    return {key.strip("`"): (default, meaning) for key, default, meaning in rows(section(PAGE, "Every key"))}


def test_every_key_is_told_and_none_is_invented() -> None:
    assert set(told()) == {key for key, _ in keys(Target)}
    assert {"gate.policy", "phases.predict.repeats", "metrics.secondary.*.source"} <= set(told())


def test_the_defaults_are_those_of_the_code() -> None:
    page = told()
    assert {key: page[key][0] for key, _ in keys(Target)} == {key: _default(field) for key, field in keys(Target)}


def test_every_choice_is_named() -> None:
    page = told()
    for key, field in keys(Target):
        for choice in _choices(field.annotation):
            assert f"`{choice}`" in page[key][1], (key, choice)


def test_the_placeholders_of_the_phases_are_those_that_may_be_used() -> None:
    text = section(PAGE, "The phases")
    for phase, *cells in rows(text):
        name = phase.strip("`")
        named = set(re.findall(r"\{(\w+)\}", " ".join(cells))) | {"out"}
        assert named == set(PLACEHOLDERS[name])


def examples() -> list[str]:
    return [piece.text for piece in code(PAGE) if piece.language == "yaml"]


def test_the_example_is_valid(tmp_path: Path) -> None:
    assert len(examples()) == 1
    path = tmp_path / "target.yaml"
    path.write_text(examples()[0], encoding="utf-8")
    target = load_target(path)
    assert target.phases.predict is not None
    assert target.search_space


@pytest.mark.parametrize("name", ["competitive_registry", "research_config", "target", "experiment_queue"])
def test_the_documents_of_a_workspace_are_explained(name: str) -> None:
    assert f"`{name}.yaml`" in (ROOT / "docs" / "workspace.md").read_text(encoding="utf-8")
