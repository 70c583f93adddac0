"""The technical log holds every experiment, paper, verdict and the queue, and stays small whatever was run."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from recorded_nights import QUOTE, STRONG, a_night, make_workspace

from agent.account import accounts
from agent.chronicle import arm_means, brief_look, chronicle
from agent.readers import Reader
from agent.reports import technical_log
from registry.workspace import Workspace

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = make_workspace(tmp_path_factory.mktemp("logged"))
    a_night(made).log.close()
    return made


@pytest.fixture(scope="module")
def text(workspace: Workspace) -> str:
    return technical_log(chronicle(Reader(workspace).events()), NOW)


def block(text: str, name: str) -> str:
    return text.split(f"### {name}: ", 1)[1].split("\n#", 1)[0]


def test_it_leads_with_a_table_of_everything(text: str) -> None:
    head = text.split("## Outcomes", 1)[0]
    assert "| Position | Digits #2, gap -0.0350 |" in head
    assert "| Hypotheses | 1 promoted, 3 archived, 0 parked, 0 under test, 2 queued |" in head
    assert "| Test looks | 2 of 10 |" in head
    assert "| Season | 1: N = 20, t = 3, R = 1, bar E ≥ 200, until 2027-02-16 |" in head


def test_every_experiment_is_there_with_config_metrics_and_outcome(text: str) -> None:
    promoted, futile, broken = block(text, "H-001"), block(text, "H-002"), block(text, "H-004")
    assert "`data.shifts` = `1`" in promoted
    assert f"**Accuracy, 8 deciding seeds:** {0.92 + sum(STRONG) / 8:.4f} against 0.9200" in promoted
    assert "**Accuracy, 5 fresh seeds:**" in promoted
    assert "**Test:** 0.9520 (look 2 of 10" in promoted
    assert "**Accuracy, 2 deciding seeds:** 0.9190 against 0.9200 (-0.0010)" in futile
    assert "✗ futility" in futile
    assert "fast validation failed: train crashed: ValueError" in broken
    assert "`train.learning_rate` = `0.3`" in broken


def test_every_criterion_that_was_judged_is_in_the_rationale(workspace: Workspace, text: str) -> None:
    rows = Reader(workspace).account("H-001").rows
    judged = [row["name"].replace("_", r"\_") for row in rows if row["result"] != "not_applicable"]
    assert len(judged) > 5
    assert all(name in block(text, "H-001") for name in judged)


def test_papers_are_there_with_techniques_and_what_became_of_them(text: str) -> None:
    papers = text.split("## Papers", 1)[1]
    assert "### Shifted copies for small images" in papers
    assert "**shifts:** effort Low, impact Medium" in papers
    assert "H-001 promoted" in papers


def test_the_queue_is_there_with_priorities(text: str) -> None:
    queue = text.split("## Queue", 1)[1].split("\n## ", 1)[0]
    assert "| H-005 | Weight decay 0.001 | 0.7 | +0.0070 | Medium | queued |" in queue


def test_the_source_of_a_promotion_is_quoted(text: str) -> None:
    assert QUOTE in block(text, "H-001")


def test_an_empty_log_gives_a_log_that_says_so() -> None:
    text = technical_log(chronicle([]), NOW)
    assert "an empty log" in text
    assert "Nothing has been tried yet." in text


def test_raw_values_are_not_kept_in_memory(workspace: Workspace) -> None:
    whole, brief = accounts(Reader(workspace).events()), chronicle(Reader(workspace).events()).accounts
    assert whole["H-001"].pairs("stage")
    looks = [look.data for account in brief.values() for look in account.looks]
    assert all(not look or not look["evidence"]["stage"] for look in looks)
    assert {name: account.status for name, account in whole.items()} == {n: a.status for n, a in brief.items()}
    assert brief["H-001"].rows == whole["H-001"].rows
    assert brief["H-001"].runs == whole["H-001"].runs


def test_a_brief_look_keeps_the_means_of_both_arms(workspace: Workspace) -> None:
    look = Reader(workspace).account("H-001").looks[-1].data
    stage = look["evidence"]["stage"]
    means = brief_look(look)["arms"]["stage"]
    assert means["n"] == len(stage) == 8
    assert means["candidate"] == pytest.approx(sum(pair["candidate"]["primary"] for pair in stage) / 8)
    assert arm_means([{"seed": 1, "candidate": None, "production": None}]) == {}
