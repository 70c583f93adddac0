"""Replacing a file: whole or not at all, mode and links kept, nothing left over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from registry.atomic_files import write_atomically
from registry.errors import BadInput


def test_content_is_replaced_byte_for_byte_and_the_mode_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")
    path.chmod(0o640)
    write_atomically(path, "a: é\r\nb: 1")
    assert path.read_bytes() == b"a: \xc3\xa9\r\nb: 1"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.yaml"]


def test_a_symbolic_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    real.write_text("old")
    link.symlink_to("real.yaml")
    write_atomically(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"


def test_a_place_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        write_atomically(tmp_path / "gone" / "a.yaml", "x")


def test_a_write_that_meets_a_limit_leaves_the_old_content_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from registry.atomic_files import write_atomically\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "write_atomically(Path(sys.argv[1]), 'x' * 100_000)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, cwd=Path.cwd())
    assert "registry.errors.Retryable" in ended.stderr
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.yaml"]
