"""arXiv through the `arxiv` library, fed by recorded answers or by the network.

Called where sources are wired; both classes are `tools.papers.PaperSource`. The library pages and parses; what it is
given to parse comes through `tools.arxiv_transport`, so recorded answers take the very same way as live ones. One
client serves the process for each address of the API, whatever the number of queries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from registry.errors import BadInput, Problem, RateLimited, Retryable
from registry.papers import Paper
from tools.arxiv_transport import FIRST_BACKOFF_S, Checked, NetworkTransport, RecordedTransport, Transport
from tools.paper_files import PaperFiles
from tools.papers import MAX_RESULTS, PaperBatch, PaperQuery, Status, abstract_text, bounded, merged
from tools.pdf import text as pdf_text
from tools.pdf.text import PdfText
from tools.web.courtesy import ARXIV_PAUSE_S

API = "https://export.arxiv.org/api/query"
FILES = "https://export.arxiv.org/pdf/"
"""The host that arXiv sets aside for programs."""
PAGE_SIZE = 100
TIMEOUT_S = 30.0
FILE_TIMEOUT_S = 120.0
RETRIES = 2
MAX_FILE_BYTES = 30 << 20
IDENTIFIER = re.compile(r"^([a-z-]+(?:\.[A-Za-z-]+)?/\d{7}|\d{4}\.\d{4,5})(v\d{1,3})?$")
_IN_A_LINK = re.compile(
    r"^https?://(?:[a-z]+\.)?arxiv\.org/(?:abs|pdf|html)/([^\s?#]{1,60}?)(?:\.pdf)?/?(?:[?#].*)?$", re.IGNORECASE
)
_SCHEMES = re.compile(r"^(?:arxiv:|(?:doi:|https?://doi\.org/)?10\.48550/arxiv\.)", re.IGNORECASE)


def identifier(words: str) -> tuple[str, str]:
    """The arXiv id and version in an id, an `arXiv:` id, a DOI of arXiv's or a link to arXiv; empty where none is."""
    words = words.strip()
    link = _IN_A_LINK.match(words)
    bare = (
        link[1]
        if link
        else re.sub(r"^(?:arxiv:|https?://doi\.org/|doi:)*(?:10\.48550/arxiv\.)?", "", words, flags=re.I)
    )
    match = IDENTIFIER.match(bare)
    return (match[1], match[2] or "") if match else ("", "")


class _ArxivSource:
    """What recorded and live arXiv share: paging through the library and making records of its results."""

    def __init__(self, client: Any, name: str = "arxiv") -> None:
        self._client = client
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def find(self, query: PaperQuery) -> PaperBatch:
        """The newest `query.limit` results, from `query.offset` on where an earlier answer stopped there."""
        return self._pages(query, upto=max(query.offset + 1, min(query.limit, MAX_RESULTS)))

    def _pages(self, query: PaperQuery, upto: int) -> PaperBatch:
        import arxiv

        search = arxiv.Search(
            query=query.text,
            id_list=list(query.ids),
            max_results=upto,
            sort_by=arxiv.SortCriterion.SubmittedDate,
        )
        seen = query.offset
        papers: list[Paper] = []
        notes: list[str] = []
        status: Status = "ok"
        wait: float | None = None
        try:
            for result in _bounded_results(self._client.results(search, offset=query.offset)):
                seen += 1
                paper = _record(result)
                if paper is None:
                    notes.append(f"an entry without an arXiv id left out: {pdf_text.plain(str(result.entry_id), 100)}")
                else:
                    papers.append(paper)
        except RateLimited as error:
            status, wait = "rate_limited", error.retry_after_s
            notes.append(str(error))
        except BadInput as error:
            status = "refused"
            notes.append(str(error))
        except (Retryable, arxiv.ArxivError) as error:
            status = "unreachable"
            notes.append(pdf_text.plain(str(error), 500))
        found = merged(papers)
        if status == "ok":
            notes += _missing(query, found)
        new = tuple(paper for paper in found if paper.key not in query.skip)
        stopped = status in {"rate_limited", "unreachable"}
        return PaperBatch(self.name, new, status, tuple(notes), wait, next_offset=seen if stopped else 0)


