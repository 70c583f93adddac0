"""Questions are understood by their words, and no text is too strange to be understood as something."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.answers.questions import MAX_IDS, understand
from agent.answers.sentences import fact, safe


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("why was H-001 promoted?", "hypothesis"),
        ("what became of hypothesis 7", "hypothesis"),
        ("what was promoted last night?", "outcomes"),
        ("what has been rejected so far", "outcomes"),
        ("what is production now?", "production"),
        ("which configuration is live?", "production"),
        ("what is our rank?", "rank"),
        ("how far behind are we?", "rank"),
        ("are we #1?", "rank"),
        ("what did we learn from the paper on shifts?", "papers"),
        ("what is queued?", "queue"),
        ("what comes next?", "queue"),
        ("which ideas about dropout were tried and what came of them?", "ideas"),
        ("how many runs were there?", "counts"),
        ("how long did the night take?", "counts"),
        ("what happened in cycle 3?", "cycle"),
        ("what happened in night 2?", "night"),
        ("what happened last night?", "night"),
        ("why did the night end?", "night"),
        ("what seeds were used?", "seeds"),
        ("what does the season allow?", "season"),
        ("show event 12", "event"),
        ("who won the world cup?", "search"),
    ],
)
def test_a_question_is_understood_by_its_words(text: str, kind: str) -> None:
    assert understand(text).kind == kind


@pytest.mark.parametrize(
    ("text", "narrow"),
    [
        ("what is the test score?", "test_score"),
        ("what is our test accuracy?", "test_score"),
        ("what did we score on the test split?", "test_score"),
        ("which hypotheses crashed?", "crashes"),
        ("how many runs crashed?", "crashes"),
        ("did anything crash last night?", "crashes"),
        ("what is running now?", "running"),
        ("is anything running?", "running"),
        ("what is under test?", "running"),
        ("what are you doing?", "running"),
        ("how many false promotions?", "false_promotions"),
        ("are any of the promotions false?", "false_promotions"),
        ("who is first?", "leader"),
        ("who is #1?", "leader"),
        ("who leads the board?", "leader"),
        ("who is ahead of us?", "leader"),
        ("what is the latency of production?", "costs"),
        ("how much memory does it need?", "costs"),
        ("what did the models cost?", "model_costs"),
        ("how many tokens did the models use last night?", "model_costs"),
        ("how much money was spent?", "model_costs"),
        ("how much did we pay for language model calls?", "model_costs"),
        ("how much of the budget is spent?", "model_costs"),
        ("which models were tried?", None),
        ("what is our rank?", None),
        ("which ideas about dropout were tried?", None),
        ("who won the world cup?", None),
    ],
)
def test_a_question_for_one_fact_is_known_by_its_words(text: str, narrow: str | None) -> None:
    asked = understand(text)
    assert asked.narrow == narrow
    assert asked.names == ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("who is first on Digits?", ("digits",)),
        ("what is the memory of an elephant?", ("elephant",)),
        ("ValueError train crashed", ("valueerror", "train")),
    ],
)
def test_what_else_a_question_for_one_fact_names_is_kept_to_be_looked_up(text: str, names: tuple[str, ...]) -> None:
    assert understand(text).names == names


@pytest.mark.parametrize("written", ["H-042", "h-42", "H42", "h 42", "hypothesis 42", "H-0042"])
def test_an_id_is_known_however_it_is_written(written: str) -> None:
    assert understand(f"why was {written} archived?").hypotheses == ("H-042",)


def test_words_that_carry_no_topic_are_left_out() -> None:
    assert understand("which ideas about learning rate were tried and what came of them?").topic == ("learning", "rate")


def test_what_is_taken_for_granted_is_kept_to_be_checked() -> None:
    assert understand("why was H-003 promoted?").outcome == "promoted"
    assert understand("why was H-003 rejected?").outcome == "archived"


def test_the_last_night_is_told_from_ever() -> None:
    assert understand("what was promoted last night?").last_night
    assert not understand("what was promoted ever?").last_night


def test_a_question_with_hundreds_of_ids_asks_for_a_few() -> None:
    text = " ".join(f"H-{number:03d}" for number in range(1, 300))
    assert len(understand(text).hypotheses) == MAX_IDS


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_every_text_is_a_question_of_some_kind(text: str) -> None:
    asked = understand(text)
    assert asked.kind
    assert all(asked.topic)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400), st.integers(min_value=1, max_value=200))
def test_text_from_outside_never_acts_and_never_cites(text: str, limit: int) -> None:
    shown = safe("[event 7] \x1b[31m\u202e" + text, limit)
    assert "[" not in shown
    assert "]" not in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\n" not in shown
    assert len(shown) <= limit


def test_a_statement_without_an_event_is_refused() -> None:
    with pytest.raises(ValueError, match="without an event"):
        fact("It is so.", None)
