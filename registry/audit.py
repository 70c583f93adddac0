"""The audit log: append-only, hash-chained JSON lines that decide what is true.

Opened by whoever records an effect (the loop, and short-lived commands beside it); every state of the workspace is
a fold over these events. Appending is idempotent under a key, durable before it returns, and safe beside other
processes. Readers need none of this: they use `read_events`. Checking the whole chain is `verify_chain`.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from registry import durable
from registry.audit_chain import ChainReport, verify_chain
from registry.audit_events import (
    MAX_LINE_BYTES,
    ROOT_HASH,
    VERSION,
    Event,
    Head,
    NotAnEvent,
    NotJson,
    RawLine,
    damaged_line,
    is_sealed,
    open_log,
    parse_line,
    raw_lines,
    read_events,
    seal,
)
from registry.canonical import canonical
from registry.errors import AgentError
from registry.locks import Clock, exclusive, system_clock, timestamp

__all__ = [
    "AuditLog",
    "ChainReport",
    "Clock",
    "Event",
    "Head",
    "KeyReused",
    "LogReplaced",
    "Repair",
    "read_events",
    "system_clock",
    "verify_chain",
]

_SHOWN = 200


class KeyReused(AgentError):
    """One key, two different effects: the caller's identity for the effect is wrong. Nothing was written."""


class LogReplaced(AgentError):
    """The file was removed, replaced or shortened while open; only a fresh look can tell what is true now."""


@dataclass(frozen=True, slots=True)
class Repair:
    """A torn last line, moved out of the log when it was found. It was never acknowledged to its writer."""

    path: Path
    """Where its bytes are kept."""
    line: int
    size: int
    found: str


