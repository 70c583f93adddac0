"""The raw answer of a board as a snapshot, or a complaint that says what was seen instead.

Called by the monitor with what `tools.leaderboards.fetching` brought. Never returns an empty snapshot: a page that
lost its table must not look like a board that everyone left.
"""

from __future__ import annotations

from registry.standings import Snapshot
from tools.leaderboards import api, by_hand, delimited, embedded_json, feed, html_table, mapping
from tools.leaderboards.sources import BoardSpec, Document, Reader, ScrapeMethod
from tools.web.addresses import shown_url

READERS: dict[ScrapeMethod, Reader] = {
    "html_table": html_table,
    "embedded_json": embedded_json,
    "api": api,
    "csv": delimited,
    "rss": feed,
    "git_file": by_hand,
    "manual": by_hand,
}


def read_board(spec: BoardSpec, body: bytes, content_type: str, taken_at: str, raw_sha256: str) -> Snapshot:
    """Reads one board. Raises BadInput wherever the answer is not the board the registry describes."""
    document = Document(shown_url(spec.url) or spec.name, body, content_type)
    if not body.strip():
        raise document.unreadable("an empty answer", f"the board {spec.name}")
    findings = READERS[spec.scrape_method].tables(document, spec)
    table, mapped = mapping.choose(findings, spec, document)
    if not table.rows:
        raise document.unreadable(f"{findings.saw}: {table.described()}", "at least one entry", place=spec.name)
    entries = mapping.entries(table, mapped, spec, document)
    if all(entry.scores[spec.primary_metric] is None for entry in entries):
        raise document.unreadable(
            f"{len(entries)} entries and no number for {spec.primary_metric} in any of them",
            "at least one score",
            place=spec.name,
        )
    return Snapshot(
        board=spec.name,
        track=spec.track,
        metric=spec.primary_metric,
        higher_is_better=spec.higher_is_better,
        taken_at=taken_at,
        raw_sha256=raw_sha256,
        entries=entries,
    )
