"""arXiv through the `arxiv` library, fed by recorded answers or by the network.

Called where sources are wired; both classes are `tools.papers.PaperSource`. The library pages, waits and parses;
what it is given to parse comes through `Transport`, so recorded answers take the very same way as live ones.
Answers that are no whole Atom feed are refused before the library could read them as "no results".
"""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from registry.errors import BadInput, Problem, RateLimited, Retryable
from registry.papers import Paper
from tools import pdf_text
from tools.papers import MAX_RESULTS, PaperBatch, PaperQuery, Status, abstract_text, bounded, merged
from tools.pdf_text import PdfText

API = "https://export.arxiv.org/api/query"
FILES = "https://arxiv.org/pdf/"
COURTESY_S = 3.0
"""arXiv's terms of use: at most one request every three seconds."""
MAX_ANSWER_BYTES = 50 << 20
MAX_WAIT_S = 86_400.0
PATIENCE = 4
"""Timeouts that one whole answer may take."""
_ATOM = b"http://www.w3.org/2005/Atom"
_SUMMARY = re.compile(rb"<summary[^>]{0,200}>([^<]{0,2000})</summary>")
_IDENTIFIER = re.compile(r"^([a-z-]+(?:\.[A-Za-z-]+)?/\d{7}|\d{4}\.\d{4,5})(v\d{1,3})?$")


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, by the attribute names under which the `arxiv` library reads it."""

    status_code: int
    content: bytes
    retry_after_s: float | None = None


class Transport(Protocol):
    """Fetches one URL. Raises `Retryable` where no answer comes."""

    def get(self, url: str) -> Answer: ...


class NetworkTransport:
    """HTTP with a pause between requests, a timeout, a bound on the answer's size and no redirects."""

    def __init__(self, timeout_s: float, pause_s: float, user_agent: str = "auto-benchmark") -> None:
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._user_agent = user_agent
        self._last = -pause_s

    def get(self, url: str) -> Answer:
        import httpx

        time.sleep(max(0.0, self._last + self._pause_s - time.monotonic()))
        sent = {"user-agent": self._user_agent}
        try:
            with httpx.stream("GET", url, headers=sent, timeout=self._timeout_s, follow_redirects=False) as response:
                body = self._body(url, response.iter_bytes())
                return Answer(response.status_code, body, _seconds(response.headers.get("retry-after", "")))
        except httpx.HTTPError as error:
            raise Retryable(f"{url}: {type(error).__name__}: {pdf_text.plain(str(error), 200)}") from None
        finally:
            self._last = time.monotonic()

    def _body(self, url: str, chunks: Iterator[bytes]) -> bytes:
        # The client's timeout is for each read; a server that drips one byte at a time would hold us for ever.
        deadline = time.monotonic() + self._timeout_s * PATIENCE
        body = bytearray()
        for chunk in chunks:
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise Retryable(f"{url}: the answer is larger than {MAX_ANSWER_BYTES >> 20} MiB")
            if time.monotonic() > deadline:
                raise Retryable(f"{url}: the answer takes longer than {self._timeout_s * PATIENCE:g} s")
        return bytes(body)


class RecordedTransport:
    """Answers kept in a folder, one JSON file each with `url`, `status_code` and `body` (bytes as Latin-1)."""

    def __init__(self, folder: Path) -> None:
        self._answers: dict[tuple[str, ...], Answer] = {}
        self.requests: list[tuple[str, ...]] = []
        for path in sorted(folder.glob("*.json")):
            try:
                record = json.loads(path.read_text(encoding="utf-8"))
                answer = Answer(int(record["status_code"]), str(record["body"]).encode("latin-1"))
                request = _request(str(record["url"]))
            except (OSError, ValueError, KeyError, TypeError) as error:
                expected = "JSON with url, status_code and body"
                raise BadInput(Problem(where=str(path), found=f"{type(error).__name__}", expected=expected)) from None
            self._answers[request] = answer
            self.requests.append(request)
        if not self._answers:
            raise BadInput(Problem(where=str(folder), found="no recorded answers", expected="*.json files"))

    def get(self, url: str) -> Answer:
        answer = self._answers.get(_request(url))
        if answer is None:
            raise Retryable(f"{url}: no such answer was recorded")
        return answer


class _Checked:
    """A transport whose answers are whole feeds or exceptions that say why not."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, url: str, **_: object) -> Answer:
        """What the library calls; the headers that it passes are the transport's own affair."""
        answer = self._transport.get(url)
        if answer.status_code in {429, 503}:
            raise RateLimited(f"{url}: HTTP {answer.status_code}", answer.retry_after_s)
        if answer.status_code == 400 or b"/api/errors#" in answer.content[:MAX_ANSWER_BYTES]:
            said = _SUMMARY.search(answer.content)
            reason = html.unescape(said[1].decode("utf-8", "replace")) if said else f"HTTP {answer.status_code}"
            raise BadInput(Problem(where=url, found=pdf_text.plain(reason, 300), expected="a query that arXiv accepts"))
        if answer.status_code == 200:
            _require_feed(url, answer.content)
        return answer


