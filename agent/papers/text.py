"""The text that a paper was read from, as bytes of the record and back.

A reading is recorded with the text it was taken from, so that it can be done again without the paper's source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.canonical import canonical

if TYPE_CHECKING:
    from tools.pdf.text import PdfText


def packed(text: PdfText) -> bytes:
    """Every field of the text; equal texts give equal bytes."""
    from pydantic import TypeAdapter

    from tools.pdf.text import PdfText

    return canonical(TypeAdapter(PdfText).dump_python(text, mode="json"))


def unpacked(content: bytes) -> PdfText:
    """The text again; ValueError where these are other bytes."""
    from pydantic import TypeAdapter

    from tools.pdf.text import PdfText

    return TypeAdapter(PdfText).validate_json(content)
