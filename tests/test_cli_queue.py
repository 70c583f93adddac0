"""`agent queue`: people add and drop ideas beside a running night, and nothing outside the search space gets in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from recorded_nights import Nights, a_night, hypothesis, make_workspace

from agent import handwork
from agent.cli.main import main
from agent.readers import Reader
from registry.documents import dump_hypothesis, load_target
from registry.errors import BadInput
from registry.locks import workspace_lock
from registry.workspace import Workspace


@dataclass
class Command:
    """Runs `agent` in this process and keeps what it said."""

    workspace: Workspace
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--workspace", str(self.workspace.root)])
        said = self.capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json")[1])


@pytest.fixture
def nights(tmp_path: Path) -> Iterator[Nights]:
    log = a_night(make_workspace(tmp_path))
    yield log
    log.log.close()


@pytest.fixture
def agent(nights: Nights, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(nights.workspace, capsys)


MOMENTUM = ("queue", "add", "--set", "train.momentum=0.9", "--title", "Momentum", "--gain", "0.01")


def test_the_list_shows_what_waits_and_with_all_everything(agent: Command) -> None:
    status, text = agent("queue", "list")
    assert status == 0
    assert [line.split()[0] for line in text.splitlines()[1:]] == ["H-005", "H-006"]
    assert [item["id"] for item in agent.json("queue", "list", "--all")] == [
        "H-005",
        "H-006",
        "H-001",
        "H-002",
        "H-003",
        "H-004",
    ]


def test_an_idea_gets_the_next_number_and_a_rank(agent: Command) -> None:
    status, text = agent(*MOMENTUM)
    assert (status, text.split(" (")[0]) == (0, "H-007 queued with priority 2")
    added = Reader(agent.workspace).history().hypotheses["H-007"]
    assert added.implementation.settings == {"train.momentum": 0.9}
    assert (added.status, added.target_leaderboards, added.family) == ("queued", ["Digits"], "momentum")


def test_an_idea_is_added_beside_a_running_night(agent: Command) -> None:
    with workspace_lock(agent.workspace.lock, "agent run"):
        assert agent(*MOMENTUM)[0] == 0
        assert agent("queue", "drop", "H-007", "--reason", "not now")[0] == 0


def test_a_repetition_is_refused_and_the_refusal_recorded(agent: Command) -> None:
    agent(*MOMENTUM)
    status, text = agent(*MOMENTUM)
    assert status == 1
    assert "H-007 asks for the same settings" in text
    assert [event.kind for event in Reader(agent.workspace).events()][-1] == "hypothesis_refused"
    assert "H-008" not in Reader(agent.workspace).history().hypotheses


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ("data.shifts=1", "production has these settings already"),
        ("train.dropout=0.2", "H-002 tried the same on this production: futility"),
    ],
)
def test_what_production_has_and_what_was_tried_on_it_is_refused(agent: Command, settings: str, why: str) -> None:
    status, text = agent("queue", "add", "--set", settings, "--title", "Again", "--gain", "0.01")
    assert status == 1
    assert why in text


def test_what_was_tried_on_an_older_production_may_be_tried_again(agent: Command, nights: Nights) -> None:
    nights.make_production("another", "base merged")
    assert agent("queue", "add", "--set", "train.dropout=0.2", "--title", "Again", "--gain", "0.01")[0] == 0


@pytest.mark.parametrize("setting", ["train.momentum=0.95", "train.unknown=1", "data.standardise=1", "momentum"])
def test_settings_outside_the_search_space_are_named(agent: Command, setting: str) -> None:
    before = Reader(agent.workspace).history().seq
    status, text = agent("queue", "add", "--set", setting, "--title", "x", "--gain", "0.01")
    assert status == 2
    assert "found" in text
    assert "expected" in text
    assert Reader(agent.workspace).history().seq == before


def test_a_file_in_the_documents_form_is_taken_in_under_a_new_number(agent: Command, tmp_path: Path) -> None:
    path = tmp_path / "idea.yaml"
    path.write_text(dump_hypothesis(hypothesis("H-001", "Cosine", 0.01, train__schedule="cosine")))
    assert agent("queue", "add", str(path))[0] == 0
    history = Reader(agent.workspace).history()
    assert history.hypotheses["H-007"].title == "Cosine"
    assert history.hypotheses["H-001"].status == "promoted"


def test_a_file_in_the_queue_folder_is_left_to_the_night(agent: Command) -> None:
    path = agent.workspace.state_folder("queued") / "idea.yaml"
    path.write_text(dump_hypothesis(hypothesis("H-009", "Cosine", 0.01, train__schedule="cosine")))
    status, text = agent("queue", "add", str(path))
    assert status == 2
    assert "takes this one in by itself" in text


def test_options_that_do_not_make_an_idea_are_refused(agent: Command) -> None:
    assert agent("queue", "add")[0] == 2
    assert agent("queue", "add", "--set", "train.momentum=0.9")[0] == 2
    assert agent("queue", "add", "--set", "train.momentum=0.9", "--title", "x", "--gain", "nan")[0] == 2
    assert agent("queue", "add", "missing.yaml")[0] == 2


def test_only_what_waits_is_dropped_and_with_a_reason(agent: Command, nights: Nights) -> None:
    nights.start_test("H-005")
    assert agent("queue", "drop", "H-005", "--reason", "x")[0] == 2
    assert agent("queue", "drop", "H-001", "--reason", "x")[0] == 2
    assert agent("queue", "drop", "H-099", "--reason", "x")[0] == 2
    assert agent("queue", "drop", "H-006", "--reason", "\x1b[31m")[0] == 2
    assert agent("queue", "drop", "H-006", "--reason", "too dear")[0] == 0
    event = list(Reader(agent.workspace).events())[-1]
    assert (event.kind, event.subject, event.data["code"], event.reason) == (
        "hypothesis_archived",
        "H-006",
        "dropped",
        "dropped: too dear",
    )
    assert Reader(agent.workspace).history().hypotheses["H-006"].status == "archived"


def test_a_hypothesis_is_shown_in_the_documents_form(agent: Command) -> None:
    status, text = agent("queue", "show", "H-001")
    assert status == 0
    assert text.startswith("hypothesis:\n  id: H-001\n")
    assert "status: promoted" in text
    assert "# promoted: Gain +0.02" in text
    assert agent("queue", "show", "H-099")[0] == 2


def test_two_who_add_at_the_same_moment_get_two_numbers(agent: Command, nights: Nights) -> None:
    target = load_target(agent.workspace.target)

    class Slow(dict[str, Any]):
        """Settings of the slower of two people: while they are checked, the faster one adds an idea of their own."""

        raced = False

        def items(self) -> Any:
            if not Slow.raced:
                Slow.raced = True
                other = handwork.Idea("Faster", {"train.schedule": "cosine"}, 0.01, "Low")
                handwork.add(agent.workspace, target, other, "--set")
            return super().items()

    slow = handwork.Idea("Slower", Slow({"train.momentum": 0.9}), 0.01, "Low")
    assert handwork.add(agent.workspace, target, slow, "--set").hypothesis.id == "H-008"
    titles = {name: h.title for name, h in Reader(agent.workspace).history().hypotheses.items()}
    assert (titles["H-007"], titles["H-008"]) == ("Faster", "Slower")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("20", 20),
        ("0.5", 0.5),
        ("1e-3", 0.001),
        ("true", True),
        ("False", False),
        ("relu", "relu"),
        ("'20'", "20"),
        ("-3", -3),
    ],
)
def test_a_value_is_read_as_it_is_written(written: str, value: object) -> None:
    found = handwork.scalar(written)
    assert (found, type(found)) == (value, type(value))


def test_a_setting_without_a_value_is_refused() -> None:
    for text in ("train.epochs", "=3", "train.epochs="):
        with pytest.raises(BadInput):
            handwork.setting(text)
