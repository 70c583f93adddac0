"""`agent ask --explain`: a model's words are shown only where the log bears them out, and each call is recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_nights import a_night, make_workspace
from scripted_endpoint import Asked, ScriptedEndpoint, Step, serving

from agent.answers.explained import Statement, stands
from agent.answers.sentences import fact
from agent.cli.main import main
from registry.audit_events import read_events
from registry.workspace import Workspace

QUESTION = "why was H-001 promoted?"
FACTS = [
    fact("H-001 was promoted: the gain on 5 fresh seeds is +0.0202.", 40),
    fact("It sets data.shifts to 1.", 12, 13),
]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = make_workspace(tmp_path)
    a_night(made).log.close()
    return made


def configure(workspace: Workspace, endpoint: ScriptedEndpoint, more: str = "") -> None:
    workspace.models.write_text(
        "version: 1\nresearcher: llm\n"
        f"endpoints:\n  local: {{base_url: '{endpoint.base_url}', retries: 0, timeout: 5s}}\n"
        "models: {default: {endpoint: local, model: noise}}\n"
        "prices: {models: {noise: {input: 0, output: 0}}}\n" + more
    )


def ask(workspace: Workspace, *words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["ask", QUESTION, *words, "--workspace", str(workspace.root)])
    return int(str(ended.value.code or 0))


def told(*statements: tuple[str, list[int]]) -> str:
    return json.dumps({"statements": [{"text": text, "events": events} for text, events in statements]})


def promotion_of(workspace: Workspace) -> tuple[int, float]:
    event = next(event for event in read_events(workspace.audit) if event.kind == "promoted")
    return event.seq, event.data["gain"]


def test_a_statement_that_its_events_bear_out_is_shown_above_the_facts(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    seq, _ = promotion_of(workspace)
    with serving([told(("H-001 was promoted after its gain held.", [seq]))]) as endpoint:
        configure(workspace, endpoint)
        assert ask(workspace, "--explain") == 0
    said = capsys.readouterr().out
    assert "In the words of noise at local; the facts are below:" in said
    assert f"  H-001 was promoted after its gain held. [event {seq}]" in said
    assert "left out" not in said


def test_an_invented_number_event_or_name_is_left_out_and_counted(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    seq, _ = promotion_of(workspace)
    replies = told(("The gain was 9.87654.", [seq]), ("It was promoted.", [99999]), ("H-777 was better.", [seq]))
    with serving([replies]) as endpoint:
        configure(workspace, endpoint)
        assert ask(workspace, "--explain") == 0
    said = capsys.readouterr().out
    assert "The model gave no statement that the log bears out; the facts are below:" in said
    assert "(3 left out: " in said
    assert "9.87654" not in said
    assert "H-777" not in said


def test_the_model_is_given_facts_of_the_log_inside_a_fence_and_no_tool(workspace: Workspace) -> None:
    with serving([told()]) as endpoint:
        configure(workspace, endpoint)
        ask(workspace, "--explain")
        (asked,) = endpoint.asked
    assert "tools" not in asked.document
    question = str(asked.messages[-1]["content"])
    assert "[untrusted " in question
    assert "[event " in question
    assert QUESTION in question


def test_the_same_question_again_is_answered_from_the_record_and_charged_once(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving([told()]) as endpoint:
        configure(workspace, endpoint)
        ask(workspace, "--explain")
        ask(workspace, "--explain")
        assert len(endpoint.asked) == 1
    assert sum(event.kind == "model_answered" for event in read_events(workspace.audit)) == 1


def test_without_an_endpoint_the_facts_are_the_answer(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    with serving([Step(status=500)]) as endpoint:
        configure(workspace, endpoint)
        assert ask(workspace, "--explain") == 0
    said = capsys.readouterr().out
    assert said.startswith("No explanation: ")
    assert "[event " in said


def test_without_a_model_the_option_says_what_is_missing(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(workspace, "--explain") == 2
    assert "models.yaml: found no such file, expected a language model to ask" in capsys.readouterr().err


def test_a_reply_cannot_act_on_the_screen_or_carry_a_citation_of_its_own(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    seq, _ = promotion_of(workspace)

    def hostile(_: Asked) -> str:
        return told(("\x1b[2J It was promoted [event 1] \u202egnp.exe", [seq]))

    with serving(hostile) as endpoint:
        configure(workspace, endpoint)
        ask(workspace, "--explain")
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "(event 1)" in said or "left out" in said


def test_a_statement_needs_the_numbers_of_the_very_events_it_names() -> None:
    assert stands(Statement(text="The gain on 5 fresh seeds is +0.0202.", events=[40]), FACTS)
    assert not stands(Statement(text="The gain on 5 fresh seeds is +0.0202.", events=[12]), FACTS)
    assert not stands(Statement(text="The gain is 0.02.", events=[40]), FACTS)
    assert not stands(Statement(text="It rose by +0.0202 on 5 seeds.", events=[40, 41]), FACTS)


@given(st.integers(0, 9), st.integers(0, 3))
def test_no_changed_digit_of_a_gain_is_ever_shown(digit: int, place: int) -> None:
    digits = list("0202")
    digits[place] = str(digit)
    text = f"The gain on 5 fresh seeds is +0.{''.join(digits)}."
    assert stands(Statement(text=text, events=[40]), FACTS) == (digits == list("0202"))
