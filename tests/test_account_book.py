"""The account book tells of every hypothesis what its account tells, whether it keeps it packed or not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from recorded_nights import a_night, make_workspace

from agent.account import Account, accounts
from agent.account_book import LAST_OF_A_TEST, AccountBook
from agent.readers import Reader
from registry.audit_events import Event


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    made = make_workspace(tmp_path_factory.mktemp("booked"))
    a_night(made).log.close()
    return list(Reader(made).events())


def told(account: Account) -> tuple[object, ...]:
    """What a report shows of an account."""
    closing = account.closing
    facts = (account.hypothesis, account.status, account.reason, account.gain, account.rows, account.numbers())
    counted = (account.runs, account.failed_runs, account.run_seconds, account.event_numbers())
    return (*facts, *counted, closing.seq if closing is not None else None)


def closed_after_every_event(events: list[Event]) -> list[Event]:
    """The same events, with the last event of a test after each one, so that the next finds a packed account."""
    found = []
    for event in events:
        found += [event, replace(event, kind=LAST_OF_A_TEST, data={})]
    return found


def test_a_packed_account_tells_what_an_open_one_does(events: list[Event]) -> None:
    expected = accounts(events)
    book = AccountBook(closed_after_every_event(events))
    assert list(book) == list(expected)
    assert len(book) == len(expected)
    for name, account in expected.items():
        assert told(book[name]) == told(account)


def test_an_event_after_the_end_of_a_test_is_taken_in(events: list[Event]) -> None:
    book = AccountBook(events)
    name, promoted = next((name, account.promoted) for name, account in book.items() if account.promoted is not None)
    book.take(replace(promoted, kind=LAST_OF_A_TEST, data={}))
    book.take(replace(promoted, kind="submission", data={"status": "accepted"}))
    assert book[name].submission is not None
    assert book[name].promoted == promoted


def test_what_is_read_of_a_packed_account_cannot_change_the_book(events: list[Event]) -> None:
    book = AccountBook(closed_after_every_event(events))
    name = next(iter(book))
    book[name].runs += 1000
    assert book[name].runs < 1000
