"""The text of a pull request for one promotion: the evidence, how to check it, how to merge it and take it back.

Called by the promoting node, which writes the text into the workspace. Pure: a record in, Markdown out; it opens
no pull request anywhere. Whatever a stranger wrote (titles, claims, quotes, paths, commit subjects) stands in code
spans and fenced blocks only, where Markdown, HTML, mentions, closing keywords and links have no meaning.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from tools.patches import FileChange

MAX_LINE, MAX_BLOCK = 300, 2000
MAX_FILES = 50


@dataclass(frozen=True, slots=True)
class Criterion:
    """One row of the gate's table, as the decision recorded it."""

    name: str
    required: str
    found: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Gain:
    """What was measured on fresh seeds; differences are oriented so that positive is better."""

    metric: str
    production: float
    candidate: float
    gain: float
    low: float
    high: float
    confidence: float
    """Such as 0.95."""


@dataclass(frozen=True, slots=True)
class SeedsUsed:
    """Which seeds were run for what; each on both arms."""

    purpose: str
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CostChange:
    """A secondary metric as the host measured it; `limit` is the largest relative increase allowed."""

    metric: str
    production: float
    candidate: float
    limit: float


@dataclass(frozen=True, slots=True)
class CitedPassage:
    """A passage the idea rests on, and whether it was found word for word in its document."""

    document: str
    page: int
    text: str
    verified: bool


@dataclass(frozen=True, slots=True)
class CommitLine:
    commit: str
    subject: str


@dataclass(frozen=True, slots=True)
class PullRequest:
    """Everything the text says; gathered from the audit log and the decision, never recomputed here."""

    hypothesis_id: str
    title: str
    change: str
    claim: str
    source: str
    branch: str
    base: str
    commits: tuple[CommitLine, ...]
    files: tuple[FileChange, ...]
    policy: str
    criteria: tuple[Criterion, ...]
    gain: Gain
    seeds: tuple[SeedsUsed, ...]
    audit_head: str
    audit_events: tuple[int, ...]
    """Sequence numbers of the events the decision rests on."""
    quotes: tuple[CitedPassage, ...] = ()
    costs: tuple[CostChange, ...] = ()
    workspace: str = ""
    notes: tuple[str, ...] = ()


def pull_request_text(request: PullRequest) -> str:
    """The whole text as Markdown, ending in a newline."""
    sections = [
        _summary(request),
        _why(request),
        _measurement(request),
        _decision(request),
        _changes(request),
        _checking(request),
        _merging(request),
    ]
    return "\n\n".join(sections) + "\n"


def code(text: str) -> str:
    """A stranger's text as one code span: one line, bounded, nothing in it means anything to a renderer."""
    line = " ".join(_visible(text).split()).replace("`", "'")
    return f"`{_bounded(line, MAX_LINE) or ' '}`"


def cell(text: str) -> str:
    """The same for a cell of a table, where a bar would end the cell even in a code span."""
    return code(text.replace("|", "¦").replace("\\", "/"))


def fenced(text: str) -> str:
    """A stranger's text as a block, fenced longer than any run of backticks in it."""
    body = _bounded("\n".join(line.rstrip() for line in _visible(text).strip().split("\n")), MAX_BLOCK)
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{body}\n{fence}"


