"""docs/models.md has every key of models.yaml with the default that the code has, and its example is valid."""

from __future__ import annotations

import re
from pathlib import Path

from markdown_files import ROOT, code, rows, section
from test_docs_target import _default, keys

from agent.llm.rungs import RUNGS
from registry.documents import load_models
from registry.model_config import ROLE_NAMES, ModelConfig

PAGE = ROOT / "docs" / "models.md"
ROLE = re.compile(rf"^models\.({'|'.join(ROLE_NAMES)})\.")


def test_every_key_is_told_with_its_default_and_none_is_invented() -> None:
    told = {key.strip("`"): default for key, default, _ in rows(section(PAGE, "Every key"))}
    assert told == {ROLE.sub("models.ROLE.", key): _default(field) for key, field in keys(ModelConfig)}
    assert len(told) > 25


def test_the_example_is_valid(tmp_path: Path) -> None:
    (example,) = [piece.text for piece in code(PAGE) if piece.language == "yaml"]
    path = tmp_path / "models.yaml"
    path.write_text(example, encoding="utf-8")
    config = load_models(path)
    assert config.choice("patch").max_output_tokens == 16000
    assert config.choice("screen").endpoint == "here"


def test_every_form_and_role_is_named() -> None:
    for name in RUNGS:
        assert f"`{name}`" in section(PAGE, "Forms")
    for name in ROLE_NAMES:
        assert f"`{name}`" in section(PAGE, "Every key")
