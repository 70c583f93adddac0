"""What only containers have: images, an engine that may be elsewhere or go away, and a guard instead of a parent."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker_engines
import pytest
from sandbox_backends import LIMITS, make, on_empty_image
from sandbox_programs import tagged_processes
from test_sandbox_kills import left_over
from test_sandbox_lifecycle import STUBBORN, eventually

from registry.errors import BadInput
from sandbox import (
    accounts,
    docker_arguments,
    docker_client,
    docker_disk,
    docker_groups,
    docker_guard,
    docker_leftovers,
    docker_seccomp,
)
from sandbox.backends import choose
from sandbox.bubblewrap import Bubblewrap
from sandbox.contract import Mount, Outcome, RunSpec, SandboxUnavailable
from sandbox.docker_engine import Docker

ROOT = Path(__file__).resolve().parent.parent
PYTHON = Path(sys.executable)
NOWHERE = f"no/such/image@sha256:{'0' * 64}"

ORCHESTRATOR = """
import sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from sandbox import docker_guard
from sandbox.docker_engine import Docker
from sandbox.contract import Limits, RunSpec
folder = Path(sys.argv[2])
argv = ("python", "-S", "-c", sys.argv[4], sys.argv[3])
spec = RunSpec("r1", argv, folder / "out", Limits(wall_s=float(sys.argv[5])), python=Path(sys.executable))
def tell():
    while docker_guard.process_id() is None: pass
    (folder / "guard").write_text(str(docker_guard.process_id()))
threading.Thread(target=tell).start()
Docker(folder / "state", "sbx/empty", show_host_system=True).run(spec, threading.Event())
"""


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Docker:
    sandbox = make("docker", tmp_path_factory.mktemp("the state"))
    assert isinstance(sandbox, Docker)
    return sandbox


@pytest.fixture(scope="module")
def image(empty: Docker) -> str:
    return docker_engines.python_image()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "an out folder"
    folder.mkdir()
    return folder


def run(sandbox: Docker, spec: RunSpec) -> Outcome:
    return sandbox.run(spec, threading.Event())


def containers(state: Path) -> list[dict[str, Any]]:
    wanted = f"{docker_leftovers.STATE}={docker_leftovers.state_label(state)}"
    with docker_client.connect() as engine:
        return list(engine.containers(all=True, filters={"label": wanted}))


# -- images -------------------------------------------------------------------------------------------------


def test_an_images_own_python_runs_with_its_variables_and_nothing_of_its_habits(image: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    source = """
import json, os, sys
def may_write(place):
    try: open(place, "w").write("x")
    except OSError: return False
    return True
print(json.dumps({"python": sys.executable, "environment": dict(os.environ), "folder": os.getcwd(),
                  "written": [p for p in ("/volume/x", "/opt/x", "/tmp/x", "/work/x") if may_write(p)],
                  "user": os.getuid(), "usr": os.path.exists("/usr/bin")}))
