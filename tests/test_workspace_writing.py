"""Files are replaced whole or not at all. Real processes, limits and signals."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from registry.errors import BadInput, DiskFull, Retryable
from registry.workspace import append_line, write_atomically

ROOT = Path(__file__).resolve().parent.parent


def run_limited(code: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a process that may write files of 1000 bytes at most."""
    prelude = (
        "import resource, sys; from pathlib import Path; path = Path(sys.argv[1])\n"
        "from registry.workspace import append_line, write_atomically; from registry.errors import DiskFull\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
    )
    argv = [sys.executable, "-c", prelude + code, str(path)]
    return subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, check=True)


def test_new_content_replaces_old_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "queue.yaml"
    write_atomically(path, "first: ü\n")
    write_atomically(path, b"second\n")
    assert path.read_bytes() == b"second\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_keeps_its_mode_and_a_new_one_follows_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "queue.yaml"
    before = os.umask(0o027)
    try:
        write_atomically(path, "a")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        write_atomically(path, "b")
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(before)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "registry.yaml"
    target.write_text("old")
    link = tmp_path / "registry.yaml"
    link.symlink_to(target)
    write_atomically(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_without_room_the_old_content_stays_and_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "queue.yaml"
    path.write_text("old")
    code = "try:\n    write_atomically(path, 'x' * 5000)\nexcept DiskFull as error:\n    print(error)\n"
    assert run_limited(code, path).stdout.startswith(f"{path}: no room to write")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_text_that_cannot_be_encoded_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "queue.yaml"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text() == "old"


def test_readers_and_kill_9_see_only_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    code = (
        "import sys; from pathlib import Path; from registry.workspace import write_atomically\n"
        "number = 0\n"
        "while True:\n"
        "    number += 1\n"
        "    write_atomically(Path(sys.argv[1]), f'{number % 10}' * 200_000)\n"
    )
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=ROOT)
        while not path.exists():
            time.sleep(0.01)
        contents = [path.read_text() for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        process.wait()
        contents.append(path.read_text())
        assert all(len(content) == 200_000 and len(set(content)) == 1 for content in contents)
        path.unlink()


def test_lines_are_added_one_by_one_and_a_missing_end_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "research_log.md"
    append_line(path, "first")
    append_line(path, "second ü\n")
    path.write_text(path.read_text() + "typed by hand")
    append_line(path, "third")
    assert path.read_text() == "first\nsecond ü\ntyped by hand\nthird\n"
    with pytest.raises(ValueError, match="one line"):
        append_line(path, "two\nlines")


def test_a_line_without_room_is_not_there_at_all(tmp_path: Path) -> None:
    path = tmp_path / "research_log.md"
    path.write_text("first\n")
    code = "try:\n    append_line(path, 'x' * 5000)\nexcept DiskFull:\n    print('full')\nappend_line(path, 'short')\n"
    assert run_limited(code, path).stdout == "full\n"
    assert path.read_text() == "first\nshort\n"


def test_no_room_is_worth_another_try() -> None:
    assert issubclass(DiskFull, Retryable)


def test_a_place_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "absent" / "x.yaml", tmp_path / "file" / "x.yaml"):
        with pytest.raises(BadInput, match="cannot be written"):
            write_atomically(path, "x")
        with pytest.raises(BadInput, match="cannot be written"):
            append_line(path, "x")
