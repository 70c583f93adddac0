"""A question to a language model over the wire: its reply, its record, and what it costs to ask again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from model_workspaces import RIGHT, Answer, desk, document, question
from scripted_endpoint import Step, serving

from agent.llm.contract import BudgetSpent, NoReply


def test_a_reply_that_fits_comes_back_as_a_record(tmp_path: Path) -> None:
    with serving([RIGHT]) as endpoint, desk(tmp_path, document(endpoint.base_url)) as at:
        reply = at.model().ask(question())
    assert reply.record == Answer(word="heron", sum=5)
    assert reply.by == "small at main"
    (asked,) = endpoint.asked
    assert [message["role"] for message in asked.messages] == ["system", "user"]
    assert "heron" in asked.said
    assert asked.document["max_tokens"] == 200
    assert asked.document["response_format"]["json_schema"]["strict"] is True
    assert "authorization" not in asked.headers


def test_the_whole_call_is_in_the_log_and_its_blobs(tmp_path: Path) -> None:
    with serving([RIGHT]) as endpoint, desk(tmp_path, document(endpoint.base_url)) as at:
        at.night()
        reply = at.model().ask(question())
        (asked,), (answered,) = at.events("model_asked"), at.events("model_answered")
        sent, body = json.loads(at.blobs.get(asked.data["sent"])), json.loads(at.blobs.get(answered.data["body"]))
    assert sent["messages"] == endpoint.asked[0].messages
    assert body["choices"][0]["message"]["content"] == RIGHT
    assert asked.data["call"] == answered.data["call"] == reply.call
    assert (asked.data["prompt"], asked.data["rung"], asked.data["night"]) == ("probe", "json_schema", "night-1")
    usage = {"input_tokens": 100, "output_tokens": 20, "cost": 0.0004, "estimated": False}
    assert answered.data["usage"] == usage


def test_asked_again_it_is_answered_from_the_record_and_nothing_is_charged(tmp_path: Path) -> None:
    with serving([RIGHT]) as endpoint:
        with desk(tmp_path, document(endpoint.base_url)) as at:
            first = at.model().ask(question())
            spent = at.history.models.of_hypothesis("H-001")
        with desk(tmp_path) as at:
            again = at.model().ask(question())
            assert at.history.models.of_hypothesis("H-001") == spent
        assert again == first
        assert len(endpoint.asked) == 1
    assert spent.tokens == 120


def test_another_attempt_is_another_question(tmp_path: Path) -> None:
    with serving([RIGHT, '{"word": "tern", "sum": 5}']) as endpoint, desk(tmp_path, document(endpoint.base_url)) as at:
        model = at.model()
        assert model.ask(question()).call != model.ask(question(attempt=2)).call


def test_a_reply_that_does_not_fit_is_repaired_once(tmp_path: Path) -> None:
    script = ['{"word": "heron"}', RIGHT]
    with serving(script) as endpoint, desk(tmp_path, document(endpoint.base_url)) as at:
        assert at.model().ask(question()).record.sum == 5
    last = endpoint.asked[1].messages
    assert last[-2] == {"role": "assistant", "content": script[0]}
    assert "sum: Field required" in last[-1]["content"]


def test_a_reply_that_never_fits_is_no_reply_and_is_not_paid_for_again(tmp_path: Path) -> None:
    with serving(["no", "no again"]) as endpoint, desk(tmp_path, document(endpoint.base_url)) as at:
        for _ in range(2):
            with pytest.raises(NoReply, match="holds no JSON object"):
                at.model().ask(question())
        assert len(endpoint.asked) == 2
        assert [event.data["code"] for event in at.events("model_gave_up")] == ["no_reply"]


def test_a_call_that_the_budget_has_no_room_for_is_not_made(tmp_path: Path) -> None:
    budget = {"night": {"money": 0.0001}}
    with serving([RIGHT]) as endpoint, desk(tmp_path, document(endpoint.base_url, budget=budget)) as at:
        with pytest.raises(BudgetSpent) as caught:
            at.model().ask(question())
        assert caught.value.of_night
        assert endpoint.asked == []
        assert [event.data["code"] for event in at.events("model_gave_up")] == ["budget_of_night"]


def test_a_server_that_refuses_schemas_is_asked_with_the_prompt_alone_and_it_is_remembered(tmp_path: Path) -> None:
    def simple(asked: object) -> Step:
        options = asked.document.keys() & {"response_format", "tools"}  # type: ignore[attr-defined]
        return Step(status=400) if options else Step(RIGHT)

    with serving(simple) as endpoint:
        with desk(tmp_path, document(endpoint.base_url)) as at:
            at.model().ask(question())
            assert len(endpoint.asked) == 5
        with desk(tmp_path) as at:
            at.model().ask(question(values={"word": "tern"}))
            assert at.events("model_asked")[-1].data["rung"] == "prompt"
        assert len(endpoint.asked) == 6
    assert '"sum"' in endpoint.asked[-1].said
