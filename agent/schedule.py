"""When something is due: cron expressions turned into slots, and a pace for what is written again and again.

A slot is the latest moment, at or before now, that the expression names. Work is due where its last slot is not the
current one, so a machine that was off catches up once, and a crash never does the same slot twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

LOOKBACK = timedelta(days=366)


class Pace:
    """Lets repeated work take at most a share of the time, however long one piece of it has become."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._rest_until = 0.0

    def due(self) -> bool:
        """Whether the last piece was followed by enough rest; the first is always due."""
        return time.monotonic() >= self._rest_until

    @contextmanager
    def piece(self) -> Iterator[None]:
        """Around one piece of the work."""
        began = time.monotonic()
        yield
        ended = time.monotonic()
        self._rest_until = ended + (ended - began) * (1.0 / self._share - 1.0)


def slot(expression: str | None, now: datetime, cycle: int) -> str:
    """The current slot of a cron expression as ISO-8601 UTC; the epoch's where it has named no moment in a year.

    Without an expression every cycle is a slot of its own.
    """
    from cronsim import CronSim

    if expression is None:
        return f"cycle {cycle}"
    next_minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    moment = next(CronSim(expression, next_minute, reverse=True), None)
    if moment is None or moment < now - LOOKBACK:
        return "1970-01-01T00:00:00+00:00"
    return moment.isoformat()


def upcoming(expression: str, now: datetime) -> datetime:
    """The next moment a cron expression names."""
    from cronsim import CronSim

    return next(CronSim(expression, now))
