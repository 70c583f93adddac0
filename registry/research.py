"""`research_config.yaml`: where papers come from and what makes one worth reading. Records only.

Loaded by `registry.documents`; `tools.papers` fetches what it names.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from registry.competitive import Label, Section, Url, web_address

Text = Annotated[Label, Field(min_length=1)]
Address = Annotated[Url, AfterValidator(web_address)]


def _folder(value: str) -> str:
    if "://" in value or "\n" in value or "\t" in value:
        raise ValueError("a folder's path is expected")
    return value


def _code(value: str) -> str:
    if "\n" in value or "\t" in value or value.startswith("-"):
        raise ValueError("a folder, or the https:// or file:// address of a git repository, is expected")
    if "://" in value:
        scheme, _, rest = value.partition("://")
        if scheme not in {"https", "file"} or not rest or "@" in rest.partition("/")[0] or " " in rest:
            raise ValueError("an https:// or file:// address without user name and password is expected")
    return value


Code = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_code)]
Folder = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_folder)]


class ResearchSources(Section):
    """Every place papers come from. Paths are relative to the workspace."""

    arxiv_queries: list[Text] = Field(default_factory=list, max_length=100)
    """Searches in arXiv's query language, newest first."""
    venues: list[Text] = Field(default_factory=list, max_length=100)
    """Names of venues as authors write them on arXiv, such as `ICLR 2026`."""
    competitor_blogs: list[Address] = Field(default_factory=list, max_length=100)
    """Feeds, or pages that name a feed or link to articles."""
    citation_tracking: list[Text] = Field(default_factory=list, max_length=100)
    """Works whose citations are followed: an arXiv id, a DOI, or an id of Semantic Scholar."""
    local_folders: list[Folder] = Field(default_factory=list, max_length=100)
    """Folders of PDFs."""
    competitor_code: list[Code] = Field(default_factory=list, max_length=20)
    """Competitors' code: folders, or https:// or file:// addresses of git repositories. It is read, never run."""
    competitor_reports: list[Folder] = Field(default_factory=list, max_length=20)
    """Folders of PDFs that competitors wrote about their systems."""
    recorded_arxiv: list[Folder] = Field(default_factory=list, max_length=100)
    """Folders of recorded arXiv answers, read instead of asking arXiv."""
    arxiv_api: Address = "https://export.arxiv.org/api/query"
    """Address of arXiv's API, or of a mirror."""
    arxiv_files: Address = "https://export.arxiv.org/pdf/"
    """What an id with its version is appended to for a paper's PDF."""
    citations_api: Address = "https://api.semanticscholar.org/graph/v1"
    """Address of the Semantic Scholar Academic Graph, or of a mirror."""


class ResearchConfig(Section):
    """The whole of `research_config.yaml`."""

    research_sources: ResearchSources
    domain_keywords: list[Text] = Field(default_factory=list, max_length=200)
    """Words that make a paper relevant beside the names of our boards."""
    max_papers_per_cycle: int = Field(default=20, ge=1, le=1000)
