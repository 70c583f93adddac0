"""Hostile programs, what each may come to, and a way to play them against a sandbox and look from outside.

Used by tests/test_sandbox_hostile.py in its own process and, started as a script by another user, as

    python sandbox_programs.py FOLDER BACKEND

which prints what happened to every program as JSON. Standard library and `sandbox` only.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sandbox_programs_neighbours as neighbours

from sandbox.bubblewrap import Bubblewrap
from sandbox.contract import Limits, Mount, RunSpec, Sandbox
from sandbox.namespaces import Namespaces
from sandbox.outputs import remove_tree

MIB = 1 << 20
PLANTED = "planted-" + "7f3a9c"
INTERPRETER = [sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parent.parent)]
"""Where the interpreter is installed: a sandbox shows these, and the names of the folders that lead there."""

Evidence = dict[str, object]


@dataclass(frozen=True)
class Program:
    """Source, limits, and what must hold afterwards."""

    name: str
    source: str
    check: Callable[[Evidence], None]
    limits: dict[str, float] = field(default_factory=dict)
    sibling: bool = False
    """Another run of the same sandbox is under way beside it."""


# Runs before every program: what the host has put in harm's way, and a way to try things.
PRELUDE = r"""
import ctypes, json, os, signal, socket, sys, time
host = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
def worked(act):
    try:
        result = act()
    except (OSError, ValueError, AttributeError):
        return False
    return result is not False
"""


def said(evidence: Evidence) -> object:
    """The JSON a program printed last."""
    return json.loads(str(evidence["tail"]).strip().splitlines()[-1])


def ended(*reasons: str) -> Callable[[Evidence], None]:
    def check(evidence: Evidence) -> None:
        assert evidence["reason"] in reasons, evidence

    return check


def found_nothing(evidence: Evidence) -> None:
    assert evidence["reason"] == "exit", evidence
    assert said(evidence) == [], evidence


def was_stopped_at_the_process_limit(evidence: Evidence) -> None:
    assert evidence["reason"] == "exit", evidence
    count = said(evidence)
    assert isinstance(count, int)
    assert 8 <= count <= 32, evidence


def was_ended_in_time(evidence: Evidence) -> None:
    assert evidence["reason"] == "timeout", evidence
    assert float(str(evidence["wall_s"])) < 1.0 + 2.0, evidence


def left_only_its_real_file(evidence: Evidence) -> None:
    assert evidence["reason"] == "exit", evidence
    assert evidence["files"] == ["closed/inside.txt", "real.txt"], evidence
    for name in ("link", "first", "second", "queue", "listening"):
        assert f"ignored {name}" in str(evidence["detail"]), evidence


def kept_the_log_small(evidence: Evidence) -> None:
    assert evidence["reason"] == "exit", evidence
    assert evidence["output_bytes"] == 8 * MIB + 6, evidence
    assert int(str(evidence["log_bytes"])) < 64 * 1024 + 10_000, evidence
    assert str(evidence["tail"]).endswith("x\nlast\n"), evidence


def printed_everything_in_constant_memory(evidence: Evidence) -> None:
    assert evidence["reason"] == "exit", evidence
    assert evidence["output_bytes"] == 2_000_000_006, evidence
    assert int(str(evidence["log_bytes"])) < 5 * MIB, evidence
    assert int(str(evidence["grew_bytes"])) < 48 * MIB, evidence
    assert str(evidence["tail"]).endswith("x\nlast\n"), evidence


def survived_as_contained(evidence: Evidence) -> None:
    assert evidence["reason"] == "exit", evidence
    assert evidence["wall_s"] is not None


def hid_no_memory(evidence: Evidence) -> None:
    if evidence["reason"] == "exit":
        assert said(evidence) == "refused", evidence
    else:
        assert evidence["reason"] == "oom", evidence


PROGRAMS = (
    Program(
        "reads_secrets",
        """
