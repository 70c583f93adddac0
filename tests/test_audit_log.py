"""Appending, keys, reading back, and what happens at the edges of the file."""

from __future__ import annotations

import json
import os
import threading
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.audit import AuditLog, Event, KeyReused, LogReplaced, read_events, verify_chain
from registry.audit_events import MAX_LINE_BYTES, ROOT_HASH, seal
from registry.canonical import NotCanonical
from registry.errors import BadInput

START = datetime(2026, 2, 1, 22, 0, tzinfo=UTC)


def ticking(step_s: float = 1.0) -> Callable[[], datetime]:
    """A clock that moves by one step each time it is read."""
    moment = START

    def now() -> datetime:
        nonlocal moment
        moment += timedelta(seconds=step_s)
        return moment

    return now


def filled(path: Path, count: int) -> bytes:
    with AuditLog.open(path, ticking()) as log:
        for number in range(count):
            log.append("run_done", f"H-{number % 3:03}", {"score": number / 7}, key=f"run:{number}")
    return path.read_bytes()


def test_an_event_comes_back_as_it_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog.open(path, ticking()) as log:
        first = log.append("monitor_done", "MemoryBench", {"rank": 3, "gap": -0.038}, reason="due")
        second = log.append("judged", "H-001", {"log_e": 3.2}, actor="person", key="verdict:H-001")
        assert (first.seq, first.prev, first.key) == (1, ROOT_HASH, "")
        assert (second.seq, second.prev, second.actor) == (2, first.hash, "person")
        assert first.time == "2026-02-01T22:00:01.000Z"
        assert log.head() == (type(log.head()))(2, second.hash)
    assert list(read_events(path)) == [first, second]
    assert verify_chain(path).problems == ()


