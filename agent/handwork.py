"""What people do to the queue beside a running night: add an idea, drop one. Each is one event of the log.

Called by `agent queue`. A night that runs folds the event in at its next record; files follow from the log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from agent.admission import beyond, repeats
from agent.continuity import refuse_lost_log
from registry.audit import AuditLog, Event, KeyReused
from registry.errors import BadInput, Problem
from registry.history import History
from registry.hypotheses import Effort, Hypothesis, Implementation, Scalar, priority
from registry.target import Target
from registry.workspace import Workspace

ATTEMPTS = 5
"""Others who add at the same moment take a number first; this many may."""
WAITING = "queued"
_OPTION = "--set"


@dataclass(frozen=True, slots=True)
class Idea:
    """A person's idea before it has a number."""

    title: str
    settings: dict[str, Scalar]
    gain: float
    effort: Effort
    change: str = ""
    claim: str = ""
    source: str = "a person"
    files: tuple[str, ...] = ()
    """Files to write code in; empty where settings alone do it."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of an idea."""

    hypothesis: Hypothesis
    event: Event

    @property
    def taken(self) -> bool:
        return self.event.kind == "hypothesis_taken_in"


def add(workspace: Workspace, target: Target, idea: Idea | Hypothesis, where: str) -> Admission:
    """Take an idea in, or record why not. BadInput where it is outside the search space or the editable files."""
    change = _implementation(idea) if isinstance(idea, Idea) else idea.implementation
    if problems := beyond(target, change, where):
        raise BadInput(*problems)
    if not change.settings and not change.files:
        expected = "at least one setting of the search space to change, or a file to write code in"
        raise BadInput(Problem(where, "neither a setting nor a file", expected))
    refuse_lost_log(workspace)
    with AuditLog.open(workspace.audit) as log:
        history = History()
        for _ in range(ATTEMPTS):
            for event in log.read_new(history.seq):
                history.apply(event)
            hypothesis = _numbered(idea, history, target)
            data = {"hypothesis": hypothesis.model_dump(mode="json")}
            if why := repeats(history, change):
                return Admission(hypothesis, log.append("hypothesis_refused", hypothesis.id, data, why, actor="person"))
            try:
                key = f"by_hand:{hypothesis.id}"
                taken = log.append("hypothesis_taken_in", hypothesis.id, data, f"from {where}", actor="person", key=key)
            except KeyReused:
                continue
            return Admission(hypothesis, taken)
    raise BadInput(Problem(where, "others are adding ideas at this moment", "a free number", fix="try again"))


def _numbered(idea: Idea | Hypothesis, history: History, target: Target) -> Hypothesis:
    """The idea as a queued hypothesis under the next number, ranked by what it says of itself."""
    name = history.next_id()
    if isinstance(idea, Hypothesis):
        rank = priority(idea.estimated_gain, idea.implementation.effort, idea.urgency)
        return idea.model_copy(update={"id": name, "status": WAITING, "priority_score": rank})
    board = target.metrics.primary.leaderboard
    return Hypothesis(
        id=name,
        title=idea.title,
        claim=idea.claim or f"{idea.title} improves {target.metrics.primary.name} by {idea.gain:+g}",
        source=idea.source,
        target_leaderboards=[board] if board is not None else [],
        implementation=_implementation(idea),
        estimated_gain=idea.gain,
        priority_score=priority(idea.gain, idea.effort, "normal"),
        status="queued",
        family=_family(target, idea.settings),
    )


def _implementation(idea: Idea) -> Implementation:
    change = idea.change or ", ".join(f"{path}: {value}" for path, value in idea.settings.items())
    return Implementation(change=change, effort=idea.effort, settings=idea.settings, files=list(idea.files))


def _family(target: Target, settings: dict[str, Scalar]) -> str:
    """First tag of the first setting, as the researcher's own ideas have it."""
    tags = {parameter.path: parameter.tags[0] for parameter in target.search_space.values()}
    return next((tags[path] for path in settings if path in tags), "")


def drop(workspace: Workspace, hypothesis: str, reason: str) -> Event:
    """Archive a hypothesis that waits; BadInput for one that does not."""
    with AuditLog.open(workspace.audit) as log:
        history = History()
        for event in log.read_new(0):
            history.apply(event)
        known = history.hypotheses.get(hypothesis)
        if known is None:
            fix = "`agent queue list --all` shows every one"
            raise BadInput(Problem(hypothesis, "no record of it", "the id of a queued hypothesis", fix=fix))
        if known.status != WAITING:
            fix = "wait for its verdict" if known.status == "active" else "only what waits can be dropped"
            raise BadInput(Problem(hypothesis, f"status {known.status}", "a queued hypothesis", fix=fix))
        production = history.production
        data = {"code": "dropped", "commit": "", "production": production.commit if production is not None else ""}
        return log.append("hypothesis_archived", hypothesis, data, f"dropped: {reason}", actor="person")


def setting(text: str) -> tuple[str, Scalar]:
    """`path=value` with the value as YAML would read it; BadInput otherwise."""
    path, equals, written = text.partition("=")
    if not equals or not path.strip() or not written.strip():
        raise BadInput(Problem(_OPTION, repr(text[:80]), "path=value, such as train.epochs=20"))
    return path.strip(), scalar(written.strip())


_INTEGER = re.compile(r"[-+]?\d{1,18}")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")


def scalar(written: str) -> Scalar:
    """A value as it is written on the command line: true, false, a number, or text (quotes keep it text)."""
    if written.lower() in {"true", "false"}:
        return written.lower() == "true"
    if _INTEGER.fullmatch(written):
        return int(written)
    if _NUMBER.fullmatch(written):
        return float(written)
    quoted = len(written) > 1 and written[0] == written[-1] and written[0] in "'\""
    return written[1:-1] if quoted else written


def from_file(workspace: Workspace, path: Path) -> Hypothesis:
    """A hypothesis in the documents' form. A file in the queue's own folder is taken in by the night itself."""
    from registry.documents import load_hypothesis

    if path.resolve().parent == workspace.state_folder("queued").resolve():
        fix = "leave it there, or move it elsewhere and add it"
        raise BadInput(
            Problem(
                str(path),
                "a file of the queue's folder",
                "a file elsewhere: a night takes this one in by itself",
                fix=fix,
            )
        )
    return load_hypothesis(path)
