"""What doctor says of `models.yaml`: the file, keys, prices, endpoints, and the form in which a model answers."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from model_workspaces import RIGHT, document, write
from scripted_endpoint import Step, serving

from agent.doctor import models
from agent.doctor.findings import Finding
from registry.workspace import Workspace


def found(workspace: Workspace) -> dict[str, Finding]:
    return {one.check: one for one in models.check(workspace, None, threading.Event())}


def kept(workspace: Workspace) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in workspace.root.rglob("*") if path.is_file()}


def test_a_workspace_without_the_file_asks_no_model(tmp_path: Path) -> None:
    (finding,) = models.check(Workspace(tmp_path), None, threading.Event())
    assert (finding.status, "offline researcher" in finding.found) == ("ok", True)


def test_a_model_that_answers_is_told_with_its_form_and_what_the_question_cost(tmp_path: Path) -> None:
    with serving([RIGHT]) as server:
        workspace = write(tmp_path, document(server.base_url))
        before = kept(workspace)
        finding = found(workspace)["model small"]
        assert kept(workspace) == before
    assert finding.status == "ok"
    for words in ("json_schema", "screen, extract, propose, patch, answer", "120 tokens", "0.000400 USD"):
        assert words in finding.found


def test_each_model_is_asked_once(tmp_path: Path) -> None:
    with serving([RIGHT, RIGHT]) as server:
        changed = document(server.base_url)
        changed["models"]["patch"] = {"model": "large"}
        changed["prices"]["models"]["large"] = {"input": 0, "output": 0}
        said = found(write(tmp_path, changed))
    assert [one.document["model"] for one in server.asked] == ["small", "large"]
    assert said["model large"].found.count("patch") == 1


@pytest.mark.parametrize(
    ("step", "status"),
    [
        (Step(status=401), "fail"),
        (Step(status=503), "fail"),
        (Step(body=b"<html>"), "fail"),
        (Step("prose"), "warn"),
        (Step(RIGHT, usage=False), "warn"),
    ],
)
def test_a_model_that_does_not_answer_as_wanted_is_told(tmp_path: Path, step: Step, status: str) -> None:
    with serving([step] * 20) as server:
        finding = found(write(tmp_path, document(server.base_url)))["model small"]
    assert finding.status == status
    assert finding.fix


@pytest.mark.parametrize(
    ("status", "message", "fix"),
    [
        (401, "Incorrect API key", "look at the key"),
        (404, "no such model", "the model's name"),
        (429, "You exceeded your current quota", "to pay the provider with"),
        (503, "Loading model", "again later"),
        (400, "Unsupported value: 'temperature'", "such as temperature"),
    ],
)
def test_what_mends_a_silent_model_fits_what_its_server_said(
    tmp_path: Path, status: int, message: str, fix: str
) -> None:
    body = json.dumps({"error": {"message": message}}).encode()
    with serving([Step(status=status, body=body)] * 9) as server:
        assert fix in found(write(tmp_path, document(server.base_url)))["model small"].fix


def test_a_page_in_the_place_of_an_answer_is_told_as_one(tmp_path: Path) -> None:
    with serving([Step(body=b"<html>Log in</html>")] * 20) as server:
        finding = found(write(tmp_path, document(server.base_url)))["model small"]
    assert "an answer that is no chat completion (" in finding.found
    assert "up to and with /v1" in finding.fix


def test_an_endpoint_where_nobody_listens_is_told(tmp_path: Path) -> None:
    with serving([]) as server:
        gone = server.base_url
    assert "connection could not be made" in found(write(tmp_path, document(gone)))["model small"].found


def test_a_file_that_cannot_be_used_is_told_and_nothing_is_asked(tmp_path: Path) -> None:
    with serving([RIGHT]) as server:
        finding = found(write(tmp_path, document(server.base_url, prices={"models": {}})))["models.yaml"]
        assert server.asked == []
    assert (finding.status, finding.configuration) == ("fail", True)
    assert "a price for the model" in finding.found


def with_file(base_url: str) -> dict[str, Any]:
    changed = document(base_url)
    changed["endpoints"]["main"]["key"] = {"file": "model.key"}
    return changed


def test_a_key_is_looked_for_before_anything_is_asked(tmp_path: Path) -> None:
    with serving([RIGHT, RIGHT]) as server:
        workspace = write(tmp_path, with_file(server.base_url))
        assert found(workspace)["key of main"].status == "fail"
        assert server.asked == []
        path = tmp_path / "model.key"
        path.write_text("sk-1234567890")
        path.chmod(0o644)
        assert found(workspace)["key of main"].fix == f"chmod 600 {path}"
        path.chmod(0o600)
        said = found(workspace)
    assert said["key of main"].status == said["model small"].status == "ok"
    assert "sk-1234567890" not in str(said)


def test_models_that_cost_money_without_a_limit_are_told(tmp_path: Path) -> None:
    with serving([RIGHT, RIGHT]) as server:
        findings = list(models.check(write(tmp_path, document(server.base_url)), None, threading.Event()))
        assert [one.fix for one in findings if one.status == "warn"] == ["set budget.night.money in models.yaml"]
        limited = document(server.base_url, budget={"night": {"money": 1}})
        findings = list(models.check(write(tmp_path, limited), None, threading.Event()))
        assert {one.status for one in findings} == {"ok"}
