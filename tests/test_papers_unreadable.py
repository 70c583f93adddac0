"""Files called papers that are none: every one is named with its reason, in the night, by `papers` and by doctor."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas
from tiny_solution import Tiny, build

REASONS = {
    "empty.pdf": "an empty file",
    "random.pdf": "a file that starts with",
    "cut.pdf": "a truncated PDF",
    "page.pdf": "a file that starts with '<html>",
    "loop.pdf": "a link that leads nowhere",
    "broken-link.pdf": "a link that leads nowhere",
    "huge.pdf": "more than 50 MiB",
    "pipe.pdf": "a pipe",
    "folder.pdf": "a folder",
    "Ωméga \N{RIGHT-TO-LEFT OVERRIDE}x.pdf": "an empty file",
    "two\nlines.pdf": "an empty file",
}


def _paper(path: Path) -> bytes:
    canvas = Canvas(str(path), invariant=1)
    canvas.setTitle("A whole paper")
    canvas.drawString(72, 720, "Deeper networks raise accuracy.")
    canvas.save()
    return path.read_bytes()


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    tiny = build(tmp_path)
    papers = tiny.workspace.root / "papers"
    papers.mkdir()
    whole = _paper(papers / "whole.pdf")
    for name in ("empty.pdf", "Ωméga \N{RIGHT-TO-LEFT OVERRIDE}x.pdf", "two\nlines.pdf"):
        (papers / name).write_bytes(b"")
    (papers / "random.pdf").write_bytes(bytes(range(7, 256)) * 9)
    (papers / "cut.pdf").write_bytes(whole[: len(whole) // 2])
    (papers / "page.pdf").write_bytes(b"<html>log in</html>")
    (papers / "loop.pdf").symlink_to("loop.pdf")
    (papers / "broken-link.pdf").symlink_to("gone.pdf")
    with (papers / "huge.pdf").open("wb") as stream:
        stream.write(b"%PDF-1.4")
        stream.truncate(51 << 20)
    os.mkfifo(papers / "pipe.pdf")
    (papers / "folder.pdf").mkdir()
    config = "research_sources: {local_folders: [papers, nosuchfolder]}\n"
    tiny.workspace.research_config.write_text(config)
    return tiny


def _shown(name: str) -> str:
    return name.replace("\N{RIGHT-TO-LEFT OVERRIDE}", "").replace("\n", " ")


def test_ingest_and_list_name_every_file_that_is_no_paper_with_its_reason(tiny: Tiny) -> None:
    ingested = tiny.agent("papers", "ingest")
    assert ingested.returncode == 1, ingested.stderr
    listed = tiny.agent("papers", "list")
    assert listed.returncode == 0
    for name, reason in REASONS.items():
        for said in (ingested, listed):
            assert f"{_shown(name)}: found {reason}" in said.stdout + said.stderr
    for said in (ingested, listed):
        assert "A whole paper" in said.stdout + said.stderr
    assert "from folder:papers (whole.pdf), full text read" in listed.stdout
    assert "folder:papers: incomplete — 11 that cannot be read" in ingested.stdout + ingested.stderr
    missing = [line for line in (ingested.stdout + ingested.stderr).splitlines() if "folder:nosuchfolder" in line]
    assert "No such file or directory" in missing[0]
    assert "create it or change the folder in research_config.yaml" in missing[0]


def test_a_file_is_recorded_once_and_a_mended_one_is_listed_as_read(tiny: Tiny) -> None:
    tiny.agent("papers", "ingest")
    tiny.agent("papers", "ingest")
    assert len(tiny.events("paper_unreadable")) == len(REASONS)
    assert len(json.loads(tiny.agent("papers", "list", "--json").stdout)) == len(REASONS) + 1
    target = tiny.workspace.root / "papers" / "empty.pdf"
    _paper(target)
    target.write_bytes(target.read_bytes() + b"\n")
    tiny.agent("papers", "ingest")
    rows = json.loads(tiny.agent("papers", "list", "--json").stdout)
    assert "file:empty.pdf" not in [row["key"] for row in rows]
    assert [row["status"] for row in rows].count("read") == 2


def test_ingest_without_a_source_says_where_to_name_one(tiny: Tiny) -> None:
    tiny.workspace.research_config.write_text("research_sources: {}\n")
    said = tiny.agent("papers", "ingest")
    assert said.returncode == 0
    assert "No source is configured: name some under research_sources in research_config.yaml." in said.stdout


def test_doctor_names_a_folder_of_papers_that_is_not_there(tiny: Tiny) -> None:
    rows = json.loads(tiny.agent("doctor", "--no-baseline", "--json").stdout)["findings"]
    found = [row for row in rows if "nosuchfolder" in row["found"]]
    assert [row["status"] for row in found] == ["warn"]
    assert found[0]["fix"].startswith("mkdir -p ")