class AuditLog:
    """One process's handle on the log. In memory: an offset per event and a digest per key, never the events."""

    def __init__(self, path: Path, handle: int, clock: Clock) -> None:
        self.path = path
        self._handle = handle
        self._clock = clock
        self._thread = threading.RLock()
        self._offsets = array("Q")
        self._keys: dict[bytes, int] = {}
        self._end = 0
        self._head = Head(0, ROOT_HASH)
        self._repairs: list[Repair] = []

    @classmethod
    def open(cls, path: Path, clock: Clock = system_clock) -> Self:
        """Open or create the log and check its chain; BadInput names the line where it is broken."""
        existed = path.exists()
        handle = durable.open_to_write(path, os.O_RDWR | os.O_APPEND)
        log = cls(path, handle, clock)
        try:
            if not existed:
                durable.fsync_folder(path.parent)
            with log._current():
                pass
        except BaseException:
            log.close()
            raise
        return log

    def close(self) -> None:
        """Give the handle back; what was appended is on disk already."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """Torn last lines this handle has set aside, for the caller to report."""
        return tuple(self._repairs)

    def append(
        self,
        kind: str,
        subject: str,
        data: dict[str, Any],
        reason: str = "",
        actor: str = "agent",
        key: str | None = None,
    ) -> Event:
        """Record an event and return it once it is on disk.

        With a key that is in the log already nothing is written: the event there is returned if kind, subject and
        data are the same, and KeyReused is raised if not. DiskFull leaves the log as it was.
        """
        if not kind:
            raise ValueError("an event needs a kind")
        with self._current():
            if key and (known := self._by_key(key)) is not None:
                return _same_effect(known, key, kind, subject, data)
            line = seal(
                {
                    "v": VERSION,
                    "seq": self._head.seq + 1,
                    "key": key or "",
                    "time": timestamp(self._clock),
                    "kind": kind,
                    "subject": subject,
                    "actor": actor,
                    "reason": reason,
                    "data": data,
                    "prev": self._head.hash,
                }
            )
            if len(line) > MAX_LINE_BYTES:
                raise ValueError(f"an event of {len(line)} bytes; keep large content as a blob and name its digest")
            durable.append_whole(self._handle, line, self.path)
            event = parse_line(line)
            self._take(event, self._end, len(line))
            return event

    def head(self) -> Head:
        """The newest event's place in the chain, other processes' events included."""
        with self._current():
            return self._head

    def find(self, key: str) -> Event | None:
        """The event recorded under a key, if any."""
        with self._current():
            return self._by_key(key)

    def events(self, kind: str | None = None, subject: str | None = None) -> Iterator[Event]:
        """Events up to now, in order, read from the file one by one."""
        with self._current():
            end = self._end
        return self._matching(end, kind, subject)

    def read_new(self, since: int) -> Iterator[Event]:
        """Events with a `seq` above `since`, up to now: what a fold that stopped there has yet to see."""
        with self._current():
            end = self._end
            done = max(since, 0)
            start = self._offsets[done] if done < len(self._offsets) else end
        return (parse_line(line.content) for line in self._lines(start, end))

    def _matching(self, end: int, kind: str | None, subject: str | None) -> Iterator[Event]:
        # The chain was checked, so lines are canonical and these bytes stand in every line that matches.
        marks = [
            b'"%s":%s' % (name, canonical(value))
            for name, value in ((b"kind", kind), (b"subject", subject))
            if value is not None
        ]
        for line in self._lines(0, end):
            if all(mark in line.content for mark in marks):
                event = parse_line(line.content)
                if kind in (None, event.kind) and subject in (None, event.subject):
                    yield event

    def _lines(self, start: int, end: int) -> Iterator[RawLine]:
        with open_log(self.path) as stream:
            yield from raw_lines(stream, start, end=end)

    @contextmanager
    def _current(self) -> Iterator[None]:
        """Hold the append lock with everything read that other processes have written."""
        with self._thread, exclusive(self._handle, self.path):
            self._catch_up()
            yield

    def _catch_up(self) -> None:
        status = os.fstat(self._handle)
        replaced = not self.path.exists() or not os.path.samestat(status, self.path.stat())
        if replaced or status.st_size < self._end:
            what = "removed or replaced" if replaced else "shortened"
            raise LogReplaced(f"{self.path}: the audit log was {what} while in use; start again to read what is there")
        if status.st_size == self._end:
            return
        with open_log(self.path) as stream:
            for line in raw_lines(stream, self._end, len(self._offsets) + 1, status.st_size):
                try:
                    self._check_and_take(line)
                except NotJson as error:
                    if line.end < status.st_size:
                        raise damaged_line(self.path, line.number, str(error)) from None
                    self._set_aside(line, str(error))
                except NotAnEvent as error:
                    raise damaged_line(self.path, line.number, str(error)) from None

    def _check_and_take(self, line: RawLine) -> None:
        event = parse_line(line.content)
        if not line.complete:
            raise NotJson("no newline at its end")
        if not is_sealed(line.content, event.hash):
            raise NotAnEvent(f"event {event.seq}, whose content does not give its hash")
        if event.seq != self._head.seq + 1 or event.prev != self._head.hash:
            raise NotAnEvent(f"event {event.seq}, which does not follow event {self._head.seq}")
        self._take(event, line.offset, len(line.content))

    def _take(self, event: Event, offset: int, length: int) -> None:
        self._offsets.append(offset)
        if event.key:
            self._keys.setdefault(_digest(event.key), event.seq)
        self._head = Head(event.seq, event.hash)
        self._end = offset + length

    def _set_aside(self, line: RawLine, found: str) -> None:
        # Its writer died before the line was acknowledged. Copied before it is cut, so a crash in between costs
        # a second copy and never the bytes.
        number = 1
        while (kept := self.path.with_name(f"{self.path.name}.torn-{number}")).exists():
            number += 1
        durable.write_atomically(kept, line.content)
        os.ftruncate(self._handle, line.offset)
        os.fsync(self._handle)
        self._repairs.append(Repair(kept, line.number, len(line.content), found))

    def _by_key(self, key: str) -> Event | None:
        seq = self._keys.get(_digest(key))
        if seq is None:
            return None
        end = self._end if seq == len(self._offsets) else self._offsets[seq]
        offset = self._offsets[seq - 1]
        return parse_line(os.pread(self._handle, end - offset, offset))


def _same_effect(known: Event, key: str, kind: str, subject: str, data: dict[str, Any]) -> Event:
    if (known.kind, known.subject) == (kind, subject) and canonical(known.data) == canonical(data):
        return known
    there = f"{known.kind} of {known.subject!r} with {_short(known.data)} (event {known.seq})"
    raise KeyReused(f"event key {key!r} stands for {there}; refused: {kind} of {subject!r} with {_short(data)}")


def _short(data: dict[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))  # ASCII: shown to people, and a stranger's text
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
