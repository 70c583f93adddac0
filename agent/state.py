"""What one cycle carries from node to node: ids and scalars, never a record (records live in `registry`)."""

from __future__ import annotations

from typing import TypedDict


class State(TypedDict, total=False):
    """State of one cycle. Every value is small; a node reads the rest from the history by id."""

    cycle: int
    night: str
    monitor: str
    """What monitoring did: `read`, `not_due`, or the soft status it ended with."""
    urgent: bool
    defend: bool
    papers: str
    extracted: str
    proposed: str
    queue: str
    hypothesis: str
    """Id of the hypothesis this cycle takes to its verdict; empty where there is none."""
    patch: str
    """`committed`, `refused`, or `postponed`: a fault that is not the idea's own kept its patch from being written."""
    validation: str
    outcome: str
    """The gate's latest word: `extend` until a verdict."""
    verdict: str
    defence: str
    report: str
