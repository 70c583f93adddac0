"""Makes a record of what a model wrote, or says in words what is wrong with it. Pure.

Called by `agent.llm.client`. A model's text is a stranger's: nothing of it is believed before it fits the schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from pydantic import ValidationError

from agent.llm.contract import Record
from sandbox.outputs import plain_text

LONGEST = 400_000
"""Characters of a reply that are looked at."""
_PROBLEMS = 12
_FENCE = re.compile(r"```[a-zA-Z]*\s*\n(.*?)\n?\s*```", re.DOTALL)


_VALUES = re.compile(r"too_(long|short)|greater_than|less_than|value_error|multiple_of|pattern_mismatch|finite")
"""Pydantic's names for a value of the right form that is out of bounds or that a rule of ours refuses."""


class NoFit(ValueError):
    """The text is no record; the message says why, to the model and to people."""

    def __init__(self, message: str, *, form: bool = True, no_object: bool = False) -> None:
        self.form = form
        """Fields are missing, unknown or of another type: what a server that keeps to a schema does not send."""
        self.no_object = no_object
        super().__init__(message)


def read(text: str, schema: type[Record]) -> Record:
    """The record in a reply: the whole of it, or the JSON object in it. Raises NoFit."""
    document = _object(text)
    try:
        return schema.model_validate(document)
    except ValidationError as error:
        problems = [
            f"- {plain_text('.'.join(map(str, one['loc'])), 100) or 'the object'}: {plain_text(one['msg'], 300)}"
            for one in error.errors(include_url=False, include_input=False)[:_PROBLEMS]
        ]
        form = any(not _VALUES.search(one["type"]) for one in error.errors(include_url=False, include_input=False))
        raise NoFit("the JSON object does not fit the schema:\n" + "\n".join(problems), form=form) from None


def _object(text: str) -> dict[str, Any]:
    if not text.strip():
        raise NoFit("the reply is empty", no_object=True)
    if len(text) > LONGEST:
        raise NoFit(f"the reply has more than {LONGEST} characters", no_object=True)
    why = "the reply holds no JSON object"
    for candidate in _candidates(text):
        try:
            document = json.loads(candidate, parse_constant=_refuse_constant)
            json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair could never be recorded
        except RecursionError:
            raise NoFit("the JSON is nested too deep", no_object=True) from None
        except ValueError as error:
            if "{" in candidate:
                why = f"the reply is no JSON ({error})"[:300]
            continue
        if isinstance(document, dict):
            return document
        why = f"the reply is a JSON {type(document).__name__}, and an object is wanted"
    raise NoFit(why, no_object=True)


def _candidates(text: str) -> Iterator[str]:
    """Where the object may be: all of the text; what follows thinking aloud, a fence in it, from brace to brace.

    The mark that ends thinking may stand in the object as well, so it is looked for from both ends.
    """
    yield text
    for part in (text.rpartition("</think>")[2], text.partition("</think>")[2]):
        yield part
        yield from _FENCE.findall(part)
        start, end = part.find("{"), part.rfind("}")
        if 0 <= start < end:
            yield part[start : end + 1]


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
