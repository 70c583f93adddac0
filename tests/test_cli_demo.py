"""`agent demo` where it cannot run; that it runs is what `make demo` and the benchmark of it show."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAM = "from agent.cli.main import main; main()"


def test_without_isolation_the_demo_says_why_and_makes_nothing(tmp_path: Path) -> None:
    programs, place = tmp_path / "bin", tmp_path / "place"
    programs.mkdir()
    place.mkdir()
    for name in ("git", "sh", "env"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    ended = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, "demo", "--folder", str(place)],
        env={**os.environ, "PATH": str(programs), "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert "apt-get install" in ended.stderr
    assert "bubblewrap" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(place.iterdir()) == []
