"""Full-text search over the audit log, for `agent ask`: a cache that may be deleted at any time.

The log decides; this SQLite file only tells which events speak of something and where their lines stand. It is
brought up to date at each use, and built again from the log where it is missing, damaged or of another log. Where
it cannot be kept on disk (read-only, full), it is built in memory for that one answer.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

from registry.audit_events import (
    Event,
    Head,
    StoredEvent,
    damaged_line,
    open_log,
    parse_line,
    read_stored,
)
from registry.durable import open_to_write
from registry.errors import BadInput, DiskFull
from registry.locks import exclusive

SCHEMA = 1
MAX_TERMS = 64
MAX_QUERY = 10_000
MAX_TEXT_PER_EVENT = 20_000
"""Characters of one event that are indexed; long model replies are found by how they begin."""

_TABLES = """
CREATE TABLE state (schema INTEGER, seq INTEGER, hash TEXT, offset INTEGER, length INTEGER);
CREATE TABLE events (seq INTEGER PRIMARY KEY, subject TEXT NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL);
CREATE INDEX events_by_subject ON events (subject, seq);
CREATE VIRTUAL TABLE texts USING fts5(text, content='', tokenize='unicode61');
"""
_WORD = re.compile(r"\w+(?:[-./:+]\w+)*")
_UNUSABLE = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
Answer = TypeVar("Answer")


class _Stale(Exception):
    """The index does not describe the log that is there."""


class _NoPlace(Exception):
    """No index can be kept on this disk."""


class SearchIndex:
    """Answers questions about one log. Each call stands alone: it locks, catches up, answers and closes."""

    def __init__(self, index: Path, log: Path) -> None:
        self.index = index
        self.log = log

    def search(self, text: str, limit: int = 20, match: Literal["all", "any"] = "all") -> list[int]:
        """`seq` of events that hold all (or any) of the words, best match first. No word is ever query syntax."""
        terms = [f'"{word}"' for word in _WORD.findall(text[:MAX_QUERY]) if any(sign.isalnum() for sign in word)]
        if not terms or limit < 1:
            return []
        query = (" AND " if match == "all" else " OR ").join(dict.fromkeys(terms[:MAX_TERMS]))
        statement = "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rank, rowid DESC LIMIT ?"
        return self._answer(lambda index: [row[0] for row in index.execute(statement, (query, limit))])

    def events_of(self, subject: str) -> list[Event]:
        """Every event about a subject, in order, read from its place in the log."""
        statement = "SELECT seq, offset, length FROM events WHERE subject = ? ORDER BY seq"
        return self._answer(lambda index: self._read(index.execute(statement, (subject,)), subject))

    def events(self, seqs: list[int]) -> list[Event]:
        """The events with these numbers, in the order asked for; numbers the log does not have are left out."""
        statement = "SELECT seq, offset, length FROM events WHERE seq = ?"
        return self._answer(
            lambda index: self._read((row for seq in seqs for row in index.execute(statement, (seq,))), None)
        )

    def head(self) -> Head:
        """The newest event the index knows, after catching up."""
        return self._answer(lambda index: Head(*index.execute("SELECT seq, hash FROM state").fetchone()))

    def _answer(self, ask: Callable[[sqlite3.Connection], Answer]) -> Answer:
        open_log(self.log).close()  # no log is the caller's mistake, whatever stands in the index
        with suppress(_NoPlace), self._locked():
            return self._answer_from_file(ask)
        with closing(sqlite3.connect(":memory:")) as index:
            self._build(index)
            return ask(index)

    def _answer_from_file(self, ask: Callable[[sqlite3.Connection], Answer]) -> Answer:
        try:
            with self._open() as index:
                self._catch_up(index)
                return ask(index)
        except (_Stale, sqlite3.DatabaseError):
            self._remove()
        with self._open() as index:
            self._build(index)
            return ask(index)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.index)) as index:
                yield index
        except sqlite3.OperationalError as error:
            # Extended codes carry the primary one in their low byte.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _UNUSABLE:
                raise _NoPlace from error
            raise

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Held until the answer is out: SQLite's own locks do not survive the file being replaced beneath a reader.
        path = self.index.with_name(f"{self.index.name}.lock")
        try:
            handle = open_to_write(path, os.O_RDWR)
        except (BadInput, DiskFull) as error:
            raise _NoPlace from error
        try:
            with exclusive(handle, path):
                yield
        finally:
            os.close(handle)

    def _catch_up(self, index: sqlite3.Connection) -> None:
        if not index.execute("SELECT 1 FROM sqlite_master WHERE name = 'state'").fetchone():
            raise _Stale
        if index.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
            raise _Stale
        rows = index.execute("SELECT schema, seq, hash, offset, length FROM state").fetchall()
        if len(rows) != 1 or rows[0][0] != SCHEMA:
            raise _Stale
        _, seq, digest, offset, length = rows[0]
        if seq:
            with open_log(self.log) as stream:
                if _event_at(stream, seq, offset, length).hash != digest:
                    raise _Stale
        with index:
            self._add(index, read_stored(self.log, offset + length, seq + 1))

    def _build(self, index: sqlite3.Connection) -> None:
        index.execute("PRAGMA synchronous = NORMAL")
        index.executescript(_TABLES)
        with index:
            index.execute("INSERT INTO state VALUES (?, 0, '', 0, 0)", (SCHEMA,))
            self._add(index, read_stored(self.log))

    def _add(self, index: sqlite3.Connection, stored: Iterator[StoredEvent]) -> None:
        last: StoredEvent | None = None
        for following in stored:
            event = following.event
            if last is not None and event.seq != last.event.seq + 1:
                found = f"event {event.seq} after event {last.event.seq}"
                raise damaged_line(self.log, last.event.seq + 1, found, "events numbered one by one")
            last = following
            index.execute(
                "INSERT INTO events VALUES (?, ?, ?, ?)", (event.seq, event.subject, last.offset, last.length)
            )
            index.execute("INSERT INTO texts (rowid, text) VALUES (?, ?)", (event.seq, _text(event)))
        if last is not None:
            state = (last.event.seq, last.event.hash, last.offset, last.length)
            index.execute("UPDATE state SET seq = ?, hash = ?, offset = ?, length = ?", state)

    def _read(self, rows: Iterator[tuple[int, int, int]] | sqlite3.Cursor, subject: str | None) -> list[Event]:
        with open_log(self.log) as stream:
            events = [_event_at(stream, *row) for row in rows]
        if subject is not None and any(event.subject != subject for event in events):
            raise _Stale
        return events

    def _remove(self) -> None:
        try:
            for suffix in ("", "-journal", "-wal", "-shm"):
                self.index.with_name(f"{self.index.name}{suffix}").unlink(missing_ok=True)
        except OSError as error:
            raise _NoPlace from error


def _event_at(stream: BinaryIO, seq: int, offset: int, length: int) -> Event:
    try:
        stream.seek(offset)
        event = parse_line(stream.read(length))
    except (ValueError, OSError):  # NotJson and NotAnEvent among them; a damaged index may name any place
        raise _Stale from None
    if event.seq != seq:
        raise _Stale
    return event


def _text(event: Event) -> str:
    parts = [event.subject, event.kind.replace("_", " "), event.kind, event.reason]
    room = MAX_TEXT_PER_EVENT - sum(map(len, parts))
    for piece in _words_in(event.data):
        if room <= 0:
            break
        parts.append(piece[:room])
        room -= len(piece) + 1
    return " ".join(parts)


def _words_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _words_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _words_in(item)
    elif value is not None:
        yield str(value)
