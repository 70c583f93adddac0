"""What every source of papers offers, and the local folder, which is one.

Called by `agent.papers`. A source answers with validated records and a status; trouble on the other side is a status
of the answer and never ends a cycle. Everything in a record was written by strangers: it is bounded and stripped
here. Does not judge relevance (`agent.researcher.reading`). The others: `tools.arxiv_api` (searches and venues),
`tools.citations`, `tools.feeds`.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from registry.errors import BadInput, Problem
from registry.papers import Paper
from tools.pdf import text as pdf_text
from tools.pdf.text import PdfText

Status = Literal["ok", "incomplete", "rate_limited", "unreachable", "refused"]
"""`refused`: the other side says that the query itself is wrong; asking again will not help. `incomplete`: it answered,
and something that looks like a paper could not be read."""

MAX_RESULTS = 1000
MAX_FILES = 1000
_LINE = 300
_SUMMARY = 10_000
_AUTHORS = 100
_DOI = re.compile(r"^(?:doi:\s{0,3}|https?://(?:dx\.)?doi\.org/)?(10\.\d{4,9}/[^\s<>\"]{1,200})$")
_VERSION = re.compile(r"^v(\d+)$")


@dataclass(frozen=True, slots=True)
class PaperQuery:
    """What to look for. A local folder takes every paper in it and lets the screen decide."""

    text: str = ""
    ids: tuple[str, ...] = ()
    limit: int = 100
    offset: int = 0
    """Where an earlier answer stopped (`PaperBatch.next_offset`); 0 begins with the newest."""
    skip: Container[str] = frozenset()
    """Keys of papers that are known already and need not be told again."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that should be a paper and is none."""

    name: str
    """Of the file, as it may be shown."""
    why: str
    """What was found and what was expected instead."""


@dataclass(frozen=True, slots=True)
class PaperBatch:
    """A source's answer: papers, each once and in its newest version, and how the asking went."""

    source: str
    papers: tuple[Paper, ...]
    status: Status = "ok"
    notes: tuple[str, ...] = ()
    """What was left out and why, one line each."""
    retry_after_s: float | None = None
    unreadable: tuple[Unreadable, ...] = ()
    next_offset: int = 0
    """Where to go on, for an answer that stopped early."""


class PaperSource(Protocol):
    """Where papers come from."""

    @property
    def name(self) -> str: ...

    def find(self, query: PaperQuery) -> PaperBatch:
        """Papers for a query. Trouble on the other side is a status, never an exception."""
        ...

    def text(self, paper: Paper) -> PdfText:
        """The text to read and quote; `BadInput` where there is none, `Retryable` where it cannot be had now."""
        ...


class FolderSource:
    """Every PDF of one local folder. What is called one and cannot be read is told, the others are papers."""

    def __init__(self, folder: Path, name: str = "") -> None:
        self._folder = folder
        self._name = f"folder:{name or folder.name}"
        self._texts: dict[str, PdfText] = {}

    @property
    def name(self) -> str:
        return self._name

    def find(self, query: PaperQuery) -> PaperBatch:
        """The first papers that are not known yet, by name. Known ones are told by their bytes and not taken apart."""
        files = self._files()
        notes = [f"{len(files) - MAX_FILES} file(s) beyond the first {MAX_FILES} left out"] if files[MAX_FILES:] else []
        papers: dict[str, Paper] = {}
        unreadable: list[Unreadable] = []
        left = 0
        for path in files[:MAX_FILES]:
            name = _shown_name(path)
            try:
                data = _content(path, name)
                key = _file_key(data)
                if key in query.skip:
                    continue
                if key in papers:
                    notes.append(f"{name}: the same file as {papers[key].url}")
                    continue
                if len(papers) >= query.limit:
                    left += 1
                    continue
                text = pdf_text.pages(data, name)
            except BadInput as error:
                unreadable.append(Unreadable(name, str(error)))
                continue
            papers[key] = self._paper(path, text)
            self._texts[key] = text
        if left:
            notes.append(f"{left} file(s) left for the next asking: a cycle takes {query.limit}")
        return PaperBatch(
            self.name,
            tuple(papers.values()),
            status="incomplete" if unreadable else "ok",
            notes=tuple(notes),
            unreadable=tuple(unreadable),
        )

    def text(self, paper: Paper) -> PdfText:
        if paper.key not in self._texts:
            self._texts[paper.key] = self._read_again(paper)
        return self._texts[paper.key]

    def _read_again(self, paper: Paper) -> PdfText:
        """The text of the file that has the paper's content, whatever it is called by now."""
        files = self._files()
        for path in sorted(files, key=lambda path: _shown_name(path) != paper.url):
            try:
                data = _content(path, _shown_name(path))
            except BadInput:
                continue
            if _file_key(data) == paper.key:
                return pdf_text.pages(data, _shown_name(path))
        raise BadInput(
            Problem(where=str(self._folder), found=f"no file with the content of {paper.key}", expected="its PDF")
        )

    def _files(self) -> list[Path]:
        return sorted(path for path in self._entries() if path.suffix.lower() == ".pdf")

    def _entries(self) -> list[Path]:
        try:
            return list(self._folder.iterdir())
        except OSError as error:
            raise BadInput(
                Problem(
                    where=str(self._folder),
                    found=error.strerror or type(error).__name__,
                    expected="a folder of PDF files",
                    fix="create it or change the folder in research_config.yaml",
                )
            ) from None

    def _paper(self, path: Path, text: PdfText) -> Paper:
        first_line = next((line.strip() for line in text.pages[0].splitlines() if line.strip()), path.stem)
        return Paper(
            key=_key_of(text.sha256),
            title=text.title or pdf_text.plain(first_line, _LINE),
            url=_shown_name(path),
            file_sha256=text.sha256,
            pages=len(text.pages),
        )


