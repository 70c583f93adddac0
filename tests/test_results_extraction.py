"""What a paper reports on our boards is read with its place; what is somebody else's, or unclear, is left out."""

from __future__ import annotations

import hashlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.researcher.results.documents import from_records
from agent.researcher.results.extraction import extract
from agent.researcher.results.paper_results import our_taxonomy, results_of, stands_in
from agent.researcher.results.taxonomy import Taxonomy, taxonomy
from registry.competitive import Leaderboard
from registry.papers import Paper, ReportedResult
from tools.pdf.text import PdfText

PAPER = Paper(key="arxiv:2601.00001", version="v2", title="QuillNet: tagging with feathers")


def board(name: str, metric: str, *, higher: bool = True) -> Leaderboard:
    return Leaderboard(
        name=name, url="board.csv", scrape_method="manual", primary_metric=metric, higher_is_better=higher
    )


OURS = our_taxonomy(
    [board("Quill-2020", "accuracy"), board("Inkwell", "perplexity", higher=False)], ("accuracy", True), ["tagging"]
)


def read(*pages: str, ours: Taxonomy = OURS) -> list[ReportedResult]:
    digest = hashlib.sha256("".join(pages).encode()).hexdigest()
    return results_of(PAPER, PdfText(sha256=digest, title="", pages=pages), ours)


def test_a_sentence_about_the_paper_itself_gives_a_result_with_page_and_quote() -> None:
    (result,) = read("Nothing of interest.", "We study birds. Our model achieves an accuracy of 93.7% on Quill-2020.")
    assert (result.dataset, result.metric, result.score, result.value) == ("Quill-2020", "accuracy", "93.7", 93.7)
    assert (result.whose, result.place, result.quote.page, result.quote.verified) == ("own", "text", 2, True)
    assert result.quote.text == "Our model achieves an accuracy of 93.7% on Quill-2020."
    assert result.quote.document == "arxiv:2601.00001v2"


@pytest.mark.parametrize(
    "sentence",
    [
        "Smith et al. achieve an accuracy of 93.7% on Quill-2020.",
        "Our model improves accuracy on Quill-2020 by 1.3 points.",
        "We achieve a gain of 1.3 accuracy on Quill-2020.",
        "Our model is better than the previous accuracy of 93.7% on Quill-2020.",
        "Our model achieves an accuracy of 93.7% on ImageNet and is never run on any corpus of ours.",
        "We achieve 93.7% accuracy on ImageNet, and we also look at Quill-2020.",
        "Our model achieves 93.7 on Quill-2020 in as many seconds.",
        "We replicated an accuracy of 93.7% on Quill-2020.",
        "Our model achieves 1.8% accuracy higher than theirs on Quill-2020.",
        "We do not reach an accuracy of 93.7% on Quill-2020.",
        "Our model could reach an accuracy of 93.7% on Quill-2020.",
        "Our model achieves an accuracy of \u221293.7% on Quill-2020.",
        "Our model achieves an accuracy of 93.7\u201394.1% on Quill-2020.",
    ],
)
def test_what_is_no_result_of_the_paper_on_our_board_is_left_out(sentence: str) -> None:
    assert read(f"We study birds here. {sentence} So much for that.") == []


def test_a_spread_is_no_score_and_the_score_beside_it_is() -> None:
    (result,) = read("We study birds. With ten seeds, we achieve 93.7 \u00b1 0.3 accuracy on Quill-2020.")
    assert result.score == "93.7"


def test_the_best_own_row_of_a_table_is_the_result_and_cited_rows_are_not() -> None:
    (result,) = read(
        "Model Dev Test\n"
        "Goose (Smith et al., 2017) 95.1 94.9\n"
        "QuillNet small (ours) 91.0 90.5\n"
        "QuillNet large (ours) 92.0 91.5\n"
        "Table 1: Accuracy on Quill-2020.\n"
    )
    assert (result.score, result.row, result.column, result.table) == (
        "91.5",
        "QuillNet large (ours)",
        "Test",
        "Table 1",
    )
    assert (result.place, result.quote.text) == ("table", "QuillNet large (ours) 92.0 91.5")
    assert result.quote.verified


def test_where_lower_is_better_the_lowest_own_score_is_taken() -> None:
    (result,) = read(
        "Model Perplexity\nGoose (Smith et al., 2017) 50.1\nOurs 61.5\nOurs with cache 58.3\n"
        "Table 2: Results on Inkwell.\n"
    )
    assert (result.dataset, result.metric, result.score) == ("Inkwell", "perplexity", "58.3")


@pytest.mark.parametrize(
    "caption",
    [
        "Table 1: Ablation on Quill-2020, accuracy.",
        "Table 1: Accuracy on the dev set of Quill-2020.",
        "Table 1: Results on ImageNet.",
        "Table 1: Statistics of Quill-2020.",
    ],
)
def test_side_tables_and_tables_of_other_data_give_nothing(caption: str) -> None:
    assert read(f"Setting Value\nPlain model 91.5\nBigger model 92.0\n{caption}\n") == []


