"""The text of a pull request for one promotion: the evidence, how to check it, how to merge it and take it back.

Called by the promoting node, which writes the text into the workspace. Pure: a record in, Markdown out; it opens
no pull request anywhere. Whatever a stranger wrote (titles, claims, quotes, paths, commit subjects) goes through
`tools.markdown_quoting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tools.markdown_quoting import argument, cell, code, fenced, sha
from tools.patches import FileChange

MAX_FILES = 50
MAX_COMMITS = 50
UNITS = {"_ms": " ms", "_mb": " MB"}
RESULTS = {"passed": "passed", "failed": "**failed**"}


@dataclass(frozen=True, slots=True)
class Criterion:
    """One row of the gate's table, as the decision recorded it."""

    name: str
    required: str
    found: str
    result: str
    """`passed`, `failed` or `not applicable`."""
    binding: bool = True
    """Whether a failure would have kept it from being promoted."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What was measured; differences are oriented so that positive is better."""

    metric: str
    production: float
    candidate: float
    gain: float
    low: float | None
    high: float | None
    """Interval of the mean; None for a single pair, which has none."""
    confidence: float
    """Such as 0.95."""
    measured_on: str
    """Such as `5 fresh seeds`."""


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
class EarlierPromotion:
    """A promotion that the branch stands on and that the base did not contain when the text was written."""

    hypothesis_id: str
    title: str
    branch: str
    commit: str


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
    commit: CommitLine
    """The change itself: one commit with one parent."""
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
    earlier: tuple[EarlierPromotion, ...] = ()
    """Oldest first."""
    brought: tuple[CommitLine, ...] = ()
    """Every other commit that merging the branch brings into the base, oldest first."""


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


def _summary(request: PullRequest) -> str:
    gain = request.gain
    between = ""
    if gain.low is not None and gain.high is not None:
        between = f" ({gain.confidence:.0%} interval {gain.low:+.4g} to {gain.high:+.4g})"
    return (
        f"# {request.hypothesis_id}: {code(request.title)}\n\n"
        f"{code(gain.metric)} better by **{gain.gain:+.4g}** on {gain.measured_on}{between}: "
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
                _in_unit(cost.production, cost.metric),
                _in_unit(cost.candidate, cost.metric),
                _increase(cost),
                f"{cost.limit:+.0%}",
            )
            for cost in request.costs
        ]
        lines += ["", _table(("Cost", "Production", "Candidate", "Change", "Limit"), rows)]
    if request.notes:
        lines += ["", *(f"- Note: {code(note)}" for note in request.notes)]
    return "\n".join(lines)


def _in_unit(value: float, metric: str) -> str:
    """With the unit that ends the metric's name."""
    unit = next((unit for ending, unit in UNITS.items() if metric.endswith(ending)), "")
    return f"{value:.4g}{unit}"


def _increase(cost: CostChange) -> str:
    return f"{cost.candidate / cost.production - 1:+.1%}" if cost.production else "no baseline"


def _seed_list(seeds: Sequence[int]) -> str:
    shown = ", ".join(str(seed) for seed in seeds[:40])
    return f"{len(seeds)} on each arm ({shown}{', …' if len(seeds) > 40 else ''})"


def _decision(request: PullRequest) -> str:
    rows = [
        (
            cell(row.name),
            cell(row.required),
            cell(row.found),
            RESULTS.get(row.result, cell(row.result)),
            "yes" if row.binding else "no",
        )
        for row in request.criteria
    ]
    table = _table(("Criterion", "Required", "Found", "Result", "Binding"), rows)
    rule = "every binding criterion must be met; the others are shown for information."
    return f"## Decision\n\nPolicy {code(request.policy)}; {rule}\n\n{table}"


def _changes(request: PullRequest) -> str:
    shown = request.files[:MAX_FILES]
    rows = [(cell(file.path), _count(file.added, "+"), _count(file.removed, "-")) for file in shown]
    more = f"\n\n… and {len(request.files) - MAX_FILES} more files" if len(request.files) > MAX_FILES else ""
    table = _table(("File", "Added", "Removed"), rows)
    parts = [
        f"## Changes\n\nBranch {code(request.branch)}. This change is one commit:\n\n{_commit(request.commit)}",
        f"Its files:\n\n{table}{more}",
    ]
    return "\n\n".join([*parts, *_stacked(request)])


def _commit(line: CommitLine) -> str:
    return f"- `{sha(line.commit)[:12]}` {code(line.subject)}"


def _stacked(request: PullRequest) -> list[str]:
    """What else the branch brings along, where it stands on promotions that were not merged."""
    parts = []
    if request.earlier:
        names = "\n".join(
            f"- {each.hypothesis_id}: {code(each.title)}, commit `{sha(each.commit)[:12]}`, branch {code(each.branch)}"
            for each in request.earlier
        )
        parts.append(
            f"**The branch contains earlier promotions** that {code(request.base)} did not contain when this was "
            f"written, because this change was tested on top of them:\n\n{names}"
        )
    if request.brought:
        shown = "\n".join(map(_commit, request.brought[:MAX_COMMITS]))
        left = len(request.brought) - MAX_COMMITS
        more = f"\n\n… and {left} more commits" if left > 0 else ""
        parts.append(f"Merging the branch brings these commits into {code(request.base)} too:\n\n{shown}{more}")
    return parts


def _count(lines: int | None, sign: str) -> str:
    return "binary" if lines is None else f"{sign}{lines}"


def _checking(request: PullRequest) -> str:
    where = f" --workspace {argument(request.workspace)}" if request.workspace else ""
    commands = [
        f"agent gate {request.hypothesis_id}{where}      # recomputes the verdict from the recorded values",
        f"agent audit verify{where}     # checks the log's chain and every verdict",
        f"agent review {request.hypothesis_id}{where}",
    ]
    events = ", ".join(str(number) for number in request.audit_events) or "none named"
    return (
        "## How to check\n\n"
        f"```sh\n{chr(10).join(commands)}\n```\n\n"
        f"- Audit log head at this decision: `{sha(request.audit_head)}`\n- Events: {events}"
    )


def _merging(request: PullRequest) -> str:
    base, commit = argument(request.base), sha(request.commit.commit)
    branches = [*(each.branch for each in request.earlier), request.branch]
    merges = "\n".join(f"git merge --no-ff {argument(branch)}" for branch in branches)
    order = ""
    if request.earlier:
        names = ", ".join(each.hypothesis_id for each in request.earlier)
        order = (
            f"Merge in this order, the earlier promotions first ({names}). The last merge alone would bring all of "
            f"them in at once. What was merged meanwhile is already up to date and changes nothing.\n\n"
        )
    stays = " The earlier promotions stay." if request.earlier else ""
    return (
        "## How to merge, and how to take it back\n\n"
        f"{order}```sh\ngit switch {base}\n{merges}\n```\n\n"
        f"To take back this change alone after merging, however it was merged, revert its commit:\n\n"
        f"```sh\ngit switch {base}\ngit revert {commit}\n```\n\n"
        f"The settings of this change are then as they were before it.{stays} Do not revert a merge commit of a branch "
        f"that contains earlier promotions: that takes those back too. Where a later promotion changed the same lines, "
        f"take that one back first.\n\n"
        f"The agent never moves {code(request.base)}."
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
