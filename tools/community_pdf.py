"""Text of a PDF through LangChain's community loader: the optional extra `community`, and no part of a night.

For people who want to hold our reading (`tools.pdf.text`) against the loader that other programs use, or who have
pipelines that stand on its documents. The loader parses in this process and without limits, so give it only PDFs
that you trust. Nothing in the packages imports this module.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from registry.errors import BadInput, Problem
from tools.pdf.text import PdfText, mend


def pages(path: Path) -> PdfText:
    """The text of a PDF file, page by page, mended as `tools.pdf_text.pages` does it.

    BadInput where the extra is not installed, the file cannot be read or has no text.
    """
    try:
        from langchain_community.document_loaders import PyPDFLoader
    except ImportError:
        fix = "pip install 'auto-benchmark[community]'"
        raise BadInput(Problem("langchain-community", "no such package", "the extra `community`", fix=fix)) from None
    try:
        content = path.read_bytes()
        documents = PyPDFLoader(str(path), mode="page").load()
    except Exception as error:  # the loader lets every error of its parser through
        raise BadInput(Problem(str(path), f"{type(error).__name__}: {error}", "a PDF that can be read")) from error
    raw = [str(document.page_content) for document in documents]
    if not any(page.strip() for page in raw):
        raise BadInput(Problem(str(path), f"{len(raw)} page(s) without any text", "a PDF with a text layer"))
    title = str(documents[0].metadata.get("title", "")) if documents else ""
    return PdfText(hashlib.sha256(content).hexdigest(), title, mend(raw))