"""
    spec = RunSpec("r1", ("python", "-c", source), out, LIMITS, image=image, environment={"SEED": "7"})
    outcome = run(Docker(tmp_path / "state"), spec)
    assert (outcome.reason, outcome.status) == ("exit", 0), outcome
    found = json.loads(outcome.tail)
    found["environment"].pop("LC_CTYPE", None)
    expected = {"PATH": "/opt/python/bin", "OF_THE_IMAGE": "its-own", "HOME": "/tmp", "LANG": "C.UTF-8", "SEED": "7"}
    assert found["environment"] == expected
    assert found["python"] == "/opt/python/bin/python"
    assert found["written"] == ["/tmp/x", "/work/x"]
    assert (found["folder"], found["usr"]) == ("/work", False)
    assert found["user"] not in (0, 12345)


def test_choose_gives_containers_where_an_image_is_asked_for_and_nothing_else(image: str, tmp_path: Path) -> None:
    chosen = choose(tmp_path / "state", image=image)
    assert chosen.name == "docker"
    with pytest.raises(SandboxUnavailable, match=f"docker pull {NOWHERE}"):
        choose(tmp_path / "state", image=NOWHERE)


def test_an_image_that_the_engine_lacks_is_never_fetched(empty: Docker, out: Path) -> None:
    with pytest.raises(SandboxUnavailable, match=f"docker pull {NOWHERE}"):
        run(empty, RunSpec("r1", ("true",), out, LIMITS, image=NOWHERE))


@pytest.mark.parametrize("name", ["python:3.11", "sbx/empty", "x@sha256:12", "--privileged@sha256:" + "0" * 64])
def test_an_image_is_named_by_digest_or_not_at_all(empty: Docker, out: Path, name: str) -> None:
    with pytest.raises(BadInput) as caught:
        run(empty, RunSpec("r1", ("true",), out, LIMITS, image=name))
    assert [problem.place for problem in caught.value.problems] == ["image"]


def test_a_backend_without_images_refuses_one(out: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the docker backend does"):
        Bubblewrap(tmp_path / "state").run(RunSpec("r1", ("true",), out, LIMITS, image=NOWHERE), threading.Event())


def test_too_little_memory_for_a_container_is_said_before_it_is_made(empty: Docker, out: Path) -> None:
    limits = replace(LIMITS, memory_bytes=2 << 20)
    with pytest.raises(BadInput, match=r"limits\.memory_bytes"):
        run(empty, RunSpec("r1", ("true",), out, limits))


# -- what the engine is told ----------------------------------------------------------------------------------


def told(spec: RunSpec, scratch: Path) -> dict[str, Any]:
    engine = docker_client.Engine("", architecture="x86_64", near=True)
    identity = docker_arguments.Identity(1000, 1000, as_root=False)
    place = docker_arguments.Place(scratch, identity, "", {})
    picture = docker_client.Image("sha256:1", {}, ("/volume",))
    return docker_arguments.build(spec, engine, picture, place, show_host_system=False).configuration


def test_every_lock_is_on(out: Path, tmp_path: Path) -> None:
    found = told(RunSpec("r1", ("true",), out, replace(LIMITS, cpu_s=3.0)), tmp_path)
    host = found["HostConfig"]
    assert (host["NetworkMode"], host["CapDrop"], host["ReadonlyRootfs"], host["IpcMode"]) == (
        "none",
        ["ALL"],
        True,
        "private",
    )
    assert host["Memory"] == host["MemorySwap"] == LIMITS.memory_bytes
    assert host["PidsLimit"] == LIMITS.processes + docker_arguments.HELPERS
    assert "no-new-privileges" in host["SecurityOpt"]
    assert host["LogConfig"]["Type"] == "none"
    assert (host["Privileged"], host["AutoRemove"], host["RestartPolicy"]) == (False, False, {"Name": "no"})
    assert {one["Name"]: one["Hard"] for one in host["Ulimits"]} == {
        "fsize": LIMITS.disk_bytes,
        "core": 0,
        "nofile": 1024,
        "cpu": 5,
    }
    assert [mount["Target"] for mount in host["Mounts"] if not mount["ReadOnly"]] == ["/work"]
    assert "/volume" in host["Tmpfs"]
    assert "DeviceRequests" not in host
    assert found["Healthcheck"] == {"Test": ["NONE"]}


def test_gpus_are_asked_for_one_by_one(out: Path, tmp_path: Path) -> None:
    found = told(RunSpec("r1", ("true",), out, LIMITS, gpus=(1,)), tmp_path)
    (request,) = found["HostConfig"]["DeviceRequests"]
    assert (request["Driver"], len(request["DeviceIDs"])) == ("nvidia", 1)
    assert request["Capabilities"] == [["gpu", "compute", "utility"]]
    assert any(word.startswith("CUDA_VISIBLE_DEVICES=") for word in found["Cmd"])
    assert "/sys" not in found["HostConfig"]["Tmpfs"]


def test_the_filter_allows_nothing_that_bubblewraps_refuses() -> None:
    profile = json.loads(docker_seccomp.profile("x86_64"))
    refused = {name for rule in profile["syscalls"] if rule["action"] != "SCMP_ACT_ALLOW" for name in rule["names"]}
    allowed = {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert {"clone3", "io_uring_setup", "ptrace", "mount", "unshare", "bpf", "keyctl"} <= refused
    assert refused & allowed == set()
    families = [rule["args"][0]["value"] for rule in profile["syscalls"] if rule["names"] == ["socket"]]
    assert families == [1, 2, 10]


# -- the engine -----------------------------------------------------------------------------------------------


def test_without_an_engine_the_remedy_is_named(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    with pytest.raises(SandboxUnavailable, match="systemctl start docker"):
        run(Docker(tmp_path / "state"), RunSpec("r1", ("true",), out, LIMITS, image=NOWHERE))
    capabilities = Docker(tmp_path / "state", NOWHERE).doctor()
    assert not capabilities.usable
    assert "systemctl start docker" in capabilities.reasons[0]
    assert Docker(tmp_path / "state").reap() == ()


def test_a_runtime_that_the_engine_lacks_is_not_replaced_by_another(
    empty: Docker, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(docker_client.RUNTIME_VARIABLE, "no-such-runtime")
    with pytest.raises(SandboxUnavailable, match=docker_client.RUNTIME_VARIABLE):
        run(on_empty_image(tmp_path / "state"), RunSpec("r1", ("true",), out, LIMITS))


@contextmanager
def relay(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A way to the engine over TCP, as to one on another machine, and the means to cut it."""
    engine = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
    listener = socket.create_server(("127.0.0.1", 0))
    ends: list[socket.socket] = [listener]

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(1 << 16):
                target.sendall(chunk)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                near, far = listener.accept()[0], socket.socket(socket.AF_UNIX)
                ends.extend((near, far))
                far.connect(engine)
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=copy, args=pair, daemon=True).start()

    def cut() -> None:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    threading.Thread(target=serve, daemon=True).start()
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{listener.getsockname()[1]}")
    yield cut
    cut()


