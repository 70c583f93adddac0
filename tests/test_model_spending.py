"""People are told what language models were paid and where they gave no answer: in the digest and by `agent ask`."""

from __future__ import annotations

from pathlib import Path

from recorded_nights import Nights, make_workspace

from agent.answers import narrow, overviews
from agent.answers.questions import understand
from agent.chronicle import Chronicle, chronicle
from agent.reports.weekly_digest import digest
from registry.workspace import Workspace

ESTIMATE = {"input_tokens": 5000, "output_tokens": 4000, "cost": 0.05, "estimated": True}
TOLD = {"input_tokens": 100, "output_tokens": 20, "cost": 0.0004, "estimated": False}


def told(folder: Path, *, asked: bool) -> tuple[Chronicle, str]:
    """A night with two requests, one of them without an answer, and what the digest makes of it."""
    nights = Nights(make_workspace(folder))
    nights.start_night()
    night = nights.log.find("night:1") or next(iter(nights.log.events("night_started")))
    if asked:
        for number in (1, 2):
            request = {"request": f"c:{number}", "night": night.subject, "server": "s", "rung": "prompt", "limit": "l"}
            nights.record("model_asked", "queue", {**request, "estimate": ESTIMATE})
            if number == 1:
                nights.record("model_answered", "queue", {**request, "usage": TOLD, "fits": True})
        nights.record("model_gave_up", "queue", {"night": night.subject, "code": "endpoint_down"}, "no answer")
        nights.record("model_gave_up", "ask", {"night": "day:2020-01-01", "code": "endpoint_down"}, "another day's")
    nights.end_night()
    known = chronicle(list(nights.log.read_new(0)))
    text = digest(known, nights.now)
    nights.log.close()
    return known, text


def test_digest_and_answer_say_what_models_took_and_how_often_they_were_silent(tmp_path: Path) -> None:
    known, text = told(tmp_path, asked=True)
    line = (
        "anguage models: 2 calls, 9120 tokens, 0.0504 by the prices in models.yaml (1 of them charged at the most they"
        " may cost); no answer 1 time because the endpoint did not answer"
    )
    assert f"\n- L{line}\n" in text
    assert any(str(sentence).startswith(f"L{line}. [event") for sentence in overviews.night(known, None))


def test_what_the_models_cost_is_told_in_all_and_by_night(tmp_path: Path) -> None:
    known, _ = told(tmp_path, asked=True)
    workspace = Workspace(tmp_path)
    for question, beginnings in (
        (
            "what did the models cost?",
            ["In all, language models: 2 calls, 9120 tokens, 0.0504", "N-0001: language"],
        ),
        ("how many tokens did we use last night?", ["N-0001: language models: 2 calls, 9120 tokens, 0.0504"]),
    ):
        lines = [str(sentence) for sentence in narrow.told("model_costs", understand(question), known, workspace)]
        assert len(lines) == len(beginnings)
        assert all(map(str.startswith, lines, beginnings)), lines
        assert all("[event" in line for line in lines)


def test_where_no_model_was_asked_the_answer_says_so(tmp_path: Path) -> None:
    known, _ = told(tmp_path, asked=False)
    for question, answer in (
        ("what did the models cost?", "No language model has been asked so far."),
        ("what did the models cost last night?", "N-0001 asked no language model."),
    ):
        (only,) = narrow.told("model_costs", understand(question), known, Workspace(tmp_path))
        assert str(only).startswith(answer)


def test_without_a_model_neither_speaks_of_one(tmp_path: Path) -> None:
    known, text = told(tmp_path, asked=False)
    assert "anguage model" not in text
    assert not any("anguage model" in str(sentence) for sentence in overviews.night(known, None))
