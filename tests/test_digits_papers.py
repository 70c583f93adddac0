"""The demonstration's papers and the figures they quote."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from pypdf import PdfReader

DIGITS = ROOT / "examples" / "digits"
PAPERS = DIGITS / "papers"
NAMES = ("shifted-copies.pdf", "width-and-training-length.pdf", "regularisation.pdf")
NOTICE = "Written by the auto-benchmark authors for its demonstration; not a publication."


def text_of(name: str) -> str:
    pages = [page.extract_text() for page in PdfReader(PAPERS / name).pages]
    assert all(NOTICE in " ".join(page.split()) for page in pages)
    return " ".join(" ".join(pages).split())


@pytest.mark.parametrize("name", NAMES)
def test_each_paper_says_on_every_page_that_it_is_ours(name: str) -> None:
    assert "Digits leaderboard" in text_of(name)


def test_the_papers_quote_the_measured_figures() -> None:
    figures = json.loads((PAPERS / "figures.json").read_text())

    def change(before: str, after: str) -> str:
        return f"raises accuracy from {figures[before]['mean']:.3f} to {figures[after]['mean']:.3f}"

    assert f"one-pixel shifted copies {change('wide', 'wide_shifts_1')}" in text_of(NAMES[0])
    assert f"hidden layer of 256 units {change('production', 'hidden_256')}" in text_of(NAMES[1])
    assert f"Dropout of 0.5 {change('large', 'large_dropout_05')}" in text_of(NAMES[2])


def test_the_committed_papers_are_what_their_script_makes(tmp_path: Path) -> None:
    pytest.importorskip("reportlab")
    made = subprocess.run(
        [sys.executable, str(PAPERS / "make_papers.py"), str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert made.returncode == 0, made.stderr
    for name in NAMES:
        assert " ".join(PdfReader(tmp_path / name).pages[0].extract_text().split()) in text_of(name)


def test_the_papers_are_the_same_to_the_byte_each_time(tmp_path: Path) -> None:
    pytest.importorskip("reportlab")
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        command = [sys.executable, str(PAPERS / "make_papers.py"), str(tmp_path / folder)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    for name in NAMES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_splits_are_what_scikit_learn_makes() -> None:
    if importlib.util.find_spec("sklearn") is None:
        pytest.skip("scikit-learn is not in this environment (the rivals' environment has it)")
    checked = subprocess.run(
        [sys.executable, str(DIGITS / "make_splits.py"), "--check"], capture_output=True, text=True, timeout=120
    )
    assert checked.returncode == 0, checked.stdout
