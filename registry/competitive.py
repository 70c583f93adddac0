"""`competitive_registry.yaml`: the boards we compete on, who else does, our scores, victory and the schedule.

Records and checks only: `registry.documents` loads the file, `registry.competitive_text` rewrites values in it,
`tools.leaderboards` reads the boards it names.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from registry.errors import Problem
from registry.yaml_nodes import Located, NodePath, shown_text
from registry.yaml_scalars import is_control

ScrapeMethod = Literal["html_table", "embedded_json", "api", "csv", "git_file", "manual", "rss"]
LOCAL_METHODS: frozenset[ScrapeMethod] = frozenset({"git_file", "manual"})
"""Methods whose `url` may be a path in the workspace instead of a web address."""
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SOME_MONDAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def _visible(value: str) -> str:
    if value != value.strip() or any(map(is_control, value)):
        raise ValueError("text without control characters and without spaces around it is expected")
    return value


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is expected")  # noqa: TRY004  (pydantic turns only ValueError into a complaint)
    return value


def _date(value: object) -> object:
    if (isinstance(value, str) and not _DATE.fullmatch(value)) or isinstance(value, (bool, int, float)):
        raise ValueError("a date such as 2026-02-01 is expected")
    return value


def web_address(value: str) -> str:
    """An http(s) address without credentials, which would end up in logs. Raises ValueError otherwise."""
    try:
        parts = urlsplit(value)
    except ValueError as error:
        raise ValueError("a web address (https://…) is expected") from error
    if parts.scheme not in ("http", "https") or not parts.netloc or any(c.isspace() for c in value):
        raise ValueError("a web address (https://…) is expected")
    if "@" in parts.netloc:
        raise ValueError("a web address without user name and password is expected")
    return value


def cron(value: str) -> str:
    """A cron expression of five fields that fires at least once. Raises ValueError otherwise."""
    from cronsim import CronSim, CronSimError

    try:
        if len(value.split()) != 5 or next(CronSim(value, _SOME_MONDAY), None) is None:
            raise ValueError("a cron expression of five fields such as 0 6 * * * is expected")
    except CronSimError as error:
        raise ValueError(f"a cron expression such as 0 6 * * * ({shown_text(str(error))}) is expected") from error
    return value


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_visible)]
Label = Annotated[str, Field(max_length=200), AfterValidator(_visible)]
Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Day = Annotated[dt.date, BeforeValidator(_date)]
Url = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_visible)]
Cron = Annotated[str, Field(max_length=200), AfterValidator(_visible), AfterValidator(cron)]


class Section(BaseModel):
    """A part of a hand-edited document: a key left empty is a key left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        optional = {name for name, field in cls.model_fields.items() if not field.is_required()}
        return {key: value for key, value in data.items() if value is not None or key not in optional}


class Columns(Section):
    """Which column, key or field of the board holds what, by its heading."""

    name: Name | None = None
    score: Name | None = None
    """The primary metric's column; None is the one headed like the metric."""
    qualifier: Name | None = None
    """The date or folder that tells two entries of one name apart."""
    metrics: dict[Name, Name] = Field(default_factory=dict)
    """Further metrics of the board and their columns."""


class TableSelector(Section):
    """Which table of a page, or which list of a JSON document, is the board."""

    caption: Name | None = None
    id: Name | None = None
    index: int | None = Field(default=None, ge=0, le=1000)
    """0-based among the tables of the page."""
    path: Name | None = None
    """Dotted path to the list of entries, such as `results.test`."""

    @model_validator(mode="after")
    def _one_way(self) -> TableSelector:
        if sum(choice is not None for choice in (self.caption, self.id, self.index, self.path)) != 1:
            raise ValueError("exactly one of caption, id, index and path is expected")
        return self


class Exclusion(Section):
    """Entries that never set the gap: by what a column says, or by name."""

    column: Name | None = None
    values: list[Label] = Field(default_factory=list)
    names: list[Name] = Field(default_factory=list)

    @model_validator(mode="after")
    def _column_has_values(self) -> Exclusion:
        if (self.column is None) != (not self.values):
            raise ValueError("column and values, one with the other, is expected")
        return self


class Victory(Section):
    """What "#1" means on a board: rank, lead over the next, for so many cycles in a row."""

    rank: int = Field(default=1, ge=1, le=1000)
    margin: Annotated[Number, Field(ge=0)] = 0.0
    """Least lead over the best other counted entry, in the metric's own unit."""
    sustained_cycles: int = Field(default=1, ge=1, le=1000)


