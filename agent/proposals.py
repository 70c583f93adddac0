"""Asks the researcher for ideas and makes hypotheses of them: ids, ranks, tiers, and one event for the batch.

The researcher proposes; what becomes a hypothesis is checked here against the target's search space, the queue and
what was tried, whoever proposed it.
"""

from __future__ import annotations

import hashlib
import json

from agent import admission, boards, projections
from agent.claim_ledger import claim_ledger
from agent.researcher.contract import NULL, Idea, Situation
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
        ledger=tuple(promises.lines()),
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
    basis = _basis(asked, null_night(services.history))
    if basis in services.history.proposals:
        return "nothing new is known since the last proposals"
    answer = services.researcher.propose(asked)
    services.catch_up()
    hypotheses: list[Hypothesis] = []
    for idea in answer.ideas:
        hypothesis = _hypothesis(services, idea, services.history.next_id(len(hypotheses)), asked)
        refused = (
            (not idea.settings and idea.strategy != NULL)
            or admission.outside(services.target, idea.settings, services.researcher.name)
            or admission.objection(services.history, idea.settings)
        )
        repeated = idea.settings and any(other.implementation.settings == idea.settings for other in hypotheses)
        if not refused and not repeated:
            hypotheses.append(hypothesis)
    services.record(
        "hypotheses_proposed",
        "queue",
        {
            "basis": basis,
            "researcher": services.researcher.name,
            "hypotheses": [hypothesis.model_dump(mode="json") for hypothesis in hypotheses],
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


def _said(count: int, note: str) -> str:
    return f"{count} proposed" if count else note


def _basis(asked: Situation, null: bool) -> str:
    """Digest of everything proposals depend on."""
    facts: list[object] = [NULL] if null else []
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
        implementation=Implementation(change=idea.change, effort=idea.effort, settings=idea.settings),
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
