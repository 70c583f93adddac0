"""Tells people when the gap is more than the loop can be expected to close: a brief with everything they need.

Written once for each board and production; the loop goes on meanwhile.
"""

from __future__ import annotations

from agent import boards, experience
from agent.services import Services
from registry.competitive import Leaderboard
from registry.durable import write_atomically

ESCALATE_ABOVE = 5.0
"""Points behind the first place above which people are told, unless something queued is projected to close it."""

WHY = f"the gap is above {ESCALATE_ABOVE:g} % and nothing queued is projected to close it"


def escalate_where_needed(services: Services) -> None:
    """After the queue is ranked: a brief for every board whose gap is large and that no hypothesis would close."""
    for board in services.competitive().target_leaderboards:
        state = services.history.boards.get(board.name)
        if state is None or state.gap is None or (state.gap_points or 0.0) <= ESCALATE_ABOVE:
            continue
        gains = [h.estimated_gain for h in services.history.open_hypotheses() if board.name in h.target_leaderboards]
        if max(gains, default=0.0) < -state.gap:
            escalate(services, board)


def escalate(services: Services, board: Leaderboard) -> None:
    """Write the brief for a board, unless this production has one already."""
    production = services.history.production
    if production is None:
        return
    key = f"escalated:{board.name}:{production.commit}"
    slug = "".join(character if character.isalnum() else "-" for character in board.name.lower())
    path = services.workspace.reports / f"brief-{slug}-{production.commit[:12]}.md"
    if services.log.find(key) is not None and path.exists():
        return
    file = path.relative_to(services.workspace.root).as_posix()
    services.record(
        "escalated",
        board.name,
        {"file": file, "commit": production.commit},
        reason=WHY,
        key=key,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, brief(services, board))
    services.progress.say(f"[ALERT] {board.name}: {WHY}; a brief for people is in {file}, and the loop goes on")


def brief(services: Services, board: Leaderboard) -> str:
    """The brief as Markdown."""
    from prompts import text

    state = services.history.boards[board.name]
    production = services.history.production
    metric = services.target.metrics.primary
    return text("escalation_brief").fill(
        board=board.name,
        metric=metric.name,
        rank=str(state.rank),
        gap=f"{state.gap:+.4f}" if state.gap is not None else "unknown",
        points=f"{state.gap_points:.2f}" if state.gap_points is not None else "unknown",
        matrix=boards.matrix(services),
        production=production.commit[:12] if production is not None else "none",
        configuration=experience.configuration_table(services.history),
        tried=experience.tried_table(services.history),
        queued=experience.queue_table(services.history),
        read=experience.papers_table(services.history),
    )