class RecordedArxiv(_ArxivSource):
    """Recorded answers of the arXiv API; the text of a paper is its abstract.

    A query that names nothing takes every recorded answer, overlapping pages included.
    """

    def __init__(self, folder: Path, page_size: int = PAGE_SIZE, name: str = "arxiv") -> None:
        self._recorded = RecordedTransport(folder)
        super().__init__(_client(API, self._recorded, page_size, retries=0, backoff_s=0.0), name)

    def find(self, query: PaperQuery) -> PaperBatch:
        if query.text or query.ids:
            return super().find(query)
        batches = [self._replayed(request) for request in self._recorded.requests]
        papers = merged(paper for batch in batches for paper in batch.papers if paper.key not in query.skip)
        notes = tuple(dict.fromkeys(note for batch in batches for note in batch.notes))
        return PaperBatch(self.name, papers[: query.limit], notes=notes)

    def text(self, paper: Paper) -> PdfText:
        return abstract_text(paper)

    def _replayed(self, request: tuple[str, ...]) -> PaperBatch:
        text, ids, start, size = request
        one_page = _ArxivSource(_client(API, self._recorded, int(size), retries=0, backoff_s=0.0))
        named = tuple(word for word in ids.split(",") if word)
        offset = int(start)
        return one_page._pages(PaperQuery(text, named, offset=offset), upto=offset + int(size))


class LiveArxiv(_ArxivSource):
    """arXiv over the network: at arXiv's pace, with a time limit, and rate limits as a soft status.

    `files` keeps the PDFs that were fetched; without it each is fetched when it is asked for.
    """

    def __init__(
        self,
        *,
        name: str = "arxiv",
        api: str = API,
        files: str = FILES,
        kept: PaperFiles | None = None,
        page_size: int = PAGE_SIZE,
        pause_s: float = ARXIV_PAUSE_S,
        timeout_s: float = TIMEOUT_S,
        file_timeout_s: float = FILE_TIMEOUT_S,
        retries: int = RETRIES,
        backoff_s: float = FIRST_BACKOFF_S,
    ) -> None:
        self._files = files if files.endswith("/") else files + "/"
        self._kept = kept
        self._file_transport = NetworkTransport(file_timeout_s, pause_s, MAX_FILE_BYTES)
        super().__init__(_shared_client(api, page_size, pause_s, timeout_s, retries, backoff_s), name)

    def text(self, paper: Paper) -> PdfText:
        """The PDF of exactly the version on record, whose hash the quotes then carry.

        Raises RateLimited and Retryable where it cannot be had now, BadInput where there is none that can be read.
        """
        wanted = paper.key.removeprefix("arxiv:") + paper.version
        if not paper.key.startswith("arxiv:") or not IDENTIFIER.match(wanted):
            raise BadInput(Problem(where=paper.key, found="no arXiv id", expected="a paper that arXiv holds"))
        url = self._files + wanted
        known = self._kept.kept(url) if self._kept is not None and paper.version else None
        if known is not None:
            return pdf_text.pages(known, name=url)
        answer = self._file_transport.get(url)
        if answer.status_code in {403, 408, 425} or answer.status_code >= 500:
            raise Retryable(f"{url}: HTTP {answer.status_code}")
        if answer.status_code != 200:
            raise BadInput(Problem(url, f"HTTP {answer.status_code}", "the paper's PDF"))
        text = pdf_text.pages(answer.content, name=url)  # what is no PDF is not kept
        if self._kept is not None:
            self._kept.keep(url, answer.content)
        return text


@cache
def _shared_client(api: str, page_size: int, pause_s: float, timeout_s: float, retries: int, backoff_s: float) -> Any:
    """The process's one client for an address of the API and a way to ask it."""
    return _client(api, NetworkTransport(timeout_s, pause_s), page_size, retries, backoff_s)


def _client(api: str, transport: Transport, page_size: int, retries: int, backoff_s: float) -> Any:
    import arxiv

    # The library's own retries are left for a page that is empty and should not be; pauses are the transport's.
    client = arxiv.Client(page_size=page_size, delay_seconds=0.0, num_retries=retries)
    client.query_url_format = api + "?{}"
    # The library accepts no transport; this attribute is the one place through which it fetches.
    client._session = Checked(transport, retries, backoff_s)
    return client


def _bounded_results(results: Iterator[Any]) -> Iterator[Any]:
    """The library's results, its complaints about a date or a field turned into ours."""
    try:
        yield from results
    except (ValueError, OverflowError) as error:
        raise Retryable(f"arXiv's feed holds a field that cannot be read: {error}") from None


def _record(result: Any) -> Paper | None:
    match = IDENTIFIER.match(str(result.get_short_id()))
    if match is None:
        return None
    return bounded(
        key=f"arxiv:{match[1]}",
        version=match[2] or "",
        title=str(result.title),
        summary=str(result.summary),
        authors=(str(author.name) for author in result.authors),
        published=result.published.date().isoformat(),
        url=f"https://arxiv.org/abs/{match[0]}",
        doi=str(result.doi or ""),
    )


def _missing(query: PaperQuery, found: tuple[Paper, ...]) -> list[str]:
    keys = {paper.key for paper in found}
    notes = []
    for identifier in query.ids:
        match = IDENTIFIER.match(identifier)
        if f"arxiv:{match[1] if match else identifier}" not in keys:
            notes.append(f"arXiv answers nothing for the id {pdf_text.plain(identifier, 100)}")
    return notes
