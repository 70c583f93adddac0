"""Readers of strangers' files are processes of their own, and know nothing of ours."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from tools.pages import text as page_text
from tools.pdf import text as pdf_text


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where an interpreter writes the environment that it was started in."""
    seen, interpreter = tmp_path / "environment", tmp_path / "python"
    interpreter.write_text(f'#!/bin/sh\nenv > {shlex.quote(str(seen))}\nexec {shlex.quote(sys.executable)} "$@"\n')
    interpreter.chmod(0o755)
    monkeypatch.setenv("MODEL_KEY", "sk-a-secret-key-of-ours")
    monkeypatch.setattr(sys, "executable", str(interpreter))
    return seen


def test_the_reader_of_a_paper_is_given_no_key(shown: Path, tmp_path: Path) -> None:
    path = tmp_path / "paper.pdf"
    canvas = Canvas(str(path))
    canvas.drawString(72, 720, "Calibration helps on every task that we tried.")
    canvas.save()
    assert "Calibration" in pdf_text.pages(path).pages[0]
    assert "PATH=" in shown.read_text()
    assert "MODEL_KEY" not in shown.read_text()


def test_the_reader_of_a_page_is_given_no_key(shown: Path) -> None:
    page = page_text.read_page(b"<p>Calibration helps.</p>", "https://example.com/", "text/html")
    assert "Calibration" in page.text.pages[0]
    assert "MODEL_KEY" not in shown.read_text()
