"""Where LangGraph keeps its place within the open cycle: one SQLite file that holds that one thread and no other.

Called by `agent.night`. The audit log is what must be durable; this only saves work after a crash.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agent.services import Services

if TYPE_CHECKING:
    from langgraph.checkpoint.sqlite import SqliteSaver


@contextmanager
def opened(services: Services) -> Iterator[SqliteSaver]:
    """The store on a connection of our own.

    One that cannot be read is made anew: every node finds in the log what it has done. Threads of cycles that
    are closed (killed between the end of a cycle and its removal here) go.
    """
    path, cycle = services.workspace.checkpoints, services.history.cycle
    try:
        connection, saver = _store(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            file.unlink(missing_ok=True)
        services.record("recovered", "workspace", {"removed": [path.name]}, reason=f"checkpoints: {error}")
        connection, saver = _store(path)
    try:
        for (thread,) in connection.execute("SELECT DISTINCT thread_id FROM checkpoints").fetchall():
            if cycle is None or thread != cycle.thread:
                saver.delete_thread(thread)
        yield saver
    finally:
        connection.close()


def _store(path: Path) -> tuple[sqlite3.Connection, SqliteSaver]:
    from langgraph.checkpoint.sqlite import SqliteSaver

    connection = sqlite3.connect(path, check_same_thread=False)
    try:
        connection.execute("PRAGMA auto_vacuum=FULL")  # before the first table, or it does nothing
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        saver = SqliteSaver(connection)
        saver.setup()
    except BaseException:
        connection.close()
        raise
    return connection, saver
