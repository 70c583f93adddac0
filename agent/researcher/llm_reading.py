"""Reading a paper with a model: the cheap role screens, the other takes techniques from the pages; code checks both.

Called by `agent.researcher.llm`. The model has no tools and fills in a form. Its quotes, gains and numbers pass
`agent.researcher.evidence`, its settings the search space, its files the list of what may be changed; what a paper
talks a model into is a wrong technique at most, and one whose evidence does not stand adds nothing to priority.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from agent.llm.contract import LanguageModel, Question, Schema
from agent.llm.untrusted import fenced
from agent.researcher import places
from agent.researcher.claims import ends_at_references
from agent.researcher.contract import Situation
from agent.researcher.evidence import check, quoted
from agent.researcher.reading import by_priority
from agent.researcher.settings import declared_value, described, differs, parameter_called
from registry.hypotheses import Effort, Scalar
from registry.papers import Paper, Reading, Technique
from tools.pdf.text import PdfText, plain

PAGE_CHARS = 6_000
"""Of one page that a model is shown."""
CALL_CHARS = 24_000
"""Of all pages in one call."""
MOST_CALLS = 3
"""For one paper; what comes after is not read, and the record says so."""
FIRST_PAGE = 3_000
MOST_NAMED = 60
"""Files that are listed."""


Short = Annotated[str, Field(max_length=240)]
"""A name, a path or a value in a list."""


class Screened(Schema):
    """The cheap role's form."""

    relevant: bool
    why: str = Field(max_length=400)
    boards: list[Short] = Field(default_factory=list, max_length=20)


class FoundSetting(Schema):
    """A setting of ours with values, as text."""

    setting: str = Field(max_length=200)
    values: list[Short] = Field(max_length=8)


class FoundTechnique(Schema):
    """One technique as the model gives it."""

    name: str = Field(min_length=1, max_length=120)
    change: str = Field(max_length=1000)
    settings: list[FoundSetting] = Field(default_factory=list, max_length=4)
    files: list[Short] = Field(default_factory=list, max_length=8)
    effort: Effort = "Medium"
    gain: float | None = Field(default=None, allow_inf_nan=False)
    gain_unit: Literal["points", "fraction", "relative", "none"] = "none"
    page: int
    quote: str = Field(max_length=1500)


class Extracted(Schema):
    """The reading role's form."""

    techniques: list[FoundTechnique] = Field(default_factory=list, max_length=8)


def read(
    model: LanguageModel, paper: Paper, text: PdfText, situation: Situation, domain_terms: Sequence[str]
) -> Reading:
    """Screen the paper, then take techniques from it. Raises what `LanguageModel.ask` raises."""
    told = {"solution": situation.target.name, "metric": metric_in_words(situation)}
    space = described(situation.target.search_space, situation.production)
    screened = model.ask(
        Question(
            role="screen",
            prompt="screen",
            values={
                **told,
                "boards": ", ".join(situation.boards) or "none",
                "domain": ", ".join(domain_terms) or "none given",
                "space": space,
                "paper": fenced("title, summary and first page of the paper", _front(paper, text), 3 * FIRST_PAGE),
            },
            schema=Screened,
            subject=paper.key,
        )
    )
    calls, why, found = [screened.call], _line(screened.record.why, 400), list[Technique]()
    boards = [board for board in situation.boards if board in screened.record.boards]
    parts = list(_parts(text)) if screened.record.relevant else []
    if len(parts) > MOST_CALLS:
        why += f" (read as far as page {parts[MOST_CALLS - 1][-1]} of {len(text.pages)})"
    for numbers in parts[:MOST_CALLS]:
        pages = "\n\n".join(fenced(f"page {n} of the paper", text.pages[n - 1], PAGE_CHARS) for n in numbers)
        values = {**told, "space": space, "files": _files(situation), "pages": pages}
        question = Question(role="extract", prompt="extract", values=values, schema=Extracted, subject=paper.key)
        extracted = model.ask(question)
        calls.append(extracted.call)
        found += [
            technique
            for each in extracted.record.techniques
            if (technique := _technique(each, paper, text, situation)) is not None
        ]
    return Reading(
        paper=paper,
        relevant=screened.record.relevant,
        why=why,
        boards=boards,
        techniques=_distinct(found),
        method="model",
        by=_line(screened.by, 300),
        calls=calls,
    )