def test_the_same_key_again_is_the_same_event(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog.open(path, ticking()) as log:
        first = log.append("branch_made", "H-001", {"branch": "agent/H-001"}, key="branch:H-001")
        before = path.read_bytes()
        assert (
            log.append("branch_made", "H-001", {"branch": "agent/H-001"}, reason="again", key="branch:H-001") == first
        )
        assert path.read_bytes() == before
        assert log.find("branch:H-001") == first
        assert log.find("branch:H-002") is None
    with AuditLog.open(path, ticking()) as log:
        assert log.append("branch_made", "H-001", {"branch": "agent/H-001"}, key="branch:H-001") == first


@pytest.mark.parametrize(
    ("kind", "subject", "data"),
    [
        ("run_done", "H-001", {"score": 0.92}),
        ("run_done", "H-002", {"score": 0.91}),
        ("other", "H-001", {"score": 0.91}),
    ],
)
def test_a_key_never_stands_for_two_effects(tmp_path: Path, kind: str, subject: str, data: dict[str, Any]) -> None:
    with AuditLog.open(tmp_path / "audit.jsonl", ticking()) as log:
        log.append("run_done", "H-001", {"score": 0.91}, key="run:1")
        with pytest.raises(KeyReused) as caught:
            log.append(kind, subject, data, key="run:1")
        assert '{"score":0.91}' in str(caught.value)
        assert f"{kind} of '{subject}'" in str(caught.value)
        assert log.head().seq == 1


def test_an_integer_and_the_equal_float_are_different_data(tmp_path: Path) -> None:
    with AuditLog.open(tmp_path / "audit.jsonl", ticking()) as log:
        log.append("k", "s", {"n": 1}, key="a")
        with pytest.raises(KeyReused):
            log.append("k", "s", {"n": 1.0}, key="a")


def test_events_without_a_key_may_repeat(tmp_path: Path) -> None:
    with AuditLog.open(tmp_path / "audit.jsonl", ticking()) as log:
        seqs = [log.append("not_due", "", {}).seq for _ in range(3)]
        assert seqs == [1, 2, 3]


def test_what_has_no_exact_json_form_is_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog.open(path, ticking()) as log:
        with pytest.raises(NotCanonical, match=r"data\.accuracy"):
            log.append("run_done", "H-001", {"accuracy": float("nan")})
        with pytest.raises(NotCanonical, match="surrogate"):
            log.append("run_done", "H-001\ud800", {})
        assert path.read_bytes() == b""
        assert log.append("run_done", "H-001", {}).seq == 1


def test_an_event_too_large_for_a_line_is_refused_and_the_log_goes_on(tmp_path: Path) -> None:
    with AuditLog.open(tmp_path / "audit.jsonl", ticking()) as log:
        with pytest.raises(ValueError, match="blob"):
            log.append("model_call", "", {"reply": "x" * MAX_LINE_BYTES})
        assert log.append("model_call", "", {"reply": "x"}).seq == 1


def test_events_are_selected_by_kind_and_subject(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog.open(path, ticking()) as log:
        log.append("judged", 'H-"1"', {"note": '"kind":"other"'})
        log.append("other", 'H-"1"', {"kind": "judged"})
        log.append("judged", "ü", {"subject": 'H-"1"'})
        assert [event.seq for event in log.events()] == [1, 2, 3]
        assert [event.seq for event in log.events(kind="judged")] == [1, 3]
        assert [event.seq for event in log.events(subject='H-"1"')] == [1, 2]
        assert [event.seq for event in log.events("judged", "ü")] == [3]
        assert list(log.events(kind="absent")) == []


@given(count=st.integers(0, 6), since=st.integers(-1, 8))
def test_a_fold_sees_each_new_event_once(tmp_path_factory: pytest.TempPathFactory, count: int, since: int) -> None:
    path = tmp_path_factory.mktemp("log") / "audit.jsonl"
    filled(path, count)
    with AuditLog.open(path, ticking()) as log:
        assert [event.seq for event in log.read_new(since)] == list(range(max(since, 0) + 1, count + 1))


def test_events_appended_while_reading_are_left_for_the_next_reading(tmp_path: Path) -> None:
    with AuditLog.open(tmp_path / "audit.jsonl", ticking()) as log:
        log.append("a", "", {})
        reading = log.events()
        log.append("b", "", {})
        assert [event.kind for event in reading] == ["a"]
        assert [event.kind for event in log.read_new(1)] == ["b"]


def test_a_clock_that_goes_back_is_recorded_and_breaks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog.open(path, ticking(step_s=-3600)) as log:
        seqs = [log.append("tick", "", {}).seq for _ in range(3)]
    report = verify_chain(path)
    assert seqs == [1, 2, 3]
    assert report.ok
    assert len([note for note in report.notes if "clock went back" in note]) == 2


def test_times_are_utc_whatever_zone_the_clock_has(tmp_path: Path) -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    with AuditLog.open(tmp_path / "audit.jsonl", lambda: START.astimezone(zone)) as log:
        assert log.append("tick", "", {}).time == "2026-02-01T22:00:00.000Z"


def test_a_torn_last_line_is_set_aside_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    whole = filled(path, 3)
    path.write_bytes(whole + b'{"actor":"agent","da')
    with AuditLog.open(path, ticking()) as log:
        (repair,) = log.repairs
        assert repair.path == tmp_path / "audit.jsonl.torn-1"
        assert repair.path.read_bytes() == b'{"actor":"agent","da'
        assert (repair.line, repair.size) == (4, 20)
        assert path.read_bytes() == whole
        assert log.append("run_done", "H-009", {}).seq == 4
    path.write_bytes(path.read_bytes() + bytes(7) + b"\n")
    with AuditLog.open(path, ticking()) as log:
        assert [repair.path.name for repair in log.repairs] == ["audit.jsonl.torn-2"]
        assert log.head().seq == 4
    assert sum("torn" in note for note in verify_chain(path).notes) == 2


def test_a_line_torn_by_another_process_is_set_aside_before_the_next_append(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog.open(path, ticking()) as log:
        log.append("a", "", {})
        with path.open("ab") as stream:
            stream.write(b'{"half')
        assert log.append("b", "", {}).seq == 2
        assert len(log.repairs) == 1
    assert [event.kind for event in read_events(path)] == ["a", "b"]
    assert verify_chain(path).ok


@pytest.mark.parametrize("line", [1, 2, 3])
def test_damage_in_the_middle_is_an_error_that_names_the_line(tmp_path: Path, line: int) -> None:
    path = tmp_path / "audit.jsonl"
    lines = filled(path, 4).splitlines(keepends=True)
    lines[line - 1] = b"{broken\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(BadInput) as opened:
        AuditLog.open(path, ticking())
    with pytest.raises(BadInput) as read:
        list(read_events(path))
    assert opened.value.problems[0].line == read.value.problems[0].line == line
    assert not list(tmp_path.glob("*torn*"))
    assert path.read_bytes() == b"".join(lines)


def test_a_changed_value_is_refused_at_opening(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    content = filled(path, 4)
    path.write_bytes(content.replace(b'"subject":"H-001"', b'"subject":"H-002"', 1))
    with pytest.raises(BadInput) as caught:
        AuditLog.open(path, ticking())
    assert caught.value.problems[0].line == 2


def test_a_missing_log_is_an_error_for_readers(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no file"):
        list(read_events(tmp_path / "audit.jsonl"))
    with pytest.raises(BadInput, match="no file"):
        verify_chain(tmp_path / "audit.jsonl")


def test_readers_leave_a_torn_last_line_out_and_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    torn = filled(path, 2) + b'{"x'
    path.write_bytes(torn)
    assert [event.seq for event in read_events(path)] == [1, 2]
    assert path.read_bytes() == torn
    path.write_bytes(torn.removesuffix(b'\n{"x'))  # not acknowledged: its end is not written yet
    assert [event.seq for event in read_events(path)] == [1]


def test_a_log_shortened_or_removed_in_use_is_never_written_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    content = filled(path, 3)
    with AuditLog.open(path, ticking()) as log:
        os.truncate(path, len(content) // 2)
        with pytest.raises(LogReplaced, match="shortened"):
            log.append("a", "", {})
    path.write_bytes(content)
    with AuditLog.open(path, ticking()) as log:
        path.rename(tmp_path / "moved.jsonl")
        path.write_bytes(b"")
        with pytest.raises(LogReplaced, match="replaced"):
            log.append("a", "", {})
    assert (tmp_path / "moved.jsonl").read_bytes() == content


def test_threads_and_two_handles_share_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog.open(path, ticking()) as one, AuditLog.open(path, ticking()) as two:

        def write(log: AuditLog, name: str) -> None:
            for number in range(10):
                log.append("tick", name, {"n": number}, key=f"{name}:{number}")

        threads = [threading.Thread(target=write, args=(log, str(n))) for n, log in enumerate((one, one, two, two))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert one.head() == two.head()
        assert one.head().seq == 40
    assert verify_chain(path).ok


def test_memory_stays_far_below_the_log(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog.open(path, ticking()) as log:
        for number in range(200):
            log.append("model_call", "", {"reply": "word " * 4000, "n": number}, key=f"call:{number}")
    size = path.stat().st_size
    tracemalloc.start()
    try:
        with AuditLog.open(path, ticking()) as log:
            seen = sum(1 for _ in log.events())
            seen += sum(1 for _ in read_events(path))
        verify_chain(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen == 400
    assert peak < size / 8


def test_an_event_cannot_be_reassigned() -> None:
    event = Event(1, 1, "", "", "k", "", "", "", {}, "", "")
    with pytest.raises(AttributeError):
        event.seq = 2  # type: ignore[misc]  # that it cannot is what is tested


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"v": 2}, "version 2"),
        ({"v": True}, "v is a bool"),
        ({"v": "x" * 5000}, "version"),
        ({"extra" * 100: 1}, "missing or unknown"),
        ({"seq": "1"}, "seq is a str"),
        ({"seq": 0}, "out of range"),
        ({"seq": 1 << 63}, "out of range"),
        ({"data": []}, "data is a list"),
        ({"time": "yesterday \x1b[2J"}, "ISO-8601"),
        ({"prev": "\x1b[2J"}, "SHA-256"),
    ],
)
def test_a_line_of_another_form_is_refused_in_few_plain_words(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    path = tmp_path / "audit.jsonl"
    filled(path, 1)
    body = {name: value for name, value in json.loads(path.read_bytes()).items() if name != "hash"}
    path.write_bytes(seal(body | change))
    for attempt in (lambda: AuditLog.open(path, ticking()), lambda: list(read_events(path))):
        with pytest.raises(BadInput, match=words) as caught:
            attempt()
        assert caught.value.problems[0].line == 1
        assert len(caught.value.problems[0].found) < 120
        assert "\x1b" not in str(caught.value)
    assert words in verify_chain(path).problems[0].found


def test_a_place_without_permission_or_folder_is_bad_input(tmp_path: Path) -> None:
    for path in (tmp_path / "absent" / "audit.jsonl", tmp_path):
        with pytest.raises(BadInput) as caught:
            AuditLog.open(path, ticking())
        assert caught.value.problems[0].where == str(path)
    with pytest.raises(BadInput, match="cannot be read"):
        list(read_events(tmp_path))