def _visible(text: str) -> str:
    """Without control, format and private characters; line ends become plain line feeds."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return "".join(
        character if character == "\n" or unicodedata.category(character)[0] != "C" else " " for character in unified
    )


def _bounded(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _summary(request: PullRequest) -> str:
    gain = request.gain
    return (
        f"# {request.hypothesis_id}: {code(request.title)}\n\n"
        f"{code(gain.metric)} better by **{gain.gain:+.4g}** on fresh seeds "
        f"({gain.confidence:.0%} interval {gain.low:+.4g} to {gain.high:+.4g}): "
        f"production {gain.production:.4g}, candidate {gain.candidate:.4g}."
    )


def _why(request: PullRequest) -> str:
    parts = [
        "## What and why",
        "Change:\n\n" + fenced(request.change),
        "Claim:\n\n" + fenced(request.claim),
        f"Source: {code(request.source)}",
    ]
    for quote in request.quotes:
        state = "found word for word in" if quote.verified else "**not verified** against"
        parts.append(f"Quoted passage, {state} {code(quote.document)}, page {quote.page}:\n\n{fenced(quote.text)}")
    return "\n\n".join(parts)


def _measurement(request: PullRequest) -> str:
    lines = ["## Measured", ""]
    lines += [f"- Seeds, {code(used.purpose)}: {_seed_list(used.seeds)}" for used in request.seeds]
    if request.costs:
        rows = [
            (
                cell(cost.metric),
                f"{cost.production:.4g}",
                f"{cost.candidate:.4g}",
                _increase(cost),
                f"{cost.limit:+.0%}",
            )
            for cost in request.costs
        ]
        lines += ["", _table(("Cost", "Production", "Candidate", "Change", "Limit"), rows)]
    lines += [f"- Note: {code(note)}" for note in request.notes]
    return "\n".join(lines)


def _increase(cost: CostChange) -> str:
    return f"{cost.candidate / cost.production - 1:+.1%}" if cost.production else "no baseline"


def _seed_list(seeds: Sequence[int]) -> str:
    shown = ", ".join(str(seed) for seed in seeds[:40])
    return f"{len(seeds)} on each arm ({shown}{', …' if len(seeds) > 40 else ''})"


def _decision(request: PullRequest) -> str:
    rows = [
        (cell(row.name), cell(row.required), cell(row.found), "yes" if row.passed else "**no**")
        for row in request.criteria
    ]
    table = _table(("Criterion", "Required", "Found", "Met"), rows)
    return f"## Decision\n\nPolicy {code(request.policy)}; every criterion must be met.\n\n{table}"


def _changes(request: PullRequest) -> str:
    commits = "\n".join(f"- `{_hex(line.commit)[:12]}` {code(line.subject)}" for line in request.commits)
    shown = request.files[:MAX_FILES]
    rows = [(cell(file.path), _count(file.added, "+"), _count(file.removed, "-")) for file in shown]
    more = f"\n\n… and {len(request.files) - MAX_FILES} more files" if len(request.files) > MAX_FILES else ""
    table = _table(("File", "Added", "Removed"), rows)
    return f"## Changes\n\nBranch {code(request.branch)}:\n\n{commits}\n\n{table}{more}"


def _count(lines: int | None, sign: str) -> str:
    return "binary" if lines is None else f"{sign}{lines}"


def _checking(request: PullRequest) -> str:
    where = f" --workspace {_argument(request.workspace)}" if request.workspace else ""
    commands = [
        f"agent gate {request.hypothesis_id}{where}      # recomputes the verdict from the recorded values",
        f"agent audit verify{where}     # checks the log's chain and every verdict",
        f"agent review {request.hypothesis_id}{where}",
    ]
    events = ", ".join(str(number) for number in request.audit_events) or "none named"
    return (
        "## How to check\n\n"
        f"```sh\n{chr(10).join(commands)}\n```\n\n"
        f"- Audit log head at this decision: `{_hex(request.audit_head)}`\n- Events: {events}"
    )


def _merging(request: PullRequest) -> str:
    base, branch = _argument(request.base), _argument(request.branch)
    commits = " ".join(_hex(line.commit) for line in request.commits)
    return (
        "## How to merge, and how to take it back\n\n"
        f"```sh\ngit switch {base}\ngit merge --no-ff {branch}\n```\n\n"
        f"To take it back after merging:\n\n```sh\ngit revert -m 1 <the merge commit>\n```\n\n"
        f"Commits of this change: `{commits or 'none'}`. The agent never moves {code(request.base)}."
    )


def _argument(text: str) -> str:
    """One word of a shell command inside a fence: one line, no backticks to end the fence with."""
    return shlex.quote(" ".join(_visible(text).split()).replace("`", "'"))


def _hex(text: str) -> str:
    return re.sub(r"[^0-9a-f]", "", text)[:64] or "unknown"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
