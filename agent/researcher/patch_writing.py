"""Has a model write a patch of code: what it is shown, what it may ask to see, how refusals go back to it.

Called by the researcher that asks a model. Each attempt is checked and recorded by `PatchRequest.attempt`; this module
only turns a reply into edits or into the reason why there are none. Everything that is shown of the solution and of
the hypothesis goes through a fence; a path that the model asks for is looked up in the list of readable files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from agent.llm.contract import LanguageModel, NoReply, Question, Reply, Schema, Turn
from agent.llm.host_paths import without_host_paths
from agent.llm.untrusted import fenced
from agent.researcher.contract import Attempt, Edits, PatchRequest
from registry.errors import BadInput, Problem

PROMPT = "patch"
MOST_READS = 3
"""How often a model may ask for files."""
SHOWN_FIRST = 48_000
"""Characters of files in the question itself."""
SHOWN_EACH = 24_000
SHOWN_LATER = 32_000
"""Characters of the files that are shown in one turn because the model asked."""
MAP_LINES = 300
REASONS = 6_000


class PatchReply(Schema):
    """What the model fills in: a patch, or the files that it needs first."""

    note: str = Field(default="", max_length=1_000)
    read: list[Annotated[str, Field(max_length=240)]] = Field(default_factory=list, max_length=12)
    """Paths, looked up in the list of what may be read."""
    patch: str = Field(default="", max_length=120_000)


def write_patch(model: LanguageModel, request: PatchRequest) -> Edits:
    """Edits that passed every check of `request.attempt`.

    Raises BadInput where every round was refused; what the model raises (EndpointDown, BudgetSpent) goes on.
    """
    conversation = _Conversation(model, request)
    for _ in range(request.rounds):
        made = conversation.next()
        problems = request.attempt(made)
        if not problems and made.edits is not None:
            return made.edits
        conversation.tell(problems)
    raise BadInput(*(conversation.refusals or [Problem("patch", "no patch", "one that can be applied")]))


class _Conversation:
    """The turns of one patch."""

    def __init__(self, model: LanguageModel, request: PatchRequest) -> None:
        self._model, self._request = model, request
        self._turns: list[Turn] = []
        self._unanswered = 0
        self._reads = 0
        self._values = _values(request)
        self.refusals: list[Problem] = []

    def next(self) -> Attempt:
        """The model's next attempt, after it was shown the files that it asked for."""
        while True:
            try:
                reply = self._asked()
            except NoReply as error:
                self._unanswered += 1  # the same question again would be answered from the record
                return Attempt("", None, (Problem("model", str(error)[:500], "a reply that can be used"),))
            record = reply.record
            if record.patch.strip():
                self._turns.append(Turn("model", reply.text))
                return _attempt(reply, self._request)
            self._turns.append(Turn("model", reply.text))
            if not record.read:
                problem = Problem("patch", "neither a patch nor files to read", "one of the two")
                return Attempt(reply.text, None, (problem,), reply.call, reply.by)
            if self._reads == MOST_READS:
                problem = Problem("patch", "files to read once more", f"a patch: files were shown {MOST_READS} times")
                return Attempt(reply.text, None, (problem,), reply.call, reply.by)
            self._reads += 1
            self._turns.append(Turn("agent", _shown(self._request, record.read)))

    def _asked(self) -> Reply[PatchReply]:
        question = Question(
            role="patch",
            prompt=PROMPT,
            values=self._values,
            schema=PatchReply,
            subject=self._request.hypothesis.id,
            earlier=tuple(self._turns),
            attempt=1 + self._unanswered,
        )
        return self._model.ask(question)

    def tell(self, problems: Sequence[Problem]) -> None:
        """Send the reasons of a refusal back with the next question."""
        self.refusals = list(problems)
        reasons = without_host_paths("\n".join(f"- {problem}" for problem in problems))
        if self._turns and self._turns[-1].speaker == "model":
            text = "The patch was refused, and nothing of it was applied. The reasons:\n"
            text += fenced("reasons, with words of your patch in them", reasons, REASONS)
            self._turns.append(Turn("agent", text + "\nWrite the whole patch again, against the files as shown."))


def _attempt(reply: Reply[PatchReply], request: PatchRequest) -> Attempt:
    """The reply's text as edits of the files that may be read, or why it gives none."""
    text = reply.record.patch
    try:
        edits = edits_of(text, request)
    except BadInput as error:
        return Attempt(text, None, tuple(error.problems), reply.call, reply.by)
    return Attempt(text, edits, (), reply.call, reply.by)