def test_an_engine_that_is_elsewhere_runs_and_limits_too(
    image: str, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with relay(monkeypatch):
        sandbox = Docker(tmp_path / "state")
        assert not sandbox.engine().near
        block = "import time; block = bytearray(40 << 20); time.sleep(1.5); print('done')"
        outcome = run(sandbox, RunSpec("r1", ("python", "-c", block), out, LIMITS, image=image))
        assert (outcome.reason, outcome.status, outcome.tail) == ("exit", 0, "done\n"), outcome
        assert outcome.peak_memory_bytes > 40 << 20
        missing = run(sandbox, RunSpec("r1", ("no-such-program",), out, LIMITS, image=image))
        assert (missing.reason, missing.status) == ("exit", 127), missing
        hog = RunSpec("r1", ("python", "-c", "b = bytearray(500 << 20)"), out, LIMITS, image=image)
        assert run(sandbox, hog).reason == "oom"
        short = replace(LIMITS, wall_s=1)
        sleeper = RunSpec("r1", ("python", "-c", "import time; time.sleep(60)"), out, short, image=image)
        assert run(sandbox, sleeper).reason == "timeout"


def test_an_engine_that_goes_away_is_our_fault_and_its_container_is_reaped(
    image: str, out: Path, tmp_path: Path
) -> None:
    state, outcomes = tmp_path / "state", []
    tag = f"tag-{uuid.uuid4().hex}"
    with pytest.MonkeyPatch.context() as patch, relay(patch) as cut:
        sandbox = Docker(state)
        spec = RunSpec("r1", ("python", "-c", "import time; time.sleep(60)", tag), out, LIMITS, image=image)
        thread = threading.Thread(target=lambda: outcomes.append(run(sandbox, spec)))
        thread.start()
        assert eventually(lambda: tagged_processes(tag), 15)
        # The engine says so a moment after the program has begun.
        assert eventually(lambda: [one["State"] for one in containers(state)] == ["running"], 15)
        cut()
        thread.join(30)
    assert outcomes[0].reason == "infra", outcomes
    assert "not removed: container" in outcomes[0].detail
    (left,) = containers(state)
    with docker_client.connect() as engine:
        assert list(docker_leftovers.remove(engine, [left])) == [f"container {left['Id'][:12]} (running)"]
    assert tagged_processes(tag) == []


# -- nothing is left ------------------------------------------------------------------------------------------


class Running:
    """An orchestrator process with one stubborn container."""

    def __init__(self, folder: Path, wall_s: float) -> None:
        self.folder = folder
        self.state = folder / "state"
        (folder / "out").mkdir(parents=True)
        self.tag = f"tag-{uuid.uuid4().hex}"
        words = [sys.executable, "-c", "# ORCHESTRATOR\n" + ORCHESTRATOR, ROOT, folder, self.tag, STUBBORN, str(wall_s)]
        self.process = subprocess.Popen(words, cwd="/")
        assert eventually(lambda: len(self.inside()) >= 7, 20), self.inside()
        assert eventually(lambda: (folder / "guard").exists() and (folder / "guard").read_text(), 5)
        self.guard = int((folder / "guard").read_text())

    def inside(self) -> list[int]:
        found = []
        for pid in tagged_processes(self.tag):
            with suppress(OSError):
                if b"ORCHESTRATOR" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found


@pytest.fixture
def start(empty: Docker, tmp_path: Path) -> Iterator[Callable[[float], Running]]:
    started: list[Running] = []

    def make_one(wall_s: float) -> Running:
        started.append(Running(tmp_path / f"folder {len(started)}", wall_s))
        return started[-1]

    yield make_one
    for one in started:
        one.process.kill()
        one.process.wait()
        assert eventually(lambda one=one: not tagged_processes(one.tag), 10)  # type: ignore[misc]


def groups() -> set[str]:
    found = (path for folder in docker_groups.hierarchies() for path in Path(folder).glob("auto-benchmark-*"))
    return {path.name for path in found if not path.name.startswith("auto-benchmark-trial")}


def test_killing_the_orchestrator_leaves_no_container(start: Callable[[float], Running]) -> None:
    running = start(60)
    (one,) = containers(running.state)
    group = "auto-benchmark-" + one["Labels"][docker_leftovers.RUN]
    running.process.kill()
    assert eventually(lambda: not running.inside(), 2)
    assert eventually(lambda: not containers(running.state), 2)
    assert eventually(lambda: group not in groups(), 2)
    assert eventually(lambda: not left_over(running.folder), 2), left_over(running.folder)
    running.process.wait()
    assert eventually(lambda: not Path(f"/proc/{running.guard}").exists(), 8)


def test_killing_orchestrator_and_guard_leaves_a_container_that_reap_removes(start: Callable[[float], Running]) -> None:
    running = start(60)
    os.kill(running.guard, signal.SIGKILL)
    running.process.kill()
    running.process.wait()
    has_mount = os.geteuid() == 0 and docker_disk.engine_sees_mounts()
    assert bool(left_over(running.folder)) == has_mount
    removed = Docker(running.state).reap()
    assert (f"mount {running.folder / 'out'}" in removed) == has_mount, removed
    assert eventually(lambda: not left_over(running.folder), 2), left_over(running.folder)
    assert any(line.startswith("container ") and line.endswith("(running)") for line in removed), removed
    assert any(line.startswith("folder ") for line in removed), removed
    assert running.inside() == []
    assert containers(running.state) == []
    assert Docker(running.state).reap() == ()


def test_a_group_that_outlived_its_container_is_removed_by_the_start_that_finds_it_empty(tmp_path: Path) -> None:
    sandbox = make("docker", tmp_path / "state")
    assert isinstance(sandbox, Docker)
    if not docker_groups.may_have_parents(sandbox.engine().group_driver):
        pytest.skip("no group of ours can be above a container's here")
    dead = subprocess.Popen(["true"])
    dead.wait()
    run = accounts.run_name(tmp_path / "state")
    scratch = tmp_path / "state" / docker_leftovers.SCRATCH / f"{run}-{dead.pid}"
    scratch.mkdir(parents=True)
    group = docker_groups.parent_name(run)
    tops = docker_groups.hierarchies()
    folder = Path(next((top for top in tops if top.endswith("/freezer")), tops[0]) + group)
    folder.mkdir()
    inside = subprocess.Popen(["sleep", "60"])
    (folder / "cgroup.procs").write_text(str(inside.pid))
    try:
        assert sandbox.reap() == ()
        assert scratch.is_dir()
    finally:
        inside.kill()
        inside.wait()
    assert sandbox.reap() == (f"control group {group}", f"folder {scratch.name}")
    assert not folder.exists()


def test_with_nobody_left_to_end_it_a_container_ends_soon_after_its_limit(start: Callable[[float], Running]) -> None:
    running = start(3)
    os.kill(running.guard, signal.SIGKILL)
    running.process.kill()
    assert eventually(lambda: not running.inside(), 3 + docker_arguments.GRACE_S + 4)
    running.process.wait()
    assert eventually(lambda: [one["State"] for one in containers(running.state)] == ["exited"], 5)
    assert any(line.endswith("(exited)") for line in Docker(running.state).reap())
    assert eventually(lambda: not left_over(running.folder), 2), left_over(running.folder)


def test_reap_leaves_a_living_run_alone(start: Callable[[float], Running]) -> None:
    running = start(60)
    before = left_over(running.folder)
    assert Docker(running.state).reap() == ()
    assert left_over(running.folder) == before
    assert len(running.inside()) >= 7
    assert running.process.poll() is None


def test_a_guard_that_was_killed_is_replaced_before_the_next_container(empty: Docker, out: Path) -> None:
    assert run(empty, RunSpec("r1", ("true",), out, LIMITS)).status == 0
    first = docker_guard.process_id()
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: docker_guard.process_id() is None, 5)
    assert run(empty, RunSpec("r1", ("true",), out, LIMITS)).status == 0
    assert docker_guard.process_id() not in (None, first)


