"""The pull request of a promotion, from the log: written at the promotion, shown by `agent review`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent.account import Account
from agent.answers import submissions
from agent.answers.sentences import in_its_unit
from agent.services import Services
from registry.durable import write_atomically
from registry.errors import BadInput, Problem
from registry.workspace import Workspace

if TYPE_CHECKING:
    from agent.readers import Reader
    from tools.patches import FileChange
    from tools.pull_requests import CommitLine, CostChange, EarlierPromotion, Gain, PullRequest

CONFIDENCE = 0.95


def path_of(workspace: Workspace, hypothesis: str) -> Path:
    """Where the pull request's text lies."""
    return workspace.reports / "pull-requests" / f"{hypothesis}.md"


def write(services: Services, hypothesis: str) -> None:
    """Write the pull request of a promoted hypothesis into the workspace."""
    from agent.readers import Reader
    from tools import pull_requests, trees

    reader = Reader(services.workspace)
    account = reader.account(hypothesis)
    if account.patch is None or account.gate is None:
        raise ValueError(f"{hypothesis} has no patch or no gate in the log")
    data = account.patch.data
    changed = trees.changed_files(services.solution.repository, account.gate.data["production"], data["commit"])
    base = services.target.solution.base
    earlier, brought = _stacked(services, reader, data["commit"], base)
    asked = request(account, base, str(services.workspace.root), tuple(changed))
    text = pull_requests.pull_request_text(replace(asked, earlier=earlier, brought=brought))
    path = path_of(services.workspace, hypothesis)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)


def _stacked(
    services: Services, reader: Reader, commit: str, base: str
) -> tuple[tuple[EarlierPromotion, ...], tuple[CommitLine, ...]]:
    """Promotions and commits, oldest first, that the branch contains beside its own and that the base has not."""
    from tools import branches, pull_requests

    between = branches.commits_between(services.solution.repository, base, commit)
    own = [(name, subject) for name, subject in between if name != commit]
    here = {name for name, _ in own}
    earlier = tuple(
        pull_requests.EarlierPromotion(
            event.subject,
            services.history.hypotheses[event.subject].title,
            event.data["branch"],
            event.data["commit"],
        )
        for event in reader.events()
        if event.kind == "promoted" and event.data["commit"] in here
    )
    return earlier, tuple(pull_requests.CommitLine(name, subject) for name, subject in own)


def request(account: Account, base: str, workspace: str, files: tuple[FileChange, ...]) -> PullRequest:
    """The account in the form the pull request is written from."""
    from tools import pull_requests as pr

    look, gate, patch, closing = account.last_look, account.gate, account.patch, account.closing
    if look is None or gate is None or patch is None or closing is None:
        raise BadInput(Problem(account.hypothesis.id, f"status {account.status}", "a promoted hypothesis"))
    hypothesis = account.hypothesis
    return pr.PullRequest(
        hypothesis_id=hypothesis.id,
        title=hypothesis.title,
        change=hypothesis.implementation.change,
        claim=hypothesis.claim,
        source=hypothesis.source,
        branch=patch.data["branch"],
        base=base,
        commit=pr.CommitLine(patch.data["commit"], f"{hypothesis.id}: {hypothesis.title}"),
        files=files,
        policy=look["policy"]["name"],
        criteria=tuple(
            pr.Criterion(
                row["name"], row["requirement"], in_its_unit(row), row["result"].replace("_", " "), row["binding"]
            )
            for row in look["rows"]
        ),
        gain=_gain(account),
        seeds=tuple(
            pr.SeedsUsed(purpose, tuple(pair["seed"] for pair in account.pairs(line)))
            for purpose, line in (("deciding", "stage"), ("confirming, fresh", "fresh"), ("costs", "costs"))
            if account.pairs(line)
        ),
        audit_head=closing.hash,
        audit_events=tuple(account.event_numbers()),
        quotes=tuple(pr.CitedPassage(q.document, q.page, q.text, q.verified) for q in hypothesis.quotes),
        costs=_costs(account),
        workspace=workspace,
        notes=_notes(account),
    )


def _gain(account: Account) -> Gain:
    """Means of both arms on the fresh seeds, with Student's interval of their paired difference."""
    from experiments import statistics
    from tools.pull_requests import Gain

    evidence = (account.last_look or {})["evidence"]
    pairs = account.pairs("fresh") or account.pairs("stage")
    candidate = [float(pair["candidate"]["primary"]) for pair in pairs]
    production = [float(pair["production"]["primary"]) for pair in pairs]
    sign = 1.0 if evidence["higher_is_better"] else -1.0
    differences = [sign * (c - p) for c, p in zip(candidate, production, strict=True)]
    mean = statistics.mean(differences)
    half = statistics.half_width(differences, CONFIDENCE) if len(differences) > 1 else None
    return Gain(
        metric=evidence["metric"],
        production=statistics.mean(production),
        candidate=statistics.mean(candidate),
        gain=mean,
        low=None if half is None else mean - half,
        high=None if half is None else mean + half,
        confidence=CONFIDENCE,
        measured_on=account.promoted.data["gain_on"] if account.promoted is not None else "",
    )


def _costs(account: Account) -> tuple[CostChange, ...]:
    from experiments import statistics
    from tools.pull_requests import CostChange

    evidence = (account.last_look or {})["evidence"]
    pairs = account.pairs("costs")
    return tuple(
        CostChange(
            name,
            statistics.mean([float(pair["production"]["secondary"][name]) for pair in pairs]),
            statistics.mean([float(pair["candidate"]["secondary"][name]) for pair in pairs]),
            float(limit),
        )
        for name, limit in evidence["cost_limits"].items()
        if pairs
    )


def _notes(account: Account) -> tuple[str, ...]:
    notes = [f"proposed by: {account.researcher}"]
    flags = (account.last_look or {})["decision"]["flags"]
    notes += [f"flag: {flag}" for flag in flags]
    notes += [account.environment] if account.environment else []
    if account.test_look is not None:
        data = account.test_look.data
        notes.append(f"test split, look {data['look']} of {data['of']}: {data['mean']:.4f} (never used to decide)")
    if account.submission is not None:
        notes.append(f"submission: {submissions.told(account.submission)}")
    return tuple(notes)
