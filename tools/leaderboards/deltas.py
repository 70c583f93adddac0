"""What changed between two snapshots of one board. Pure.

"Rank changed" without subtracting entrants is noise, so changes of order are told among the entries that both
snapshots hold. Snapshots of different releases, metrics or directions are not compared at all.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import groupby

from registry.standings import Change, Delta, Entry, Snapshot, Standing, TrackChanged
from tools.leaderboards.names import same_name
from tools.leaderboards.ranking import oriented, our_entry, position, scored, standings

Identity = tuple[str, str]

MOST_OVERTAKEN = 50
"""Names kept for one change of order."""


def compare(
    old: Snapshot,
    new: Snapshot,
    our_name: str,
    *,
    our_old_score: float | None = None,
    our_new_score: float | None = None,
) -> Delta | TrackChanged:
    """The differences, exact to the last bit; what is worth an alert is `tools.leaderboards.report_lines`' business.

    The scores place us on a board that does not list us.
    """
    if old.board != new.board:
        raise ValueError(f"snapshots of two boards, {old.board} and {new.board}, cannot be compared")
    after = position(new, our_name, our_new_score)
    if _measure(old) != _measure(new):
        return TrackChanged(board=new.board, old=_measure(old), new=_measure(new), after=after)
    was, now = _counted(old), _counted(new)
    return Delta(
        board=new.board,
        changes=[
            *_entrants(was, now, old),
            *_removed(was, now, new),
            *_score_changes(was, now, new),
            *_excluded_changes(old, new),
            *order_changes(old, new),
        ],
        before=position(old, our_name, our_old_score),
        after=after,
        entrants_ahead=_entrants_ahead(was, now, new, our_name, after.score),
        overtaken_by=_overtaken_by(old, new, our_name, our_old_score, our_new_score),
        metric=new.metric,
        higher_is_better=new.higher_is_better,
    )


def _measure(snapshot: Snapshot) -> str:
    direction = "higher" if snapshot.higher_is_better else "lower"
    track = f", {snapshot.track}" if snapshot.track else ""
    return f"{snapshot.metric} ({direction} is better){track}"


def _counted(snapshot: Snapshot) -> dict[Identity, Standing]:
    return {(s.name, s.qualifier): s for s in standings(snapshot) if not s.excluded}


def _listed(snapshot: Snapshot) -> dict[Identity, Entry]:
    return {entry.identity: entry for entry, _ in scored(snapshot, counted_only=False)}


def _entrants(was: dict[Identity, Standing], now: dict[Identity, Standing], old: Snapshot) -> list[Change]:
    """Entries that count now and did not before: new ones, newly scored ones, newly verified ones."""
    before = _listed(old)
    changes = []
    for identity, standing in now.items():
        if identity not in was:
            listed = before.get(identity)
            changes.append(
                Change(
                    kind="new_entrant",
                    name=standing.name,
                    qualifier=standing.qualifier,
                    old_score=listed.scores[old.metric] if listed else None,
                    new_score=standing.score,
                    new_rank=standing.rank,
                )
            )
    return changes


def _removed(was: dict[Identity, Standing], now: dict[Identity, Standing], new: Snapshot) -> list[Change]:
    after = _listed(new)
    return [
        Change(
            kind="removed",
            name=standing.name,
            qualifier=standing.qualifier,
            old_score=standing.score,
            old_rank=standing.rank,
            excluded=after[identity].excluded if identity in after else "",
        )
        for identity, standing in was.items()
        if identity not in now
    ]


def _score_changes(was: dict[Identity, Standing], now: dict[Identity, Standing], new: Snapshot) -> list[Change]:
    changes = []
    for identity, standing in now.items():
        before = was.get(identity)
        if before is not None and before.score != standing.score:
            better = oriented(new, standing.score) > oriented(new, before.score)
            changes.append(
                Change(
                    kind="score_up" if better else "corrected_down",
                    name=standing.name,
                    qualifier=standing.qualifier,
                    old_score=before.score,
                    new_score=standing.score,
                    old_rank=before.rank,
                    new_rank=standing.rank,
                )
            )
    return changes


def _excluded_changes(old: Snapshot, new: Snapshot) -> list[Change]:
    """Entrants that do not count, so that an exploit at the top is seen and not believed."""
    before = _listed(old)
    return [
        Change(
            kind="new_entrant",
            name=standing.name,
            qualifier=standing.qualifier,
            new_score=standing.score,
            new_rank=standing.rank,
            excluded=standing.excluded,
        )
        for standing in standings(new)
        if standing.excluded and (standing.name, standing.qualifier) not in before
    ]


def order_changes(old: Snapshot, new: Snapshot) -> list[Change]:
    """Entries whose rank among those counted in both snapshots changed; ranks here are among those alone."""
    was = {entry.identity: oriented(old, score) for entry, score in scored(old)}
    now = {entry.identity: oriented(new, score) for entry, score in scored(new)}
    common = [identity for identity in now if identity in was]
    old_losses = sorted(-was[identity] for identity in common)
    new_losses = sorted(-now[identity] for identity in common)
    overtook = _overtakes(common, was, now)
    changes = []
    for identity in common:
        old_rank = 1 + bisect_left(old_losses, -was[identity])
        new_rank = 1 + bisect_left(new_losses, -now[identity])
        if old_rank != new_rank:
            changes.append(
                Change(
                    kind="order",
                    name=identity[0],
                    qualifier=identity[1],
                    old_score=oriented(old, was[identity]),
                    new_score=oriented(new, now[identity]),
                    old_rank=old_rank,
                    new_rank=new_rank,
                    overtook=overtook[identity],
                )
            )
    return sorted(changes, key=lambda change: (change.new_rank or 0, change.name, change.qualifier))


def _overtakes(
    common: list[Identity], was: dict[Identity, float], now: dict[Identity, float]
) -> dict[Identity, list[str]]:
    """For each entry, those that were ahead of it and now are behind, nearest first, at most `MOST_OVERTAKEN`."""
    found: dict[Identity, list[str]] = {}
    ahead: list[tuple[float, Identity]] = []
    by_old = groupby(sorted(common, key=lambda identity: -was[identity]), key=lambda identity: was[identity])
    for _, level in by_old:
        members = list(level)
        for identity in members:
            behind_now = bisect_left(ahead, (now[identity],))
            passed = ahead[max(0, behind_now - MOST_OVERTAKEN) : behind_now]
            found[identity] = [name for _, (name, _) in reversed(passed)]
        for identity in members:
            insort(ahead, (now[identity], identity))
    return found


def _entrants_ahead(
    was: dict[Identity, Standing], now: dict[Identity, Standing], new: Snapshot, our_name: str, ours: float | None
) -> list[str]:
    if ours is None:
        return []
    return [
        standing.name
        for identity, standing in now.items()
        if identity not in was
        and not same_name(standing.name, our_name)
        and oriented(new, standing.score) > oriented(new, ours)
    ]


def _overtaken_by(
    old: Snapshot, new: Snapshot, our_name: str, our_old_score: float | None, our_new_score: float | None
) -> list[str]:
    """Others in both snapshots that were not ahead of us and now are."""
    old_ours, new_ours = our_entry(old, our_name), our_entry(new, our_name)
    before = old_ours[1] if old_ours else our_old_score
    after = new_ours[1] if new_ours else our_new_score
    if before is None or after is None:
        return []
    was = {entry.identity: score for entry, score in scored(old)}
    return [
        entry.name
        for entry, score in scored(new)
        if entry.identity in was
        and not same_name(entry.name, our_name)
        and oriented(old, was[entry.identity]) <= oriented(old, before)
        and oriented(new, score) > oriented(new, after)
    ]
