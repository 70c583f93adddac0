"""Watches the leaderboards: what each one says now, what changed, where we stand and what that calls for.

Called by the node monitor, and by the gate's evidence for the projected rank. Our own score on a board is the test
score of our latest logged look, because a board shows what was submitted and that may be older.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent import rivals
from agent.services import Services
from registry.competitive import CompetitiveRegistry, Leaderboard
from registry.errors import BadInput, RateLimited, Retryable
from registry.facts import BoardState
from registry.standings import Delta, Position, Snapshot, TrackChanged

if TYPE_CHECKING:
    from tools.leaderboards.sources import BoardSpec
    from tools.leaderboards.triggers import Trigger
    from tools.web.robots import Robots

Data = dict[str, Any]
MOST_WATCHED = 10
"""How many of those who stand close behind us are named."""


def of_primary(services: Services) -> Leaderboard | None:
    """The board our primary metric competes on, as the registry describes it."""
    wanted = services.target.metrics.primary.leaderboard
    return next((board for board in services.competitive().target_leaderboards if board.name == wanted), None)


def snapshot_of(services: Services, board: str) -> Snapshot | None:
    """The board as it was last read; None before the first reading."""
    state = services.history.boards.get(board)
    if state is None or not state.snapshot:
        return None
    return Snapshot.model_validate_json(services.blobs.get(state.snapshot))


# -- reading ------------------------------------------------------------------------------------------------


def read_all(services: Services, registry: CompetitiveRegistry, slot: str) -> dict[str, str]:
    """One pass over every board, which asks each site for its robots.txt once; board → its word for the record."""
    from tools.web.robots import Robots

    robots = Robots()
    return {board.name: read(services, registry, board, slot, robots) for board in registry.target_leaderboards}


def read(services: Services, registry: CompetitiveRegistry, board: Leaderboard, slot: str, robots: Robots) -> str:
    """Read one board if its slot is new, or was not read when it was tried; its word for the cycle's record."""
    known, cycle = services.history.boards.get(board.name, BoardState()), services.history.cycles
    key = f"board:{board.name}:{slot}"
    if known.slot == slot or (known.tried_slot, known.tried_cycle) == (slot, cycle):
        return "not_due"
    if services.log.find(key) is not None:
        return "not_due"  # the log is asked too: a clock that was set back names an old slot again
    status, data, why = _read(services, registry, board, robots)
    services.record(
        "board_read",
        board.name,
        {"slot": slot, "cycle": cycle, "status": status, **data},
        reason=why,
        key=key if status == "read" else f"{key}:{cycle}",
    )
    for line in data.get("alerts", []):
        services.progress.say(line)
    if status == "read" and (snapshot := snapshot_of(services, board.name)) is not None:
        rivals.update(services, board, snapshot)
    elif why:
        services.progress.say(f"[STATUS] {board.name}: {status} — {why}")
    return status


def _read(
    services: Services, registry: CompetitiveRegistry, board: Leaderboard, robots: Robots
) -> tuple[str, Data, str]:
    """(status, facts for the event, why). A page that cannot be read keeps the old snapshot and says what it saw."""
    try:
        snapshot = services.outside.board(services, board, robots)
    except RateLimited as error:
        return "rate_limited", {}, str(error)
    except Retryable as error:
        return "unreachable", {}, str(error)
    except BadInput as error:
        return "unreadable", {}, str(error)
    if snapshot is None:
        return "rate_limited", {}, "the board asked for patience; it is asked again when that time is over"
    return "read", _facts(services, registry, board, snapshot), ""


def fetch(services: Services, board: Leaderboard, robots: Robots) -> Snapshot | None:
    """Ask one board and read its page; None where it asked for patience earlier. See `agent.outside`."""
    from tools.leaderboards import fetching, reading
    from tools.web.fetch_cache import FetchCache

    spec = spec_of(board)
    cache = FetchCache(services.workspace.cache / "fetch")
    with services.ask_outside():
        fetched = fetching.obtain(spec, cache, put=services.blobs.put, base=services.workspace.root, robots=robots)
    if fetched.status == "rate_limited":
        return None
    taken_at = services.clock().isoformat()
    return reading.read_board(spec, fetched.body, fetched.content_type, taken_at, fetched.sha256)


