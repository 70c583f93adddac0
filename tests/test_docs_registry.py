"""docs/registry.md has every key of competitive_registry.yaml with the default of the code; its example is valid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from markdown_files import ROOT, code, rows, section
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from agent.rivals import WATCHED
from registry.competitive import CompetitiveRegistry, ScrapeMethod
from registry.documents import load_competitive
from tools.leaderboards.reading import READERS

PAGE = ROOT / "docs" / "registry.md"


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key with its dotted path; `*` stands for items of lists and for names that people choose."""
    for name, field in model.model_fields.items():
        inner, kind = _model(field.annotation), get_origin(field.annotation)
        path = f"{prefix}{name}"
        if inner is None:
            yield f"{path}.*" if kind is dict else path, field
            continue
        if field.default is None:
            yield path, field
        yield from keys(inner, f"{path}.*." if kind in {dict, list} else f"{path}.")


def _model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model(part)) is not None), None)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return f"`{value:g}`" if isinstance(value, (int, float)) else "none" if not value else f"`{value}`"


def told() -> dict[str, tuple[str, str]]:
    return {key.strip("`"): (default, meaning) for key, default, meaning in rows(section(PAGE, "Every key"))}


def test_every_key_is_told_with_its_default_and_none_is_invented() -> None:
    assert {key: default for key, (default, _) in told().items()} == {
        key: _default(field) for key, field in keys(CompetitiveRegistry)
    }
    assert {"target_leaderboards.*.columns.metrics.*", "competitors.*.aliases.*", "schedule.report_digest"} <= set(
        told()
    )


def test_every_way_to_read_a_board_is_told() -> None:
    methods = list(get_args(ScrapeMethod))
    assert {row[0].strip("`") for row in rows(section(PAGE, "How a board is read"))} == set(methods) == set(READERS)
    for method in methods:
        assert f"`{method}`" in told()["target_leaderboards.*.scrape_method"][1]


def test_as_many_rivals_are_added_as_the_page_says() -> None:
    words = {10: "The ten best names of each board"}
    assert words[WATCHED] in section(PAGE, "Rivals")


def test_the_example_is_valid(tmp_path: Path) -> None:
    (example,) = [piece.text for piece in code(PAGE) if piece.language == "yaml"]
    path = tmp_path / "competitive_registry.yaml"
    path.write_text(example, encoding="utf-8")
    registry = load_competitive(path)
    used = {name for board in registry.target_leaderboards for name in board.model_fields_set}
    assert used >= {
        "columns",
        "table",
        "track",
        "exclude",
        "our_entry",
        "scale",
        "widen_threshold",
        "values",
        "victory",
    }