found = [name for name in os.environ if name not in ("PATH", "HOME", "LANG")]
places = [host["secret"], "/etc/shadow", "/root/.bash_history", "/proc/1/environ", "/proc/kcore", "/dev/mem"]
places += [f"/proc/{pid}/environ" for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()]
for place in places:
    if worked(lambda: host["planted"] in open(place, errors="replace").read(1 << 20) or place.startswith("/proc/") ) \
            and host["planted"] in open(place, errors="replace").read(1 << 20):
        found.append(place)
found += [place for place in ("/etc/shadow", "/dev/mem", "/proc/kcore", "/run", "/var", "/sys/fs/cgroup") if
          worked(lambda: os.listdir(place) if os.path.isdir(place) else open(place, "rb").read(1))]
own = set(host["interpreter"])
def strangers(folder):
    for path in (os.path.join(folder, entry) for entry in os.listdir(folder)):
        if any(place.startswith(path + "/") for place in own):
            yield from strangers(path)
        elif path not in own:
            yield path
found += [path for home in ("/home", "/root") if worked(lambda: os.listdir(home)) for path in strangers(home)]
print(json.dumps(found))
""",
        found_nothing,
    ),
    Program(
        "calls_the_host",
        """
found = []
def unix(address):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(address)
if worked(lambda: socket.create_connection(("127.0.0.1", host["port"]), 1)): found.append("tcp")
if worked(lambda: unix("\\0" + host["abstract"])): found.append("abstract")
if worked(lambda: unix(host["socket"])): found.append("path")
if worked(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("8.8.8.8", 53))): found.append("udp")
if worked(lambda: socket.getaddrinfo("example.org", 80)): found.append("dns")
for family in (16, 17, 38, 40):
    kind = socket.SOCK_RAW if family < 38 else socket.SOCK_STREAM
    if worked(lambda: socket.socket(family, kind)): found.append(family)
print(json.dumps(found))
""",
        found_nothing,
    ),
    Program(
        "writes_outside",
        """
places = ["/usr/x", "/etc/x", "/etc/passwd", "/code/x", "/code/train.py", "/data/x", "/data/labels.txt", "/x", "/dev/x",
          "/proc/sys/kernel/core_pattern", "/proc/sys/vm/overcommit_memory", "/proc/sysrq-trigger", "/proc/1/mem",
          "/sys/fs/cgroup/memory/cgroup.procs", "/sys/fs/cgroup/cgroup.procs", host["secret"], host["outside"] + "/x",
          os.path.dirname(sys.executable) + "/x"]
def write(place):
    with open(place, "a") as file:
        file.write("")
found = [place for place in places if worked(lambda: write(place))]
given = ("/code/train.py", "/data/labels.txt")
found += [f"mode of {place}" for place in given if worked(lambda: os.chmod(place, 0o777))]
found += [f"removed {place}" for place in given if worked(lambda: os.unlink(place))]
print(json.dumps(found))
""",
        found_nothing,
    ),
    Program(
        "asks_the_kernel",
        """
found = []
namespaces = {"mnt": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000,
              "pid": 0x20000000, "net": 0x40000000}
