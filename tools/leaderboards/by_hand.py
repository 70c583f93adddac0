"""Boards in a file that people keep: `scrape_method: manual` and `git_file`.

The file is CSV, JSON or a saved HTML page, told apart by how it begins.
"""

from __future__ import annotations

from tools.leaderboards import api, delimited, html_table
from tools.leaderboards.sources import BoardSpec, Document, Findings


def tables(document: Document, spec: BoardSpec) -> Findings:
    """What the file holds."""
    if html_table.looks_like_markup(document.body):
        return html_table.tables(document, spec)
    if document.body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return api.tables(document, spec)
    return delimited.tables(document, spec)
