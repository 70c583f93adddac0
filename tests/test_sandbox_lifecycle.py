"""Nothing outlives its run: not when it is cancelled, and not when the orchestrator or the supervisor is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
from sandbox_backends import BACKENDS, LIMITS, NOBODY, SUPERVISED, OrdinaryUser, make, ordinary_user
from sandbox_programs import tagged_processes

from sandbox import cgroups, processes, slots
from sandbox.contract import RunSpec, Sandbox

ROOT = Path(__file__).resolve().parent.parent
PYTHON = Path(sys.executable)

STUBBORN = """
import os, signal, sys, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        os.fork()
        break
print("started", flush=True)
while True: time.sleep(1)
"""

ORCHESTRATOR = """
import sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from sandbox.bubblewrap import Bubblewrap
from sandbox.contract import Limits, RunSpec
from sandbox.namespaces import Namespaces
folder = Path(sys.argv[2])
argv = ("python", "-S", "-c", sys.argv[4], sys.argv[3])
spec = RunSpec("r1", argv, folder / "out", Limits(wall_s=60), python=Path(sys.executable))
backend = {"bwrap": Bubblewrap, "namespaces": Namespaces}[sys.argv[5]]
backend(folder / "state").run(spec, threading.Event())
"""


@pytest.fixture(scope="module", params=sorted(BACKENDS))
def sandbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return make(request.param, tmp_path_factory.mktemp("the state"))


@pytest.fixture(scope="module", params=SUPERVISED)
def supervised(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """Those with a supervisor for each run. test_sandbox_docker.py has the like for containers."""
    return make(request.param, tmp_path_factory.mktemp("the state"))


def another(sandbox: Sandbox, state: Path) -> Sandbox:
    """The same backend with records of its own."""
    return BACKENDS[sandbox.name][1](state)


def eventually(condition: Callable[[], object], patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def inside(tag: str) -> list[int]:
    """Tagged processes but the orchestrator of the test, whose command line holds the tag too."""
    found = []
    for pid in tagged_processes(tag):
        with suppress(FileNotFoundError, ProcessLookupError):  # it may have ended in this moment
            if b"ORCHESTRATOR" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


class Running:
    """An orchestrator process with one stubborn run in it."""

    def __init__(self, folder: Path, user: OrdinaryUser | None, backend: str) -> None:
        self.folder = folder
        (folder / "out").mkdir(parents=True)
        if user is not None:
            os.chown(folder, NOBODY, NOBODY)
            os.chown(folder / "out", NOBODY, NOBODY)
        python, root = (user.command, user.root) if user is not None else ((sys.executable,), ROOT)
        self.tag = f"tag-{uuid.uuid4().hex}"
        source = "# ORCHESTRATOR\n" + ORCHESTRATOR
        self.process = subprocess.Popen([*python, "-c", source, root, folder, self.tag, STUBBORN, backend], cwd="/")
        assert eventually(lambda: len(inside(self.tag)) >= 7, 15), inside(self.tag)

    def marker(self) -> dict[str, str]:
        (path,) = (self.folder / "state" / "runs").glob("*.run")
        return dict(line.split(" ", 1) for line in path.read_text().splitlines())

    def kill(self, *names: str) -> None:
        marker = self.marker()
        for name in names:
            os.kill(int(marker[name].split()[0]), signal.SIGKILL)


@pytest.fixture(params=["this user", "an ordinary user"])
def running(request: pytest.FixtureRequest, supervised: Sandbox, tmp_path: Path) -> Iterator[Running]:
    with ordinary_user() if request.param == "an ordinary user" else nullcontext() as user:
        started = Running((user.home if user is not None else tmp_path) / "a folder", user, supervised.name)
        yield started
        started.process.kill()
        started.process.wait()
        assert eventually(lambda: not tagged_processes(started.tag), 5)


def test_a_cancelled_run_is_gone_within_a_second(sandbox: Sandbox, tmp_path: Path) -> None:
    tag, cancel, outcomes = f"tag-{uuid.uuid4().hex}", threading.Event(), []
    spec = RunSpec("r1", ("python", "-S", "-c", STUBBORN, tag), tmp_path, LIMITS, python=PYTHON)
    thread = threading.Thread(target=lambda: outcomes.append(sandbox.run(spec, cancel)))
    thread.start()
    assert eventually(lambda: len(tagged_processes(tag)) >= 7, 15)
    cancel.set()
    began = time.monotonic()
    thread.join(10)
    assert time.monotonic() - began < 1
    assert tagged_processes(tag) == []
    assert (outcomes[0].reason, outcomes[0].status) == ("cancelled", None)
    assert outcomes[0].tail.startswith("started\n")


def test_a_run_that_was_cancelled_before_it_began_ends_at_once(sandbox: Sandbox, tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    began = time.monotonic()
    assert sandbox.run(RunSpec("r1", ("sleep", "9"), tmp_path, LIMITS), cancel).reason == "cancelled"
    assert time.monotonic() - began < 2


def test_killing_the_orchestrator_leaves_nothing_running(running: Running) -> None:
    groups = [folder for name, folder in running.marker().items() if name == "cgroup"]
    running.process.kill()
    assert eventually(lambda: not tagged_processes(running.tag), 2)
    assert eventually(lambda: not list((running.folder / "state" / "runs").iterdir()), 2)
    assert [folder for folder in groups if Path(folder).exists()] == []


def test_killing_orchestrator_and_supervisor_leaves_nothing_running_and_reap_clears_the_rest(
    supervised: Sandbox, running: Running
) -> None:
    marker = running.marker()
    os.kill(int(marker["supervisor"].split()[0]), signal.SIGSTOP)  # so that it cannot clear up in between
    running.kill("orchestrator", "supervisor")
    running.process.wait()
    assert eventually(lambda: not tagged_processes(running.tag), 2)
    removed = another(supervised, running.folder / "state").reap()
    assert any(line.startswith("marker ") for line in removed)
    assert list((running.folder / "state" / "runs").iterdir()) == []
    if "cgroup" in marker:
        assert not Path(marker["cgroup"]).exists()
        assert f"control group {marker['cgroup']}" in removed
    assert another(supervised, running.folder / "state").reap() == ()


def test_reap_leaves_a_living_run_alone(supervised: Sandbox, running: Running) -> None:
    assert another(supervised, running.folder / "state").reap() == ()
    assert len(inside(running.tag)) >= 7
    assert running.process.poll() is None


def test_a_killed_supervisor_is_our_fault_and_leaves_nothing(supervised: Sandbox, tmp_path: Path) -> None:
    state, out, outcomes = tmp_path / "state", tmp_path / "out", []
    out.mkdir()
    own = another(supervised, state)
    tag = f"tag-{uuid.uuid4().hex}"
    spec = RunSpec("r1", ("python", "-S", "-c", STUBBORN, tag), out, LIMITS, python=PYTHON)
    thread = threading.Thread(target=lambda: outcomes.append(own.run(spec, threading.Event())))
    thread.start()
    assert eventually(lambda: len(tagged_processes(tag)) >= 7, 15)
    (marker,) = (state / "runs").glob("*.run")
    line = next(line for line in marker.read_text().splitlines() if line.startswith("supervisor"))
    os.kill(int(line.split()[1]), signal.SIGKILL)
    thread.join(10)
    assert outcomes[0].reason == "infra"
    assert "supervisor" in outcomes[0].detail
    assert eventually(lambda: not tagged_processes(tag), 2)
    assert list((state / "runs").iterdir()) == []


def test_a_run_survives_the_end_of_the_thread_that_prepared_it(sandbox: Sandbox, tmp_path: Path) -> None:
    """bwrap dies with the thread that starts it, which is why a process of its own does."""
    before = threading.Thread(target=sandbox.reap)
    before.start()
    before.join()
    assert sandbox.run(RunSpec("r1", ("sleep", "0.3"), tmp_path, LIMITS), threading.Event()).status == 0


def test_a_flood_of_output_costs_the_supervisor_no_memory(supervised: Sandbox, tmp_path: Path) -> None:
    state, out = tmp_path / "state", tmp_path / "out"
    out.mkdir()
    program = "import os\nfor _ in range(400): os.write(1, bytes(1 << 20))\nimport time\ntime.sleep(1.0)"
    spec = RunSpec("r1", ("python", "-S", "-c", program), out, LIMITS, python=PYTHON)
    own, cancel = another(supervised, state), threading.Event()
    peaks: list[int] = []
    thread = threading.Thread(target=lambda: peaks.append(own.run(spec, cancel).output_bytes))
    thread.start()
    highest = 0
    while thread.is_alive():
        for marker in (state / "runs").glob("*.run") if (state / "runs").is_dir() else ():
            words = marker.read_text().split() if marker.exists() else []
            if "supervisor" in words:
                status = Path(f"/proc/{words[words.index('supervisor') + 1]}/status")
                lines = status.read_text().splitlines() if status.exists() else []
                highest = max([highest, *(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))])
        time.sleep(0.05)
    assert peaks == [400 << 20]
    assert 0 < highest < 40_000


def test_control_groups_are_found_for_both_versions() -> None:
    mounts = (
        "25 1 0:1 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "26 1 0:2 /docker/abc /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    )
    first, second = cgroups.candidates("4:memory:/a/b\n3:pids:/docker/abc\n0::/\n", mounts)
    assert (first.version, first.memory, first.pids) == (1, "/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/pids")
    assert (second.memory, second.pids) == (first.memory, "")
    assert cgroups.candidates("0::/x\n", "") == []
    assert cgroups.candidates("", mounts) == []


def test_version_two_groups_are_made_below_the_nearest_ancestor_that_hands_out_memory(tmp_path: Path) -> None:
    """A group that holds processes, as our own does, cannot have children with controllers."""
    for folder, controllers in (("", "cpu memory pids"), ("user", "memory"), ("user/own", "")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "cgroup.subtree_control").write_text(controllers + "\n")
        (tmp_path / folder / "cgroup.procs").touch()
    found = cgroups.candidates("0::/user/own\n", f"29 1 0:3 / {tmp_path} rw - cgroup2 cgroup2 rw\n")
    places = [(parents.version, parents.memory, parents.pids) for parents in found]
    assert places == [(2, str(tmp_path / "user"), ""), (2, str(tmp_path), str(tmp_path))]


def test_a_marker_never_makes_us_remove_a_folder_that_is_not_ours() -> None:
    foreign = ["/sys/fs/cgroup/memory/system", "/tmp/auto-benchmark-x", "/"]
    ours = "/sys/fs/cgroup/memory/auto-benchmark-x"
    assert cgroups.recorded([*foreign, ours]).folders == [ours]


def test_two_runs_at_once_never_share_a_user_id_or_a_gpu(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        with slots.hold_slot() as first, slots.hold_slot() as second:
            assert first.uid != second.uid
    cancel = threading.Event()
    with slots.hold_gpus((901, 902), cancel) as held:
        assert len(held) == 2
        cancel.set()
        with slots.hold_gpus((902,), cancel) as refused:
            assert refused == ()
    with slots.hold_gpus((902,), threading.Event()) as free:
        assert len(free) == 1


def test_the_hosts_own_folders_never_count_as_a_runs() -> None:
    assert processes.tmpfs_use(os.getpid()) == (0, 0)
