"""The configured sources of papers, each under the name by which the log and the claim ledger know it.

Called by `agent.papers`. Local ones come first; a caller may order them otherwise. What is asked over the network
shares one arXiv client and one pace a site (`tools.arxiv_api`, `tools.web.courtesy`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.services import Services
from registry.errors import BadInput

if TYPE_CHECKING:
    from registry.papers import Paper
    from tools.papers import PaperBatch, PaperQuery, PaperSource
    from tools.pdf.text import PdfText

MOST_KEYWORDS = 10
"""Keywords of the domain that narrow a venue's papers down; more would make the address too long."""


@dataclass(frozen=True, slots=True)
class Configured:
    """One source and what to ask it."""

    name: str
    """Stable over nights: `folder:papers`, `arxiv:"query"`, `venue:ICLR 2026`, `citations:arxiv:ID`, `feed:HOST`."""
    source: PaperSource
    query: PaperQuery


@dataclass(frozen=True, slots=True)
class Unusable:
    """A source that the configuration names and that cannot be made; asking it says why."""

    name: str
    why: BadInput

    def find(self, query: PaperQuery) -> PaperBatch:  # noqa: ARG002
        raise self.why

    def text(self, paper: Paper) -> PdfText:  # noqa: ARG002
        raise self.why


def configured(services: Services) -> list[Configured]:
    """Every source that `research_config.yaml` names, local ones first."""
    from tools.arxiv_api import LiveArxiv, RecordedArxiv
    from tools.citations import CitationSource
    from tools.feeds import FeedSource, WebReader
    from tools.paper_files import PaperFiles
    from tools.papers import FolderSource, PaperQuery
    from tools.web.courtesy import pause_for
    from tools.web.fetch_cache import FetchCache
    from tools.web.robots import Robots

    config = services.research()
    wanted, root = config.research_sources, services.workspace.root
    limit = config.max_papers_per_cycle
    found: list[Configured] = []
    for folder in wanted.local_folders:
        local = FolderSource(root / folder, name=folder)
        found.append(Configured(local.name, local, PaperQuery(limit=limit)))

    searches = [(f'arxiv:"{text}"', text) for text in wanted.arxiv_queries]
    searches += [(f"venue:{venue}", venue_query(venue, config.domain_keywords)) for venue in wanted.venues]
    fetched = services.workspace.cache / "fetch"
    kept = PaperFiles(fetched, services.blobs.put, services.blobs.get)

    def live(name: str) -> LiveArxiv:
        pause = pause_for(wanted.arxiv_api)
        return LiveArxiv(name=name, api=wanted.arxiv_api, files=wanted.arxiv_files, kept=kept, pause_s=pause)

    for place in wanted.recorded_arxiv:
        for name, text in searches or [(f"recorded:{place}", "")]:
            try:
                recorded: PaperSource = RecordedArxiv(root / place, name=name)
            except BadInput as error:
                recorded = Unusable(name, error)
            found.append(Configured(name, recorded, PaperQuery(text=text, limit=limit)))
    if not wanted.recorded_arxiv:
        for name, text in searches:
            found.append(Configured(name, live(name), PaperQuery(text=text, limit=limit)))

    files = None if wanted.recorded_arxiv else live("arxiv")
    for work in wanted.citation_tracking:
        citing = CitationSource(work, files, api=wanted.citations_api)
        found.append(Configured(citing.name, citing, PaperQuery(limit=limit)))
    reader = WebReader(FetchCache(fetched), services.blobs.put, Robots())
    for address in wanted.competitor_blogs:
        feed = FeedSource(address, reader, files)
        found.append(Configured(feed.name, feed, PaperQuery(limit=limit)))
    return found


def venue_query(venue: str, keywords: Sequence[str]) -> str:
    """A search of arXiv for what authors say was accepted at a venue, within the domain where keywords name it."""
    place = _quoted(venue)
    query = f"(co:{place} OR jr:{place})"
    words = [_quoted(word) for word in keywords[:MOST_KEYWORDS]]
    return f"{query} AND ({' OR '.join(f'all:{word}' for word in words)})" if words else query


def _quoted(words: str) -> str:
    """Words as one phrase of arXiv's query language, which knows no escape for a quotation mark."""
    return f'"{" ".join(words.replace(chr(34), " ").split())}"'
