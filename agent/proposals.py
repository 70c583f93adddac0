"""Asks the researcher for ideas and makes hypotheses of them: ids, ranks, tiers, and one event for the batch.

The researcher proposes; what becomes a hypothesis is checked here against the target's search space and editable
files, the queue and what was tried, whoever proposed it.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache, partial

from agent import admission, boards, briefing, projections
from agent.papers.claim_ledger import claim_ledger
from agent.researcher.contract import NULL, Idea, Proposals, Refusal, Situation
from agent.researcher.offline import OfflineResearcher
from agent.services import Services
from agent.trials import null_night, trials
from registry.hypotheses import Hypothesis, Implementation, Scalar, Tier, Urgency, priority

BATCH = 6
"""Ideas asked for at a time: few, because a verdict changes what is worth trying."""
LOW_TIER_SHARE = 0.4
"""Ideas estimated below this share of the promotion threshold go to the low tier."""


def situation(
    services: Services, limit: int = BATCH, *, configuration: tuple[str, dict[str, Scalar]] | None = None
) -> Situation:
    """What the researcher is told. A pure reading of the history, so that a crash changes no proposal.

    `configuration` (commit, values) stands for production where none is recorded yet; proposals need a recorded one.
    """
    history, target = services.history, services.target
    if configuration is None:
        if history.production is None:
            raise ValueError("proposals are made for a production that is recorded")
        configuration = history.production.commit, history.production.configuration
    commit, values = configuration
    board = target.metrics.primary.leaderboard
    gap = history.boards[board].gap_points if board in history.boards else None
    techniques = [technique for reading in history.readings.values() for technique in reading.techniques]
    promises = claim_ledger(history)
    return Situation(
        target=target,
        boards=[board] if board is not None else [],
        production=dict(values),
        production_commit=commit,
        gap_points=gap,
        trials=trials(history),
        techniques=techniques,
        seed=max(history.seasons, 1),
        limit=limit,
        trust=promises.technique_trust(),
        brief=cache(partial(briefing.brief, services, commit, tuple(promises.lines()))),
        fruitless=history.fruitless,
    )


def of_cycle(services: Services, cycle: int) -> str | None:
    """What this cycle has proposed already, before a crash; its own proposals would change what it proposes next."""
    started = services.log.find(f"cycle:{cycle}:started")
    for event in services.log.read_new(started.seq) if started is not None else ():
        if event.kind == "hypotheses_proposed":
            return _said(len(event.data["hypotheses"]), event.data["note"])
    return None


def propose(services: Services) -> str:
    """Fill the queue once per state of knowledge; says how many ideas came, or why none."""
    asked = situation(services)
    basis = _basis(services, asked)
    if basis in services.history.proposals:
        return "nothing new is known since the last proposals"
    answer = services.researcher.propose(asked)
    services.catch_up()
    hypotheses, refused = _admitted(services, answer, asked)
    services.record(
        "hypotheses_proposed",
        "queue",
        {
            "basis": basis,
            "researcher": services.researcher.name,
            "by": answer.by,
            "calls": list(answer.calls),
            "strategy": answer.mode,
            "hypotheses": [hypothesis.model_dump(mode="json") for hypothesis in hypotheses],
            "refused": [{"title": one.title, "why": one.why} for one in refused],
            "exhausted": answer.exhausted and not hypotheses,
            "note": answer.note,
        },
        reason=answer.note,
        key=f"proposals:{basis}",
    )
    for hypothesis in hypotheses:
        projections.hypothesis(services, hypothesis.id)
        services.progress.say(
            f"  queued {hypothesis.id}: {hypothesis.title} (priority {hypothesis.priority_score:.2f})"
        )
    return _said(len(hypotheses), answer.note)


def _admitted(services: Services, answer: Proposals, asked: Situation) -> tuple[list[Hypothesis], list[Refusal]]:
    """Hypotheses of the ideas that nothing speaks against, and the other ideas with what does."""
    hypotheses: list[Hypothesis] = []
    refused = list(answer.refused)
    for idea in answer.ideas:
        hypothesis = _hypothesis(services, idea, services.history.next_id(len(hypotheses)), asked)
        change = hypothesis.implementation
        outside = admission.beyond(services.target, change, answer.by or services.researcher.name)
        why = "; ".join(map(str, outside)) or admission.repeats(services.history, change)
        if not change.settings and not change.files and idea.strategy != NULL:
            why = "it names neither a setting nor a file"
        if any(_same(change, other.implementation) for other in hypotheses):
            why = why or "the same as another idea of the batch"
        if why:
            refused.append(Refusal(idea.title, why))
        else:
            hypotheses.append(hypothesis)
    return hypotheses, refused


def _same(one: Implementation, other: Implementation) -> bool:
    if one.files or other.files:
        return (one.change, one.files) == (other.change, other.files)
    return bool(one.settings) and one.settings == other.settings


def _said(count: int, note: str) -> str:
    return f"{count} proposed" if count else note


def _basis(services: Services, asked: Situation) -> str:
    """Digest of everything proposals depend on.

    A model that was silent when nothing else was left is asked again at the next occasion, so such a batch counts.
    """
    facts: list[object] = [NULL] if null_night(services.history) else []
    if services.researcher.name != OfflineResearcher.name and not facts:
        facts += [services.researcher.name, services.history.fruitless]
    facts += [
        asked.production_commit,
        [[dict(trial.settings), trial.verdict, trial.reason] for trial in asked.trials],
        sorted(technique.quote.text for technique in asked.techniques),
        asked.gap_points,
        [parameter.model_dump(mode="json") for parameter in asked.target.search_space.values()],
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def _hypothesis(services: Services, idea: Idea, name: str, asked: Situation) -> Hypothesis:
    lost = any(board.trigger == "urgent" for board in services.history.boards.values())
    urgency: Urgency = "urgent" if lost else "normal"
    low = idea.strategy != NULL and idea.estimated_gain < LOW_TIER_SHARE * services.target.gate.threshold
    tier: Tier = "low" if low else "normal"
    return Hypothesis(
        id=name,
        title=idea.title,
        claim=idea.claim,
        source=idea.source,
        target_leaderboards=asked.boards,
        implementation=Implementation(
            change=idea.change, effort=idea.effort, settings=idea.settings, files=list(idea.files)
        ),
        estimated_gain=round(idea.estimated_gain, 6),
        priority_score=priority(idea.estimated_gain, idea.effort, urgency),
        status="queued",
        urgency=urgency,
        tier=tier,
        family=idea.family,
        strategy=idea.strategy,
        quotes=list(idea.quotes),
    )


def gap_of_primary(services: Services) -> float | None:
    """Gap to the first place on the primary board, in the metric's own unit; negative is behind."""
    board = boards.of_primary(services)
    return services.history.boards[board.name].gap if board and board.name in services.history.boards else None
