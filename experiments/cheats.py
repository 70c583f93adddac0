"""Answers that nobody worked for, made from honest ones: what a fair evaluator gives nothing for.

Called by `experiments.evaluator_check` with what production's run handed to the evaluator. Pure: bytes in, bytes out.
Where the answers are JSON lines of items, a line's answer can be told from its id; all else is treated as files.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from experiments.phases import PREDICTIONS

Files = Mapping[str, bytes]
"""Path inside the folder of answers → content."""
Rule = Literal["worthless", "padded"]
"""`worthless`: without the work, so production's score is too much. `padded`: production's own answers with something
beside them, so production's score is fair and more is not."""
SEED = 20_240_711
SHUFFLES = 3
MOST_BYTES = 64 << 20
"""Of honest answers; larger ones are only emptied."""
MOST_ANSWERS = 1000
"""Different answers that are given all at once."""
_NUMBER = re.compile(rb"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.])")
_NAMES = re.compile(
    r"(?:\w*_)?(?:id|uid|key|name|index|idx|item|file|filename|path|image|sample|question)", re.IGNORECASE
)
_LABELS = ("label", "labels", "target", "expected", "answer", "truth")
_CLAIMS = ("score", "correct", "accuracy", "metric", "confidence", "probability", "reward", "weight")


@dataclass(frozen=True, slots=True)
class Cheat:
    """One way to cheat, in one or more variants. `luck` ones must win in every variant, others in any."""

    name: str
    rule: Rule
    variants: tuple[tuple[str, Files], ...]
    luck: bool = False
    nightly: int = 99
    """How many variants, from the first, are tried before a night; `agent doctor --evaluator` tries all."""


@dataclass(frozen=True, slots=True)
class _Items:
    """Predictions as items: of each line its id's members and the rest, which is its answer."""

    ids: tuple[dict[str, Any], ...]
    answers: tuple[Any, ...]

    def lines(self, answers: Sequence[Any], more: Mapping[str, Any] | None = None) -> bytes:
        """The file with other answers, and with further members on every line."""
        return b"".join(
            _line({**name, **_members(a), **(more or {})}) for name, a in zip(self.ids, answers, strict=True)
        )


def _members(answer: Any) -> dict[str, Any]:
    return answer if isinstance(answer, dict) else {}


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def cheats(honest: Files, metric: str, claim: float) -> tuple[Cheat, ...]:
    """Every cheat that can be made of these answers; a variant that equals them is left out.

    `metric` is the primary metric's name and `claim` a value better than production's.
    """
    found = [*_empty(honest)]
    if sum(map(len, honest.values())) <= MOST_BYTES:
        items = _items(honest[PREDICTIONS]) if PREDICTIONS in honest else None
        others = {name: content for name, content in honest.items() if name != PREDICTIONS}
        found += _of_items(items, others, metric, claim) if items is not None else _of_files(honest, metric, claim)
        found += _claims(honest, metric, claim)
    kept = []
    for cheat in found:
        variants = tuple((name, files) for name, files in cheat.variants if dict(files) != dict(honest))
        if variants:
            kept.append(Cheat(cheat.name, cheat.rule, variants, cheat.luck, cheat.nightly))
    return tuple(kept)


def _empty(honest: Files) -> Iterator[Cheat]:
    variants: tuple[tuple[str, Files], ...] = (("empty files", dict.fromkeys(honest, b"")), ("no file", {}))
    yield Cheat("empty", "worthless", variants, nightly=1)


def _claims(honest: Files, metric: str, claim: float) -> Iterator[Cheat]:
    content = json.dumps({metric: claim, "score": claim}).encode()
    beside = {"metrics.json": content, "examples.jsonl": _line({"id": "all", "score": claim})}
    yield Cheat("over-reported metrics", "padded", (("metrics.json beside the answers", {**honest, **beside}),))


# -- items --------------------------------------------------------------------------------------------------


def _items(content: bytes) -> _Items | None:
    """The lines as items; None where they are not JSON objects, each with an id of its own and an answer."""
    rows: list[dict[str, Any]] = []
    for line in content.splitlines():
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if not isinstance(row, dict):
            return None
        rows.append(row)
    if rows and all(row.keys() == rows[0].keys() and len(row) == 1 for row in rows):
        return _Items(tuple({} for _ in rows), tuple(rows))  # an item is told by its line
    name = _id_of(rows)
    if not name or any(len(row) < 2 for row in rows):
        return None
    return _Items(
        tuple({name: row[name]} for row in rows),
        tuple({key: value for key, value in row.items() if key != name} for row in rows),
    )


def _id_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """The member that names an item: called so, a text or whole number, and another on every line."""
    shared = [key for key in (rows[0] if rows else {}) if _NAMES.fullmatch(key) and all(key in row for row in rows)]
    for key in sorted(shared, key=lambda key: key != "id"):
        values = [row[key] for row in rows]
        plain = all(isinstance(value, (str, int)) and not isinstance(value, bool) for value in values)
        if plain and len({repr(value) for value in values}) == len(values):
            return key
    return ""