def test_a_run_leaves_neither_container_nor_folder_nor_group(empty: Docker, out: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    own = on_empty_image(state)
    assert run(own, RunSpec("r1", ("sh", "-c", "echo said"), out, LIMITS)).tail == "said\n"
    assert containers(state) == []
    assert list((state / "containers").iterdir()) == []
    assert list(out.iterdir()) == []


def test_a_flood_of_output_costs_no_memory(empty: Docker, out: Path) -> None:
    program = "import os\nfor _ in range(300): os.write(1, bytes(1 << 20))"
    run(empty, RunSpec("r1", ("true",), out, LIMITS))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = run(empty, RunSpec("r1", ("python", "-S", "-c", program), out, LIMITS, python=PYTHON))
    assert outcome.output_bytes == 300 << 20, outcome
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000


@pytest.mark.skipif(os.geteuid() != 0, reason="only under root do candidates have a user id of their own")
def test_a_folder_closed_to_the_candidate_is_shown_with_its_links(empty: Docker, out: Path, tmp_path: Path) -> None:
    data = tmp_path / "closed"
    (data / "sub").mkdir(parents=True)
    (data / "sub" / "file").write_text("inner")
    (data / "link").symlink_to("sub/file")
    data.chmod(0o700)
    spec = RunSpec("r1", ("sh", "-c", "cat /data/link; echo x >/data/new"), out, LIMITS, mounts=(Mount(data, "/data"),))
    outcome = run(empty, spec)
    assert outcome.tail.startswith("inner"), outcome
    assert "new" in outcome.tail
    assert sorted(path.name for path in data.iterdir()) == ["link", "sub"]
