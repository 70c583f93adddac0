"""Checking the audit log end to end: every byte, the order, and whether hashes published elsewhere are in it.

Called by `agent audit verify` and by checks. It goes on after a break so that one report names them all, keeps one
event in memory, and changes nothing. Recomputing verdicts from raw values is the gate's business, not this module's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from registry.audit_events import (
    MAX_LINE_BYTES,
    ROOT_HASH,
    Event,
    Head,
    NotAnEvent,
    NotJson,
    RawLine,
    fields_of,
    open_log,
    parse_line,
    raw_lines,
)
from registry.canonical import encode_checked
from registry.errors import Problem
from registry.locks import exclusive

MAX_PROBLEMS = 100
MAX_NOTES = 20


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What was found. `notes` are worth knowing and break nothing."""

    events: int
    head: Head
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def verify_chain(path: Path, anchors: Mapping[str, str] | None = None) -> ChainReport:
    """Check the whole log. `anchors` maps a place (a commit, a pull request) to the head's hash published there.

    Within the file a changed, removed, doubled or reordered line is always found. An end that was cut off, or a
    chain recomputed from some event on, shows only against anchors.
    """
    check = _Check(path, dict(anchors or {}))
    with open_log(path) as stream:
        with exclusive(stream.fileno(), path):  # between two appends, so that the end is no half-written line
            end = path.stat().st_size
        for line in raw_lines(stream, end=end):
            check.line(line)
            if line.too_long:
                break
    return check.report()


@dataclass
class _Check:
    path: Path
    anchors: dict[str, str]
    events: int = 0
    lines: int = 0
    head: Head = field(default_factory=lambda: Head(0, ROOT_HASH))
    time: str = ""
    keys: set[bytes] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    unlisted: int = 0
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._sought = set(self.anchors.values())

    def line(self, line: RawLine) -> None:
        self.lines = line.number
        if line.too_long:
            self._problem(line.number, f"a line of more than {MAX_LINE_BYTES} bytes", "an event")
            return
        if not line.complete:
            fix = "the next writer sets it aside; it was never acknowledged"
            self._problem(line.number, "a last line without its end", "a newline", fix)
            return
        try:
            event = parse_line(line.content)
        except (NotJson, NotAnEvent) as error:
            self._problem(line.number, str(error), "an event")
            # Its number and hash are unknown: what follows is judged against the next event's own word.
            self.head = Head(self.head.seq + 1, "")
            return
        self.events += 1
        self._content(event, line)
        self._order(event, line.number)
        self._asides(event, line.number)
        self.head = Head(event.seq, event.hash)
        self._sought.discard(event.hash)

    def report(self) -> ChainReport:
        for place, published in self.anchors.items():
            if published in self._sought:
                found = f"no event with the hash {published[:12]}…, which {place} names"
                self._problem(None, found, "every published head in the log", "an end was cut off or history rewritten")
        if self.unlisted:
            self._notes(f"{self.unlisted} more problems are not listed")
        self.notes.extend(self._set_aside())
        return ChainReport(self.events, self.head, tuple(self.problems), tuple(self.notes))

    def _content(self, event: Event, line: RawLine) -> None:
        body = fields_of(event)
        try:
            written = encode_checked(body)
            del body["hash"]
            digest = hashlib.sha256(encode_checked(body)).hexdigest()
        except ValueError as error:
            self._problem(line.number, f"a value without canonical form ({error})", "canonical JSON")
            return
        if digest != event.hash:
            self._problem(line.number, f"event {event.seq} changed: its content gives {digest[:12]}…", event.hash)
        elif written + b"\n" != line.content:
            self._problem(line.number, f"event {event.seq} spelled differently", "canonical JSON")

    def _order(self, event: Event, number: int) -> None:
        expected = self.head.seq + 1
        if event.seq > expected:
            what = (
                f"events {expected} to {event.seq - 1} removed or moved"
                if event.seq > expected + 1
                else (f"event {expected} removed or moved")
            )
            self._problem(number, f"event {event.seq}: {what}", f"event {expected}")
        elif event.seq == expected - 1 and event.hash == self.head.hash:
            self._problem(number, f"event {event.seq} doubled", f"event {expected}")
        elif event.seq < expected:
            self._problem(number, f"event {event.seq} out of order", f"event {expected}")
        elif self.head.hash and event.prev != self.head.hash:
            found = f"event {event.seq} names {event.prev[:12]}… as its predecessor"
            self._problem(number, found, f"{self.head.hash[:12]}…, the hash of event {self.head.seq}")

    def _asides(self, event: Event, number: int) -> None:
        if event.time < self.time:
            self._notes(f"line {number}: the clock went back from {self.time} to {event.time}")
        self.time = event.time
        if not event.key:
            return
        digest = hashlib.blake2b(event.key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest in self.keys:
            self._problem(number, f"the key {event.key!r:.80} a second time", "each key once")
        self.keys.add(digest)

    def _problem(self, line: int | None, found: str, expected: str, fix: str = "") -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(str(self.path), found, expected, line=line, fix=fix))
        else:
            self.unlisted += 1

    def _notes(self, note: str) -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes.append(note)

    def _set_aside(self) -> Iterator[str]:
        for kept in sorted(self.path.parent.glob(f"{self.path.name}.torn-*")):
            yield f"{kept.name}: {kept.stat().st_size} bytes of a torn last line, set aside after a crash"