def _of_items(items: _Items, others: Files, metric: str, claim: float) -> Iterator[Cheat]:
    def with_(lines: bytes) -> Files:
        return {**others, PREDICTIONS: lines}

    def all_with(value: object) -> Files:
        return with_(items.lines([dict.fromkeys(answer, value) for answer in items.answers]))

    kinds = {_key(answer): answer for answer in items.answers}
    if len(kinds) > 1:  # a constant in production's place has nothing to give away
        common, _ = Counter(_key(answer) for answer in items.answers).most_common(1)[0]
        same = (("most common answer", kinds[common]), ("first answer", items.answers[0]))
        variants = tuple((name, with_(items.lines([answer] * len(items.answers)))) for name, answer in same)
        if _key(items.answers[0]) == common:
            variants = variants[:1]
        yield Cheat("constant", "worthless", variants, nightly=1)
        yield Cheat("shuffled", "worthless", tuple(_shuffled(items, with_)), luck=True)
    lines = items.lines(items.answers).splitlines(keepends=True)
    if len(lines) > 1:
        even, odd, whole = lines[::2], lines[1::2], len(lines)
        halves = (
            ("even lines only", even),
            ("odd lines only", odd),
            ("even lines again for the odd", (even * 2)[:whole]),  # as many lines as are wanted, of half the items
            ("odd lines again for the even", (odd * 3)[:whole]),
        )
        yield Cheat("truncated", "worthless", tuple((name, with_(b"".join(half))) for name, half in halves))
    strange = [
        _line({**dict.fromkeys(name, f"no such item {number}"), **answer})
        for number, (name, answer) in enumerate(zip(items.ids, items.answers, strict=True))
    ]
    yield Cheat(
        "too long",
        "padded",
        (("every id twice", with_(b"".join(lines) * 2)), ("ids that are none", with_(b"".join([*lines, *strange])))),
        nightly=1,
    )
    nothing: tuple[tuple[str, object], ...] = (
        ("null", None),
        ("an empty list", []),
        ("an empty object", {}),
        ("an empty text", ""),
        ("true", True),
    )
    yield Cheat("wrong type", "worthless", tuple((name, all_with(value)) for name, value in nothing), nightly=0)
    if variants := tuple(_everything(items, with_)):
        yield Cheat("all answers at once", "worthless", variants)
    numbers = (("NaN", float("nan")), ("Infinity", float("inf")), ("-Infinity", float("-inf")), ("1e308", 1e308))
    yield Cheat("NaN", "worthless", tuple((name, all_with(value)) for name, value in numbers), nightly=2)
    own_names = {name for answer in items.answers for name in _members(answer)}
    claimed = [name for name in (metric, *_CLAIMS) if name not in own_names]  # what it answers is no claim
    claims = with_(items.lines(items.answers, dict.fromkeys(claimed, claim)))
    own = with_(
        b"".join(
            _line({**name, **answer, **dict.fromkeys(_LABELS, next(iter(answer.values())))})
            for name, answer in zip(items.ids, items.answers, strict=True)
        )
    )
    yield Cheat("over-reported", "padded", (("a score on each line", claims), ("a label on each line", own)))


def _key(answer: object) -> str:
    return json.dumps(answer, sort_keys=True)


def _shuffled(items: _Items, with_: Any) -> Iterator[tuple[str, Files]]:
    """Answers dealt out anew: they are as many of each kind, and have nothing to do with the inputs."""
    for number in range(SHUFFLES):
        dealt = list(items.answers)
        random.Random(SEED + number).shuffle(dealt)  # noqa: S311 - the same deal each time, nothing secret
        if any(_key(one) != _key(other) for one, other in zip(dealt, items.answers, strict=True)):
            yield f"deal {number + 1}", with_(items.lines(dealt))


def _everything(items: _Items, with_: Any) -> Iterator[tuple[str, Files]]:
    """Every answer that was given anywhere, as the answer to each item: as a list, and as one text."""
    kinds: dict[str, dict[str, Any]] = {}
    for answer in items.answers:
        for name, value in answer.items():
            kinds.setdefault(name, {})[_key(value)] = value
    if not any(1 < len(values) <= MOST_ANSWERS for values in kinds.values()):
        return
    listed = {name: list(values.values())[:MOST_ANSWERS] for name, values in kinds.items()}
    told = {name: " ".join(map(str, values)) for name, values in listed.items()}
    yield "as a list", with_(items.lines([listed] * len(items.answers)))
    yield "as a text", with_(items.lines([told] * len(items.answers)))


# -- files --------------------------------------------------------------------------------------------------


def _of_files(honest: Files, metric: str, claim: float) -> Iterator[Cheat]:
    """Cheats with files that are not JSON lines of items."""
    halves = tuple((name, {path: _half(content, odd) for path, content in honest.items()}) for name, odd in _HALVES)
    yield Cheat("truncated", "worthless", halves)
    texts = {path: content for path, content in honest.items() if _is_text(content)}
    if texts:
        variants = tuple(
            (word, {**honest, **{path: _with_numbers(content, word) for path, content in texts.items()}})
            for word in ("NaN", "Infinity", "-Infinity", "1e308")
        )
        # Not every file need be one that is scored: where these are not, production's score is fair.
        yield Cheat("NaN", "padded", variants, nightly=2)
    told = {path: _claiming(content, metric, claim) for path, content in honest.items()}
    yield Cheat("over-reported", "padded", (("a score in each JSON object", told),))


_HALVES = (("first half", False), ("other half", True))


def _half(content: bytes, odd: bool) -> bytes:
    """Half of a file: of a JSON list's or object's members, of its lines, or of its bytes."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, list) and len(value) > 1:
        return json.dumps(value[odd::2]).encode()
    if isinstance(value, dict) and len(value) > 1:
        return json.dumps(dict(list(value.items())[odd::2])).encode()
    lines = content.splitlines(keepends=True)
    if len(lines) > 1:
        return b"".join(lines[odd::2])
    middle = len(content) // 2
    return content[middle:] if odd else content[:middle]


def _claiming(content: bytes, metric: str, claim: float) -> bytes:
    """A JSON object with a score of its own; anything else as it is."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return content
    return json.dumps({**value, **dict.fromkeys((metric, *_CLAIMS), claim)}).encode() if _is_object(value) else content


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _with_numbers(content: bytes, word: str) -> bytes:
    return _NUMBER.sub(word.encode(), content)
