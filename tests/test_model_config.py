"""`models.yaml`: what it may say, what is refused and how; a key in it is never shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from model_workspaces import document

from agent.llm.contract import ROLES
from agent.llm.wiring import model_config
from registry.documents import load_models
from registry.errors import BadInput
from registry.model_config import ROLE_NAMES, ModelConfig
from registry.workspace import Workspace

URL = "https://models.example.org/v1"
SECRET = "sk-ABCDEFGH12345678"


def load(folder: Path, models: dict[str, Any] | str) -> ModelConfig:
    path = folder / "models.yaml"
    path.write_text(models if isinstance(models, str) else json.dumps(models, indent=1), encoding="utf-8")
    return load_models(path)


def complaint(folder: Path, models: dict[str, Any] | str) -> str:
    with pytest.raises(BadInput) as caught:
        load(folder, models)
    return str(caught.value)


def with_endpoint(**endpoint: Any) -> dict[str, Any]:
    models = document(URL)
    models["endpoints"]["main"] |= endpoint
    return models


def test_the_roles_are_those_that_are_asked_for() -> None:
    assert ROLE_NAMES == ROLES


def test_a_role_has_what_it_says_and_otherwise_what_all_have(tmp_path: Path) -> None:
    models = document(URL)
    models["models"]["default"]["temperature"] = 0.7
    models["models"]["patch"] = {"model": "large", "temperature": 0}
    models["prices"]["models"]["large"] = {"input": 0, "output": 0}
    config = load(tmp_path, models)
    patch, screen = config.choice("patch"), config.choice("screen")
    assert (patch.model, patch.temperature, patch.max_output_tokens, patch.endpoint) == ("large", 0.0, 200, "main")
    assert (screen.model, screen.temperature) == ("small", 0.7)


def test_without_the_file_and_by_its_word_the_researcher_is_the_offline_one(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert model_config(workspace) is None
    load(tmp_path, document(URL))
    assert model_config(workspace) is not None
    load(tmp_path, document(URL, researcher="offline"))
    assert model_config(workspace) is None


@pytest.mark.parametrize("budget", [{}, {"night": {"money": 5}}])
def test_a_model_without_a_price_is_refused_with_the_place_where_it_belongs(
    tmp_path: Path, budget: dict[str, Any]
) -> None:
    said = complaint(tmp_path, document(URL, prices={"models": {}}, budget=budget))
    assert 'a price for the model "small"' in said
    assert "0 for a server of your own" in said


def test_a_price_of_nothing_is_a_price(tmp_path: Path) -> None:
    prices = {"currency": "EUR", "models": {"small": {"input": 0, "output": 0}}}
    assert load(tmp_path, document(URL, prices=prices)).prices.models["small"].input == 0


@pytest.mark.parametrize("address", [f"{URL}/chat/completions", f"{URL}/completions/", f"{URL}/responses"])
def test_the_address_of_a_request_is_no_base_url(tmp_path: Path, address: str) -> None:
    assert "up to and with /v1" in complaint(tmp_path, with_endpoint(base_url=address))


def test_an_endpoint_that_is_not_there_is_named_with_its_line(tmp_path: Path) -> None:
    models = document(URL)
    models["models"]["patch"] = {"endpoint": "mian"}
    said = complaint(tmp_path, models)
    assert "models.patch.endpoint" in said
    assert 'the endpoint "mian"' in said
    assert "models.yaml:" in said


@pytest.mark.parametrize(
    "endpoint",
    [
        {"key": SECRET},
        {"key": {"value": SECRET}},
        {"key": {"env": SECRET}},
        {"key": {"env": "MODEL_KEY", "value": SECRET}},
        {"key": {"file": ["x", SECRET]}},
        {"key": [SECRET]},
        {"api_key": SECRET},
        {"token": SECRET, "timeout": -1},
        {"base_url": f"https://user:{SECRET}@models.example.org/v1"},
        {"base_url": f"https://user:{SECRET}/x@models.example.org/v1"},
        {"base_url": f"https://models.example.org/v1?api_key={SECRET}"},
        {"base_url": f"https://models.example.org/v1#{SECRET}"},
        {"base_url": f"https://[{SECRET}/v1"},
    ],
)
def test_a_key_in_the_file_is_refused_and_not_shown(tmp_path: Path, endpoint: dict[str, Any]) -> None:
    said = complaint(tmp_path, with_endpoint(**endpoint))
    assert SECRET not in said
    assert "endpoints.main" in said
    assert "{env: NAME}" in said


def test_a_key_beside_a_fault_of_the_yaml_is_not_shown(tmp_path: Path) -> None:
    text = f"version: 1\nendpoints:\n  main:\n    base_url: {URL}\n    key: {SECRET}\n    key: {SECRET}\n"
    assert SECRET not in complaint(tmp_path, text)


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:8080/v1",
        "http://127.0.0.1/v1",
        "http://[::1]:1/v1",
        "http://10.1.2.3/v1",
        "http://192.168.1.9",
    ],
)
def test_http_is_for_what_is_near(tmp_path: Path, address: str) -> None:
    assert load(tmp_path, with_endpoint(base_url=address)).endpoints["main"].base_url == address


@pytest.mark.parametrize(
    "address", ["http://models.example.org/v1", "http://8.8.8.8/v1", "http://localhost.example.org"]
)
def test_http_to_anybody_else_has_to_be_said(tmp_path: Path, address: str) -> None:
    assert "allow_http: true" in complaint(tmp_path, with_endpoint(base_url=address))
    assert load(tmp_path, with_endpoint(base_url=address, allow_http=True)).endpoints["main"].allow_http


@pytest.mark.parametrize(
    "changes",
    [
        {"researcher": "clever"},
        {"version": 2},
        {"endpoints": {}},
        {"models": {"default": {"endpoint": "main", "model": "small", "temperature": 3}}},
        {"models": {"default": {"endpoint": "main", "model": "small", "max_output_tokens": 0}}},
        {"prices": {"models": {"small": {"input": -1, "output": 0}}}},
        {"prices": {"models": {"small": {"input": 1}}}},
        {"prices": {"currency": "dollars", "models": {"small": {"input": 1, "output": 1}}}},
        {"budget": {"night": {"tokens": 0}}},
        {"budget": {"week": {"tokens": 1}}},
        {"more": 1},
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert "expected" in complaint(tmp_path, document(URL, **changes))


@pytest.mark.parametrize(
    "endpoint", [{"timeout": "1 day"}, {"retries": 99}, {"base_url": "ftp://x/v1"}, {"base_url": "x"}]
)
def test_an_endpoint_that_cannot_be_meant_is_refused(tmp_path: Path, endpoint: dict[str, Any]) -> None:
    assert "endpoints.main" in complaint(tmp_path, with_endpoint(**endpoint))
