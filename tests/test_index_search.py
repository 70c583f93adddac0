"""The search index answers from the log alone: it may be deleted, damaged or outdated and the answer is the same."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.audit import AuditLog
from registry.errors import BadInput
from registry.search_index import SearchIndex

ROOT = Path(__file__).resolve().parent.parent


def record(path: Path, count: int = 6) -> None:
    with AuditLog.open(path) as log:
        done = log.head().seq
        for number in range(done, done + count):
            log.append("run_done", f"H-{number % 3:03}", {"note": f"note{number}", "score": 0.25 * number})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    record(tmp_path / "audit.jsonl")
    return tmp_path


def index_of(place: Path) -> SearchIndex:
    return SearchIndex(place / "index.sqlite", place / "audit.jsonl")


def test_words_are_found_in_subject_kind_reason_and_data(tmp_path: Path) -> None:
    with AuditLog.open(tmp_path / "audit.jsonl") as log:
        log.append("verdict_reached", "H-001", {"criteria": [{"name": "latency", "limit": 0.1}]}, reason="Too slow")
        log.append("verdict_reached", "H-010", {"note": "Zoë said so"}, actor="person")
    index = index_of(tmp_path)
    assert index.search("H-001") == [1]
    assert index.search("LATENCY slow") == [1]
    assert index.search("verdict_reached h-010") == [2]
    assert sorted(index.search("verdict")) == [1, 2]
    assert index.search("zoe") == [2]
    assert index.search("latency zoe") == []
    assert sorted(index.search("latency zoe", match="any")) == [1, 2]
    assert index.search("0.1") == [1]


def test_the_best_match_comes_first_and_the_limit_holds(place: Path) -> None:
    with AuditLog.open(place / "audit.jsonl") as log:
        log.append("note", "H-009", {"a": "width " * 5})
        log.append("note", "H-009", {"a": "width and many other words beside it that say nothing at all about it"})
    index = index_of(place)
    assert index.search("width") == [7, 8]
    assert index.search("width", limit=1) == [7]
    assert index.search("width", limit=0) == []


def test_events_of_a_subject_are_whole_and_in_order(place: Path) -> None:
    with AuditLog.open(place / "audit.jsonl") as log:
        expected = list(log.events(subject="H-001"))
    index = index_of(place)
    assert index.events_of("H-001") == expected
    assert len(expected) == 2
    assert index.events_of("H-0") == []
    assert [event.seq for event in index.events([5, 99, 2])] == [5, 2]


def test_new_events_are_added_without_building_again(place: Path) -> None:
    index = index_of(place)
    assert index.search("note7") == []
    with sqlite3.connect(index.index) as inside:
        inside.execute("CREATE TABLE mark (x)")
    inside.close()
    record(place / "audit.jsonl")
    assert index.search("note7") == [8]
    assert index.head().seq == 12
    with sqlite3.connect(index.index) as inside:
        assert inside.execute("SELECT count(*) FROM sqlite_master WHERE name = 'mark'").fetchone() == (1,)
    inside.close()


def overwrite_middle(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(4096)
        stream.write(os.urandom(8192))


def forget_tables(path: Path) -> None:
    with sqlite3.connect(path) as inside:
        inside.execute("DROP TABLE texts")
    inside.close()


def shift_offsets(path: Path) -> None:
    with sqlite3.connect(path) as inside:
        inside.execute("UPDATE events SET offset = offset + 1")
    inside.close()


def take_one_event_for_another(path: Path) -> None:
    with sqlite3.connect(path) as inside:
        inside.execute("UPDATE events SET (offset, length) = (SELECT offset, length FROM events WHERE seq = 5)")
    inside.close()


def forget_one_subject_silently(path: Path) -> None:
    """Take one cell away from the index on subjects: SQLite would answer without it and say nothing."""
    with sqlite3.connect(path) as inside:
        statement = "SELECT rootpage FROM sqlite_master WHERE name = 'events_by_subject'"
        (root,) = inside.execute(statement).fetchone()
        (size,) = inside.execute("PRAGMA page_size").fetchone()
    inside.close()
    content = bytearray(path.read_bytes())
    count_at = (root - 1) * size + 3
    cells = int.from_bytes(content[count_at : count_at + 2], "big")
    content[count_at : count_at + 2] = (cells - 3).to_bytes(2, "big")
    path.write_bytes(content)


def older_schema(path: Path) -> None:
    with sqlite3.connect(path) as inside:
        inside.execute("UPDATE state SET schema = 0")
        inside.execute("DELETE FROM events")
    inside.close()


@pytest.mark.parametrize(
    "change",
    [
        Path.unlink,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not a database at all" * 500),
        lambda path: os.truncate(path, path.stat().st_size // 2),
        overwrite_middle,
        forget_tables,
        shift_offsets,
        take_one_event_for_another,
        forget_one_subject_silently,
        older_schema,
    ],
    ids=[
        "deleted",
        "emptied",
        "overwritten",
        "cut",
        "garbled",
        "tables gone",
        "offsets wrong",
        "events mixed up",
        "subject missing",
        "older schema",
    ],
)
def test_a_deleted_or_damaged_index_is_built_again(place: Path, change: Callable[[Path], object]) -> None:
    index = index_of(place)
    expected = (index.events_of("H-001"), index.events_of("H-002"), index.search("H-001"), index.head())
    assert [event.seq for event in expected[0]] == [2, 5]
    change(index.index)
    assert (index.events_of("H-001"), index.events_of("H-002"), index.search("H-001"), index.head()) == expected


def test_an_index_of_another_log_is_built_again(place: Path) -> None:
    index = index_of(place)
    assert index.search("note5") == [6]
    log = place / "audit.jsonl"
    log.unlink()
    record(log, 3)
    assert index.search("note5") == []
    assert index.head().seq == 3
    log.unlink()
    record(log, 8)
    assert index.search("note5") == [6]
    assert index.head().seq == 8


def test_a_torn_last_line_is_not_indexed_until_it_is_whole(place: Path) -> None:
    log = place / "audit.jsonl"
    content = log.read_bytes()
    index = index_of(place)
    log.write_bytes(content[:-30])
    assert index.search("note5") == []
    log.write_bytes(content)
    assert index.search("note5") == [6]


def test_a_broken_log_is_an_error_naming_the_line(place: Path) -> None:
    log = place / "audit.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    for broken in ([*lines[:2], b"{ruin\n", *lines[3:]], [*lines[:2], lines[1], *lines[2:]]):
        log.write_bytes(b"".join(broken))
        with pytest.raises(BadInput) as caught:
            index_of(place).search("H-001")
        assert caught.value.problems[0].line == 3


def test_without_a_log_there_is_no_answer_even_with_an_index(place: Path) -> None:
    index = index_of(place)
    index.search("H-001")
    index.log.unlink()
    with pytest.raises(BadInput, match="no file"):
        index.search("H-001")
    with pytest.raises(BadInput, match="no file"):
        index.events_of("H-001")


@pytest.mark.parametrize("obstacle", ["index", "lock"])
def test_where_no_index_can_be_kept_the_answer_is_the_same(place: Path, obstacle: str) -> None:
    index = index_of(place)
    blocked = index.index if obstacle == "index" else index.index.with_name("index.sqlite.lock")
    blocked.mkdir()
    assert index.search("note5") == [6]
    assert len(index.events_of("H-001")) == 2


def test_without_room_for_an_index_the_answer_is_the_same(place: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from registry.search_index import SearchIndex\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))\n"
        "print(SearchIndex(Path(sys.argv[1]), Path(sys.argv[2])).search('note5'))\n"
    )
    argv = [sys.executable, "-c", code, str(place / "index.sqlite"), str(place / "audit.jsonl")]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("[6]\n", "")
    assert index_of(place).search("note5") == [6]


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(max_size=30)
    | st.lists(
        st.sampled_from(["AND", "OR", "NOT", "NEAR(", "text:", '"', "'", "*", "^", "(", ")", "-", "\0", "x", ";", "\\"])
    ).map(" ".join)
)
def test_no_text_is_ever_query_syntax(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    place = tmp_path_factory.getbasetemp() / "syntax"
    if not place.exists():
        place.mkdir()
        record(place / "audit.jsonl", 3)
    index = index_of(place)
    assert set(index.search(text)) <= {1, 2, 3}
    assert set(index.search(text, match="any")) <= {1, 2, 3}


def test_operators_are_words_like_any_other(tmp_path: Path) -> None:
    with AuditLog.open(tmp_path / "audit.jsonl") as log:
        log.append("note", "", {"a": "salt and pepper"})
        log.append("note", "", {"a": "salt with pepper"})
        log.append("note", "", {"a": "near miss not taken"})
    index = index_of(tmp_path)
    assert index.search("salt AND pepper") == [1]
    assert index.search("salt NOT pepper") == []
    assert index.search("salt*") == index.search("salt")
    assert index.search("NEAR(miss, 5)") == []
    assert index.search("text:salt") == []
    assert index.search("sal*") == []


def test_processes_that_ask_at_once_all_get_the_answer(place: Path) -> None:
    record(place / "audit.jsonl", 60)
    code = (
        "import sys; from pathlib import Path; from registry.search_index import SearchIndex\n"
        "for _ in range(5):\n"
        "    index = SearchIndex(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "    if sys.argv[3] == 'deletes': index.index.unlink(missing_ok=True)\n"
        "    print(index.search('note5'), len(index.events_of('H-001')))\n"
    )
    argv = [sys.executable, "-c", code, str(place / "index.sqlite"), str(place / "audit.jsonl")]
    processes = [
        subprocess.Popen([*argv, role], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        for role in ("asks", "deletes", "asks")
    ]
    assert [process.communicate() for process in processes] == [("[6] 22\n" * 5, "")] * 3


def test_one_asks_at_a_time(place: Path) -> None:
    index = index_of(place)
    index.search("note5")
    code = (
        "import fcntl, sys, time; stream = open(sys.argv[1]); fcntl.flock(stream, fcntl.LOCK_EX)\n"
        "print('locked', flush=True); time.sleep(0.3); print(time.monotonic(), flush=True)\n"
    )
    argv = [sys.executable, "-c", code, str(place / "index.sqlite.lock")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        assert index.search("note5") == [6]
        answered = time.monotonic()
        assert answered > float(process.stdout.readline())


def test_a_long_night_is_asked_about_within_a_second(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    argv = [sys.executable, str(ROOT / "benchmarks" / "ask_index.py"), "--write-only", str(log), "--events", "20000"]
    subprocess.run(argv, check=True, capture_output=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    index = index_of(tmp_path)
    assert index.head().seq == 20_000
    waits = []
    for subject in ("H-017", "H-018", "H-019"):
        began = time.monotonic()
        assert len(index.events_of(subject)) > 30
        assert index.search(f"{subject} verdict")
        waits.append(time.monotonic() - began)
    assert min(waits) < 1  # the machine may be busy with something else in one of them
