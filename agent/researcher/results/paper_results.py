"""Reported results of one paper on our boards, as records with the page and the words where each score stands.

Called by `agent.papers` when a paper has been read. The taxonomy is the user's own: boards are the datasets, their
metrics the metrics, the domain's words the tasks. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from agent.researcher.claims import ends_at_references, sentences
from agent.researcher.quotes import verified
from agent.researcher.results.documents import MAX_TEXT, SCORE, Document, Section
from agent.researcher.results.extraction import extract
from agent.researcher.results.plain_tables import tables_of
from agent.researcher.results.table_results import Candidate
from agent.researcher.results.taxonomy import Taxonomy, metric_named, taxonomy
from registry.competitive import Leaderboard
from registry.hypotheses import Quote
from registry.papers import Paper, ReportedResult
from tools.pdf.text import PdfText, plain

MAX_RESULTS = 50
_LABEL = 200


def our_taxonomy(boards: Iterable[Leaderboard], metric: tuple[str, bool], domain: Iterable[str]) -> Taxonomy:
    """What results are looked for: our boards by name, their metrics and our own (name, higher is better)."""
    listed = list(boards)
    metrics = {board.primary_metric: board.higher_is_better for board in listed}
    if all(metric_named(name, True).base != metric_named(metric[0], True).base for name in metrics):
        metrics[metric[0]] = metric[1]
    return taxonomy(domain, [(board.name, "") for board in listed], metrics.items(), complete=False)


def results_of(paper: Paper, text: PdfText, ours: Taxonomy) -> list[ReportedResult]:
    """Every result that the paper reports as its own on one of our boards; the score stands in the quote, exactly."""
    document = document_of(paper, text)
    found = [_record(one, paper, text) for one in extract(document, ours)[:MAX_RESULTS]]
    return [one for one in found if one is not None]


def document_of(paper: Paper, text: PdfText) -> Document:
    """The pages as sections of sentences and tables of lines; what follows the references' heading is left out."""
    pages: list[str] = []
    size = 0
    for page in text.pages:
        if size > MAX_TEXT:
            break
        pages.append(page)
        size += len(page)
        if ends_at_references(page):
            break
    sections = tuple(Section("", "\n".join(sentences(page)), number) for number, page in enumerate(pages, start=1))
    abstract = paper.summary or (sections[0].text[:3000] if sections else "")
    return Document(paper.title, abstract, sections, tables_of(pages))


def stands_in(score: str, quote: str) -> bool:
    """Whether the score stands in the quote as a number of its own."""
    return any(match[1] == score for match in SCORE.finditer(quote))


def _record(one: Candidate, paper: Paper, text: PdfText) -> ReportedResult | None:
    page = one.table.page if one.table is not None else one.page
    said = one.cell.line if one.cell is not None else one.sentence
    if not said or page < 1 or not stands_in(one.score, said):
        return None
    name = paper.key + paper.version if paper.key.startswith("arxiv:") else paper.title
    quote = Quote(document=name, file_sha256=text.sha256, page=page, text=said[:2000], verified=False)
    return ReportedResult(
        task=one.task[:_LABEL],
        dataset=one.dataset,
        metric=one.metric.name,
        score=one.score,
        value=float(one.score),
        higher_is_better=one.metric.higher_is_better,
        whose="own",
        place="table" if one.cell is not None else "text",
        table=one.table.label if one.table is not None else "",
        row=_short(one.cell.rows) if one.cell is not None else "",
        column=_short(one.cell.columns) if one.cell is not None else "",
        quote=verified(quote, text),
    )


def _short(labels: Sequence[str]) -> str:
    return re.sub(r"\s+", " ", plain(" / ".join(labels), _LABEL))
