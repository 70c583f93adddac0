"""Accounts of every hypothesis, small enough to hold them all: those with a result are kept packed.

Called by `agent.chronicle`. The facts of one account as Python's dictionaries take about thirty kilobytes, so a
report written each cycle would make the night's process grow with every hypothesis it has tried.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterable, Iterator, Mapping

from agent.account import Account, add, proposed
from registry.audit_events import Event

LAST_OF_A_TEST = "results_written"


class AccountBook(Mapping[str, Account]):
    """Accounts by hypothesis, in the order of their proposal. What is read of a packed one is a copy of its own."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._open: dict[str, Account] = {}
        self._packed: dict[str, bytes] = {}
        self._order: dict[str, None] = {}
        for event in events:
            self.take(event)

    def take(self, event: Event) -> None:
        """Take one event in; events come in the log's order, each `look` in brief."""
        for account in proposed(event):
            self._order[account.hypothesis.id] = None
            self._open[account.hypothesis.id] = account
        subject = event.subject
        if event.kind == LAST_OF_A_TEST and subject in self._open:
            self._packed[subject] = _packed(self._open.pop(subject))
        elif subject in self._order:
            if subject in self._packed:
                self._open[subject] = _unpacked(self._packed.pop(subject))
            add(self._open[subject], event, brief=True)

    def __getitem__(self, hypothesis: str) -> Account:
        packed = self._packed.get(hypothesis)
        return self._open[hypothesis] if packed is None else _unpacked(packed)

    def __iter__(self) -> Iterator[str]:
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._order)


def _packed(account: Account) -> bytes:
    return zlib.compress(pickle.dumps(account, pickle.HIGHEST_PROTOCOL), zlib.Z_BEST_SPEED)


def _unpacked(packed: bytes) -> Account:
    account: Account = pickle.loads(zlib.decompress(packed))  # noqa: S301 - packed above, by this process
    return account