class _ArxivSource:
    """What recorded and live arXiv share: paging through the library and making records of its results."""

    name = "arxiv"

    def __init__(self, transport: Transport, *, api: str, page_size: int, delay_s: float, retries: int) -> None:
        import arxiv

        client = arxiv.Client(page_size=page_size, delay_seconds=delay_s, num_retries=retries)
        client.query_url_format = api + "?{}"
        # The library accepts no transport; this attribute is the one place through which it fetches.
        client._session = _Checked(transport)
        self._client = client

    def find(self, query: PaperQuery) -> PaperBatch:
        return self._page(query, offset=0)

    def _page(self, query: PaperQuery, offset: int) -> PaperBatch:
        import arxiv

        search = arxiv.Search(
            query=query.text,
            id_list=list(query.ids),
            max_results=offset + max(1, min(query.limit, MAX_RESULTS)),
            sort_by=arxiv.SortCriterion.SubmittedDate,
        )
        papers: list[Paper] = []
        notes: list[str] = []
        status: Status = "ok"
        wait: float | None = None
        try:
            for result in _bounded_results(self._client.results(search, offset=offset)):
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
        return PaperBatch(self.name, found, status, tuple(notes), wait)


class RecordedArxiv(_ArxivSource):
    """Recorded answers of the arXiv API; the text of a paper is its abstract.

    A query that names nothing takes every recorded answer, overlapping pages included.
    """

    def __init__(self, folder: Path, page_size: int = 100) -> None:
        recorded = RecordedTransport(folder)
        self._requests = recorded.requests
        self._recorded = recorded
        super().__init__(recorded, api=API, page_size=page_size, delay_s=0.0, retries=0)

    def find(self, query: PaperQuery) -> PaperBatch:
        if query.text or query.ids:
            return super().find(query)
        batches = [self._replayed(request) for request in self._requests]
        papers = merged(paper for batch in batches for paper in batch.papers)
        notes = tuple(dict.fromkeys(note for batch in batches for note in batch.notes))
        return PaperBatch(self.name, papers[: query.limit], notes=notes)

    def text(self, paper: Paper) -> PdfText:
        return abstract_text(paper)

    def _replayed(self, request: tuple[str, ...]) -> PaperBatch:
        text, ids, start, size = request
        one_page = _ArxivSource(self._recorded, api=API, page_size=int(size), delay_s=0.0, retries=0)
        named = tuple(word for word in ids.split(",") if word)
        return one_page._page(PaperQuery(text, named, limit=int(size)), offset=int(start))


class LiveArxiv(_ArxivSource):
    """arXiv over the network: three seconds between requests, a timeout, and rate limits as a soft status."""

    def __init__(
        self,
        *,
        api: str = API,
        files: str = FILES,
        page_size: int = 100,
        delay_s: float = COURTESY_S,
        timeout_s: float = 30.0,
        retries: int = 2,
        transport: Transport | None = None,
    ) -> None:
        self._network = transport or NetworkTransport(timeout_s, pause_s=delay_s)
        self._files = files
        super().__init__(self._network, api=api, page_size=page_size, delay_s=0.0, retries=retries)

    def text(self, paper: Paper) -> PdfText:
        """The PDF of exactly the version on record, whose hash the quotes then carry."""
        identifier = paper.key.removeprefix("arxiv:") + paper.version
        if not _IDENTIFIER.match(identifier):
            raise BadInput(Problem(where=paper.key, found="no arXiv id", expected="a paper that arXiv holds"))
        url = self._files + identifier
        answer = self._network.get(url)
        if answer.status_code in {429, 503}:
            raise RateLimited(f"{url}: HTTP {answer.status_code}", answer.retry_after_s)
        if answer.status_code != 200:
            raise Retryable(f"{url}: HTTP {answer.status_code}")
        return pdf_text.pages(answer.content, name=url)


def _request(url: str) -> tuple[str, ...]:
    """What a request asks for, whatever the order of its arguments, its host and its sorting."""
    arguments = parse_qs(urlsplit(url).query)
    defaults = {"search_query": "", "id_list": "", "start": "0", "max_results": "10"}
    return tuple(arguments.get(name, [default])[0] for name, default in defaults.items())


def _seconds(wait: str) -> float | None:
    """`Retry-After` in seconds; its other form, a date, is left to the caller's own patience."""
    return min(float(wait), MAX_WAIT_S) if wait.isdecimal() else None


def _require_feed(url: str, content: bytes) -> None:
    text = content.strip()
    if _ATOM not in text[:2000]:
        start = pdf_text.plain(text[:60].decode("utf-8", "replace"))
        raise Retryable(f"{url}: answered with something that is no Atom feed, starting with {start!r}")
    if not text.endswith(b"</feed>"):
        raise Retryable(f"{url}: the feed breaks off after {len(content)} bytes")


def _bounded_results(results: Iterator[Any]) -> Iterator[Any]:
    """The library's results, its complaints about a date or a field turned into ours."""
    try:
        yield from results
    except (ValueError, OverflowError) as error:
        raise Retryable(f"arXiv's feed holds a field that cannot be read: {error}") from None


def _record(result: Any) -> Paper | None:
    match = _IDENTIFIER.match(str(result.get_short_id()))
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
    )


def _missing(query: PaperQuery, found: tuple[Paper, ...]) -> list[str]:
    keys = {paper.key for paper in found}
    notes = []
    for identifier in query.ids:
        match = _IDENTIFIER.match(identifier)
        if f"arxiv:{match[1] if match else identifier}" not in keys:
            notes.append(f"arXiv answers nothing for the id {pdf_text.plain(identifier, 100)}")
    return notes
