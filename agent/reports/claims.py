"""The claim ledger as Markdown: what sources promised, what was measured, and each claim that was put to the test."""

from __future__ import annotations

from agent import experience
from agent.answers.sentences import safe
from agent.experience import escaped
from agent.papers.claim_ledger import Claim, ClaimLedger, Standing, spoken

TESTED = 10
"""Tested claims shown, the newest; what is left out is counted."""


def tables(ledger: ClaimLedger) -> str:
    """A table of sources and one of tested claims; a sentence where there is nothing to show."""
    sources = experience.table(
        ("Source", "Papers", "Claims", "Tested", "Promoted", "Promised", "Measured", "Kept, expected"),
        map(_source, ledger.by_source()),
        "No paper has been read yet.",
    )
    tested = [claim for claim in ledger.claims if claim.measured]
    if not tested:
        return sources + ("\nNo claim has been put to the test yet.\n" if ledger.claims else "")
    shown = experience.table(("Claim", "Paper", "Promised", "Measured"), map(_claim, tested[-TESTED:]), "")
    more = f"\n{len(tested) - TESTED} earlier ones are in `agent papers claims`.\n" if len(tested) > TESTED else ""
    return f"{sources}\n{shown}{more}"


def _source(standing: Standing) -> tuple[str, ...]:
    return (
        escaped(safe(standing.name, 80)),
        str(standing.papers),
        str(standing.claims),
        str(standing.tested),
        str(standing.promoted),
        _signed(standing.promised),
        _signed(standing.measured),
        f"{standing.trust:.0%}",
    )


def _claim(claim: Claim) -> tuple[str, ...]:
    promised = _signed(claim.promised) + ("" if claim.verified else " (quote not verified)")
    return (
        escaped(safe(claim.technique, 80)),
        escaped(safe(claim.title, 80)),
        promised,
        escaped("; ".join(spoken(test) for test in claim.measured)),
    )


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.4f}"
