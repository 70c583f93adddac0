"""The proposer of nothing: candidates that change a comment, or not even that, so that a user sees what is promoted.

Chosen by `agent.wiring` for `agent run --null`. Its candidates go the whole way: a real commit, validation, a place in
the season, real runs, the gate. Each promotion of one is a false promotion. Identical patches are stopped before the
gate and take no place in the season; it is the comments that exercise the gate.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from agent.researcher.contract import NULL, Edits, Idea, PatchRequest, Proposals, Researcher, Situation
from registry.papers import Paper, Reading

if TYPE_CHECKING:
    from tools.pdf.text import PdfText

IDENTICAL_EVERY = 5
"""Every fifth candidate changes no byte at all."""
REFUSED_IN_A_ROW = 6
"""Patches refused in a row before it gives up: the configuration takes no comment, then, or may not be edited."""
IDENTICAL = "changes no byte"
_HASH_COMMENTS = frozenset({".yaml", ".yml", ".toml", ".py", ".ini", ".cfg", ".conf", ".env", ".properties"})
_BLANK_LINES = frozenset({".json"})
"""Formats without comments, where a blank line at the end does the same."""


class NullResearcher:
    """Implements `agent.researcher.contract.Researcher`; papers and other hypotheses are left to the usual one."""

    name = "null proposer (comments only)"

    def __init__(self, usual: Researcher) -> None:
        self._usual = usual

    def read(self, paper: Paper, text: PdfText, situation: Situation) -> Reading:
        """As on every other night: a paper is read once, and nothing is to be lost by a null night."""
        return self._usual.read(paper, text, situation)

    def propose(self, situation: Situation) -> Proposals:
        """The next candidates without effect, numbered on from those that were tried."""
        config = situation.target.solution.config
        if PurePosixPath(config).suffix not in _HASH_COMMENTS | _BLANK_LINES:
            return Proposals((), exhausted=True, note=f"no comment is known that {config} would take", mode=NULL)
        decided = [trial for trial in situation.trials if trial.verdict != "open"]
        last = decided[-REFUSED_IN_A_ROW:]
        if len(last) == REFUSED_IN_A_ROW and all(trial.reason == "patch" for trial in last):
            note = f"{REFUSED_IN_A_ROW} null patches in a row were refused"
            return Proposals((), exhausted=True, note=note, mode=NULL)
        first = len(situation.trials) + 1
        ideas = tuple(_idea(number, config) for number in range(first, first + situation.limit))
        return Proposals(ideas, exhausted=False, note="candidates that change nothing that counts", mode=NULL)

    def patch(self, request: PatchRequest) -> Edits:
        """The configuration with a comment at its end that names the hypothesis, or as it is."""
        if request.hypothesis.strategy != NULL:
            return self._usual.patch(request)
        content = request.read(request.config)
        if request.hypothesis.implementation.change == IDENTICAL:
            return {request.config: content}
        if PurePosixPath(request.config).suffix in _BLANK_LINES:
            return {request.config: content + b"\n" * int(request.hypothesis.id.removeprefix("H-"))}
        newline = b"" if content.endswith(b"\n") or not content else b"\n"
        return {request.config: content + newline + f"# {request.hypothesis.id}: a null candidate\n".encode()}


def _idea(number: int, config: str) -> Idea:
    identical = number % IDENTICAL_EVERY == 0
    what = "no change at all" if identical else "a comment and nothing else"
    return Idea(
        settings={},
        title=f"null candidate {number}: {what}",
        claim="None. It has no effect, and shows what the gate does with nothing.",
        change=IDENTICAL if identical else f"adds a comment to {config}",
        source=NullResearcher.name,
        family=NULL,
        effort="Low",
        estimated_gain=0.0,
        strategy=NULL,
    )
