"""Sentences of fact: text with the numbers of the events it stands in, and values in the form people read.

Used by everything in `agent.answers`. Text that came from outside passes through `safe`, which leaves nothing that
acts on a screen and nothing that looks like one of our citations.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.audit_events import Event
from registry.history import History
from sandbox.outputs import plain_text

SHOWN_SEEDS = 12


@dataclass(frozen=True, slots=True)
class Sentence:
    """One fact and the events it is read from."""

    text: str
    events: tuple[int, ...]
    section: str = ""
    """Part of a longer story, so that a narrower question can pick it."""

    def __str__(self) -> str:
        return f"{self.text} {' '.join(f'[event {number}]' for number in self.events)}"


def fact(text: str, *events: Event | int | None, section: str = "") -> Sentence:
    """A sentence with its events in order, each once; ValueError for one without any."""
    numbers = {event if isinstance(event, int) else event.seq for event in events if event is not None}
    if not numbers:
        raise ValueError(f"a statement without an event: {text[:80]!r}")
    return Sentence(text, tuple(sorted(numbers)), section)


def safe(text: str, limit: int = 300) -> str:
    """A stranger's text as one line; square brackets become round, so that it cannot carry a citation."""
    line = " ".join(plain_text(text, limit + 1).split()).replace("[", "(").replace("]", ")")
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def when(event: Event) -> str:
    """The event's time to the minute."""
    return f"{event.time[:10]} {event.time[11:16]} UTC"


def signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.4f}"


def in_its_unit(row: Mapping[str, Any]) -> str:
    """The value of a criterion's row: as a share where its requirement is one, else as a number."""
    if row["value"] is None:
        return "–"
    value, requirement = float(row["value"]), str(row["requirement"])
    if requirement.startswith("increase") and "%" in requirement:
        return f"{value:+.1%}"
    return f"{value:.2%}" if "%" in requirement else f"{value:.4g}"


def score_unknown(history: History, board: str) -> str:
    """That our score on a board is an earlier production's; empty where it is today's, or there never was one."""
    if board in history.scores or board not in history.scored:
        return ""
    commit, score = history.scored[board]
    return f"unknown since production moved (last known {score:.4f}, of commit {commit[:12]})"


def plural(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")


def duration(seconds: float) -> str:
    """Seconds as the unit a person would say."""
    if 0 < seconds < 1:
        return "less than 1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def exponential(log_value: float | str) -> str:
    """The number whose logarithm is recorded."""
    value = float(log_value)
    if math.isnan(value):
        return "undefined"
    if value > 30:
        return f"e^{value:.0f}"
    return f"{math.exp(value):.4g}"


def listed(values: Iterable[object], limit: int = SHOWN_SEEDS) -> str:
    """The first few of a list, and how many more there are."""
    shown: Sequence[str] = [safe(str(value), 100) for value in values]
    rest = f" and {len(shown) - limit} more" if len(shown) > limit else ""
    return ", ".join(shown[:limit]) + rest