def _facts(services: Services, registry: CompetitiveRegistry, board: Leaderboard, snapshot: Snapshot) -> Data:
    """What a good reading adds to the log; alerts compare boards as they are shown, deltas with our true score."""
    from tools.leaderboards import deltas, report_lines

    ours, score = our_name(registry, board), services.history.scores.get(board.name)
    old = snapshot_of(services, board.name)
    facts: Data = {
        "snapshot": services.blobs.put(snapshot.model_dump_json().encode()),
        "raw": snapshot.raw_sha256,
        "track": snapshot.track,
        "entries": len(snapshot.entries),
        "alerts": [],
        "delta": None,
    }
    if old is None:
        return facts
    delta = deltas.compare(with_our_score(old, ours, score), with_our_score(snapshot, ours, score), ours)
    said_by_stand = report_lines.status_line(delta.after)
    facts["alerts"] = [line for line in report_lines.alerts(delta, ours) if line != said_by_stand]
    if not isinstance(delta, TrackChanged):
        facts["delta"] = delta.model_dump(mode="json")
    return facts


# -- where we stand -----------------------------------------------------------------------------------------


def stand(services: Services, registry: CompetitiveRegistry, board: Leaderboard, cycle: int | str) -> str:
    """Record our standing on a board for this cycle; returns the trigger it gives."""
    key = f"standing:{board.name}:{cycle}"
    if (known := services.log.find(key)) is not None:
        return str(known.data["trigger"])  # drawn before a crash, from a state that it has changed
    snapshot = snapshot_of(services, board.name)
    if snapshot is None:
        return ""
    from tools.leaderboards import ranking, report_lines, triggers

    ours, before = our_name(registry, board), services.history.boards[board.name]
    effective = with_our_score(snapshot, ours, services.history.scores.get(board.name))
    position = ranking.position(effective, ours)
    trigger, points = _trigger(services, board, before, effective, position)
    kind = _kind(trigger)
    near = triggers.approaching(effective, ours, position) if trigger.defend else []
    near = list(dict.fromkeys(near))[:MOST_WATCHED]
    data = {
        "rank": position.rank,
        "gap": position.gap_to_first,
        "gap_points": points,
        "score": position.score,
        "trigger": kind,
        "strategy": trigger.strategy or "",
        "research": trigger.ingest,
        "at_top_cycles": before.at_top_cycles + 1 if trigger.defend else 0,
        "victory": trigger.won,
        "watched": near,
    }
    why = "; ".join(trigger.reasons)
    stood = (before.rank, before.gap) if before.stood else None  # taken now: `record` changes `before`
    watched = list(before.watched)
    services.record("standing", board.name, data, reason=why, key=key)
    if (position.rank, position.gap_to_first) != stood:
        where = f" | {board.name}" if len(registry.target_leaderboards) > 1 else ""
        services.progress.say(report_lines.status_line(position) + where)
    if near and near != watched:
        services.progress.say(report_lines.watch_line(board.name, near, triggers.WATCH_WITHIN))
    return kind


def _trigger(
    services: Services, board: Leaderboard, before: BoardState, effective: Snapshot, position: Position
) -> tuple[Trigger, float | None]:
    from tools.leaderboards import triggers

    points = triggers.gap_points(effective, position)
    gains = [h.estimated_gain for h in services.history.open_hypotheses() if board.name in h.target_leaderboards]
    trigger = triggers.classify(
        Delta.model_validate(before.delta) if before.delta is not None else None,
        position,
        spec_of(board).victory,
        points,
        board.widen_threshold,
        triggers.points(effective, max(gains)) if gains else None,
        cycles_held=before.at_top_cycles,
    )
    return trigger, points


def _kind(trigger: Trigger) -> str:
    """The one thing this cycle does about the board; a lost rank comes before all else."""
    if trigger.urgent:
        return "urgent"
    return "defend" if trigger.defend else trigger.strategy or ""


