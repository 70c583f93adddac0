"""`agent init --endpoint` writes a `models.yaml` that a night can use, or says which option is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from git_repositories import picture
from scripted_solution import agent, make_solution

from agent.scaffolding import models_file
from registry.documents import load_models
from registry.errors import BadInput
from registry.model_config import ModelConfig
from registry.workspace import Workspace

SECRET = "sk-abcdefgh12345678"


def made(folder: Path, *options: str | None) -> ModelConfig:
    path = folder / "models.yaml"
    path.write_text(models_file.text(*options), encoding="utf-8")  # type: ignore[arg-type]
    return load_models(path)


def test_a_server_nearby_costs_nothing_unless_it_is_said(tmp_path: Path) -> None:
    config = made(tmp_path, "http://127.0.0.1:8080/v1", "qwen/small: 7b", None, None)
    assert config.prices.models["qwen/small: 7b"].input == 0
    assert config.endpoints["main"].key is None


def test_a_key_and_a_price_are_written(tmp_path: Path) -> None:
    config = made(tmp_path, "https://models.example.org/v1", "large", "MODEL_KEY", "2.5/10")
    key = config.endpoints["main"].key
    assert key is not None
    assert key.env == "MODEL_KEY"
    assert config.prices.models["large"].output == 10
    assert config.budget.night.money is not None


@pytest.mark.parametrize(
    ("options", "where"),
    [
        (("https://models.example.org/v1", None, None, "1/1"), "--model"),
        (("https://models.example.org/v1", "large", None, None), "--price"),
        (("https://models.example.org/v1", "large", None, "cheap"), "--price"),
        (("https://models.example.org/v1", "large", SECRET, "1/1"), "--key-env"),
        ((f"https://u:{SECRET}@models.example.org/v1", "large", None, "1/1"), "--endpoint"),
        (("models.example.org", "large", None, "1/1"), "--endpoint"),
        (("http://models.example.org/v1", "large", None, "1/1"), "--endpoint"),
        (("127.0.0.1:8080", "large", None, None), "--endpoint"),
    ],
)
def test_the_option_that_is_wrong_is_named_and_no_key_is_shown(
    tmp_path: Path, options: tuple[str | None, ...], where: str
) -> None:
    with pytest.raises(BadInput) as caught:
        made(tmp_path, *options)
    assert str(caught.value).startswith(f"{where}: ")
    assert SECRET not in str(caught.value)


def test_init_writes_it_into_the_workspace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_solution(tmp_path / "tiny", Path("/usr/bin/python3"))
    said = agent(capsys, "init", str(root), "--endpoint", "http://localhost:1/v1", "--model", "small", "--json")
    assert said.status == 0, said.err
    assert load_models(Workspace(tmp_path / "tiny-agent").models).choice("patch").max_output_tokens == 16000
    again = agent(capsys, "init", str(root), "--model", "small", "--json")
    assert "--endpoint" in again.err


def test_a_workspace_that_is_there_gets_its_models_and_nothing_else_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_solution(tmp_path / "tiny", Path("/usr/bin/python3"))
    assert agent(capsys, "init", str(root), "--yes").status == 0
    place = tmp_path / "tiny-agent"
    before = picture(place)
    words = ("init", str(root), "--endpoint", "http://localhost:1/v1", "--model", "small")
    other = agent(capsys, *words, "--metric", "f1")
    assert (other.status, "found a workspace" in other.err) == (2, True), "what it would not do is not said in vain"
    said = agent(capsys, *words)
    assert said.status == 0, said.err
    assert "models.yaml is new in it" in said.out
    assert load_models(Workspace(place).models).choice("propose").model == "small"
    assert picture(place, without=("models.yaml",)) == before
    again = agent(capsys, *words)
    assert (again.status, "found a models.yaml" in again.err) == (2, True)
