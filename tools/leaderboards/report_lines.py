"""The lines a monitor prints: `[ALERT] …` for what happened, `[STATUS] …` for where we stand. Pure.

The forms are fixed; other programs and people look for them.
"""

from __future__ import annotations

from collections.abc import Sequence

from registry.standings import Change, Delta, Position, TrackChanged
from tools.leaderboards.names import printable, same_name
from tools.leaderboards.numbers_shown import decimals_for, decimals_to_tell, signed, visibly_different


def alerts(delta: Delta | TrackChanged, our_name: str) -> list[str]:
    """What changed, in order of weight, and our status last; empty where nothing worth a line changed."""
    if isinstance(delta, TrackChanged):
        measures = f"{printable(delta.old)} → {printable(delta.new)}"
        line = f"[STATUS] {printable(delta.board)} measures something new: {measures}; nothing is compared across"
        return [line, status_line(delta.after)]
    lines = [line for change in delta.changes for line in _change_lines(change, delta, our_name)]
    lines += _our_lines(delta)
    moved = {change.name for change in delta.changes if _score_line(change, "")}
    lines += [line for change in delta.changes for line in _order_line(change, delta, moved)]
    return [*lines, status_line(delta.after)] if lines else []


def status_line(position: Position) -> str:
    """`[STATUS] Our rank: #3 | Gap to #1: -0.038`; at the top, the lead over the next."""
    if position.rank is None or position.score is None:
        return "[STATUS] Our rank: none, the board does not list us and we have no score for it"
    rank = f"[STATUS] Our rank: #{position.rank}"
    if position.excluded:
        rank += f" (not counted: {printable(position.excluded)})"
    gap = position.gap_to_first
    if gap is None:
        return f"{rank} | nobody else is listed"
    return f"{rank} | Gap to #{1 if gap < 0 or position.rank > 1 else 2}: {_gap(gap)}"


def watch_line(board: str, names: Sequence[str], within: float) -> str:
    """`[STATUS] Within 5 points behind us on MemoryBench: CompetitorA, StartupX`."""
    return f"[STATUS] Within {within:g} points behind us on {printable(board)}: {', '.join(map(printable, names))}"


def _gap(gap: float) -> str:
    digits = 3
    while digits < 6 and gap and float(f"{gap:.{digits}f}") == 0:
        digits += 1
    return signed(gap, digits)


def _called(change: Change) -> str:
    name = printable(change.name)
    return f"{name} ({printable(change.qualifier)})" if change.qualifier else name


def _change_lines(change: Change, delta: Delta, our_name: str) -> list[str]:
    board = printable(delta.board)
    if change.kind == "new_entrant" and change.new_score is not None:
        score = _score(change.new_score)
        if change.excluded:
            return [f"[STATUS] New entrant: {_called(change)} at {score} — not counted, {printable(change.excluded)}"]
        against = "this is us" if same_name(change.name, our_name) else _against_us(change, delta.after)
        return [f"[ALERT] New entrant: {_called(change)} at {score} — now ranked #{change.new_rank}{_then(against)}"]
    if change.kind == "removed" and change.old_score is not None:
        what = f"No longer counted on {board}" if change.excluded else f"Removed from {board}"
        why = f", {printable(change.excluded)}" if change.excluded else ""
        ours = " — this is us" if same_name(change.name, our_name) else ""
        return [f"[ALERT] {what}: {_called(change)} (was #{change.old_rank} at {_score(change.old_score)}{why}){ours}"]
    return _score_line(change, board)


def _then(text: str) -> str:
    return f", {text}" if text else ""


def _score(score: float) -> str:
    return f"{score:.{decimals_for(score)}f}"


def _score_line(change: Change, board: str) -> list[str]:
    old, new = change.old_score, change.new_score
    if (
        change.kind not in ("score_up", "corrected_down")
        or old is None
        or new is None
        or not visibly_different(old, new)
    ):
        return []
    digits = decimals_to_tell(old, new)
    verb = "improved" if change.kind == "score_up" else "corrected"
    step = f"{old:.{digits}f} → {new:.{digits}f} ({signed(new - old, digits)})"
    return [f"[ALERT] {_called(change)} {verb} on {board}: {step}"]


def _against_us(change: Change, ours: Position) -> str:
    if ours.rank is None or change.new_rank is None:
        return ""
    if change.new_rank == ours.rank:
        return "level with us"
    return "ahead of us" if change.new_rank < ours.rank else "behind us"


def _our_lines(delta: Delta) -> list[str]:
    """Our own rank: lost, regained, or gained without a score of ours."""
    board = printable(delta.board)
    lines = [f"[ALERT] {printable(name)} overtook us on {board}" for name in delta.overtaken_by]
    before, after = delta.before.rank, delta.after.rank
    if before is not None and after is not None and before != after:
        if after > before:
            lines.append(f"[ALERT] Our rank fell on {board}: #{before} → #{after}")
        else:
            lines.append(f"[STATUS] Our rank rose on {board}: #{before} → #{after}")
    return lines


def _order_line(change: Change, delta: Delta, moved: set[str]) -> list[str]:
    """Who passed whom, where either score moved by more than its last bits."""
    overtook = [name for name in change.overtook if change.name in moved or name in moved]
    if change.kind != "order" or not overtook:
        return []
    passed = ", ".join(printable(name) for name in overtook[:5])
    more = f" and {len(overtook) - 5} more" if len(overtook) > 5 else ""
    return [f"[STATUS] {_called(change)} moved ahead of {passed}{more} on {printable(delta.board)}"]
