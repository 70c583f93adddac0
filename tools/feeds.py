"""What rivals publish: an RSS or Atom feed, the feed that a page names, or the articles that a page links to.

Called by `agent.papers.sources`; `FeedSource` is a `tools.papers.PaperSource`. Every byte is fetched by
`tools.web.fetching` (robots.txt, cache, no private places) and read by `tools.pages.text`. Where a page has no feed,
its articles are, by a simple rule: links on its own host, to an address below its own, under at least two words, that
are no index (`tag/`, `page/2` and the like). An entry that is a paper on arXiv is that paper.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urldefrag, urlsplit

from registry.competitive import web_address
from registry.errors import BadInput, Problem, RateLimited, Retryable
from registry.papers import Paper
from tools import arxiv_api
from tools.arxiv_api import LiveArxiv
from tools.pages import text as page_text
from tools.pages.text import Entry, Feed, Page
from tools.papers import PaperBatch, PaperQuery, Status, abstract_text, bare_doi, bounded, merged
from tools.pdf import text as pdf_text
from tools.pdf.text import PdfText
from tools.web.courtesy import COURTESY, pause_for
from tools.web.fetch_cache import FetchCache
from tools.web.robots import Robots

if TYPE_CHECKING:
    from tools.web.fetching import Fetched

MAX_BYTES = 20 << 20
TIMEOUT_S = 30.0
MOST_FEEDS = 3
"""Feeds of one page that are read."""
_INDEX = re.compile(r"^(?:tags?|page|pages|category|categories|topics?|authors?|archives?|search|feed|rss|\d{1,4})$")
_NO_PAGE = re.compile(r"\.(?:xml|rss|json|png|jpe?g|gif|svg|webp|css|js|zip|gz|mp4|mp3)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WebReader:
    """How pages are fetched: with a cache, robots.txt and a pause, each answer kept as a blob by `put`."""

    cache: FetchCache
    put: Callable[[bytes], str]
    robots: Robots
    timeout_s: float = TIMEOUT_S

    def get(self, url: str, origin: str) -> Fetched:
        """One address, which the user wrote down (then `origin` is the same) or which a page of theirs names."""
        from tools.web.fetching import fetch

        with COURTESY.turn(url, pause_for(url)):
            found = fetch(
                url,
                self.cache,
                put=self.put,
                timeout=self.timeout_s,
                max_bytes=MAX_BYTES,
                robots=self.robots,
                origin="" if url == origin else origin,
            )
            if found.status == "rate_limited":
                raise RateLimited(f"{url}: asked for patience", found.retry_after_s)
        return found


class FeedSource:
    """One feed or page of a rival."""

    def __init__(self, url: str, reader: WebReader, arxiv: LiveArxiv | None = None) -> None:
        self._url = url
        self._reader = reader
        self._arxiv = arxiv

    @property
    def name(self) -> str:
        """`feed:` with host and path."""
        parts = urlsplit(self._url)
        return f"feed:{parts.netloc}{parts.path.rstrip('/')}" + (f"?{parts.query}" if parts.query else "")

    def find(self, query: PaperQuery) -> PaperBatch:
        """Entries that are not known yet, as the feed orders them (newest first, as a rule)."""
        notes: list[str] = []
        try:
            entries, damage = self._entries(notes)
        except RateLimited as error:
            return PaperBatch(self.name, (), "rate_limited", (str(error),), error.retry_after_s)
        except Retryable as error:
            return PaperBatch(self.name, (), "unreachable", (str(error),))
        except BadInput as error:
            return PaperBatch(self.name, (), "refused", (str(error),))
        papers = []
        for entry in entries:
            paper = _paper(entry)
            if paper is None:
                notes.append(f"an entry without an address of its own left out: {pdf_text.plain(entry.title, 80)}")
            elif paper.key not in query.skip:
                papers.append(paper)
        if damage:
            notes.append(damage)
        status: Status = "incomplete" if damage else "ok"
        return PaperBatch(self.name, merged(papers)[: query.limit], status, tuple(notes[:20]))

    def text(self, paper: Paper) -> PdfText:
        """What an entry's page says; a PDF's text where it leads to one, arXiv's where it is a paper there."""
        if paper.key.startswith("arxiv:"):
            return self._arxiv.text(paper) if self._arxiv is not None else abstract_text(paper)
        found = self._reader.get(paper.url, self._url)
        if b"%PDF-" in found.body[:1024]:
            return pdf_text.pages(found.body, name=paper.url)
        if page_text.looks_like_a_feed(found.body, found.content_type):
            raise BadInput(Problem(paper.url, "a feed", "the page of one entry"))
        text = page_text.read_page(found.body, found.final_url or paper.url, found.content_type).text
        if not text.pages[0].strip():
            raise BadInput(Problem(paper.url, "a page without any text", "a page that can be read without scripts"))
        return text

    def _entries(self, notes: list[str]) -> tuple[tuple[Entry, ...], str]:
        """Entries, and what is wrong with them where something is."""
        found = self._reader.get(self._url, self._url)
        where = found.final_url or self._url
        if page_text.looks_like_a_feed(found.body, found.content_type):
            return self._of_feed(page_text.read_feed(found.body, where, found.content_type), notes)
        page = page_text.read_page(found.body, where, found.content_type)
        for address in list(dict.fromkeys(page.feeds))[:MOST_FEEDS]:
            try:
                answer = self._reader.get(address, self._url)
                feed = page_text.read_feed(answer.body, answer.final_url or address, answer.content_type)
            except BadInput as error:
                notes.append(f"a feed that the page names is left out: {error}")
                continue
            if feed.entries:
                return self._of_feed(feed, notes)
        linked = tuple(_articles(page, where))
        if not linked:
            return (), "the page names no feed and links to no article below its own address; give a feed's address"
        notes.append(f"the page names no feed that can be read; {len(linked)} article(s) by its links")
        return linked, ""

    @staticmethod
    def _of_feed(feed: Feed, notes: list[str]) -> tuple[tuple[Entry, ...], str]:
        if feed.left_out:
            notes.append(f"{feed.left_out} older entries left out")
        notes += [f"the feed's entries: {line}" for line in feed.hidden]
        return feed.entries, f"the feed is damaged, some entries may be missing ({feed.damage})" if feed.damage else ""


