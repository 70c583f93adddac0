"""Events of the audit log, the line each one is, and reading them without any lock.

`registry.audit` writes these lines and re-exports what others need; readers (ask, reports, the search index) come
through `read_events`. Nothing here writes, and reading judges form only: the chain is judged by `audit_chain`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from registry.canonical import canonical, encode_checked
from registry.errors import BadInput, Problem

VERSION = 1
ROOT_HASH = "0" * 64
"""What the first event names as its predecessor."""
MAX_LINE_BYTES = 16 << 20
_SHOW_VERIFY = "`agent audit verify` lists every break; restore the file from a copy"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log. `seq` is the order; `time` is what the clock said and may go backwards."""

    v: int
    seq: int
    key: str
    """Identity of the effect: the same key again is the same event. Empty for events that may repeat."""
    time: str
    kind: str
    subject: str
    """`H-042`, a board, a run id, or empty where the event is about the whole workspace."""
    actor: str
    reason: str
    data: dict[str, Any]
    prev: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """The last event's place in the chain; `seq` 0 for an empty log."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event and where its line stands in the file; `length` counts the newline."""

    event: Event
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class RawLine:
    """Bytes between two newlines, the second one included unless the file ends before it."""

    number: int
    offset: int
    content: bytes

    @property
    def complete(self) -> bool:
        return self.content.endswith(b"\n")

    @property
    def too_long(self) -> bool:
        """Cut off by the reader: no writer makes such a line, so it is damage wherever it stands."""
        return not self.complete and len(self.content) > MAX_LINE_BYTES

    @property
    def end(self) -> int:
        return self.offset + len(self.content)


class NotAnEvent(ValueError):
    """A line that is JSON but no event of a known version."""


class NotJson(ValueError):
    """A line that is not JSON: torn if it is the last one, damage anywhere else."""


_FOLLOWED = "Extra data"
"""What json says of a value with something after it: never a torn line, which is the beginning of one value."""
_HASH = re.compile("[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_TYPES: dict[str, type] = {
    "actor": str,
    "data": dict,
    "hash": str,
    "key": str,
    "kind": str,
    "prev": str,
    "reason": str,
    "seq": int,
    "subject": str,
    "time": str,
    "v": int,
}


def seal(body: dict[str, Any]) -> bytes:
    """The line, newline included, for an event's fields without `hash`: the hash is taken over the rest."""
    digest = hashlib.sha256(canonical(body)).hexdigest()
    return canonical({**body, "hash": digest}) + b"\n"


def is_sealed(line: bytes, claimed: str) -> bool:
    """Whether the bytes around the hash are those it was taken over.

    Cutting the hash out of the line spares encoding the event again; no event can hold its own hash elsewhere.
    """
    before, mark, after = line.removesuffix(b"\n").partition(b'"hash":"' + claimed.encode() + b'",')
    return bool(mark) and hashlib.sha256(before + after).hexdigest() == claimed


def parse_line(line: bytes) -> Event:
    """The event a line holds; raises NotJson or NotAnEvent, both saying what was found."""
    try:
        document = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
        if b"\\ud" in line.lower():
            encode_checked(document)  # half a surrogate pair, spelled as an escape, could never be written again
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError) and error.msg == _FOLLOWED:
            raise NotAnEvent(f"more than one value ({error})") from None
        raise NotJson(f"no JSON ({error})") from None
    if type(document) is not dict:
        raise NotAnEvent(f"a JSON {type(document).__name__}")
    if document.get("v") != VERSION:
        raise NotAnEvent(f"an event of version {document.get('v')!r:.40}")
    if unknown := sorted(document.keys() ^ _TYPES.keys()):
        raise NotAnEvent(f"an event with the field {unknown[0]!r:.40} missing or unknown")
    for name, expected in _TYPES.items():
        if type(document[name]) is not expected:
            raise NotAnEvent(f"an event whose {name} is a {type(document[name]).__name__}")
    event = Event(**document)
    if not (_HASH.fullmatch(event.hash) and _HASH.fullmatch(event.prev)):
        raise NotAnEvent("an event whose hash or prev is no SHA-256")
    if not _TIME.fullmatch(event.time):
        raise NotAnEvent("an event whose time is not ISO-8601 in UTC with milliseconds")
    if not 0 < event.seq < 1 << 63:
        raise NotAnEvent("an event whose seq is out of range")
    return event


def fields_of(event: Event) -> dict[str, Any]:
    """The event as the JSON object its line holds."""
    return asdict(event)


def raw_lines(stream: BinaryIO, offset: int = 0, number: int = 1, end: int | None = None) -> Iterator[RawLine]:
    """Lines of an open file from `offset` on, one in memory at a time; stops at `end` where given."""
    stream.seek(offset)
    while end is None or offset < end:
        room = MAX_LINE_BYTES + 1 if end is None else min(MAX_LINE_BYTES + 1, end - offset)
        content = stream.readline(room)
        if not content:
            return
        line = RawLine(number, offset, content)
        yield line
        offset, number = line.end, number + 1


def read_stored(path: Path, offset: int = 0, number: int = 1) -> Iterator[StoredEvent]:
    """Events with their places, from a known line start on. A torn last line is left out; other damage is BadInput."""
    with open_log(path) as stream:
        damaged: BadInput | None = None
        for line in raw_lines(stream, offset, number):
            if damaged is not None:
                raise damaged
            if line.too_long:
                raise damaged_line(path, line.number, f"a line of more than {MAX_LINE_BYTES} bytes")
            if not line.complete:
                return
            try:
                event = parse_line(line.content)
            except NotJson as error:
                # Torn only if nothing follows, which the next turn of the loop tells.
                damaged = damaged_line(path, line.number, str(error))
            except NotAnEvent as error:
                raise damaged_line(path, line.number, str(error)) from None
            else:
                yield StoredEvent(event, line.offset, len(line.content))


def read_events(path: Path) -> Iterator[Event]:
    """Every whole event of the log in order, without a lock and with one event in memory at a time."""
    return (stored.event for stored in read_stored(path))


def open_log(path: Path) -> BinaryIO:
    """The log opened for reading; BadInput where there is none."""
    try:
        return path.open("rb")
    except OSError as error:
        found = "no file" if isinstance(error, FileNotFoundError) else f"what cannot be read ({error.strerror})"
        fix = "name another workspace, or restore the log from a copy"
        raise BadInput(Problem(str(path), found, "the audit log", fix=fix)) from None


def damaged_line(path: Path, number: int, found: str, expected: str = "an event of the audit log") -> BadInput:
    """The error for a line in the log that no crash can explain."""
    return BadInput(Problem(str(path), found, expected, line=number, fix=_SHOW_VERIFY))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
