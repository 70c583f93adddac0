"""Reads a workspace without its lock: for ask, review, reports, audit and every other command that only looks.

A reader never writes anything but the derived search index, so it works beside a running night.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.account import Account, accounts
from registry.audit_events import Event, read_events
from registry.errors import BadInput, Problem
from registry.history import History
from registry.search_index import SearchIndex
from registry.workspace import Workspace

BATCHES = "queue"
"""Subject of the events that hold batches of proposals."""


class Reader:
    """One workspace as its log tells it."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.index = SearchIndex(workspace.index, workspace.audit)

    def events(self) -> Iterator[Event]:
        """Every event, in order, one at a time."""
        return read_events(self.workspace.audit) if self.workspace.audit.exists() else iter(())

    def history(self) -> History:
        """What is true now."""
        history = History()
        for event in self.events():
            history.apply(event)
        return history

    def account(self, hypothesis: str) -> Account:
        """The account of one hypothesis, by the index; BadInput where the log has none."""
        events = sorted([*self.index.events_of(BATCHES), *self.index.events_of(hypothesis)], key=lambda e: e.seq)
        found = accounts(events).get(hypothesis)
        if found is None:
            raise BadInput(
                Problem(
                    str(self.workspace.audit),
                    f"no record of {hypothesis}",
                    "the id of a hypothesis",
                    fix="`agent queue list --all` shows every one",
                )
            )
        return found

    def accounts(self) -> dict[str, Account]:
        """Accounts of all hypotheses."""
        return accounts(self.events())
