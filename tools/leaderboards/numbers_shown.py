"""Scores as reports show them: three decimals, and more only where a difference would vanish."""

from __future__ import annotations

DECIMALS = 3
MOST_DECIMALS = 6
SMALLEST_SHOWN = 10.0**-MOST_DECIMALS


def decimals_for(*scores: float) -> int:
    """Digits after the point: three for scores within [0, 1], else as few as say the scores exactly, one to three."""
    if all(abs(score) <= 1 for score in scores):
        return DECIMALS
    return next((n for n in (1, 2) if all(round(score, n) == score for score in scores)), DECIMALS)


def decimals_to_tell(old: float, new: float) -> int:
    """Enough digits that two different scores look different, up to six."""
    digits = decimals_for(old, new)
    while digits < MOST_DECIMALS and f"{old:.{digits}f}" == f"{new:.{digits}f}":
        digits += 1
    return digits


def visibly_different(old: float, new: float) -> bool:
    """Whether a change is more than the last bits of a floating point number."""
    return abs(new - old) >= SMALLEST_SHOWN and abs(new - old) > 1e-9 * max(abs(old), abs(new))


def signed(value: float, decimals: int = DECIMALS) -> str:
    """`+0.014`, `-0.038`, and never `-0.000`."""
    shown = f"{value:+.{decimals}f}"
    return "+" + shown[1:] if float(shown) == 0 else shown