class Leaderboard(Section):
    """One board: where it is, how it is read, what winning on it means."""

    name: Name
    url: Url
    scrape_method: ScrapeMethod
    primary_metric: Name
    higher_is_better: bool
    columns: Columns | None = None
    table: TableSelector | None = None
    track: Label = ""
    """Release of the benchmark; a new one starts a new history without alerts."""
    exclude: Exclusion = Exclusion()
    our_entry: Name | None = None
    """Our name on this board where it is not `our_solution.name`."""
    values: dict[Name, Number] = Field(default_factory=dict, max_length=1000)
    """For `manual`: name → score, typed in here instead of kept in a file."""
    unit: Label = ""
    """The unit, for people; nothing reads it."""
    scale: Annotated[Number, Field(gt=0)] = 1.0
    """What the board's numbers are multiplied by to be in our metric's unit (0.01 for per cent)."""
    victory: Victory = Victory()
    widen_threshold: Annotated[Number, Field(ge=0)] | None = None
    """Growth of the gap to #1 in points that triggers a research ingest; None never does."""

    @model_validator(mode="after")
    def _url_fits_the_method(self) -> Leaderboard:
        if self.scrape_method not in LOCAL_METHODS or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", self.url):
            web_address(self.url)
        return self

    @model_validator(mode="after")
    def _values_are_typed_in_by_hand(self) -> Leaderboard:
        if self.values and self.scrape_method != "manual":
            raise ValueError("values are read with scrape_method manual only, remove them or change the method")
        return self


class Competitor(Section):
    """One rival on one board."""

    name: Name
    latest_score: Number | None = None
    source: Name
    """Name of the board the score stands on."""
    last_updated: Day | None = None
    aliases: dict[Name, Name] = Field(default_factory=dict)
    """Board → the rival's name there, where it differs."""


class OurSolution(Section):
    name: Name
    current_scores: dict[Name, Number | None]
    """Board → our test score there; null until the first look."""
    promotion_threshold: Annotated[Number, Field(ge=0)]
    """Smallest improvement over the current score that is worth a promotion."""


class Schedule(Section):
    """When each part is due (cron, five fields); null is due in every cycle."""

    leaderboard_scrape: Cron | None = None
    research_ingest: Cron | None = None
    experiment_sweep: Cron | None = None
    report_digest: Cron | None = None


class CompetitiveRegistry(Section):
    """The whole of `competitive_registry.yaml`."""

    domain: Name
    target_leaderboards: list[Leaderboard]
    competitors: list[Competitor] = Field(default_factory=list)
    our_solution: OurSolution
    schedule: Schedule = Schedule()

    def leaderboard(self, name: str) -> Leaderboard | None:
        """The board of that name."""
        return next((board for board in self.target_leaderboards if board.name == name), None)


def cross_problems(located: Located) -> list[Problem]:
    """Names that disagree across the document. Reads raw data, so that it speaks even where records are invalid."""
    boards = _named(located, "target_leaderboards")
    rivals = _named(located, "competitors")
    problems = _repeated(located, [(path, (entry["name"],)) for path, entry in boards], "board")
    sourced = [
        (path, (entry["name"], entry["source"])) for path, entry in rivals if isinstance(entry.get("source"), str)
    ]
    problems += _repeated(located, sourced, "competitor")
    known = [entry["name"] for _, entry in boards]
    used: list[tuple[NodePath, str]] = [((*path, "source"), source) for path, (_, source) in sourced]
    for path, entry in rivals:
        if isinstance(entry.get("aliases"), dict):
            used += [((*path, "aliases", board), board) for board in entry["aliases"]]
    ours = located.data.get("our_solution")
    if isinstance(ours, dict) and isinstance(ours.get("current_scores"), dict):
        used += [(("our_solution", "current_scores", board), board) for board in ours["current_scores"]]
    names = ", ".join(map(shown_text, dict.fromkeys(known)))
    expected = f"one of the boards: {names}" if known else "a board in target_leaderboards"
    problems += [
        located.problem(path, f'the board "{shown_text(board)}"', expected, "add the board or mend the name")
        for path, board in used
        if board not in known
    ]
    return problems


def _named(located: Located, key: str) -> list[tuple[NodePath, dict[str, Any]]]:
    entries = located.data.get(key)
    if not isinstance(entries, list):
        return []
    return [
        ((key, i), entry)
        for i, entry in enumerate(entries)
        if isinstance(entry, dict) and isinstance(entry.get("name"), str)
    ]


def _repeated(located: Located, entries: Sequence[tuple[NodePath, tuple[str, ...]]], kind: str) -> list[Problem]:
    first: dict[tuple[str, ...], int | None] = {}
    problems = []
    for path, identity in entries:
        line = located.line((*path, "name"))
        if identity in first:
            name = " on ".join(map(shown_text, identity))
            found = f"the {kind} {name} a second time (first on line {first[identity]})"
            problems.append(located.problem((*path, "name"), found, f"each {kind} once"))
        first.setdefault(identity, line)
    return problems
