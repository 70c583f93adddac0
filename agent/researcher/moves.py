"""What single moves through the search space were measured to gain, and which way another move goes beside them.

Used by `agent.researcher.search`; pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.researcher.contract import Trial
from registry.hypotheses import Scalar
from registry.target import Parameter


@dataclass(frozen=True, slots=True)
class Move:
    """What moving one parameter from one value to another was measured to gain."""

    before: Scalar | None
    after: Scalar
    gain: float


def sense(parameter: Parameter, now: Scalar | None, value: Scalar, move: Move) -> int:
    """1 where a move goes the way of one that was measured, -1 where it goes the other way, 0 where neither."""
    listed = parameter.values
    ordered = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in listed)
    if ordered and now in listed and move.before in listed:
        ahead = listed.index(value) - listed.index(now)
        measured = listed.index(move.after) - listed.index(move.before)
        return 1 if ahead * measured > 0 else -1 if ahead * measured < 0 else 0
    if value == move.after:
        return 1
    return -1 if value == move.before else 0


def measured_moves(tried: Sequence[Trial], production: Mapping[str, Scalar]) -> dict[str, list[Move]]:
    """Every measured change of one parameter alone, by path; from today's value where no other is known."""
    moves: dict[str, list[Move]] = {}
    for trial in tried:
        if trial.gain is not None and len(trial.settings) == 1:
            ((path, value),) = trial.settings.items()
            before = (trial.production if trial.production is not None else production).get(path)
            moves.setdefault(path, []).append(Move(before, value, trial.gain))
    return moves