def metric_in_words(situation: Situation) -> str:
    """Name and direction of the primary metric."""
    primary = situation.target.metrics.primary
    return f"{primary.name}, {'higher' if primary.higher_is_better else 'lower'} is better"


def _front(paper: Paper, text: PdfText) -> str:
    first = text.pages[0][:FIRST_PAGE] if text.pages else ""
    return f"Title: {paper.title}\n\nSummary: {paper.summary[:FIRST_PAGE]}\n\nFirst page:\n{first}"


def _parts(text: PdfText) -> Iterator[list[int]]:
    """Page numbers for one call after another, up to the page on which the references start."""
    part: list[int] = []
    size = 0
    for number, page in enumerate(text.pages, start=1):
        length = min(len(page), PAGE_CHARS)
        if part and size + length > CALL_CHARS:
            yield part
            part, size = [], 0
        if page.strip():
            part.append(number)
            size += length
        if ends_at_references(page):
            break
    if part:
        yield part


def _files(situation: Situation) -> str:
    named = [f"- {file.path} ({file.size} bytes)" for file in situation.brief().code]
    more = f"\n- and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    listed = "\n".join(named[:MOST_NAMED]) + more
    return fenced("files of the solution", listed, 8_000) if named else "None."


def _technique(found: FoundTechnique, paper: Paper, text: PdfText, situation: Situation) -> Technique | None:
    """The technique as far as it holds; None where it names nothing that this solution could change."""
    settings = _settings(found, situation)
    known = {file.path for file in situation.brief().code}
    files = [path for path in dict.fromkeys(found.files) if path in known and places.may_change(situation.target, path)]
    change, name = _line(found.change, 1000), _line(found.name, 120)
    if not name or (not settings and not change):
        return None
    technique = Technique(
        name=name,
        paper=paper.key,
        settings=settings,
        change=change,
        files=files,
        effort=found.effort,
        impact="Low",
        claimed_gain=_gain(found),
        quote=quoted(paper, text, found.page, found.quote),
    )
    return check(technique, text, own_name=False)


def _settings(found: FoundTechnique, situation: Situation) -> dict[str, list[Scalar]]:
    """Declared values of declared settings that production does not have; all else is left out."""
    kept: dict[str, list[Scalar]] = {}
    for each in found.settings:
        parameter = parameter_called(situation.target.search_space, each.setting)
        if parameter is None:
            continue
        values = [declared_value(parameter, written) for written in each.values]
        new = [value for value in values if value is not None and differs(parameter, value, situation.production)]
        if new:
            kept[parameter.path] = list(dict.fromkeys(new))
    return kept


def _gain(found: FoundTechnique) -> float | None:
    """As a difference of scores between 0 and 1; `check` compares it with the quote."""
    if found.gain is None or found.gain <= 0 or found.gain_unit in {"relative", "none"}:
        return None
    return round(found.gain / 100.0 if found.gain_unit == "points" else found.gain, 6)


def _distinct(found: Sequence[Technique]) -> list[Technique]:
    """One of each name and settings, the best supported, best first."""
    best: dict[tuple[str, tuple[str, ...]], Technique] = {}
    for technique in sorted(found, key=by_priority):
        best.setdefault((technique.name.casefold(), tuple(sorted(technique.settings))), technique)
    return list(best.values())


def _line(text: str, limit: int) -> str:
    """A model's words as one clean line."""
    return plain(" ".join(plain(text).split()), limit)
