"""A technique counts only where its quote stands and holds every number that is claimed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agent.researcher.evidence import check, document_name, gain_stands, quoted
from agent.researcher.reading import technique_priority
from agent.researcher.research_log import research_log_entry
from registry.papers import Paper, Reading, Technique
from tools.pdf.text import PdfText

SAID = "Adding four shifted copies raises dev accuracy from 0.921 to 0.958 with 30 seeds."
DOCUMENT = PdfText(sha256="a" * 64, title="", pages=("Nothing of interest is here.", f"We tried. {SAID} The end."))
PAPER = Paper(key="arxiv:2602.01234", version="v3", title="On copies")


def technique(
    text: str = SAID, page: int = 2, gain: float | None = 0.037, change: str = "", name: str = "shifts"
) -> Technique:
    return Technique(
        name=name,
        paper=PAPER.key,
        settings={} if change else {"data.shifts": [4]},
        change=change,
        effort="Low",
        impact="High",
        claimed_gain=gain,
        quote=quoted(PAPER, DOCUMENT, page, text),
    )


def counts(claimed: Technique, document: PdfText = DOCUMENT) -> bool:
    checked = check(claimed, document)
    assert checked.quote.verified == (not checked.doubt)
    assert (technique_priority(checked) > 0) == checked.quote.verified
    return checked.quote.verified


def test_a_quote_carries_paper_version_file_hash_and_page() -> None:
    quote = technique().quote
    assert (quote.document, quote.file_sha256, quote.page) == ("arxiv:2602.01234v3", DOCUMENT.sha256, 2)
    assert document_name(Paper(key="file:abc", title="A local paper")) == "A local paper"
    assert document_name(Paper(key="doi:10.1/x", version="v2", title="T")) == "doi:10.1/xv2"


def test_what_stands_counts_and_keeps_its_gain() -> None:
    assert counts(technique())
    assert counts(technique(gain=None, change="Add 4 shifted copies of each image."))
    assert counts(technique(gain=None, change="Add four shifted copies."))


def test_a_page_told_wrong_is_mended_where_the_text_stands_on_one_page_alone() -> None:
    assert technique(page=1).quote.page == 2
    assert technique(page=0).quote.page == 2
    twice = PdfText(sha256="b" * 64, title="", pages=("x", SAID, SAID))
    assert not quoted(PAPER, twice, 1, SAID).verified


@pytest.mark.parametrize(
    ("claimed", "why"),
    [
        (technique(text=SAID.replace("0.958", "0.968"), gain=0.047), "does not stand"),
        (technique(gain=0.038), "no gain of 0.038"),
        (technique(gain=0.0), "no gain"),
        (technique(gain=-0.037), "no gain"),
        (technique(gain=float("nan")), "no gain"),
        (technique(gain=30.0), "no gain"),
        (technique(gain=None, change="Add 5 shifted copies."), "the change holds a number"),
        (technique(gain=None, change="Add eight shifted copies."), "the change holds a number"),
        (technique(gain=None, change="Scale by .7 first."), "the change holds a number"),
        (technique(gain=None, change="Add copies, x8."), "the change holds a number"),
        (technique(gain=None, change="Add copies.", name="copies 16"), "the name holds a number"),
    ],
)
def test_what_does_not_stand_is_kept_with_the_reason_and_adds_nothing(claimed: Technique, why: str) -> None:
    assert not counts(claimed)
    checked = check(claimed, DOCUMENT)
    assert why in checked.doubt
    entry = research_log_entry(
        Reading(paper=PAPER, relevant=True, why="w", boards=[], techniques=[checked]), "2026-01-01"
    )
    assert "NOT verified" in entry
    assert "PRIORITIZED" not in entry


def test_a_quote_from_another_file_or_said_to_be_verified_is_checked_again() -> None:
    other = PdfText(sha256="c" * 64, title="", pages=DOCUMENT.pages)
    assert not counts(technique(), other)
    said = technique(text="It never said this at all.")
    assert not counts(said.model_copy(update={"quote": said.quote.model_copy(update={"verified": True})}))


def test_the_impact_follows_from_the_number_and_not_from_words() -> None:
    assert check(technique(gain=None), DOCUMENT).impact == "Low"
    assert check(technique(), DOCUMENT).impact == "High"


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (0.037, "a gain of +3.7 points on dev"),
        (0.037, "accuracy rises by 3.7 percentage points"),
        (0.012, "improves F1 by 1.2"),
        (0.02, "from 91.0% to 93.0%"),
        (0.013, "accuracy from 97.1 to 98.4"),
        (0.011, "the error falls from 5.2% to 4.1%"),
        (0.004, "accuracy improves by 0.004"),
        (0.013, "a 1.3% improvement in F1"),
        (0.021, "is 2.1 points better than the baseline"),
    ],
)
def test_a_gain_that_the_quote_states_stands(gain: float, said: str) -> None:
    assert gain_stands(gain, said)
    assert not gain_stands(round(gain + 0.001, 6), said)


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (0.12, "a 12% relative improvement of accuracy"),
        (0.37, "reduces the training time by 37%"),
        (0.37, "needs 37% less memory"),
        (0.037, "accuracy falls from 0.958 to 0.921"),
        (0.02, "from 2 to 4 layers"),
        (0.03, "with 3 layers"),
        (0.4, "reaches an accuracy of 40.0%"),
        (0.4, "accuracy rises from 40.0% to 41.0%"),
        (0.12, "reduces the error by 12%"),
        (0.003, "a learning rate of 0.003"),
    ],
)
def test_numbers_that_are_no_gain_of_a_score_do_not_stand_for_one(gain: float, said: str) -> None:
    assert not gain_stands(gain, said)


@pytest.mark.parametrize(
    "said",
    [
        "Dropout reduces accuracy by 2 points.",
        "Accuracy falls by 2 percentage points with dropout.",
        "Accuracy is 2 points lower with dropout.",
        "a drop of 2 points in accuracy",
        "a loss of 2 points in accuracy",
        "The error rate increases by 2 points with dropout.",
        "The error is 2 points higher.",
        "The error rises from 8.0% to 10.0% with dropout.",
        "Accuracy dropped from 0.92 to 0.90; error bars are 95 %.",
        "This does not improve accuracy by 2 points.",
        "improves accuracy by 2,000 points",
        "improves accuracy by 2\u00b2 points",
    ],
)
def test_a_loss_and_what_is_denied_are_no_gain(said: str) -> None:
    assert not gain_stands(0.02, said)


@pytest.mark.parametrize(
    "said",
    [
        "Reducing the learning rate improves accuracy by 2 points.",
        "Although it was not tuned, it improves accuracy by 2 points.",
        "We reduce the error by 1 point and increase accuracy by 2 points.",
        "A lower learning rate gives 2 points higher accuracy.",
        "With lower dropout we see +2 points of accuracy.",
        "Without fine-tuning, accuracy improves by 2 points.",
        "lowers the test error by 2 points",
        "a 2-point improvement in accuracy",
    ],
)
def test_words_of_loss_about_something_else_leave_a_gain_as_it_is(said: str) -> None:
    assert gain_stands(0.02, said)


@given(st.integers(1, 499), st.integers(1, 499))
@settings(max_examples=300, deadline=None)
def test_no_other_gain_than_the_stated_one_is_ever_accepted(stated: int, claimed: int) -> None:
    assume(stated != claimed)
    for said in (
        f"accuracy improves by {stated / 10:.1f} points",
        f"accuracy rises from 40.0% to {40 + stated / 10:.1f}%",
    ):
        assert gain_stands(stated / 1000, said)
        assert not gain_stands(claimed / 1000, said)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_digit_altered_anywhere_in_the_quote_or_the_change_is_never_accepted(data: st.DataObject) -> None:
    change = "Add 4 copies for 30 seeds to reach 0.958."
    places = [k for k, ch in enumerate(SAID) if ch.isdigit()]
    place = data.draw(st.sampled_from(places))
    digit = data.draw(st.sampled_from([d for d in "0123456789" if d != SAID[place]]))
    lie = SAID[:place] + digit + SAID[place + 1 :]
    assert not counts(technique(text=lie, gain=None))
    inside = [k for k, ch in enumerate(change) if ch.isdigit()]
    place = data.draw(st.sampled_from(inside))
    digit = data.draw(st.sampled_from([d for d in "0123456789" if d != change[place]]))
    false = change[:place] + digit + change[place + 1 :]
    assume(false.split()[1] not in {"0", "30"} and "30 copies" not in false)
    assert counts(technique(gain=None, change=change))
    assert not counts(technique(gain=None, change=false))


def test_on_real_papers_exact_comparison_accepts_no_altered_number_where_approximate_accepts_all(
    shared_data: Path,
) -> None:
    papers = [str(shared_data / "pdfs" / name) for name in ("2020.acl-main.207.pdf", "N18-3011.pdf")]
    program = Path(__file__).resolve().parent.parent / "benchmarks" / "quotes.py"
    done = subprocess.run(
        [sys.executable, str(program), "--json", *papers], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counted = json.loads(done.stdout)
    assert sum(one["altered"] for one in counted) >= 67
    for one in counted:
        assert one["exact_accepted"] == 0
        assert one["standing"] == one["quotes"]
        assert one["fuzzy_accepted"] == one["altered"]
