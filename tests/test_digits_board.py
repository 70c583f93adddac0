"""The digits demonstration's board over real HTTP, and the documents of its workspace."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template

import httpx
import lxml.html
import pytest
from conftest import ROOT
from ruamel.yaml import YAML

from registry.target import Target

DIGITS = ROOT / "examples" / "digits"
BOARD = DIGITS / "rivals/board.py"
STANDINGS = {
    "board": "Digits",
    "metric": "accuracy",
    "split": "test",
    "library": "scikit-learn 0.0",
    "entries": [
        {"name": "Alpha <b>", "accuracy": 0.98, "method": "a & b"},
        {"name": "Beta", "accuracy": 0.95, "method": "b"},
        {"name": "Gamma", "accuracy": 0.95, "method": "c"},
        {"name": "Delta", "accuracy": 0.9, "method": "d"},
    ],
}


@dataclass(frozen=True)
class Served:
    """A running board and the file of our score that it reads."""

    url: str
    ours: Path
    process: subprocess.Popen[str]


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Served]:
    standings, ours = tmp_path / "standings.json", tmp_path / "ours.json"
    standings.write_text(json.dumps(STANDINGS), encoding="utf-8")
    command = [sys.executable, str(BOARD), "serve", "--standings", str(standings), "--ours", str(ours)]
    with subprocess.Popen(
        [*command, "--until-input-ends"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Served(process.stdout.readline().strip(), ours, process)
        finally:
            process.terminate()


def submit(ours: Path, accuracy: float) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BOARD), "update", "--ours", str(ours), "--accuracy", str(accuracy)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def rows(page: str) -> list[list[str]]:
    table = lxml.html.fromstring(page).get_element_by_id("leaderboard")
    return [[cell.text_content() for cell in row] for row in table.iterfind(".//tr")]


def test_the_page_and_the_json_show_the_same_ranks(board: Served) -> None:
    header, *body = rows(httpx.get(board.url).text)
    assert header == ["Rank", "System", "Accuracy", "Method"]
    assert body == [
        ["1", "🥇 Alpha <b>", "0.9800", "a & b"],
        ["2", "🥈 Beta", "0.9500", "b"],
        ["2", "🥈 Gamma", "0.9500", "c"],
        ["4", "Delta", "0.9000", "d"],
    ]
    entries = httpx.get(f"{board.url}standings.json").json()["entries"]
    assert [(entry["rank"], entry["name"]) for entry in entries] == [
        (1, "Alpha <b>"),
        (2, "Beta"),
        (2, "Gamma"),
        (4, "Delta"),
    ]


def test_the_page_needs_nothing_from_elsewhere(board: Served) -> None:
    page = httpx.get(board.url).text
    tree = lxml.html.fromstring(page)
    assert not tree.xpath("//@src | //@href | //script | //link")
    assert tree.xpath("string(//table/caption)") == "Accuracy on the test split; higher is better"


def test_a_submitted_score_is_on_the_board_at_the_next_request(board: Served) -> None:
    before = httpx.get(board.url)
    assert submit(board.ours, 0.9612).returncode == 0
    after = httpx.get(board.url)
    assert ["2", "🥈 Our perceptron", "0.9612", "multi-layer perceptron, this repository"] in rows(after.text)
    assert after.headers["ETag"] != before.headers["ETag"]


def test_an_unchanged_board_answers_not_modified(board: Served) -> None:
    first = httpx.get(board.url)
    again = httpx.get(board.url, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    since = httpx.get(board.url, headers={"If-Modified-Since": first.headers["Last-Modified"]})
    assert since.status_code == 304
    submit(board.ours, 0.5)
    assert httpx.get(board.url, headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_a_head_request_has_headers_and_no_body(board: Served) -> None:
    answer = httpx.head(board.url)
    assert int(answer.headers["Content-Length"]) == len(httpx.get(board.url).content)
    assert answer.content == b""


def test_an_address_that_is_not_there_and_a_broken_file_are_said(board: Served) -> None:
    assert httpx.get(f"{board.url}elsewhere").status_code == 404
    board.ours.write_text("{")
    assert httpx.get(board.url).status_code == 500


def test_the_board_ends_with_the_process_that_started_it(board: Served) -> None:
    assert board.process.stdin is not None
    board.process.stdin.close()
    deadline = time.monotonic() + 10
    while board.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert board.process.returncode == 0


@pytest.mark.parametrize("accuracy", [1.5, -0.1, float("nan")])
def test_a_score_that_is_no_accuracy_is_refused(tmp_path: Path, accuracy: float) -> None:
    refused = submit(tmp_path / "ours.json", accuracy)
    assert refused.returncode == 1
    assert "expected a number from 0 to 1" in refused.stderr
    assert not (tmp_path / "ours.json").exists()


def filled(name: str) -> dict[str, object]:
    values = {"repository": "/a path/digits", "python": "/a path/bin/python", "papers": "papers"}
    values["board_url"] = "http://127.0.0.1:1/"
    quoted = {key: json.dumps(value) for key, value in values.items()}
    document: dict[str, object] = YAML(typ="safe").load(Template((DIGITS / name).read_text()).substitute(quoted))
    return document


def test_the_target_is_valid_and_its_settings_are_those_of_production() -> None:
    target = Target.model_validate(filled("target.yaml"))
    production = YAML(typ="safe").load(DIGITS / "solution/configs/production.yaml")
    assert target.solution.repository == "/a path/digits"
    for name, parameter in target.search_space.items():
        section, setting = parameter.path.split(".")
        assert production[section][setting] in parameter.values, name
    assert target.gate.season == 20
    for path in target.fast.overrides:
        section, setting = path.split(".")
        assert setting in production[section]


def test_the_registry_and_the_research_configuration_have_the_documents_form() -> None:
    registry = filled("competitive_registry.yaml")
    assert list(registry) == ["domain", "target_leaderboards", "competitors", "our_solution", "schedule"]
    (leaderboard,) = registry["target_leaderboards"]  # type: ignore[misc]
    assert (leaderboard["name"], leaderboard["scrape_method"]) == ("Digits", "html_table")
    assert leaderboard["victory"] == {"rank": 1, "margin": 0.0, "sustained_cycles": 1}
    research = filled("research_config.yaml")
    assert research["research_sources"]["local_folders"] == ["papers"]  # type: ignore[index]