def edits_of(text: str, request: PatchRequest) -> Edits:
    """Blocks or a diff, applied to production's files; BadInput says what does not fit."""
    from tools.diff_parsing import parse_diff
    from tools.search_replace import apply_blocks, has_blocks, parse_blocks
    from tools.unified_diff import apply_diffs

    known = frozenset(request.files)

    def read(path: str) -> bytes | None:
        # A file that is there and may not be read cannot be changed by its lines; a new one is the boundary's matter.
        return request.read(path) if path in known or request.is_hidden(path) else None

    return apply_blocks(parse_blocks(text), read) if has_blocks(text) else apply_diffs(parse_diff(text), read)


# -- what is shown --------------------------------------------------------------------------------------------


def _values(request: PatchRequest) -> dict[str, str]:
    first = _first(request)
    return {
        "hypothesis": _hypothesis(request),
        "editable": ", ".join(request.editable),
        "protected": ", ".join(request.protected) or "nothing",
        "config": request.config,
        "map": fenced("paths of the solution's files", _map(request, first), 24_000),
        "contents": _contents(request, first, SHOWN_FIRST) or "None yet.",
        "reads": str(MOST_READS),
    }


def _hypothesis(request: PatchRequest) -> str:
    idea = request.hypothesis
    lines = [f"Title: {idea.title}", f"Change: {idea.implementation.change}", f"Why: {idea.claim}"]
    if idea.implementation.files:
        lines.append(f"Files it is expected to change: {', '.join(idea.implementation.files)}")
    settings = idea.implementation.settings
    lines += [f"It also sets {path} to {value!r} in {request.config}." for path, value in settings.items()]
    return fenced("the hypothesis", "\n".join(lines), 8_000)


def _first(request: PatchRequest) -> list[str]:
    """Paths to show at once: those of the hypothesis, the configuration, then editable ones, as far as they fit."""
    from tools.globs import matches

    known = frozenset(request.files)
    named = [path for path in (*request.hypothesis.implementation.files, request.config) if path in known]
    others = [path for path in request.files if matches(path, request.editable)]
    chosen, room = [], SHOWN_FIRST
    for path in dict.fromkeys([*named, *others]):
        size = len(_text(request, path) or "")
        if path in named or size <= room:
            chosen.append(path)
            room -= min(size, SHOWN_EACH)
        if room <= 0:
            break
    return chosen


def _map(request: PatchRequest, first: Sequence[str]) -> str:
    from tools.globs import matches

    def line(path: str) -> str:
        marks = ["editable"] * matches(path, request.editable) + ["shown below"] * (path in first)
        return f"{path} ({', '.join(marks)})" if marks else path

    # Editable files first: where there are too many, the others go unnamed.
    ordered = sorted(request.files, key=lambda path: not matches(path, request.editable))
    lines = [line(path) for path in ordered[:MAP_LINES]]
    left = len(ordered) - len(lines)
    return "\n".join([*lines, *([f"and {left} more"] if left else [])])


def _shown(request: PatchRequest, wanted: Sequence[str]) -> str:
    """The files that the model asked for, each looked up in the list."""
    known = frozenset(request.files)
    paths = [path for path in dict.fromkeys(wanted) if path in known]
    refused = [path for path in dict.fromkeys(wanted) if path not in known]
    pieces = [_contents(request, paths, SHOWN_LATER)] if paths else []
    if refused:
        listed = fenced("paths that you asked for", "\n".join(path[:240] for path in refused), 3_000)
        pieces.append(f"These are not among the files that you may read:\n{listed}")
    return "\n\n".join([*pieces, "Now write the patch, or name what else you need."])


def _contents(request: PatchRequest, paths: Sequence[str], limit: int) -> str:
    from tools.text_lines import shown_path

    pieces, room = [], limit
    for path in paths:
        text = _text(request, path)
        if text is None:
            pieces.append(fenced("a file without text", path, 300))
            continue
        if room <= 0:
            pieces.append(fenced("a file for which there was no room here; ask for it alone", path, 300))
            continue
        ends = "; its lines end with CRLF, write them as shown" if "\r\n" in text else ""
        shown = text.replace("\r\n", "\n")
        pieces.append(fenced(f"the file {shown_path(path)}{ends}", shown, min(room, SHOWN_EACH), verbatim=True))
        room -= len(text)
    return "\n\n".join(pieces)


def _text(request: PatchRequest, path: str) -> str | None:
    """A file's text; None for one that is no text."""
    try:
        return request.read(path).decode("utf-8")
    except UnicodeDecodeError:
        return None
