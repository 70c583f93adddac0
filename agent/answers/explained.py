"""A question answered in a model's words: from facts of the log, each statement held against the events it names.

Called by `agent ask --explain`. The model sees the sentences that the rules found and nothing else of the workspace.
Code keeps a statement only where it names events that it was shown and every number in it stands in the facts of those
events; what is left out is counted, never mended.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from agent.answers.sentences import Sentence, fact, safe
from agent.llm.contract import LanguageModel, Question, Schema
from agent.llm.untrusted import fenced
from agent.researcher.quotes import numbers

MAX_FACTS = 40
MAX_MATERIAL = 24_000
"""Characters of facts in one question."""
MAX_ASKED = 2000
_NAMES = re.compile(r"\b[A-Z]{1,2}-\d+\b|#\d+|(?<!\w)[0-9a-f]{7,64}(?!\w)|\bv?\d+(?:\.\d+){2,}\b")
"""Ids, ranks and commits: they have to stand in the facts as they are written, digits and all."""


class Statement(Schema):
    """One sentence of an explanation."""

    text: str = Field(min_length=1, max_length=400)
    events: Annotated[list[int], Field(min_length=1, max_length=8)]


class Explanation(Schema):
    """The whole of it; no statement where the facts do not answer."""

    statements: Annotated[list[Statement], Field(max_length=8)]


@dataclass(frozen=True, slots=True)
class Explained:
    """Statements that hold, how many did not, and who said them."""

    sentences: tuple[Sentence, ...]
    refused: int
    by: str


def explained(model: LanguageModel, question: str, facts: Sequence[Sentence]) -> Explained:
    """The model's statements that rest on the facts. Raises what `LanguageModel.ask` raises."""
    shown = list(facts[:MAX_FACTS])
    material = "\n".join(f"- {sentence}" for sentence in shown)
    reply = model.ask(
        Question(
            role="answer",
            prompt="answer",
            values={
                "asked": fenced("the question", question, MAX_ASKED),
                "facts": fenced("facts of the log", material, MAX_MATERIAL),
            },
            schema=Explanation,
            subject="ask",
        )
    )
    kept = [fact(safe(each.text, 400), *each.events) for each in reply.record.statements if stands(each, shown)]
    return Explained(tuple(kept), len(reply.record.statements) - len(kept), reply.by)


def stands(statement: Statement, facts: Sequence[Sentence]) -> bool:
    """Whether the events are among those shown, and every number and name of the text stands in their facts."""
    named = set(statement.events)
    told = {number for sentence in facts for number in sentence.events}
    if not named <= told:
        return False
    material = " ".join(str(sentence) for sentence in facts if named & set(sentence.events))
    known = set(_NAMES.findall(material))
    if not set(_NAMES.findall(statement.text)) <= known:
        return False
    return set(numbers(_NAMES.sub(" ", statement.text))) <= set(numbers(material))
