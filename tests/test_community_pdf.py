"""The optional adapter to LangChain's community loader reads what our own reader reads."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from registry.errors import BadInput
from tools import community_pdf
from tools.pdf import text as pdf_text

PAPERS = sorted((Path(__file__).resolve().parent.parent / "examples" / "digits" / "papers").glob("*.pdf"))
needs_the_extra = pytest.mark.skipif(
    importlib.util.find_spec("langchain_community") is None,
    reason="langchain-community is not in this environment (pip install '.[community]')",
)


@needs_the_extra
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.stem)
def test_both_readers_find_the_same_words_on_the_same_pages(paper: Path) -> None:
    theirs, ours = community_pdf.pages(paper), pdf_text.pages(paper)
    assert theirs.sha256 == ours.sha256
    assert [page.split() for page in theirs.pages] == [page.split() for page in ours.pages]


@needs_the_extra
@pytest.mark.filterwarnings("ignore")
def test_a_file_that_is_no_pdf_is_named(tmp_path: Path) -> None:
    path = tmp_path / "no.pdf"
    path.write_bytes(b"no PDF")
    with pytest.raises(BadInput, match=r"no\.pdf"):
        community_pdf.pages(path)


@pytest.mark.skipif(importlib.util.find_spec("langchain_community") is not None, reason="the extra is installed")
def test_without_the_extra_the_way_to_it_is_told() -> None:
    with pytest.raises(BadInput, match="community"):
        community_pdf.pages(PAPERS[0])
