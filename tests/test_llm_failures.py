"""Everything a server can do wrong, over the wire: what the caller gets, what is sent again, what is charged."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from model_workspaces import RIGHT, Desk, desk, document, question
from scripted_endpoint import Asked, Script, Step, completion, serving

from agent.llm.contract import BudgetSpent, EndpointDown, NoReply
from agent.llm.rungs import RUNGS
from experiments.plans import Interrupted


def asked(folder: Path, script: Script, **endpoint: Any) -> tuple[Any, list[Asked], list[dict[str, Any]]]:
    """The record that came or the error, the requests that arrived, and what each was charged."""
    with serving(script) as server:
        models = document(server.base_url)
        models["endpoints"]["main"] |= endpoint
        with desk(folder, models) as at:
            try:
                came: Any = at.model().ask(question()).record
            except (NoReply, EndpointDown, BudgetSpent) as error:
                came = error
            ends = [event.data["usage"] for kind in ("model_failed", "model_answered") for event in at.events(kind)]
            assert len(at.events("model_asked")) == len(ends)
            assert at.history.models.of_hypothesis("H-001").tokens == sum(
                usage["input_tokens"] + usage["output_tokens"] for usage in ends
            )
    return came, server.asked, ends


@pytest.mark.parametrize("status", [429, 502, 503, 529])
def test_a_busy_server_is_asked_again_and_only_the_answer_is_charged(tmp_path: Path, status: int) -> None:
    came, requests, charged = asked(tmp_path, [Step(status=status), RIGHT])
    assert came.sum == 5
    assert len(requests) == 2
    assert [usage["input_tokens"] for usage in charged] == [0, 100]


def test_a_server_that_stays_busy_is_down(tmp_path: Path) -> None:
    came, requests, charged = asked(tmp_path, [Step(status=503)] * 9)
    assert isinstance(came, EndpointDown)
    assert "HTTP 503" in str(came)
    assert len(requests) == 3
    assert sum(usage["cost"] for usage in charged) == 0


def test_retry_after_is_waited_for(tmp_path: Path) -> None:
    start = time.monotonic()
    came, _, _ = asked(tmp_path, [Step(status=429, headers={"Retry-After": "1"}), RIGHT])
    assert came.sum == 5
    assert time.monotonic() - start >= 1


@pytest.mark.parametrize("patience", [lambda: "3600", lambda: formatdate(time.time() + 3600)], ids=["seconds", "date"])
def test_a_server_that_asks_for_too_much_patience_is_down(tmp_path: Path, patience: Callable[[], str]) -> None:
    came, requests, _ = asked(tmp_path, [Step(status=429, headers={"Retry-After": patience()})])
    assert isinstance(came, EndpointDown)
    assert len(requests) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_refuses_any_request_is_asked_once(tmp_path: Path, status: int) -> None:
    came, requests, _ = asked(tmp_path, [Step(status=status)] * 5)
    assert isinstance(came, EndpointDown)
    assert len(requests) == 1


def test_a_quota_that_is_used_up_is_not_asked_again(tmp_path: Path) -> None:
    body = (
        b'{"error": {"message": "You exceeded your current quota: insufficient_quota", "code": "insufficient_quota"}}'
    )
    came, requests, _ = asked(tmp_path, [Step(status=429, body=body)] * 5)
    assert isinstance(came, EndpointDown)
    assert len(requests) == 1


def test_a_server_that_breaks_at_a_form_it_does_not_know_is_asked_on_lower_rungs(tmp_path: Path) -> None:
    def broken(request: Asked) -> Step:
        return Step(status=500) if "response_format" in request.document else Step(tool_arguments=RIGHT)

    came, requests, _ = asked(tmp_path, broken)
    assert came.sum == 5
    assert len(requests) == 3 + 2 + 1
    assert requests[-1].document["tools"][0]["function"]["name"] == "reply"


def test_a_server_that_always_breaks_is_down(tmp_path: Path) -> None:
    came, requests, _ = asked(tmp_path, [Step(status=500)] * 20)
    assert isinstance(came, EndpointDown)
    assert len(requests) == 3 + len(RUNGS) - 1


@pytest.mark.parametrize("step", [Step(RIGHT, stall_s=1.5), Step(RIGHT, drip_s=0.02)], ids=["stall", "drip"])
def test_an_answer_that_takes_too_long_is_given_up_and_charged_as_an_estimate(tmp_path: Path, step: Step) -> None:
    start = time.monotonic()
    came, requests, charged = asked(tmp_path, [step, RIGHT], timeout=0.5)
    assert came.sum == 5
    assert len(requests) == 2
    assert time.monotonic() - start < 10
    assert charged[0]["estimated"]
    assert charged[0]["output_tokens"] == 200


@pytest.mark.parametrize(
    "step",
    [
        Step(RIGHT, cut_after=60),
        Step(RIGHT, cut_after=0),
        Step(body=b"<html>Bad gateway</html>", headers={"Content-Type": "text/html"}),
        Step(body=b"<html>Bad gateway</html>"),
        Step(body=b""),
        Step(body=b"[]"),
        Step(body=b'{"choices": []}'),
        Step(body=b'{"choices": null}'),
        Step(body=b'{"choices": [{"index": 0, "message": null}]}'),
        Step(body=b'{"error": {"message": "model is loading"}}'),
        Step(body=b'{"id": "x", "choices": [{"index": 0, "mess'),
        Step(body=b'{"choices": ' + b"[" * 50_000),
    ],
)
def test_an_answer_that_is_no_completion_is_asked_for_again_and_charged_as_an_estimate(
    tmp_path: Path, step: Step
) -> None:
    came, requests, charged = asked(tmp_path, [step, RIGHT])
    assert came.sum == 5
    assert len(requests) == 2
    assert [usage["estimated"] for usage in charged] == [True, False]


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with serving([RIGHT]) as other:
        step = Step(status=307, headers={"Location": f"{other.base_url}/chat/completions"})
        came, requests, _ = asked(tmp_path, [step] * 3)
    assert isinstance(came, EndpointDown)
    assert (len(requests), len(other.asked)) == (1, 0)


def test_a_port_where_nobody_listens_is_down_and_costs_nothing(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        models = document(f"http://127.0.0.1:{free.getsockname()[1]}/v1")
    with desk(tmp_path, models) as at:
        with pytest.raises(EndpointDown, match="connection could not be made"):
            at.model().ask(question())
        assert at.history.models.of_hypothesis("H-001").nanos == 0


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (Step(refusal="I will not"), "refused: I will not"),
        (Step("", finish_reason="content_filter"), "its filter"),
        (Step('{"word": "her', finish_reason="length"), "cut off at 20 tokens"),
    ],
)
def test_a_refusal_and_a_cut_off_answer_are_no_reply_and_are_paid_for(tmp_path: Path, step: Step, why: str) -> None:
    came, requests, charged = asked(tmp_path, [step, RIGHT])
    assert isinstance(came, NoReply)
    assert why in str(came)
    assert len(requests) == 1
    assert charged[0]["cost"] == 0.0004


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{RIGHT}\n```",
        f"Here it is:\n{RIGHT}\nI hope this helps.",
        f"<think>a {{b}} c</think>{RIGHT}",
        f"\n {RIGHT}",
    ],
)
def test_an_object_with_words_around_it_is_read(tmp_path: Path, text: str) -> None:
    came, requests, _ = asked(tmp_path, [text])
    assert came.sum == 5
    assert len(requests) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1, 2]",
        RIGHT[:-4],
        '{"word": "heron", "sum": NaN}',
        '{"word": "heron", "sum": 5, "more": 1}',
        '{"word": "heron", "sum": "five"}',
        '{"word": "' + "x" * 21 + '", "sum": 5}',
        '{"word": "\\ud800", "sum": 5}',
        '{"word": ' + "[" * 30_000,
        '{"word": "heron", "sum": 1' + "0" * 5000 + "}",
    ],
)
def test_what_does_not_fit_is_told_to_the_model_and_repaired(tmp_path: Path, text: str) -> None:
    came, requests, _ = asked(tmp_path, [text, RIGHT])
    assert came.sum == 5
    assert requests[1].messages[-1]["content"].endswith(tuple('}."'))
    assert len(requests[1].said) < 30_000


def test_a_tool_that_is_offered_and_ignored_does_no_harm(tmp_path: Path) -> None:
    def script(request: Asked) -> Step:
        return Step(status=400) if "response_format" in request.document else Step("I would rather talk.")

    came, requests, _ = asked(tmp_path, script)
    assert isinstance(came, NoReply)
    assert ["tools" in request.document for request in requests] == [False, False, False, True, False]


def test_a_tool_that_is_called_with_broken_arguments_is_repaired(tmp_path: Path) -> None:
    script = [*[Step(status=400)] * 3, Step(tool_arguments='{"word": "her'), Step(tool_arguments=RIGHT)]
    came, requests, _ = asked(tmp_path, script)
    assert came.sum == 5
    assert len(requests) == 5


def test_a_server_that_ignores_the_schema_is_asked_with_it_in_the_prompt_from_then_on(tmp_path: Path) -> None:
    with serving(["prose", RIGHT, RIGHT]) as server, desk(tmp_path, document(server.base_url)) as at:
        model = at.model()
        model.ask(question())
        model.ask(question(attempt=2))
    assert [one.document["response_format"]["type"] for one in server.asked] == [
        "json_schema",
        "json_object",
        "json_object",
    ]


def test_a_server_that_knows_the_newer_name_of_the_limit_only_is_asked_with_it_from_then_on(tmp_path: Path) -> None:
    def newer(request: Asked) -> Step:
        if "max_tokens" in request.document:
            return Step(status=400, body=b'{"error": {"message": "Use max_completion_tokens instead of max_tokens."}}')
        return Step(RIGHT)

    with serving(newer) as server, desk(tmp_path, document(server.base_url)) as at:
        at.model().ask(question())
        at.model().ask(question(attempt=2))
    assert [one.document.get("max_completion_tokens") for one in server.asked] == [None, 200, 200]
    assert {one.document["response_format"]["type"] for one in server.asked} == {"json_schema"}


def test_a_prompt_that_is_too_long_is_not_tried_on_every_rung(tmp_path: Path) -> None:
    body = b'{"error": {"message": "This model\'s maximum context length is 10 tokens."}}'
    came, requests, _ = asked(tmp_path, [Step(status=400, body=body)] * 9)
    assert isinstance(came, NoReply)
    assert len(requests) == 1


HALF = b"\\ud800"
"""Half a surrogate pair, as JSON spells it: no text that can be kept."""


@pytest.mark.parametrize(
    "step",
    [
        Step(body=completion(Step("HALF"), "small").replace(b"HALF", HALF)),
        Step(body=completion(Step(refusal="HALF"), "small").replace(b"HALF", HALF)),
        Step(body=completion(Step("x", finish_reason="HALF"), "small").replace(b"HALF", HALF)),
        Step(body=completion(Step(tool_arguments="HALF"), "small").replace(b"HALF", HALF)),
        Step(status=400, body=b'{"error": {"message": "' + HALF + b'"}}'),
        Step(status=401, body=b'{"error": {"message": "' + HALF + b'"}}'),
        Step(body=b'{"error": {"message": "' + HALF + b'"}}'),
        Step(json.dumps({"x" * 99_999: 1, "\x1b[2J\u202e": 2})),
    ],
)
def test_text_that_cannot_be_kept_or_shown_ends_like_any_other(tmp_path: Path, step: Step) -> None:
    came, requests, _ = asked(tmp_path, [step] * 9)
    assert isinstance(came, NoReply | EndpointDown)
    assert requests
    assert len(str(came)) < 1000
    assert str(came).encode().decode().replace("\n", "").isprintable()


def responses(text: str, **changes: Any) -> Step:
    """An answer of the Responses API."""
    said = {"type": "output_text", "text": text, "annotations": []}
    body: dict[str, Any] = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "small",
        "output": [{"type": "message", "id": "m1", "status": "completed", "role": "assistant", "content": [said]}],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18},
    }
    return Step(body=json.dumps(body | changes).encode())


def test_the_responses_api_is_used_where_it_is_asked_for(tmp_path: Path) -> None:
    came, (request,), (charged,) = asked(tmp_path, [responses(RIGHT)], responses_api=True)
    assert came.sum == 5
    assert request.path == "/v1/responses"
    assert request.document["text"]["format"]["strict"] is True
    assert (request.document["max_output_tokens"], request.document["store"]) == (200, False)
    assert (charged["input_tokens"], charged["output_tokens"]) == (11, 7)


def test_an_answer_of_the_responses_api_that_is_cut_off_is_no_reply(tmp_path: Path) -> None:
    cut = responses(RIGHT[:5], status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    came, _, _ = asked(tmp_path, [cut], responses_api=True)
    assert isinstance(came, NoReply)
    assert "cut off" in str(came)


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}])
def test_usage_that_is_not_told_is_estimated_and_called_so(tmp_path: Path, usage: dict[str, int] | None) -> None:
    reply: dict[str, Any] = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "small",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": RIGHT}, "finish_reason": "stop"}],
    }
    body = json.dumps(reply if usage is None else reply | {"usage": usage}).encode()
    came, requests, (charged,) = asked(tmp_path, [Step(body=body)])
    assert came.sum == 5
    assert charged["estimated"]
    assert charged["input_tokens"] >= len(requests[0].said)
    assert charged["output_tokens"] == 200


def test_a_budget_that_is_spent_in_the_middle_of_a_night_stops_the_next_call(tmp_path: Path) -> None:
    budget = {"hypothesis": {"tokens": 4000}}
    step = Step(RIGHT, input_tokens=900, output_tokens=200)
    with serving(lambda _: step) as server, desk(tmp_path, document(server.base_url, budget=budget)) as at:
        at.night()
        model, answered = at.model(), 0
        with pytest.raises(BudgetSpent, match="tokens are spent") as caught:
            for attempt in range(1, 20):
                model.ask(question(attempt=attempt))
                answered += 1
        assert not caught.value.of_night
        assert 1 <= answered == len(server.asked) < 4
        assert at.history.models.of_hypothesis("H-001").tokens <= 4000
        assert model.ask(question(subject="H-002", attempt=99)).record.sum == 5


def test_a_night_without_its_endpoint_waits_for_it_once_a_cycle(tmp_path: Path) -> None:
    with serving([*[Step(status=503)] * 3, RIGHT]) as server, desk(tmp_path, document(server.base_url)) as at:
        at.night()
        model = at.model()
        for attempt in range(1, 6):
            with pytest.raises(EndpointDown):
                model.ask(question(attempt=attempt))
        assert len(server.asked) == 3
        assert len(at.events("model_gave_up")) == 5
        at.cycle(2)
        assert model.ask(question()).record.sum == 5


def ended_by(act: Callable[[Desk], None], folder: Path, step: Step) -> float:
    """Seconds that a question lasts when `act` happens while it is under way, and a stop ends it."""
    with serving([step] * 9) as server:
        models = document(server.base_url)
        with desk(folder, models) as at:
            later = threading.Timer(0.3, act, [at])
            later.start()
            start = time.monotonic()
            with pytest.raises(Interrupted):
                at.model().ask(question())
            later.join()
            return time.monotonic() - start


def test_a_stop_ends_the_wait_for_another_try(tmp_path: Path) -> None:
    step = Step(status=429, headers={"Retry-After": "2"})
    assert ended_by(lambda at: at.cancel.set(), tmp_path, step) < 1.9


def test_nothing_is_sent_after_a_stop(tmp_path: Path) -> None:
    with serving([RIGHT]) as server, desk(tmp_path, document(server.base_url)) as at:
        at.cancel.set()
        with pytest.raises(Interrupted):
            at.model().ask(question())
        assert server.asked == []
        assert at.events("model_asked") == []
