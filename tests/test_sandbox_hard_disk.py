"""A run's own file system takes nothing from its output and adds nothing, and says so where the host lets it down."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sandbox_backends import BACKENDS, LIMITS, make

from sandbox import hard_disk
from sandbox.contract import Outcome, RunSpec, Sandbox

PYTHON = Path(sys.executable)
ROOT = Path(__file__).resolve().parent.parent

LEAVES_ALL_KINDS = r"""
import os
import shutil
os.makedirs("empty/inner")
os.makedirs("a b/\u6f22")
open("a b/\u6f22/f i l e", "w").write("unicode")
open("n" * 255, "w").write("long")
open("-rf", "w").write("dash")
open(".hidden", "w").close()
open("run.sh", "w").write("#!/bin/sh")
os.chmod("run.sh", 0o755)
os.mkdir("closed")
open("closed/file", "w").write("closed")
os.chmod("closed/file", 0)
os.chmod("closed", 0)
with open("sparse", "wb") as file:
    file.truncate(8 << 20)
    file.seek(4 << 20)
    file.write(b"middle")
for number in range(300):
    open(f"epoch-{number}", "w").write(str(number))
os.symlink("epoch-299", "last")
os.symlink("/nowhere", "dangling")
os.symlink("closed", "folder")
"""

WRITES_MORE_THAN_THE_HOST_HAS = """
for number in range(40):
    with open(f"file{number}", "wb") as file:
        file.write(bytes([number + 1]) * (300 << 10))
"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("a file system for each run takes root and loop devices")
    return make("bwrap", tmp_path_factory.mktemp("the state"))


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MiB."""
    place = tmp_path / "cramped"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=755", "none", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def run(sandbox: Sandbox, out: Path, source: str) -> Outcome:
    out.mkdir()
    spec = RunSpec("r1", ("python", "-I", "-S", "-c", source), out, LIMITS, python=PYTHON)
    return sandbox.run(spec, threading.Event())


def tree(out: Path) -> dict[str, tuple[int, bytes]]:
    """Everything in a folder: mode, and content or where a link leads."""
    found = {}
    for path in sorted(out.rglob("*")):
        state = path.lstat()
        content = str(path.readlink()).encode() if path.is_symlink() else b"" if path.is_dir() else path.read_bytes()
        found[path.relative_to(out).as_posix()] = (state.st_mode, content)
    return found


def test_the_output_is_the_same_with_a_file_system_of_its_own_as_without(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    real = hard_disk.template

    def template(folder: Path, disk_bytes: int, files: int) -> str:
        made.append(real(folder, disk_bytes, files))
        return made[-1]

    monkeypatch.setattr(hard_disk, "template", template)
    hard = run(sandbox, tmp_path / "hard", LEAVES_ALL_KINDS)
    monkeypatch.setattr(hard_disk, "template", lambda *_: "")
    soft = run(sandbox, tmp_path / "soft", LEAVES_ALL_KINDS)
    assert made[0], "no file system could be made"
    assert (hard.reason, hard.status) == (soft.reason, soft.status) == ("exit", 0), (hard, soft)
    assert tree(tmp_path / "hard") == tree(tmp_path / "soft")
    assert hard.manifest == soft.manifest
    assert set(hard.ignored) == set(soft.ignored)
    assert (tmp_path / "hard" / "run.sh").stat().st_mode & 0o777 == 0o755


def test_output_that_the_host_had_no_room_for_is_never_taken_for_a_result(
    sandbox: Sandbox, tmp_path: Path, cramped: Path
) -> None:
    # Without doctor, whose own disks would take the room for a moment longer than its runs.
    found = run(BACKENDS[sandbox.name][1](cramped / "state"), tmp_path / "out", WRITES_MORE_THAN_THE_HOST_HAS)
    assert found.reason == "infra", found
    assert "could not be kept" in found.detail
    assert not found.manifest


def test_a_run_cancelled_while_its_output_is_carried_over_ends_at_once(sandbox: Sandbox, tmp_path: Path) -> None:
    out, cancel = tmp_path / "out", threading.Event()
    out.mkdir()
    source = "with open('holes', 'wb') as file: file.truncate(1 << 30)"
    limits = replace(LIMITS, disk_bytes=1100 << 20)
    spec = RunSpec("r1", ("python", "-I", "-S", "-c", source), out, limits, python=PYTHON)
    found: list[Outcome] = []
    thread = threading.Thread(target=lambda: found.append(sandbox.run(spec, cancel)))
    thread.start()
    while thread.is_alive() and not (out / "holes").exists():
        time.sleep(0.005)
    cancel.set()
    thread.join()
    assert (found[0].reason, found[0].manifest) == ("cancelled", ()), found
    assert (out / "holes").stat().st_size < 1 << 30


def test_output_that_is_too_large_to_be_carried_over_is_beyond_the_disk_limit(sandbox: Sandbox, tmp_path: Path) -> None:
    source = "for name in 'ab':\n    with open(name, 'wb') as file: file.truncate(40 << 20)"
    found = run(sandbox, tmp_path / "out", source)
    assert found.reason == "disk", found
    assert "ignored b: beyond the limits" in found.detail


def test_doctor_says_what_a_hard_limit_takes_where_it_cannot_be_had(sandbox: Sandbox, tmp_path: Path) -> None:
    maker = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin")
    assert maker, "a disk was made before"
    program = "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; "
    program += "from sandbox.bubblewrap import Bubblewrap; print(Bubblewrap(Path(sys.argv[2])).doctor())"
    words = ["unshare", "-m", "sh", "-c", 'mount --bind /dev/null "$0" && exec "$@"', maker]
    words += [sys.executable, "-c", program, str(ROOT), str(tmp_path / "state")]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "level='soft'" in said
    assert "apt-get install e2fsprogs" in said
    assert "e2fsprogs" not in str(sandbox.doctor())
