"""Which parked candidates a promotion lets back in."""

from __future__ import annotations

import math
from collections.abc import Sequence


def parked_promotions(log_es: Sequence[float], planned: int, alpha: float, promotions: int) -> tuple[int, ...]:
    """Indices of the parked candidates that may be confirmed now, strongest first.

    They are the largest j for which the j-th largest E >= N / (alpha (R + j)): online e-BH over this season's parked
    candidates (Fischer, Xu & Ramdas 2024, arXiv 2407.20683). Call again with the rest after each veto, and with R
    one higher after each promotion. Candidates parked for zero variance do not belong among `log_es`.
    """
    order = sorted(range(len(log_es)), key=lambda index: (-log_es[index], index))
    admitted = 0
    for position, index in enumerate(order, start=1):
        if log_es[index] >= math.log(planned / (alpha * (promotions + position))):
            admitted = position
    return tuple(order[:admitted])
