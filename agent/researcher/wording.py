"""The claim of an idea in words: what it is expected to gain, or why it is tried without. Called by the search."""

from __future__ import annotations

from collections.abc import Sequence


def claim(moves: Sequence[str], gain: float, metric: str, unverified: bool) -> str:
    """One sentence, without a full stop. `unverified`: it rests on a passage that was not found in its document."""
    what = f"Changing {' and '.join(moves)}"
    if gain > 0.0:
        shown = f"{gain:+.4f}" if gain >= 0.00005 else f"{gain:+.1g}"
        return f"{what} improves {metric} by about {shown}"
    if unverified:
        return (
            f"{what} is tried because a passage suggests it that was not found word for word in its document; "
            f"no gain in {metric} is counted on"
        )
    return (
        f"{what} is an ablation: by what was measured so far no gain in {metric} is expected, and it is tried because "
        "nothing better is left"
    )
