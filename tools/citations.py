"""Papers that cite a work of ours, from the Semantic Scholar Academic Graph.

Called by `agent.papers.sources`; `CitationSource` is a `tools.papers.PaperSource`. The service knows works by arXiv id,
DOI or its own ids, needs no key, and takes one (`SEMANTIC_SCHOLAR_API_KEY`) where there is one. The key goes into one
header of requests over TLS or to this machine, never into an address, a message or a record. Papers that are on arXiv
are arXiv's: same key, and completed there, so that nothing is read twice.
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from registry.errors import BadInput, Problem, RateLimited, Retryable
from registry.papers import Paper
from tools import arxiv_api
from tools.arxiv_api import LiveArxiv
from tools.papers import PaperBatch, PaperQuery, Status, abstract_text, bare_doi, bounded, merged
from tools.pdf.text import PdfText, plain
from tools.web.courtesy import COURTESY, pause_for

API = "https://api.semanticscholar.org/graph/v1"
KEY = "SEMANTIC_SCHOLAR_API_KEY"
FIELDS = "title,abstract,authors,externalIds,publicationDate,year,url"
PAGE_SIZE = 100
MOST_PAGES = 10
"""Pages asked for at a time; where there are more, the next asking goes on there."""
MOST_CITATIONS = 9_900
"""The service gives the first ten thousand and refuses to go further."""
MAX_BYTES = 20 << 20
RETRIES = 2
_OWN_ID = re.compile(r"^(?:[0-9a-f]{40}|CorpusId:\d{1,12})$", re.IGNORECASE)
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")


def work_id(words: str) -> str:
    """The service's name of a work, from an arXiv id, a DOI, a link to either, or an id of its own. BadInput else."""
    words = words.strip()
    key, _ = arxiv_api.identifier(words)
    if key:
        return f"ARXIV:{key}"
    if doi := bare_doi(words):
        return f"DOI:{doi}"
    if _OWN_ID.match(words):
        return words
    raise BadInput(
        Problem(
            "research_config.yaml",
            plain(repr(words[:100])),
            "an arXiv id, a DOI, or an id of Semantic Scholar (40 hexadecimal digits, or CorpusId:…)",
            place="research_sources.citation_tracking",
            fix="look the work up on arXiv or doi.org",
        )
    )