def with_our_score(snapshot: Snapshot, ours: str, score: float | None) -> Snapshot:
    """The board with our entry at `score`, whatever it shows for us; unchanged where we have no score."""
    from registry.standings import Entry
    from tools.leaderboards.names import same_name

    if score is None:
        return snapshot
    others = [entry for entry in snapshot.entries if not same_name(entry.name, ours)]
    entry = Entry(name=ours, scores={snapshot.metric: score})
    return snapshot.model_copy(update={"entries": [*others, entry]})


def projected_rank(services: Services, dev_mean: float | None) -> int | None:
    """Rank our primary board would give a system with this mean on dev; a projection, since the board shows test."""
    from tools.leaderboards import ranking

    board = of_primary(services)
    snapshot = snapshot_of(services, board.name) if board is not None else None
    if board is None or snapshot is None or dev_mean is None:
        return None
    ours = our_name(services.competitive(), board)
    return ranking.position(with_our_score(snapshot, ours, dev_mean), ours).rank


def leader(services: Services) -> float | None:
    """The best score of another on our primary board, as it was last read; None where there is none."""
    from tools.leaderboards import ranking
    from tools.leaderboards.names import same_name

    board = of_primary(services)
    snapshot = snapshot_of(services, board.name) if board is not None else None
    if board is None or snapshot is None:
        return None
    ours = our_name(services.competitive(), board)
    others = [score for entry, score in ranking.scored(snapshot) if not same_name(entry.name, ours)]
    return max(others, key=lambda score: ranking.oriented(snapshot, score), default=None)


def victorious(services: Services) -> bool:
    """Whether every board's victory condition holds, for as long as it asks."""
    boards = services.competitive().target_leaderboards
    return bool(boards) and all(
        (state := services.history.boards.get(board.name)) is not None
        and state.at_top_cycles >= board.victory.sustained_cycles
        for board in boards
    )


def our_name(registry: CompetitiveRegistry, board: Leaderboard) -> str:
    return board.our_entry or registry.our_solution.name


def matrix(services: Services) -> str:
    """The gap matrix over all boards that were read, as Markdown."""
    from tools.leaderboards.matrix import gap_matrix

    registry, scores = services.competitive(), services.history.scores
    known, aliases = [], {}
    for board in registry.target_leaderboards:
        if (snapshot := snapshot_of(services, board.name)) is not None:
            known.append(with_our_score(snapshot, our_name(registry, board), scores.get(board.name)))
            aliases[board.name] = _names_there(registry, board)
    return gap_matrix(known, registry.our_solution.name, dict(scores), aliases)


def _names_there(registry: CompetitiveRegistry, board: Leaderboard) -> dict[str, str]:
    """What this board calls those who go by another name in the registry, us too: name there → name."""
    rivals = {c.aliases[board.name]: c.name for c in registry.competitors if board.name in c.aliases}
    return rivals | {our_name(registry, board): registry.our_solution.name}


def spec_of(board: Leaderboard) -> BoardSpec:
    """The registry's description in the form `tools.leaderboards` takes."""
    from tools.leaderboards import sources

    columns, table = board.columns, board.table
    selector = ""
    if table is not None:
        counted = None if table.index is None else table.index + 1  # the registry counts from 0, a selector from 1
        selector = next(str(value) for value in (table.caption, table.id, table.path, counted) if value is not None)
    return sources.BoardSpec(
        name=board.name,
        url=board.url,
        scrape_method=board.scrape_method,
        primary_metric=board.primary_metric,
        higher_is_better=board.higher_is_better,
        columns=sources.Columns(columns.name, columns.score, columns.qualifier, dict(columns.metrics))
        if columns is not None
        else sources.Columns(),
        table=selector,
        track=board.track,
        exclude=sources.Exclude(
            {board.exclude.column: tuple(board.exclude.values)} if board.exclude.column else {},
            tuple(board.exclude.names),
        ),
        our_entry=board.our_entry or "",
        victory=sources.Victory(board.victory.rank, board.victory.margin, board.victory.sustained_cycles),
        widen_threshold=board.widen_threshold,
        scale=board.scale,
        values=dict(board.values),
    )
