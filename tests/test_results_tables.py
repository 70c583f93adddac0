"""Tables are read from plain lines, and scores from cells, without a number that does not stand there."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.researcher.results.documents import caption_alone, from_records, score_of, table_label
from agent.researcher.results.plain_tables import tables_of

PAGE = """Some text that comes before and ends here.
Model Dev Test
Baseline (Smith et al., 2017) 88.1 87.9
Our tagger 90.25 ± 0.10 89.7
Without pretraining 89.0* 88.2
Table 2: Accuracy on the Quill corpus. The last row
is without pretraining.
The text goes on with a sentence about 12 things."""


def test_rows_over_a_caption_are_its_table_with_headers_of_equal_count() -> None:
    (table,) = tables_of([PAGE])
    assert (table.label, table.page) == ("Table 2", 1)
    assert " ".join(table.caption.split()).endswith("is without pretraining.")
    assert [(cell.rows[0], cell.columns, cell.score) for cell in table.cells] == [
        ("Baseline (Smith et al., 2017)", ("Dev",), "88.1"),
        ("Baseline (Smith et al., 2017)", ("Test",), "87.9"),
        ("Our tagger", ("Dev",), "90.25"),
        ("Our tagger", ("Test",), "89.7"),
        ("Without pretraining", ("Dev",), "89.0"),
        ("Without pretraining", ("Test",), "88.2"),
    ]


def test_rows_under_a_caption_are_found_as_well() -> None:
    (table,) = tables_of(["Table 1: Results on Quill.\nOurs 91.2\nTheirs 90.1\n"])
    assert [cell.score for cell in table.cells] == ["91.2", "90.1"]


def test_numbers_without_certain_headers_are_under_no_metric() -> None:
    (table,) = tables_of(["Accuracy in per cent on F1 days\nOurs 91.2 3.0\nTheirs 90.1 2.0\nTable 1: Results.\n"])
    assert all("unknown" in cell.columns[0] for cell in table.cells)


def test_a_caption_without_rows_is_no_table() -> None:
    assert (
        tables_of(["Table 1: Results are in the appendix.\nWe go on with many words and no table at all here."]) == ()
    )


@pytest.mark.parametrize(
    ("written", "score"),
    [
        ("91.2", "91.2"),
        ("91.20%", "91.20"),
        ("74.4 ± 0.16", "74.4"),
        ("88.9*", "88.9"),
        (".511", ".511"),
        ("±0.2", ""),
        ("-1.2", ""),
        ("+0.7", ""),
        ("3.8M", ""),
        ("2012dataset", ""),
        ("1,234", ""),
        ("", ""),
    ],
)
def test_a_score_is_taken_as_written_or_not_at_all(written: str, score: str) -> None:
    assert score_of(written) == score


def test_the_caption_is_told_from_the_lines_that_were_run_into_it() -> None:
    run_together = "Model F1\nOurs \n91.2\n90.1\n88.3\n77.1\n\nTable 3: Results on Quill.\n\nModel F1\nOther 1.0"
    assert caption_alone(run_together).strip() == "Table 3: Results on Quill."
    assert table_label(run_together) == "Table 3"


def test_records_of_another_form_are_left_out() -> None:
    document = from_records(
        "section: title\nA title\nsection: abstract\nAn abstract.\n",
        [{"caption": 3, "numberCells": "none"}, {"numberCells": [1, {"number": None}, {"number": "9.5"}]}],
    )
    assert (document.title, document.abstract) == ("A title", "An abstract.")
    assert [len(table.cells) for table in document.tables] == [0, 1]


lines = st.text(st.sampled_from("AaBb Table12: .,%±()[]-–\n\t0123456789"), max_size=600)


@given(pages=st.lists(lines, max_size=4))
@settings(max_examples=150, deadline=None)
def test_every_score_stands_in_the_line_that_it_is_cited_from(pages: list[str]) -> None:
    for table in tables_of(pages):
        page = pages[table.page - 1]
        assert table.cells
        for cell in table.cells:
            assert cell.score in cell.line
            assert cell.line in page
            assert cell.line.startswith(cell.rows[0].split()[0])


def test_a_page_made_to_be_slow_is_read_quickly() -> None:
    began = time.perf_counter()
    tables_of(["Table 1: " + "a 1.0 " * 20_000 + "\n" + "Table 2: x\n" * 5_000, "(" * 100_000, "A " * 100_000 + "1.0"])
    assert time.perf_counter() - began < 5


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["caption", "numberCells", "number", "associatedRows", "associatedColumns", "isBolded"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(text=st.text(max_size=200), tables=st.lists(st.dictionaries(st.just("numberCells"), json_like), max_size=3))
@settings(max_examples=100, deadline=None)
def test_records_of_any_form_make_a_document(text: str, tables: list[dict[str, object]]) -> None:
    for table in from_records(text, tables).tables:
        assert all(score_of(cell.score) == cell.score for cell in table.cells)