def _content(path: Path, name: str) -> bytes:
    """A file's bytes, bounded; BadInput where it is none or cannot be read."""
    _refuse_what_is_no_file(path, name)
    try:
        with path.open("rb") as file:
            return file.read(pdf_text.MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(Problem(name, error.strerror or type(error).__name__, "a readable PDF file")) from None


def _file_key(data: bytes) -> str:
    return _key_of(hashlib.sha256(data).hexdigest())


def _key_of(sha256: str) -> str:
    return f"file:{sha256[:16]}"


def _shown_name(path: Path) -> str:
    """A file's name on one line; a name may hold line ends."""
    return pdf_text.plain(" ".join(path.name.split()), _LINE)


def _refuse_what_is_no_file(path: Path, name: str) -> None:
    """BadInput for folders, pipes, devices and links that lead nowhere; opening some of them would wait for ever."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        reason = error.strerror or type(error).__name__
        found = f"a link that leads nowhere ({reason})" if path.is_symlink() else reason
    else:
        if stat.S_ISREG(mode):
            return
        found = "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "no regular file"
    raise BadInput(Problem(name, found, "a PDF file", fix="remove it or put the paper there"))


def abstract_text(paper: Paper) -> PdfText:
    """A paper's abstract as a document of one page, so that a quote from it is checked like any other."""
    if not paper.summary.strip():
        raise BadInput(Problem(where=paper.key, found="no abstract", expected="a paper with an abstract"))
    digest = hashlib.sha256(paper.summary.encode()).hexdigest()
    return PdfText(sha256=digest, title=paper.title, pages=(paper.summary,), extent="abstract")


def merged(papers: Iterable[Paper]) -> tuple[Paper, ...]:
    """Each paper once, in its newest version, in the order in which each was first seen."""
    newest: dict[str, Paper] = {}
    for paper in papers:
        seen = newest.get(paper.key)
        if seen is None or _version(paper) > _version(seen):
            newest[paper.key] = paper
    return tuple(newest.values())


def bounded(
    *,
    key: str,
    version: str,
    title: str,
    summary: str,
    authors: Iterable[str],
    published: str,
    url: str,
    doi: str = "",
) -> Paper:
    """A record from a stranger's fields: cut to size, control characters out, white space folded in one-liners."""

    def line(text: str) -> str:
        return pdf_text.plain(" ".join(text.split()), _LINE)

    names = [line(name) for name, _ in zip(authors, range(_AUTHORS), strict=False)]
    return Paper(
        key=key,
        version=version,
        title=line(title) or key,
        summary=pdf_text.plain(summary.strip(), _SUMMARY),
        authors=names,
        published=published,
        url=line(url),
        doi=bare_doi(doi),
    )


def bare_doi(text: str) -> str:
    """A DOI as `10.…/…` in lower case, from any of the ways to write one; empty where it is none."""
    match = _DOI.match(text.strip().lower())
    return match[1] if match and match[1].isprintable() else ""


def _version(paper: Paper) -> int:
    match = _VERSION.match(paper.version)
    return int(match[1]) if match else 0