def _paper(entry: Entry) -> Paper | None:
    """A record of an entry; None where its address is none that could be asked.

    A paper that is published elsewhere is known by its id there, and the feed's own words are not its abstract: read
    in its place, they would stand for the paper for good.
    """
    url = urldefrag(entry.link.strip()).url
    try:
        web_address(url)
    except ValueError:
        return None
    key, version = arxiv_api.identifier(url)
    doi = "" if key else bare_doi(url)
    return bounded(
        key=f"arxiv:{key}" if key else f"doi:{doi}" if doi else f"web:{hashlib.sha256(url.encode()).hexdigest()[:16]}",
        version=version,
        title=entry.title,
        summary="" if key or doi else entry.summary,
        authors=entry.authors,
        published=entry.published,
        url=url,
        doi=doi,
    )


def _articles(page: Page, where: str) -> Iterator[Entry]:
    """A page's links that look like articles, by the rule that the module's text says."""
    here = urlsplit(where)
    above = [part for part in here.path.split("/") if part]
    if above and "." in above[-1]:
        above = above[:-1]  # /blog/index.html lists what is below /blog
    seen: set[str] = set()
    for link in page.links:
        url = urldefrag(link.url).url
        try:
            parts = urlsplit(url)
        except ValueError:
            continue
        path = [part for part in parts.path.split("/") if part]
        below = path[len(above) :]
        good = (
            parts.scheme in {"http", "https"}
            and parts.netloc == here.netloc
            and path[: len(above)] == above
            and bool(below)
            and not _INDEX.match(below[0].lower())
            and not _NO_PAGE.search(parts.path)
            and len(link.text.split()) >= 2
        )
        if good and url not in seen:
            seen.add(url)
            yield Entry(link.text, url, "", (), "")