class CitationSource:
    """What cites one work."""

    def __init__(
        self,
        work: str,
        arxiv: LiveArxiv | None = None,
        *,
        api: str = API,
        timeout_s: float = 30.0,
        retries: int = RETRIES,
        backoff_s: float = 2.0,
    ) -> None:
        self._work = work
        self._arxiv = arxiv
        self._api = api.rstrip("/")
        self._timeout_s = timeout_s
        self._retries = retries
        self._backoff_s = backoff_s

    @property
    def name(self) -> str:
        """`citations:` with the work's name, an arXiv id as `arxiv:…`."""
        try:
            kind, colon, rest = work_id(self._work).partition(":")
        except BadInput:
            return f"citations:{self._work}"
        return f"citations:{kind.lower()}{colon}{rest}"

    def find(self, query: PaperQuery) -> PaperBatch:
        """The newest citing papers that are not known yet, among up to a thousand from `query.offset` on."""
        found: list[Paper] = []
        notes: list[str] = []
        status: Status = "ok"
        wait: float | None = None
        offset: int | None = query.offset
        try:
            work = work_id(self._work)
            for _ in range(MOST_PAGES):
                papers, following = self._page(work, offset or 0)
                found += papers
                offset = following
                if offset is None:
                    break
                if offset > MOST_CITATIONS:
                    notes.append(f"the service gives no more than the first {MOST_CITATIONS + PAGE_SIZE} citations")
                    offset = None
                    break
        except RateLimited as error:
            status, wait = "rate_limited", error.retry_after_s
            notes.append(str(error))
        except Retryable as error:
            status = "unreachable"
            notes.append(str(error))
        except BadInput as error:
            status, offset = "refused", None
            notes.append(str(error))
        new = [paper for paper in merged(found) if paper.key not in query.skip]
        new.sort(key=lambda paper: paper.published, reverse=True)
        chosen = self._completed(tuple(new[: query.limit]), notes)
        return PaperBatch(self.name, chosen, status, tuple(notes), wait, next_offset=offset or 0)

    def text(self, paper: Paper) -> PdfText:
        """arXiv's text where the paper is there; the abstract of any other."""
        if paper.key.startswith("arxiv:") and self._arxiv is not None:
            return self._arxiv.text(paper)
        return abstract_text(paper)

    def _page(self, work: str, offset: int) -> tuple[list[Paper], int | None]:
        arguments = urlencode({"fields": FIELDS, "offset": offset, "limit": PAGE_SIZE})
        url = f"{self._api}/paper/{quote(work, safe=':')}/citations?{arguments}"
        body = self._get(url)
        try:
            answer = json.loads(body)
            items, following = list(answer["data"]), answer.get("next")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            start = plain(body[:60].decode("utf-8", "replace"))
            raise Retryable(f"{url}: answered with something that is no list of citations: {start!r}") from None
        papers = [paper for item in items[: 2 * PAGE_SIZE] if (paper := _record(item)) is not None]
        going_on = isinstance(following, int) and not isinstance(following, bool) and following > offset
        return papers, following if going_on else None

    def _get(self, url: str) -> bytes:
        """The body of a good answer; what may pass is tried again with growing pauses."""
        for attempt in range(self._retries + 1):
            if attempt:
                time.sleep(self._backoff_s * 2 ** (attempt - 1))
            try:
                return self._once(url)
            except RateLimited:
                raise
            except Retryable as error:
                failure = error
        raise Retryable(f"{failure} (after {self._retries + 1} attempts)")

    def _once(self, url: str) -> bytes:
        from tools.web import transfer

        with COURTESY.turn(url, pause_for(url)):
            answer = transfer.get(
                url, headers=_credentials(url), timeout=self._timeout_s, max_bytes=MAX_BYTES, bodies=frozenset({200})
            )
            if answer.status == 429 or (answer.status == 503 and "retry-after" in answer.headers):
                raise RateLimited(f"{url}: HTTP {answer.status}", transfer.retry_after(answer.headers, time.time()))
        if answer.status == 200:
            return answer.body
        if answer.status in {408, 425} or answer.status >= 500:
            raise Retryable(f"{url}: HTTP {answer.status}")
        expected, fix = "a list of citations", ""
        if answer.status == 404:
            fix = "look for the work's id; the service may not know it yet"
        elif answer.status in {401, 403} and os.environ.get(KEY):
            fix = f"the key in {KEY} may be no good; without one the service can be asked too"
        raise BadInput(Problem(url, f"HTTP {answer.status}", expected, fix=fix))

    def _completed(self, papers: tuple[Paper, ...], notes: list[str]) -> tuple[Paper, ...]:
        """The same with arXiv's own records, which have the version, for those that are there."""
        ids = tuple(paper.key.removeprefix("arxiv:") for paper in papers if paper.key.startswith("arxiv:"))
        if not ids or self._arxiv is None:
            return papers
        batch = self._arxiv.find(PaperQuery(ids=ids, limit=len(ids)))
        known = {paper.key: paper for paper in batch.papers}
        if batch.status != "ok":
            notes.append(f"arXiv was not asked for versions and abstracts: {batch.status}")
        return tuple(known.get(paper.key, paper) for paper in papers)


def _credentials(url: str) -> dict[str, str]:
    """The key's header, where there is one and nobody on the way can read it."""
    key = os.environ.get(KEY, "").strip()
    parts = urlsplit(url)
    safe = parts.scheme == "https" or parts.hostname in {"localhost", "127.0.0.1", "::1"}
    return {"x-api-key": key} if key and key.isascii() and key.isprintable() and safe else {}


def _record(item: Any) -> Paper | None:
    """A record of one citing paper; None where it has no title or no id that it could be known by."""
    citing = item.get("citingPaper") if isinstance(item, dict) else None
    if not isinstance(citing, dict) or not isinstance(citing.get("title"), str) or not citing["title"].strip():
        return None
    named, written = citing.get("externalIds"), citing.get("authors")
    ids: dict[str, Any] = named if isinstance(named, dict) else {}
    authors: list[Any] = written if isinstance(written, list) else []
    doi = bare_doi(str(ids.get("DOI") or ""))
    on_arxiv, _ = arxiv_api.identifier(str(ids.get("ArXiv") or "") or doi)
    own = str(citing.get("paperId") or "")
    if on_arxiv:
        key, url = f"arxiv:{on_arxiv}", f"https://arxiv.org/abs/{on_arxiv}"
    elif doi:
        key, url = f"doi:{doi}", f"https://doi.org/{quote(doi, safe='/.;()-_:')}"
    elif re.fullmatch(r"[0-9a-f]{40}", own):
        key, url = f"s2:{own}", f"https://www.semanticscholar.org/paper/{own}"
    else:
        return None
    date, year = citing.get("publicationDate"), citing.get("year")
    return bounded(
        key=key,
        version="",
        title=citing["title"],
        summary=str(citing.get("abstract") or ""),
        authors=(str(one["name"]) for one in authors if isinstance(one, dict) and one.get("name")),
        published=date if isinstance(date, str) and _DATE.match(date) else str(year) if isinstance(year, int) else "",
        url=url,
        doi=doi,
    )
