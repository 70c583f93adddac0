"""Rule-based reading: what is relevant, which techniques a paper claims, and what the log says of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Paragraph, SimpleDocTemplate

from agent.researcher.evidence import impact_of
from agent.researcher.quotes import MIN_WORDS, fold, quote_stands
from agent.researcher.reading import extract, screen, technique_priority
from agent.researcher.research_log import escaped, research_log_entry
from registry.hypotheses import Quote, Scalar
from registry.papers import Paper, Reading, Technique
from registry.target import Parameter
from tools.papers import FolderSource, PaperQuery
from tools.pdf import text as pdf_text
from tools.pdf.text import PdfText

SPACE = {
    "hidden": Parameter(path="model.hidden", values=[32, 64, 128, 256], tags=["width", "capacity"]),
    "epochs": Parameter(path="train.epochs", values=[10, 20, 40, 80], tags=["training-length"]),
    "lr": Parameter(path="train.lr", values=[0.001, 0.003, 0.01, 0.03], tags=["optimisation"]),
    "weight_decay": Parameter(path="train.weight_decay", values=[0.0, 1e-4, 1e-3], tags=["regularisation"]),
    "dropout": Parameter(path="model.dropout", values=[0.0, 0.1, 0.3], tags=["regularisation"]),
    "shifts": Parameter(path="data.shifts", values=[0, 1, 2, 4, 8], tags=["augmentation"], effort="Medium"),
    "schedule": Parameter(path="train.schedule", values=["constant", "cosine"], tags=["schedule"]),
    "standardise": Parameter(path="data.standardise", values=[False, True], tags=["preprocessing"]),
}
NOW: dict[str, Scalar] = {
    "model.hidden": 32,
    "train.epochs": 20,
    "train.lr": 0.01,
    "train.weight_decay": 0.0,
    "model.dropout": 0.0,
    "data.shifts": 0,
    "train.schedule": "constant",
    "data.standardise": False,
}
PAPER = Paper(key="arxiv:2602.01234", version="v2", title="On shifted digits")


def document(*pages: str) -> PdfText:
    return PdfText(sha256=hashlib.sha256("\f".join(pages).encode()).hexdigest(), title="", pages=pages)


def techniques(*pages: str, now: dict[str, Scalar] | None = NOW) -> dict[str, Technique]:
    return {technique.name: technique for technique in extract(PAPER, document(*pages), SPACE, now)}


def test_a_claim_with_scores_becomes_a_technique_with_its_gain_value_quote_and_page() -> None:
    said = "Adding four shifted copies of each image raises accuracy from 0.921 to 0.958."
    (technique,) = techniques("An introduction.", f"We trained perceptrons. {said} The end.").values()
    assert technique.settings == {"data.shifts": [4]}
    assert technique.claimed_gain == 0.037
    assert (technique.impact, technique.effort) == ("High", "Medium")
    assert technique.quote == Quote(
        document="arxiv:2602.01234v2",
        file_sha256=technique.quote.file_sha256,
        page=2,
        text=said,
        verified=True,
    )


@pytest.mark.parametrize(
    ("said", "name", "values", "gain"),
    [
        ("A wider hidden layer improves accuracy by 1.2 points.", "hidden", [64, 128, 256], 0.012),
        ("Widening the hidden layer from 32 to 128 units lifts the score from 90.1% to 94.3%.", "hidden", [128], 0.042),
        ("A hidden layer of 100 units improves accuracy.", "hidden", [128], None),
        ("Longer training reduces the error from 0.08 to 0.05.", "epochs", [40, 80], 0.03),
        ("Training for 75 epochs raises accuracy by 0.7%.", "epochs", [80], 0.007),
        ("Smaller learning rates improve accuracy.", "lr", [0.003, 0.001], None),
        ("Lowering the learning rate from 0.01 to 0.003 raised accuracy from 0.92 to 0.93.", "lr", [0.003], 0.01),
        ("Weight decay of 1e-4 improves generalization.", "weight_decay", [0.0001], None),
        ("Dropout reduces test error by 0.4 percentage points.", "dropout", [0.1, 0.3], 0.004),
        ("A cosine schedule with warmup gives better accuracy, +4.2% on our board.", "schedule", ["cosine"], 0.042),
        ("Standardising the inputs improved accuracy.", "standardise", [True], None),
        ("Data augmentation with jittered copies helps.", "shifts", [1, 2, 4], None),
        ("Dropout not only regularizes, it improves accuracy.", "dropout", [0.1, 0.3], None),
        ("A lower learning rate improves accuracy.", "lr", [0.003, 0.001], None),
        ("Increasing the hidden layer reduces error.", "hidden", [64, 128, 256], None),
        ("Dropout reduces the error rate by about 30%.", "dropout", [0.1, 0.3], None),
        ("Accuracy rises from 0.9 to 0.95 with dropout.", "dropout", [0.1, 0.3], 0.05),
        ("Adding one-pixel shifted copies raises accuracy by 1 point.", "shifts", [1], 0.01),
        ("Dropout improves accuracy by 12% relative.", "dropout", [0.1, 0.3], None),
        ("Dropout improves accuracy and cuts training time by 20%.", "dropout", [0.1, 0.3], None),
    ],
)
def test_wordings_of_the_field_are_understood(said: str, name: str, values: list[Scalar], gain: float | None) -> None:
    found = techniques(said)
    assert list(found) == [name]
    assert found[name].settings == {SPACE[name].path: values}
    assert found[name].claimed_gain == gain


@pytest.mark.parametrize(
    "said",
    [
        "Weight decay did not help.",
        "Weight decay gave no gain in accuracy.",
        "Dropout fails to improve accuracy.",
        "Dropout hurts accuracy.",
        "Dropout reduces accuracy by 1.2 points.",
        "Dropout raises the error from 0.05 to 0.08.",
        "Dropout changes accuracy from 0.95 to 0.92, which is better than nothing.",
        "A wider hidden layer may improve accuracy.",
        "We expected that dropout improves accuracy.",
        "One hopes that dropout improves accuracy, but it did not.",
        "Dropout improves accuracy at first, but it did not last.",
        "Dropout reduces training time.",
        "We use dropout and a cosine schedule.",
        "The accuracy improves.",
        "Our model improves accuracy without dropout.",
        "Regularization improves accuracy.",
        "The best performing method concatenates the hidden layers, 0.3 F1 behind.",
        "We observed better accuracies when the hidden layer was whitened.",
        "The learning rate matters: tuning the learning rate improves accuracy.",
        "It isn't true that dropout improves accuracy.",
    ],
)
def test_what_is_negated_hypothetical_or_about_cost_is_no_technique(said: str) -> None:
    assert techniques(said) == {}


def test_a_contrast_keeps_the_half_that_claims() -> None:
    found = techniques("Shifted copies raise accuracy by 2 points, while weight decay did not help.")
    assert list(found) == ["shifts"]
    assert found["shifts"].claimed_gain == 0.02


def test_the_longest_phrase_is_meant() -> None:
    assert list(techniques("Learning rate decay improves accuracy with cosine annealing.")) == ["schedule"]


def test_titles_in_the_references_claim_nothing() -> None:
    assert (
        techniques("Text.\nReferences\n[1] Dropout improves accuracy by 2 points.", "Dropout improves accuracy.") == {}
    )


def test_values_come_from_the_search_space_even_without_knowing_production() -> None:
    found = techniques("A wider hidden layer improves accuracy.", now=None)
    assert found["hidden"].settings == {"model.hidden": [64, 128, 256]}


def test_a_value_that_production_has_already_is_not_proposed() -> None:
    found = techniques("Training for 20 epochs improves accuracy.")
    assert 20 not in found["epochs"].settings["train.epochs"]


def test_the_claim_with_the_larger_verified_gain_is_kept() -> None:
    found = techniques("Dropout improves accuracy by 0.5 points.", "Dropout of 0.3 improves accuracy by 1.5 points.")
    assert found["dropout"].claimed_gain == 0.015
    assert found["dropout"].quote.page == 2


def test_impact_follows_the_documents_limits() -> None:
    assert [impact_of(gain) for gain in (None, 0.0099, 0.01, 0.03, 0.0301)] == [
        "Low",
        "Low",
        "Medium",
        "Medium",
        "High",
    ]


def test_an_unverified_technique_has_no_priority() -> None:
    (technique,) = techniques("Dropout improves accuracy by 4 points.").values()
    assert technique_priority(technique) == 6.0
    doubtful = technique.model_copy(update={"quote": technique.quote.model_copy(update={"verified": False})})
    assert technique_priority(doubtful) == 0.0


FRAGMENTS = [
    "dropout", "weight decay", "shifted copies", "a wider hidden layer", "the learning rate", "improves", "raises",
    "accuracy", "error", "did not", "from 0.9 to 0.95", "by 2 points", "by 3%", "to 128", "but", "while", "128", ".",
    "may", ";", "of", "1e-4", "time", "\n", "reduces", "more epochs", "cosine schedule",
]  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30))
@settings(max_examples=300, deadline=None)
def test_whatever_is_read_stands_in_the_text_and_in_the_search_space(words: list[str]) -> None:
    text = document(" ".join(words))
    declared = {parameter.path: parameter.values for parameter in SPACE.values()}
    for technique in extract(PAPER, text, SPACE, NOW):
        assert technique.quote.verified == quote_stands(technique.quote, text.pages)
        assert technique.quote.verified == (len(fold(technique.quote.text).split()) >= MIN_WORDS)
        assert technique.claimed_gain is None or 0 < technique.claimed_gain <= 0.5
        for path, values in technique.settings.items():
            assert values
            assert all(value in declared[path] and value != NOW[path] for value in values)


def test_a_rendered_paper_is_read_from_file_to_technique(tmp_path: Path) -> None:
    styles = getSampleStyleSheet()
    story = [
        Paragraph("Shifted copies for small digit images", styles["Title"]),
        Paragraph("1 Introduction", styles["Heading1"]),
        Paragraph("Small images of digits are classified by perceptrons on the Digits board. " * 4, styles["Normal"]),
        Paragraph("2 Results", styles["Heading1"]),
        Paragraph(
            "Over thirty seeds, training on four additional copies of each image that were translated by a pixel, "
            "that is on translated copies, raises accuracy from 0.921 to 0.958. Weight decay gave no gain.",
            styles["Normal"],
        ),
    ]
    SimpleDocTemplate(str(tmp_path / "a.pdf"), title="Shifted copies for small digit images").build(story)
    source = FolderSource(tmp_path)
    (paper,) = source.find(PaperQuery()).papers
    text = source.text(paper)
    assert screen(paper, text, ["Digits"], ["digits"]).boards == ("Digits",)
    (technique,) = extract(paper, text, SPACE, NOW)
    assert technique.settings == {"data.shifts": [4]}
    assert technique.claimed_gain == 0.037
    assert technique.quote.text.startswith("Over thirty seeds")
    assert technique.quote.file_sha256 == hashlib.sha256((tmp_path / "a.pdf").read_bytes()).hexdigest()


def test_a_real_paper_gives_only_quotes_that_stand(shared_data: Path) -> None:
    text = pdf_text.pages(shared_data / "pdfs" / "2020.acl-main.207.pdf")
    found = extract(Paper(key="file:x", title=text.title), text, SPACE, NOW)
    assert len(found) <= 2
    assert all(technique.quote.verified for technique in found)


@pytest.mark.parametrize(
    ("title", "summary", "relevant", "why"),
    [
        ("Results on Memory-Bench", "", True, "reports on MemoryBench 2"),
        ("Handwritten digits and perceptrons", "", True, "handwritten digits, perceptron"),
        ("Handwritten digits again", "We outperform the state-of-the-art.", True, "claims the state of the art"),
        ("Handwritten digits again", "", False, "only handwritten digits"),
        ("Heat-bath random walks", "We outperform everything.", False, "nothing of our domain"),
    ],
)
def test_the_screen_says_why(title: str, summary: str, relevant: bool, why: str) -> None:
    boards = ["MemoryBench 2" if "Memory" not in title else "Memory Bench", "Other"]
    answer = screen(Paper(key="k", title=title, summary=summary), None, boards, ["handwritten digits", "perceptrons"])
    assert answer.relevant is relevant
    assert why.removesuffix("Bench 2").split(",")[0] in answer.why.replace("Memory Bench", "MemoryBench 2")


def test_a_board_is_found_on_any_page_but_never_inside_a_word() -> None:
    paper = Paper(key="k", title="T")
    assert screen(paper, document("one", "two", "scores on Digits."), ["Digits"], []).boards == ("Digits",)
    assert not screen(paper, document("prodigits and digitss"), ["Digits"], []).relevant


def test_the_log_entry_has_the_documents_form() -> None:
    text = document("Four shifted copies raise accuracy by 4.2 points. Weight decay improves accuracy.")
    reading = Reading(
        paper=PAPER,
        relevant=True,
        why="reports on Digits",
        boards=["Digits"],
        techniques=extract(PAPER, text, SPACE, NOW),
    )
    lines = research_log_entry(reading, "2026-02-10").splitlines()
    assert lines[:3] == [
        '## [2026-02-10] Paper: "On shifted digits"',
        "**Source:** arXiv:2602.01234v2",
        "**Relevant leaderboard:** Digits",
    ]
    assert "**Techniques extracted:**" in lines
    assert "- shifts (effort: Medium, impact: High) ← PRIORITIZED" in lines
    assert "- weight\\_decay (effort: Low, impact: Low)" in lines
    assert "**Action:** Generate hypothesis for shifts — schedule experiment." in lines
    assert "**Read by:** rules (no model)" in lines


def test_a_hostile_title_cannot_write_markdown() -> None:
    hostile = Paper(key="k", title='x"\n## [2026-01-01] Paper: [click](http://evil) <script> `a` **b** \x1b[31m')
    entry = research_log_entry(Reading(paper=hostile, relevant=False, why="no", boards=[], techniques=[]), "2026-02-10")
    assert sum(line.startswith("#") for line in entry.splitlines()) == 1
    assert "[click]" not in entry
    assert "<script>" not in entry
    assert "\x1b" not in entry
    assert "**Action:** None: not relevant to us." in entry


@given(st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_escaped_text_stays_on_one_line_without_bare_markup(text: str) -> None:
    shown = escaped(text)
    assert len(shown.splitlines()) <= 1
    assert not any(mark in shown.replace("\\" + mark, "") for mark in "`*_[]<>#|")
