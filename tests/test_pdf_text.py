"""Text of PDFs: real papers, PDFs rendered here, and files that are none."""

from __future__ import annotations

import hashlib
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader, PdfWriter
from reportlab.pdfgen.canvas import Canvas

from registry.errors import BadInput
from tools.pdf import text as pdf_text


def rendered(path: Path, *pages: str, title: str = "Shifted copies") -> Path:
    canvas = Canvas(str(path), invariant=1)
    canvas.setTitle(title)
    for page in pages:
        for number, line in enumerate(page.splitlines()):
            canvas.drawString(72, 720 - 14 * number, line)
        canvas.showPage()
    canvas.save()
    return path


def minimal(stream: bytes, pages: str = "[3 0 R]") -> bytes:
    """A hand-made one-page PDF around one compressed content stream."""
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 5 0 R >>"
    unicode = b"/CIDInit begincmap 2 beginbfchar <01> <200B> <02> <202E> endbfchar endcmap"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids {pages} /Count 1 >>".encode(),
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 " + font + b" >> >> >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(stream) + stream + b"\nendstream",
        b"<< /Length %d >>\nstream\n" % len(unicode) + unicode + b"\nendstream",
    ]
    out = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(out)
    return out + b"xref\n0 6\n0000000000 65535 f \n" + table + trailer


def found(source: Path | bytes) -> str:
    with pytest.raises(BadInput) as caught:
        pdf_text.pages(source)
    return caught.value.problems[0].found


def test_each_page_keeps_its_number_and_the_file_its_hash(tmp_path: Path) -> None:
    path = rendered(tmp_path / "a.pdf", "First page says one.", "Second page says two.")
    text = pdf_text.pages(path)
    assert [page.strip() for page in text.pages] == ["First page says one.", "Second page says two."]
    assert text.title == "Shifted copies"
    assert text.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert pdf_text.pages(path.read_bytes()) == text


def test_words_broken_at_line_ends_are_joined(tmp_path: Path) -> None:
    text = pdf_text.pages(rendered(tmp_path / "a.pdf", "a critical ingre-\ndient of learn-\ning"))
    assert text.pages[0].strip() == "a critical ingredient of learning"


def test_a_compound_that_the_document_hyphenates_elsewhere_keeps_its_hyphen() -> None:
    assert pdf_text.mend(["fine-tuning helps, and fine-\ntuning helps"]) == (
        "fine-tuning helps, and fine-tuning helps",
    )


def test_a_hyphen_before_a_number_is_never_dropped() -> None:
    assert pdf_text.mend(["ranks 1-\n3 and top-\n5"]) == ("ranks 1-3 and top-5",)


def test_ligatures_are_spelled_out_and_unseen_characters_removed() -> None:
    assert pdf_text.mend(["ﬁne eﬀect, diﬃcult\u200b\u202e\x00 ﬂow"]) == ("fine effect, difficult flow",)


@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=200))
@settings(max_examples=100, deadline=None)
def test_mended_text_holds_no_control_characters(raw: str) -> None:
    (page,) = pdf_text.mend([raw])
    assert all(ch in "\n\t" or ch.isprintable() or ch.isspace() for ch in page)
    assert not set(page) & set("\x00\x1b\u200b\u200e\u202e\ufeff\u00ad")


def test_superscripts_are_not_flattened_into_numbers() -> None:
    assert pdf_text.mend(["10² parameters"]) == ("10² parameters",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "an empty file"),
        (b"<html>not found</html>", "starts with '<html>not found</html>'"),
        (b"%PDF-1.7\ngarbage\n%%EOF\n", "malformed PDF"),
        (b"%PDF-1.7\n" + b"\x00" * 4096 + b"\nstartxref\n9999999\n%%EOF", "malformed PDF"),
    ],
)
def test_what_is_no_pdf_is_refused_with_what_was_found(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "x.pdf"
    path.write_bytes(content)
    assert says in found(path)
    assert "\x1b" not in found(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    assert "No such file" in found(tmp_path / "none.pdf")
    assert "directory" in found(tmp_path)


def test_a_truncated_pdf_is_refused(tmp_path: Path) -> None:
    whole = rendered(tmp_path / "a.pdf", *["A page of text."] * 8).read_bytes()
    assert "truncated" in found(whole[: len(whole) // 2])


def test_an_encrypted_pdf_is_refused(tmp_path: Path) -> None:
    writer = PdfWriter()
    writer.append(PdfReader(rendered(tmp_path / "a.pdf", "Secret.")))
    writer.encrypt("password", algorithm="RC4-128")
    writer.write(tmp_path / "locked.pdf")
    assert found(tmp_path / "locked.pdf") == "an encrypted PDF"
    with pytest.raises(BadInput, match="save it without its password"):
        pdf_text.pages(tmp_path / "locked.pdf")


def test_a_pdf_without_text_is_refused(tmp_path: Path) -> None:
    assert "without any text" in found(rendered(tmp_path / "a.pdf", "", ""))


def test_a_huge_file_is_refused_before_it_is_parsed() -> None:
    assert "more than 50 MiB" in found(b"%PDF-1.4\n" + b" " * pdf_text.MAX_BYTES + b"%%EOF")


def test_too_many_pages_are_refused(tmp_path: Path) -> None:
    path = rendered(tmp_path / "a.pdf", *["x"] * 201)
    assert found(path) == "201 pages"


def test_reading_that_takes_too_long_or_too_much_is_ended(tmp_path: Path) -> None:
    path = rendered(tmp_path / "a.pdf", *["A page of text."] * 3)
    with pytest.raises(BadInput, match="not read within"):
        pdf_text.pages(path, bounds=pdf_text.Bounds(wall_s=0.01))
    with pytest.raises(BadInput, match="more than 20 characters"):
        pdf_text.pages(path, bounds=pdf_text.Bounds(chars=20))


def test_long_lines_of_a_stranger_take_linear_time() -> None:
    started = time.monotonic()
    pdf_text.mend(["a" * 300_000 + "-" * 300_000 + " " * 300_000 + "a-" * 150_000])
    assert time.monotonic() - started < 5


def test_a_decompression_bomb_ends_as_bad_input() -> None:
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(400)) + packer.flush()
    assert found(minimal(bomb))


def test_a_page_tree_that_holds_itself_ends_as_bad_input() -> None:
    assert found(minimal(zlib.compress(b"BT /F1 12 Tf 72 720 Td (x) Tj ET"), pages="[2 0 R]"))


def test_real_two_column_papers_read_as_sentences(shared_data: Path) -> None:
    text = pdf_text.pages(shared_data / "pdfs" / "2020.acl-main.207.pdf")
    assert len(text.pages) == 13
    assert text.title.startswith("SPECTER: Document-level Representation Learning")
    assert "Representation learning is a critical ingredient for natural language" in " ".join(text.pages[0].split())
    assert not any("ﬁ" in page for page in text.pages)
    assert text.hidden == ()


def test_zero_width_characters_of_a_stranger_are_removed_and_reported() -> None:
    text = pdf_text.pages(minimal(zlib.compress(b"BT /F1 12 Tf 72 720 Td (ig\001nore and \002revert) Tj ET")))
    assert text.pages[0].strip() == "ignore and revert"
    assert text.hidden == ("page 1: 2 zero-width or direction character(s) removed",)