found += [f"unshare {name}" for name, flag in namespaces.items() if libc.unshare(flag) == 0]
clone, clone3 = (56, 435) if os.uname().machine == "x86_64" else (220, 435)
for name, flag in namespaces.items():
    pid = libc.syscall(clone, flag | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0: os._exit(0)
    if pid > 0: found.append(f"clone {name}")
if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0: found.append("mount")
if libc.umount2(b"/proc", 2) == 0: found.append("umount")
if libc.setns(os.open("/proc/self/ns/net", os.O_RDONLY), 0) == 0: found.append("setns")
if libc.ptrace(16, os.getppid(), 0, 0) == 0: found.append("ptrace")
numbers = {"io_uring_setup": 425, "open_tree": 428, "fsopen": 430, "pidfd_getfd": 438, "memfd_secret": 447}
for name, number in numbers.items():
    ctypes.set_errno(0)
    if libc.syscall(number, 1, 0, 0) != -1 or ctypes.get_errno() != 1: found.append(name)
ctypes.set_errno(0)
if libc.syscall(clone3, 0, 0) != -1 or ctypes.get_errno() != 38: found.append("clone3")
if os.uname().machine == "x86_64":
    for name, number in {"bpf": 321, "keyctl": 250, "perf": 298, "userfaultfd": 323, "handle": 304}.items():
        ctypes.set_errno(0)
        if libc.syscall(number, 0, 0, 0) != -1 or ctypes.get_errno() != 1: found.append(name)
if worked(lambda: os.setuid(0)) and os.getuid() == 0: found.append("root")
if worked(lambda: os.mknod("/work/device", 0o666 | 0o20000, os.makedev(1, 1))): found.append("mknod")
print(json.dumps(found))
""",
        found_nothing,
    ),
    Program(
        "forks_without_end",
        "while True:\n    worked(os.fork)\n",
        was_ended_in_time,
        {"wall_s": 1.0, "processes": 32},
    ),
    Program(
        "counts_its_children",
        """
count = 0
while count < 200:
    try:
        if os.fork() == 0:
            time.sleep(60)
    except OSError:
        break
    count += 1
print(json.dumps(count))
""",
        was_stopped_at_the_process_limit,
        {"processes": 32},
    ),
    Program(
        "takes_memory",
        "hoard = []\nwhile True:\n    hoard.append(bytearray(4 << 20))\n",
        ended("oom", "memory"),
        {"memory_bytes": 96 * MIB},
    ),
    Program(
        "takes_memory_in_several",
        "for _ in range(5):\n    if os.fork() == 0: break\nhoard = bytearray(48 << 20)\ntime.sleep(20)\n",
        ended("oom", "memory"),
        {"memory_bytes": 96 * MIB},
    ),
    Program(
        "takes_shared_memory",
        """
for index in range(40):
    with open(f"/dev/shm/{index}", "wb") as file:
        if not worked(lambda: file.write(bytes(4 << 20))): break
time.sleep(20)
""",
        ended("oom", "memory"),
        {"memory_bytes": 96 * MIB, "disk_bytes": 512 * MIB},
    ),
    Program(
        "hides_memory",
        """
try:
    hidden = [os.memfd_create("x") for _ in range(8)]
except OSError:
    segment = libc.shmget(0x5eed, 64 << 20, 0o1666)
    print(json.dumps("refused" if segment < 0 else "segment"))
    raise SystemExit
for descriptor in hidden:
    os.write(descriptor, bytes(32 << 20))
time.sleep(20)
""",
        hid_no_memory,
        {"memory_bytes": 96 * MIB, "disk_bytes": 512 * MIB},
    ),
    Program(
        "leaves_system_v_memory",
        """
print(json.dumps([segment for segment in [libc.shmget(0x5eed, 1 << 20, 0o1666 )] if segment > 1000]))
""",
        found_nothing,
    ),
    Program(
        "fills_the_disk",
        """
for index in range(10_000):
    with open(f"file{index}", "wb") as file:
        file.write(bytes(1 << 20))
    time.sleep(0.002)
""",
        ended("disk"),
        {"disk_bytes": 24 * MIB},
    ),
    Program(
        "fills_the_disk_namelessly",
        """
held = []
for index in range(900):
    held.append(open("file", "wb"))
    os.unlink("file")
    held[-1].write(bytes(1 << 20))
    held[-1].flush()
    time.sleep(0.002)
time.sleep(20)
""",
        ended("disk"),
        {"disk_bytes": 24 * MIB},
    ),
    Program(
        "writes_many_files",
        "for index in range(60_000):\n    open(f'f{index}', 'w').close()\n",
        ended("files"),
        {"files": 400},
    ),
    Program(
        "writes_many_files_in_tmp",
        "for index in range(3_000):\n    open(f'/tmp/f{index}', 'w').close()\ntime.sleep(20)\n",
        ended("files"),
        {"files": 400},
    ),
    Program(
        "nests_folders",
        "for _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')\n",
        ended("files"),
    ),
    Program(
        "ignores_signals",
        """
for number in range(1, 65):
    worked(lambda: signal.signal(number, signal.SIG_IGN))
while True:
    time.sleep(1)
""",
        was_ended_in_time,
        {"wall_s": 1.0},
    ),
    Program(
        "leaves_daemons",
        """
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            while True:
                os.write(1, b"still here\\n")
                time.sleep(0.05)
        os._exit(0)
time.sleep(0.2)
""",
        survived_as_contained,
    ),
    Program(
        "kills_everyone",
        """
for number in (signal.SIGKILL, signal.SIGTERM):
    worked(lambda: os.kill(-1, number))
    for pid in (1, os.getppid(), host["orchestrator"]):
        worked(lambda: os.kill(pid, number))
print(json.dumps([]))
""",
        ended("exit"),
    ),
    Program(
        "prints_a_flood",
        "while True:\n    os.write(1, bytes(1 << 20))\n",
        ended("output"),
        {"output_bytes": 32 * 1024},
    ),
    Program(
        "prints_much",
        "for _ in range(8):\n    os.write(1, b'x' * (1 << 20))\nos.write(2, b'\\nlast\\n')\n",
        kept_the_log_small,
        {"output_bytes": 64 * 1024},
    ),
    Program(
        "burns_time",
        "for _ in range(2):\n    os.fork()\nwhile True: pass\n",
        ended("timeout"),
        {"cpu_s": 0.5, "wall_s": 10},
    ),
    Program(
        "plants_outputs",
        """
open("real.txt", "w").write("real")
os.symlink("/etc/passwd", "link")
open("first", "w").write("x"); os.link("first", "second")
os.mkfifo("queue")
s = socket.socket(socket.AF_UNIX); s.bind("listening")
os.mkdir("closed"); open("closed/inside.txt", "w").write("x"); os.chmod("closed/inside.txt", 0); os.chmod("closed", 0)
os.chmod("real.txt", 0)
""",
        left_only_its_real_file,
    ),
    Program("attacks_a_sibling", neighbours.ATTACKS_A_SIBLING, found_nothing, sibling=True),
    Program("reaches_for_its_limits", neighbours.REACHES_FOR_ITS_LIMITS, found_nothing),
    Program("changes_results", neighbours.CHANGES_RESULTS, found_nothing),
    Program(
        "prints_two_gigabytes",
        neighbours.PRINTS_TWO_GIGABYTES,
        printed_everything_in_constant_memory,
        {"wall_s": 120.0, "output_bytes": 4 * MIB},
    ),
)


@contextmanager
def _bait(folder: Path) -> Iterator[tuple[dict[str, object], Callable[[], list[str]]]]:
    """Things of the host that a program must not reach, and a report of those that were."""
    outside = folder / "outside"
    outside.mkdir()
    secret = folder / "secret"
    secret.write_text(PLANTED)
    abstract = "bait-" + uuid.uuid4().hex
    path = str(Path(tempfile.mkdtemp(prefix="s")) / "bait")
    listeners = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
    listeners[1].bind("\0" + abstract)
    listeners[2].bind(path)
    for listener in listeners:
        listener.listen()
        listener.settimeout(0.0)
    core_pattern = Path("/proc/sys/kernel/core_pattern").read_text()

    def reached() -> list[str]:
        found = []
        for name, listener in zip(("tcp", "abstract", "path"), listeners, strict=True):
            try:
                listener.accept()[0].close()
                found.append(name)
            except BlockingIOError:
                pass
        found += [str(path) for path in outside.iterdir()]
        found += ["secret"] if secret.read_text() != PLANTED else []
        found += ["core_pattern"] if Path("/proc/sys/kernel/core_pattern").read_text() != core_pattern else []
        return found

    bait: dict[str, object] = {"secret": str(secret), "outside": str(outside), "abstract": abstract, "socket": path}
    bait |= {
        "port": listeners[0].getsockname()[1],
        "orchestrator": os.getpid(),
        "planted": PLANTED,
        "interpreter": INTERPRETER,
    }
    try:
        yield bait, reached
    finally:
        for listener in listeners:
            listener.close()
        Path(path).unlink()
        Path(path).parent.rmdir()


def play(program: Program, sandbox: Sandbox, folder: Path) -> Evidence:
    """Run one program and say what came of it, inside and outside."""
    folder.mkdir()
    tag = f"tag-{uuid.uuid4().hex}"
    out, code, data, log = folder / "out", folder / "code", folder / "data", folder / "log"
    results = folder / "other run"
    for place in (out, code, data, results):
        place.mkdir()
    kept = [code / "train.py", data / "labels.txt", results / "metrics.json", results / "evaluate.py"]
    for place in kept:
        place.write_text("original")
    limits = Limits(**({"wall_s": 20.0, "memory_bytes": 256 * MIB, "disk_bytes": 64 * MIB} | program.limits))  # type: ignore[arg-type]
    segments = Path("/proc/sysvipc/shm").read_text()
    with _bait(folder) as (bait, reached), _sibling(program, sandbox, folder) as siblings:
        bait |= {"results": [str(place) for place in kept], "siblings": siblings}
        argv = (sys.executable, "-I", "-S", "-c", PRELUDE + program.source, json.dumps(bait), tag)
        mounts = (Mount(data, "/data"),)
        spec = RunSpec(tag, argv, out, limits, code=code, mounts=mounts, python=Path(sys.executable), log=log)
        grown = _Growth()
        began = time.monotonic()
        outcome = sandbox.run(spec, threading.Event())
        took = time.monotonic() - began
        grew = grown.bytes()
        touched = reached()
        touched += ["sibling"] if not all(Path(f"/proc/{pid}").exists() for pid in siblings) else []
    touched += [str(place) for place in kept if place.read_text() != "original"]
    files = [file.path for file in outcome.manifest]
    remove_tree(out)
    touched += ["output folder"] if out.exists() else []
    touched += ["system V memory"] if "5eed" in f"{Path('/proc/sysvipc/shm').read_text()}".replace(segments, "") else []
    return {
        "reason": outcome.reason,
        "status": outcome.status,
        "wall_s": took,
        "tail": outcome.tail,
        "detail": outcome.detail,
        "peak": outcome.peak_memory_bytes,
        "output_bytes": outcome.output_bytes,
        "log_bytes": log.stat().st_size,
        "grew_bytes": grew,
        "files": files,
        "touched": touched,
        "alive": tagged_processes(tag),
    }


@contextmanager
def _sibling(program: Program, sandbox: Sandbox, folder: Path) -> Iterator[list[int]]:
    """Processes of another run beside the program, where it wants one; the run must still be well at the end."""
    if not program.sibling:
        yield []
        return
    tag, cancel = f"a sibling of {uuid.uuid4().hex}", threading.Event()
    out = folder / "sibling"
    out.mkdir()
    limits = Limits(wall_s=60.0, memory_bytes=256 * MIB, disk_bytes=64 * MIB)
    argv = (sys.executable, "-I", "-S", "-c", "import time\nwhile True: time.sleep(1)", tag)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(sandbox.run, RunSpec("sibling", argv, out, limits, python=Path(sys.executable)), cancel)
        try:
            while not (found := tagged_processes(tag)) and not run.done():
                time.sleep(0.02)
            time.sleep(0.2)
            yield tagged_processes(tag) or found
            assert not run.done(), run.result()
        finally:
            cancel.set()


class _Growth:
    """How much more memory this process held at its highest since it was made."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
        self._before = self._highest()

    def bytes(self) -> int:
        return self._highest() - self._before

    def _highest(self) -> int:
        match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert match is not None
        return int(match[1]) << 10


def tagged_processes(tag: str) -> list[int]:
    """Processes on this host whose command line holds the tag, as forks of a tagged program keep it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if tag.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def main() -> None:
    folder = Path(sys.argv[1])
    os.environ["PLANTED"] = PLANTED
    sandbox: Sandbox = {"bwrap": Bubblewrap, "namespaces": Namespaces}[sys.argv[2]](folder / "state")
    with ThreadPoolExecutor(2) as pool:
        played = list(pool.map(lambda program: play(program, sandbox, folder / program.name), PROGRAMS))
    capabilities = [[item.name, item.level] for item in sandbox.doctor().items]
    evidence = dict(zip((program.name for program in PROGRAMS), played, strict=True))
    print(json.dumps({"evidence": evidence, "capabilities": capabilities, "uid": os.getuid()}))


if __name__ == "__main__":
    main()
