"""What known servers say otherwise than the protocol has it, over the wire: understood, or refused for what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from model_workspaces import RIGHT, desk, document, question
from scripted_endpoint import Script, Step, serving

from agent.llm.contract import EndpointDown, NoReply
from agent.llm.rungs import RUNGS

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


def answer(message: dict[str, Any], finish_reason: object = "stop", usage: object = USAGE) -> Step:
    """A completion with this message, whatever is in it."""
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return Step(body=json.dumps({"id": "x", "choices": [choice], "usage": usage}).encode())


def error(status: int, message: str, code: object = None) -> Step:
    return Step(status=status, body=json.dumps({"error": {"message": message, "code": code}}).encode())


def asked(folder: Path, script: Script) -> tuple[Any, list[str], list[dict[str, Any]]]:
    """The record that came or the error, the rungs that were tried, and what each request was charged."""
    with serving(script) as server, desk(folder, document(server.base_url)) as at:
        try:
            came: Any = at.model().ask(question()).record
        except (NoReply, EndpointDown) as failure:
            came = failure
        ends = [event.data["usage"] for kind in ("model_failed", "model_answered") for event in at.events(kind)]
        return came, [event.data["rung"] for event in at.events("model_asked")], ends


def called(arguments: object) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"function": {"name": "reply", "arguments": arguments}}],
    }


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": None, "reasoning_content": RIGHT},
        {"role": "assistant", "content": "", "reasoning": f"\n{RIGHT}"},
        {"role": "assistant", "content": json.loads(RIGHT)},
        {"content": RIGHT},
        {"role": "model", "content": RIGHT},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": RIGHT}]},
        called(json.loads(RIGHT)),
        {"role": "assistant", "content": RIGHT, "tool_calls": [{"function": {"name": "reply", "arguments": ""}}]},
        {"role": "assistant", "content": RIGHT, "tool_calls": [{"function": {"name": "reply", "arguments": "{}"}}]},
    ],
)
def test_an_answer_in_an_unusual_place_or_shape_is_found(tmp_path: Path, message: dict[str, Any]) -> None:
    came, rungs, charged = asked(tmp_path, [answer(message)])
    assert came.sum == 5
    assert (len(rungs), charged[0]["estimated"]) == (1, False)


def test_reasoning_without_an_answer_is_no_answer(tmp_path: Path) -> None:
    thought = {"role": "assistant", "content": None, "reasoning_content": f"It could be {RIGHT}, or not."}
    came, _, _ = asked(tmp_path, [answer(thought)] * 2)
    assert "the reply is empty" in str(came)


@pytest.mark.parametrize(
    "text", ['{"word": "a</think>b", "sum": 5}', '<think>{}</think>{"word": "a</think>b", "sum": 5}']
)
def test_the_mark_that_ends_thinking_may_stand_in_an_answer(tmp_path: Path, text: str) -> None:
    came, rungs, _ = asked(tmp_path, [text])
    assert (came.word, len(rungs)) == ("a</think>b", 1)


@pytest.mark.parametrize(
    "usage",
    [[], "none", {"prompt_tokens": 100, "total_tokens": 100}, {"prompt_tokens": 100.5, "completion_tokens": 20.5}],
)
def test_usage_that_cannot_be_is_not_told_usage(tmp_path: Path, usage: object) -> None:
    came, _, charged = asked(tmp_path, [answer({"role": "assistant", "content": RIGHT}, usage=usage)])
    assert came.sum == 5
    assert charged[0]["estimated"]
    assert isinstance(charged[0]["input_tokens"], int)


@pytest.mark.parametrize(
    ("reason", "said"), [("MAX_TOKENS", "cut off"), ("model_length", "cut off"), ("SAFETY", "filter")]
)
def test_a_reason_for_the_end_is_understood_in_other_words(tmp_path: Path, reason: str, said: str) -> None:
    came, rungs, _ = asked(tmp_path, [answer({"role": "assistant", "content": '{"word": "her'}, reason)])
    assert said in str(came)
    assert len(rungs) == 1


def test_an_answer_that_the_server_cut_off_early_is_told_as_the_servers_limit(tmp_path: Path) -> None:
    came, _, _ = asked(tmp_path, [Step('{"word": "her', finish_reason="length", output_tokens=60)])
    assert "cut off at 60 tokens by the server, before the 200 of max_output_tokens" in str(came)


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource"])
def test_an_answer_that_the_server_lost_half_way_is_asked_for_again_in_the_same_form(
    tmp_path: Path, reason: str
) -> None:
    lost = answer({"role": "assistant", "content": '{"word": "her'}, reason)
    came, rungs, charged = asked(tmp_path, [lost, RIGHT])
    assert came.sum == 5
    assert rungs == [RUNGS[0]] * 2
    assert charged[0]["estimated"]


def test_an_error_in_an_answer_of_success_counts_as_the_error_that_it_is(tmp_path: Path) -> None:
    refused = error(200, "response_format json_schema is not supported", 400)
    came, rungs, _ = asked(tmp_path, [refused, refused, RIGHT])
    assert came.sum == 5
    assert rungs == list(RUNGS[:3])


def test_not_found_of_a_way_to_serve_a_form_leads_down_the_ladder(tmp_path: Path) -> None:
    came, rungs, _ = asked(tmp_path, [error(404, "No endpoints found that support tool use.", 404)] * 4 + [RIGHT])
    assert came.sum == 5
    assert rungs == list(RUNGS)


@pytest.mark.parametrize(
    "step",
    [
        error(400, "The response was filtered due to the prompt triggering the content management policy.", "x"),
        error(400, "Bad request", "content_filter"),
        error(403, "Your input was flagged"),
    ],
)
def test_a_filter_that_stops_one_question_is_asked_once_and_stops_no_other(tmp_path: Path, step: Step) -> None:
    with serving([step, RIGHT]) as server, desk(tmp_path, document(server.base_url)) as at:
        at.night()
        model = at.model()
        with pytest.raises(NoReply, match="does not take the question"):
            model.ask(question())
        assert model.ask(question(values={"word": "stork"})).record.sum == 5


@pytest.mark.parametrize(
    "step",
    [
        error(400, "max_tokens is too large: 200. This model supports at most 100 completion tokens."),
        error(400, "Invalid max_tokens value, the valid range of max_tokens is [1, 100]"),
        Step(status=413),
    ],
)
def test_a_refusal_that_no_other_form_would_change_is_asked_once(tmp_path: Path, step: Step) -> None:
    came, rungs, _ = asked(tmp_path, [step] * 5)
    assert isinstance(came, NoReply)
    assert len(rungs) == 1


def test_a_model_that_is_not_there_leaves_its_endpoint_to_the_others(tmp_path: Path) -> None:
    with serving([error(404, "The model `small` does not exist", "model_not_found"), RIGHT]) as server:
        models = document(server.base_url)
        models["models"]["patch"] = {"model": "large"}
        models["prices"]["models"]["large"] = {"input": 0, "output": 0}
        with desk(tmp_path, models) as at:
            at.night()
            model = at.model()
            for _ in range(2):
                with pytest.raises(EndpointDown, match="small at main"):
                    model.ask(question())
            assert model.ask(question(role="patch")).record.sum == 5
        assert [request.document["model"] for request in server.asked] == ["small", "large"]


def test_a_quota_is_known_by_its_code(tmp_path: Path) -> None:
    came, rungs, _ = asked(tmp_path, [error(429, "You exceeded your current quota", "insufficient_quota")] * 3)
    assert isinstance(came, EndpointDown)
    assert len(rungs) == 1
