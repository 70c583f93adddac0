"""Our client against llama.cpp's own server: protocol, forms, bounds, counting, budgets, answers that are cut off."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import pytest
from model_workspaces import Answer, desk, document, question
from pydantic import Field

from agent.llm.contract import BudgetSpent, EndpointDown, NoReply, Schema


class Noise(Schema):
    """Bounds of every kind that the researcher's schemas use."""

    title: str = Field(max_length=40)
    kind: str = Field(pattern="^[a-z]{3,8}$", max_length=8)
    sum: int = Field(ge=0, le=100)
    share: float | None
    words: list[Annotated[str, Field(max_length=20)]] = Field(max_length=3)
    sure: bool


def settings(address: str, **default: Any) -> dict[str, Any]:
    made = document(address)
    made["endpoints"]["main"] |= {"retries": 0, "timeout": 60}
    made["models"]["default"] |= {"max_output_tokens": 2000, **default}
    return made


def test_noise_comes_back_in_the_schema_and_within_its_bounds(noise: str, tmp_path: Path) -> None:
    with desk(tmp_path, settings(noise)) as made:
        made.night()
        model = made.model()
        began = time.monotonic()
        replies = [model.ask(question(schema=Noise, values={"word": f"word{number}"})) for number in range(10)]
        taken = time.monotonic() - began
        answered = made.events("model_answered")
        spent = made.history.models.of_night("night-1")
    for reply in replies:
        assert len(reply.record.title) <= 40
        assert 0 <= reply.record.sum <= 100
        assert len(reply.record.words) <= 3
    assert len({reply.text for reply in replies}) > 1
    assert {event.data["rung"] for event in answered} <= {"json_schema", "json_object"}
    told = [event.data["usage"] for event in answered]
    assert all(usage["output_tokens"] > 0 and not usage["estimated"] for usage in told)
    assert spent.tokens == sum(usage["input_tokens"] + usage["output_tokens"] for usage in told)
    assert taken / len(answered) < 3.0


def test_the_server_takes_the_first_form_for_a_plain_schema(noise: str, tmp_path: Path) -> None:
    with desk(tmp_path, settings(noise)) as made:
        made.night()
        made.model().ask(question(schema=Answer))
        (event,) = made.events("model_answered")
        body = json.loads(made.blobs.get(event.data["body"]))
    assert (event.data["rung"], event.data["fits"], event.data["finish_reason"]) == ("json_schema", True, "stop")
    assert event.data["usage"]["output_tokens"] == body["usage"]["completion_tokens"]


def test_asked_again_it_is_answered_from_the_record(noise: str, tmp_path: Path) -> None:
    with desk(tmp_path, settings(noise)) as made:
        made.night()
        first = made.model().ask(question(schema=Noise))
        asked = len(made.events("model_asked"))
        assert made.model().ask(question(schema=Noise)) == first
        assert len(made.events("model_asked")) == asked


def test_an_answer_that_is_cut_off_is_no_reply(noise: str, tmp_path: Path) -> None:
    with desk(tmp_path, settings(noise, max_output_tokens=16)) as made:
        made.night()
        with pytest.raises(NoReply, match="cut off at 16 tokens"):
            made.model().ask(question(schema=Noise))
        assert {event.data["finish_reason"] for event in made.events("model_answered")} == {"length"}


def test_a_budget_stops_it(noise: str, tmp_path: Path) -> None:
    models = settings(noise) | {"budget": {"night": {"calls": 3}}}
    with desk(tmp_path, models) as made:
        made.night()
        model, answered = made.model(), 0
        with pytest.raises(BudgetSpent):
            for attempt in range(1, 9):
                model.ask(question(schema=Answer, attempt=attempt))
                answered += 1
        assert answered <= 3
        assert len(made.events("model_asked")) == 3


@pytest.mark.parametrize("kind", ["unruly", "deaf"])
def test_a_server_that_errs_or_keeps_to_no_form_gives_a_reply_that_fits_or_none(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with desk(tmp_path, settings(request.getfixturevalue(kind), max_output_tokens=400)) as made:
        made.night()
        model = made.model()
        for attempt in range(1, 7):
            try:
                assert isinstance(model.ask(question(schema=Noise, attempt=attempt)).record, Noise)
            except EndpointDown:
                made.cycle(made.history.cycles + 1)
            except NoReply:
                pass
        assert len(made.events("model_asked")) >= 6
        assert not made.history.models.in_flight
