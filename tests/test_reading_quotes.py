"""Quotes stand exactly or not at all."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from agent.researcher.quotes import fold, numbers, numbers_stand, quote_stands, verified
from registry.hypotheses import Quote
from tools.pdf.text import PdfText

PAGE = (
    "Results. Adding four shifted copies raises dev accuracy from 0.921 to 0.958 (n = 30), a gain of +3.7 points. "
    "With -0.5 instead, a ﬁne-tuned model needs 10² steps and 1-3 epochs.\nWeight de-\ncay of 1e-4 did not help."
)


def quote(text: str, page: int = 1) -> Quote:
    return Quote(document="d", file_sha256="s", page=page, text=text, verified=False)


@pytest.mark.parametrize(
    "text",
    [
        "Adding four shifted copies raises dev accuracy from 0.921 to 0.958",
        "Adding four shifted\n copies  raises dev accuracy",
        "a fine-tuned model needs 10² steps",
        "a \ufb01ne\u2010tuned model needs",
        "a gain of +3.7 points.",
        "Weight decay of 1e-4 did not help.",
    ],
)
def test_a_verbatim_quote_stands_however_it_was_rendered(text: str) -> None:
    assert quote_stands(quote(text), [PAGE])


@pytest.mark.parametrize(
    "text",
    [
        "raises dev accuracy from 0.921 to 0.95",
        "raises dev accuracy from 0.921 to 0.968",
        "raises dev accuracy from 0.921 to 0",
        "21 to 0.958 (n = 30)",
        ".921 to 0.958 (n = 30)",
        "0.5 instead, a fine-tuned model",
        "model needs 102 steps and",
        "needs 10² steps and 13 epochs",
        "needs 10² steps and 1",
        "7 points. With -0.5 instead",
        "hifted copies raises dev accuracy",
        "shifted copies raise dev accuracy",
        "Weight decay of 1e-4 did help.",
        "weight decay of 1e-4 did not help.",
        "Weight decay of 1e4 did not",
        "Weight decay of 1e",
        "Adding four",
        "",
        "   ",
    ],
)
def test_an_altered_or_cut_quote_does_not_stand(text: str) -> None:
    assert not quote_stands(quote(text), [PAGE])


@pytest.mark.parametrize(
    ("page", "cut"),
    [
        ("it needs 12 500 steps and", "it needs 12"),
        ("it needs 12\u202f500 steps and", "500 steps and"),
        ("it needs 12'500 steps and", "it needs 12"),
        ("a gain of 2.5 \u00d7 10\u22123 on dev", "a gain of 2.5"),
        ("a gain of 2.5 \u00b7 10\u22123 on dev", "a gain of 2.5"),
        ("a gain of 2\u00b75 points", "a gain of 2"),
        ("accuracy of 95 percent on dev", "an accuracy of 95"),
        ("accuracy of 95 per cent on dev", "accuracy of 95"),
        ("a gain of 0.\n95 points on dev", "95 points on"),
        ("a gain of 2.\n5 points on dev", "a gain of 2."),
        ("a gain of 12-\n5 points on dev", "a gain of 12"),
        ("changes by \u2212 5.2 on dev", "5.2 on dev"),
        ("2.5 \u00b1 0.3 points on dev", "0.3 points on"),
        ("some 2 million images were", "some 2"),
    ],
)
def test_a_number_cut_from_its_digits_its_sign_or_its_scale_is_not_quoted(page: str, cut: str) -> None:
    assert not quote_stands(quote(cut), [page])
    assert quote_stands(quote(page), [f"Before. {page}"])


@pytest.mark.parametrize("after", ["3 Results", "3.1 Setup", "5. The other one", "(see below)", "It rises."])
def test_a_number_that_ends_a_sentence_is_whole_whatever_heading_follows(after: str) -> None:
    assert quote_stands(quote("the dimensionality is 300."), [f"Hence the dimensionality is 300.\n{after}"])


def test_a_quote_stands_only_on_the_page_it_names() -> None:
    text = "Adding four shifted copies"
    assert quote_stands(quote(text, page=2), ["Nothing here at all.", PAGE])
    assert not quote_stands(quote(text, page=1), ["Nothing here at all.", PAGE])
    assert not quote_stands(quote(text, page=3), ["Nothing here at all.", PAGE])


def test_a_quote_from_another_file_is_not_verified() -> None:
    document = PdfText(sha256="s", title="", pages=(PAGE,))
    asked = quote("Adding four shifted copies")
    assert verified(asked, document).verified
    assert not verified(asked, PdfText(sha256="other", title="", pages=(PAGE,))).verified
    assert not verified(asked.model_copy(update={"verified": True, "text": "It never said so"}), document).verified


WORDS = st.sampled_from(
    ["accuracy", "rises", "from", "to", "by", "the", "model", "with", "training", "error", "of", "shifted", "copies"]
)
NUMBERS = st.one_of(
    st.integers(0, 9999).map(str),
    st.decimals(0, 1, places=3).map(str),
    st.decimals(0, 100, places=1).map(lambda value: f"{value}%"),
)


@given(st.lists(st.one_of(WORDS, NUMBERS), min_size=4, max_size=20), st.data())
@settings(max_examples=300, deadline=None)
def test_an_altered_digit_is_never_accepted(words: list[str], data: st.DataObject) -> None:
    text = " ".join(words)
    places = [place for place, character in enumerate(text) if character.isdigit()]
    assume(places)
    assert quote_stands(quote(text), [f"Before. {text} after."])
    place = data.draw(st.sampled_from(places))
    digit = data.draw(st.sampled_from([d for d in "0123456789" if d != text[place]] + [""]))
    altered = text[:place] + digit + text[place + 1 :]
    assume(fold(altered) not in fold(text))
    assert not quote_stands(quote(altered), [f"Before. {text} after."])


@given(st.integers(0, 10**6), st.integers(1, 6))
@settings(max_examples=200, deadline=None)
@example(958, 1)
def test_a_number_cut_short_at_either_end_is_never_accepted(value: int, cut: int) -> None:
    number = f"0.{value:07d}"
    page = f"the accuracy rises to {number} on dev"
    assert quote_stands(quote(f"accuracy rises to {number}"), [page])
    assert not quote_stands(quote(f"accuracy rises to {number[:-cut]}"), [page])
    assert not quote_stands(quote(f"{number[cut:]} on dev"), [page])


@given(st.text(max_size=80))
@settings(max_examples=200, deadline=None)
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_every_number_of_a_claim_must_stand_in_its_quote() -> None:
    said = "raises accuracy from 0.921 to 0.958 with 4 copies"
    assert numbers_stand("+0.958 from 0.921", said)
    assert numbers_stand("no numbers", said)
    assert not numbers_stand("0.959", said)
    assert not numbers_stand("from 0.92", said)
    assert numbers("ranks 1-3, -0.5, 1e-4 and 4.2%") == ("1", "3", "-0.5", "1e-4", "4.2")
