"""`kill -9` of an orchestrator, at any moment, under every backend: nothing runs on, and the next start clears up."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from sandbox_backends import BACKENDS, make
from sandbox_programs import tagged_processes
from test_sandbox_lifecycle import STUBBORN, eventually

from sandbox import accounts, cgroups, docker_groups
from sandbox.contract import Sandbox
from sandbox.docker_engine import Docker

ROOT = Path(__file__).resolve().parent.parent
MOMENTS = 6
LAST_MOMENT_S = {"bwrap": 0.5, "namespaces": 0.5, "docker": 1.6}
"""About when the program inside has started; the kills are spread from the first moment to this one."""

ORCHESTRATOR = """
import sys, threading
from pathlib import Path
from sandbox_backends import BACKENDS
from sandbox.contract import Limits, RunSpec
name, folder, tag, program = sys.argv[1:]
out = Path(folder, "out of " + tag)
out.mkdir()
argv = ("python", "-S", "-c", program, tag)
spec = RunSpec("r1", argv, out, Limits(wall_s=60, disk_bytes=8 << 20), python=Path(sys.executable))
backend = BACKENDS[name][1](Path(folder, "state"))
print("ready", flush=True)
backend.run(spec, threading.Event())
"""


def left_over(folder: Path) -> list[str]:
    """What a host would still have of runs below `folder`: mounts, loop devices, control groups."""
    # A space in a path is written there as \040.
    mounts = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), Path("/proc/self/mountinfo").read_text())
    found = [line for line in mounts.splitlines() if str(folder) in line]
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        found += [text for text in [backing.read_text().strip()] if str(folder) in text]
    return found


def groups(state: Path) -> list[str]:
    """Control groups of this state folder's runs, whatever others run meanwhile.

    By `find`, which takes it that folders of others come and go.
    """
    name = f"auto-benchmark-{accounts.owner(state)}-*"
    return subprocess.run(
        ["find", "/sys/fs/cgroup", "-name", name], capture_output=True, text=True, check=False
    ).stdout.splitlines()


def makes_groups(sandbox: Sandbox) -> bool:
    """Whether runs have control groups on this host."""
    if isinstance(sandbox, Docker):
        return docker_groups.may_have_parents(sandbox.engine().group_driver)
    return cgroups.find() is not None


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_an_orchestrator_killed_at_any_moment_leaves_nothing_that_the_next_start_does_not_take_away(
    name: str, tmp_path: Path
) -> None:
    make(name, tmp_path / "state")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    started, grouped = 0, 0
    for moment in range(MOMENTS):
        tag = f"tag-{uuid.uuid4().hex}"
        words = [sys.executable, "-c", f"# {tag}\n{ORCHESTRATOR}", name, str(tmp_path), tag, STUBBORN]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, env=environment)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(LAST_MOMENT_S[name] * moment / (MOMENTS - 1))
        started += len(tagged_processes(tag)) > 1
        grouped += bool(groups(tmp_path / "state"))
        process.kill()
        process.communicate()
        assert eventually(lambda tag=tag: not tagged_processes(tag), 8), (moment, tagged_processes(tag))
    sandbox = BACKENDS[name][1](tmp_path / "state")
    sandbox.reap()
    assert list((tmp_path / "state").glob("runs/*")) == []
    assert list((tmp_path / "state").glob("containers/*")) == []
    assert eventually(lambda: not left_over(tmp_path), 2), left_over(tmp_path)
    # The guard of the last one killed may still be at it.
    assert eventually(lambda: not groups(tmp_path / "state"), 5), groups(tmp_path / "state")
    assert sandbox.reap() == ()
    assert started > 0, "no kill came after the program had started"
    assert grouped > 0 or not makes_groups(sandbox), "no kill came while there was a control group"
