"""docs/papers.md has every key of research_config.yaml with the default of the code; its example is valid."""

from __future__ import annotations

from pathlib import Path

from markdown_files import ROOT, code, rows, section
from pydantic.fields import FieldInfo

from registry.documents import load_research
from registry.research import ResearchConfig, ResearchSources

PAGE = ROOT / "docs" / "papers.md"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "none" if not value else f"`{value}`"


def test_every_key_is_told_with_its_default_and_none_is_invented() -> None:
    told = {key.strip("`"): default for key, default, _ in rows(section(PAGE, "Every key"))}
    inner = {f"research_sources.{name}": field for name, field in ResearchSources.model_fields.items()}
    assert told == {key: _default(field) for key, field in {**ResearchConfig.model_fields, **inner}.items()}


def test_the_example_is_a_valid_document(tmp_path: Path) -> None:
    (example,) = [found.text for found in code(PAGE) if found.language == "yaml"]
    path = tmp_path / "research_config.yaml"
    path.write_text(example)
    assert load_research(path).research_sources.venues == ["ICLR 2026"]