@pytest.mark.parametrize("header", ["ImageNet Acc", "Speed Accuracy", "ImageNet"])
def test_a_column_of_something_else_under_our_boards_caption_gives_nothing(header: str) -> None:
    assert (
        read(f"Model {header}\nGoose (Smith, 2017) 90.5\nOurs 91.5\nTable 1: Accuracy on Quill-2020 and others.\n")
        == []
    )


def test_two_boards_in_two_columns_are_told_apart() -> None:
    ours = our_taxonomy([board("Quill-2020", "accuracy"), board("Inkwell", "accuracy")], ("accuracy", True), [])
    found = read(
        "Model Quill-2020 Inkwell\nGoose (Smith, 2017) 90.5 80.5\nOurs 91.5 81.5\nTable 1: Accuracy.\n", ours=ours
    )
    assert {(one.dataset, one.score) for one in found} == {("Quill-2020", "91.5"), ("Inkwell", "81.5")}


def test_references_are_other_peoples_titles() -> None:
    assert read("We end.\nReferences\nOur model achieves an accuracy of 93.7% on Quill-2020.") == []


def test_boards_that_share_a_metric_under_two_names_keep_one_base() -> None:
    ours = our_taxonomy([board("Quill-2020", "acc")], ("accuracy", True), [])
    (result,) = read("Our model achieves an accuracy of 93.7% on Quill-2020.", ours=ours)
    assert result.metric == "acc"


KNOWN = taxonomy(
    ["bird_tagging", "bird_parsing"],
    [
        ("Quill-2020", "A corpus for bird tagging. Models are evaluated based on accuracy."),
        ("Feather Bank", "A corpus for bird parsing, evaluated based on F1."),
    ],
    [("Accuracy", True), ("F1", True), ("Accuracy on Geese", True)],
)


def cell(number: str, rows: list[str], columns: list[str], *, bold: bool = False) -> dict[str, object]:
    return {
        "number": number,
        "isBolded": bold,
        "associatedRows": rows,
        "associatedColumns": columns,
        "associatedMergedColumns": [],
    }


def records(*cells: dict[str, object], caption: str) -> list[tuple[str, str, str, str]]:
    text = (
        "section: title\nOn bird tagging and bird parsing\nsection: abstract\nWe tag birds.\nsection: Results\nText.\n"
    )
    document = from_records(text, [{"caption": caption, "numberCells": list(cells)}])
    return [(one.task, one.dataset, one.metric.name, one.score) for one in extract(document, KNOWN)]


def test_cells_of_marked_tables_are_read_by_their_own_headers() -> None:
    found = records(
        cell("97.1", ["Ours"], ["Quill - 2020", "Acc ."]),
        cell("97.9", ["Goose ( Smith et al . , 2017 )"], ["Quill - 2020", "Acc ."], bold=True),
        cell("88.5", ["Ours"], ["Feather Bank", "F1"]),
        cell("77.0", ["Ours"], ["Geese", "Acc ."]),
        caption="Table 1: Results on Quill-2020 and Feather Bank.",
    )
    assert found == [
        ("bird_tagging", "Quill-2020", "Accuracy", "97.1"),
        ("bird_parsing", "Feather Bank", "F1", "88.5"),
    ]


def test_a_header_of_two_datasets_is_no_evidence_for_either() -> None:
    assert (
        records(cell("97.1", ["Ours"], ["Quill-2020", "Feather Bank", "F1"]), caption="Table 1: Results on birds.")
        == []
    )


WORDS = """We our model achieves accuracy perplexity Quill-2020 Inkwell 93.7 58.3% of on an the Table 1: (ours) et al.
2017) [12] ± - / . , ; and by QuillNet Smith section: References dev test"""
words = st.sampled_from([*WORDS.split(), "\n", "\n"])


@given(pages=st.lists(st.lists(words, max_size=80).map(" ".join), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_every_score_stands_in_a_verified_quote_of_its_page(pages: list[str]) -> None:
    for result in read(*pages):
        assert stands_in(result.score, result.quote.text)
        folded = " ".join(pages[result.quote.page - 1].split())
        assert " ".join(result.quote.text.split()) in folded
        assert {result.dataset} <= {"Quill-2020", "Inkwell"}


@given(pages=st.lists(st.text(max_size=400), min_size=1, max_size=3), boards=st.lists(st.text(max_size=30), max_size=3))
@settings(max_examples=100, deadline=None)
def test_arbitrary_text_and_arbitrary_names_of_boards_break_nothing(pages: list[str], boards: list[str]) -> None:
    ours = taxonomy(["tagging"], [(name, name) for name in boards], [(name, True) for name in boards], complete=False)
    assert all(result.dataset in boards for result in read(*pages, ours=ours))


@pytest.mark.parametrize(
    "text",
    [
        "A" * 300_000,
        "A-" * 150_000,
        "We (A b c d e f) " * 20_000,
        "Our model achieves 93.7 accuracy on Quill-2020 and " * 8_000,
        "Table 1: * by A " * 20_000,
        "\n".join(["Ours 1.5 2.5 3.5 4.5", "Table 1: Accuracy on Quill-2020."] * 5_000),
    ],
    ids=["one word", "hyphens", "short forms", "one sentence", "one caption", "many tables"],
)
def test_a_paper_made_to_be_slow_is_read_quickly(text: str) -> None:
    began = time.process_time()
    read(text)
    assert time.process_time() - began < 10
