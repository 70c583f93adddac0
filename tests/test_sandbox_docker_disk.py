"""A file system of its own for each container's output: it stops a fast writer, and nothing of it is ever left."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sandbox_backends import LIMITS, make, on_empty_image
from test_sandbox_kills import left_over
from test_sandbox_lifecycle import eventually

from sandbox import docker_disk, docker_leftovers, hard_disk
from sandbox.contract import Outcome, RunSpec
from sandbox.docker_engine import Docker

ROOT = Path(__file__).resolve().parent.parent
PYTHON = Path(sys.executable)
DEAD = "no-such-boot:1:1"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")

FAST_WRITER = """
block = bytes(1 << 20)
for number in range(400):
    with open(f"file{number % 20}", "ab") as file:
        file.write(block)
"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Docker:
    made = make("docker", tmp_path_factory.mktemp("the state"))
    assert isinstance(made, Docker)
    if not docker_disk.engine_sees_mounts():
        pytest.skip("the engine sees other mounts than ours")
    return made


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "an out\tfolder \\ of its own"
    folder.mkdir()
    return folder


@pytest.fixture
def disk(out: Path, tmp_path: Path) -> Iterator[hard_disk.Disk]:
    template = hard_disk.template(tmp_path / "state", 8 << 20, 100)
    if not template:
        pytest.skip("no file system can be made here")
    disk = hard_disk.Disk(template, str(out), 12345, for_all=True)
    yield disk
    if out.is_mount():
        disk.close()


def run(sandbox: Docker, spec: RunSpec) -> Outcome:
    return sandbox.run(spec, threading.Event())


def python(program: str, out: Path, disk_bytes: int = LIMITS.disk_bytes) -> RunSpec:
    limits = replace(LIMITS, disk_bytes=disk_bytes)
    return RunSpec("r1", ("python", "-S", "-c", program), out, limits, python=PYTHON)


def mounts_below(folder: Path) -> list[str]:
    """Mounts of this test alone: others come and go meanwhile."""
    place = str(folder).replace(" ", "\\040")
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if place in line]


def note(state: Path, orchestrator: str, out: Path) -> Path:
    scratch = state / docker_leftovers.SCRATCH / f"run-{os.getpid()}"
    scratch.mkdir(parents=True)
    (scratch / "mounted-over").write_bytes(f"{orchestrator}\n".encode() + os.fsencode(out))
    return scratch


def test_doctor_finds_the_disk_limit_hard(sandbox: Docker) -> None:
    levels = {item.name: item.level for item in sandbox.doctor().items}
    assert levels["disk"] == "hard"


def test_a_fast_writer_is_stopped_by_the_kernel_and_nothing_of_it_is_kept(
    sandbox: Docker, out: Path, tmp_path: Path
) -> None:
    outcome = run(sandbox, python(FAST_WRITER, out, 24 << 20))
    assert outcome.reason == "disk", outcome
    assert 20 << 20 < outcome.peak_disk_bytes < 30 << 20
    assert outcome.manifest == ()
    assert list(out.iterdir()) == []
    assert eventually(lambda: not left_over(tmp_path), 3), left_over(tmp_path)


def test_what_a_run_leaves_is_carried_into_the_folder_and_is_ours(sandbox: Docker, out: Path, tmp_path: Path) -> None:
    program = """
import os
print(os.statvfs(".").f_blocks * os.statvfs(".").f_frsize)
os.mkdir("sub")
open("sub/file", "w").write("kept")
os.symlink("file", "sub/link")
"""
    outcome = run(sandbox, python(program, out))
    assert (outcome.reason, outcome.status) == ("exit", 0), outcome
    assert int(outcome.tail) < 2 * LIMITS.disk_bytes
    assert [file.path for file in outcome.manifest] == ["sub/file"]
    assert [line.partition(":")[0] for line in outcome.ignored] == ["ignored sub/link"]
    assert sorted(path.name for path in (out / "sub").iterdir()) == ["file", "link"]
    assert (out / "sub" / "file").read_text() == "kept"
    for path in (out, out / "sub", out / "sub" / "file"):
        assert (path.stat().st_uid, path.stat().st_dev) == (0, tmp_path.stat().st_dev)
    assert out.stat().st_mode & 0o777 == 0o755
    assert eventually(lambda: not left_over(tmp_path), 3), left_over(tmp_path)


def test_a_folder_with_something_in_it_is_shown_as_it_is(sandbox: Docker, out: Path) -> None:
    (out / "before").write_text("of a run before")
    outcome = run(sandbox, python("print(open('before').read())", out))
    assert outcome.tail == "of a run before\n", outcome
    assert [file.path for file in outcome.manifest] == ["before"]


def test_an_engine_in_another_mount_namespace_is_known() -> None:
    words = "from sandbox import docker_disk; print(docker_disk.engine_sees_mounts())"
    command = ["unshare", "-m", sys.executable, "-c", words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "False\n"


def test_nobody_but_root_passes_for_an_engine(sandbox: Docker) -> None:
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    command = ["unshare", "-m", *become, "sh", "-c", "printf dockerd >/proc/self/comm; echo ready; read line"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert Path(f"/proc/{process.pid}/comm").read_text() == "dockerd\n"
        assert docker_disk.engine_sees_mounts()
        process.communicate(b"\n")


def test_outputs_written_beneath_the_mount_are_an_error_and_not_lost_in_silence(disk: hard_disk.Disk) -> None:
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=disk.beneath))
    kept, reason, detail = disk.keep("exit", 10, 1 << 20, lambda: False)
    assert (kept.files, reason) == ([], "infra")
    assert "did not write to its own file system" in detail


def test_the_mount_of_a_dead_orchestrator_is_taken_down_even_where_no_engine_answers(
    disk: hard_disk.Disk, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The process id in the folder's name lives: another process may have been given the number of the dead one.
    note(tmp_path / "state", DEAD, out)
    assert left_over(tmp_path)
    disk.let_go()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    with (out / "still open").open("w"):
        assert Docker(tmp_path / "state").reap() == (f"mount {out}",)
    assert eventually(lambda: not left_over(tmp_path), 3), left_over(tmp_path)
    assert Docker(tmp_path / "state").reap() == ()
    assert list(out.iterdir()) == []


def test_the_mount_of_a_living_orchestrator_stays(
    sandbox: Docker, disk: hard_disk.Disk, out: Path, tmp_path: Path
) -> None:
    note(tmp_path / "state", docker_leftovers.orchestrator_label(), out)
    assert on_empty_image(tmp_path / "state").reap() == ()
    assert disk.use()[0] >= 0
    assert out.stat().st_dev != tmp_path.stat().st_dev


@pytest.mark.parametrize("place", [".", "..", "/"])
def test_only_a_loop_mount_at_exactly_the_noted_place_is_taken_down(
    sandbox: Docker, disk: hard_disk.Disk, out: Path, tmp_path: Path, place: str
) -> None:
    inner = out / "inner"
    inner.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", inner], check=True)
    before = mounts_below(tmp_path)
    scratch = note(tmp_path / "state", DEAD, Path(os.path.normpath(inner / place)) if place != ".." else tmp_path)
    removed = on_empty_image(tmp_path / "state").reap()
    after = mounts_below(tmp_path)
    subprocess.run(["umount", inner], check=True)
    assert removed == (f"folder {scratch.name}",)
    assert len(before) >= 2
    assert after == before
