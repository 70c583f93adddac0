"""What bubblewrap can do on this host, found out by trying: `examine` quickly before runs, `diagnose` for doctor.

Every finding comes with its reason, every refusal with the one command that mends it. Called by
`sandbox.bubblewrap` and `sandbox.supervised`.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from registry.errors import BadInput
from sandbox import bwrap_arguments, cgroups, gpus, hard_disk, seccomp
from sandbox.contract import Capabilities, Capability, Limits, Outcome, RunSpec, Sandbox

_OPTIONS = ("--size", "--disable-userns", "--perms", "--json-status-fd")
_SYSTEM = ("--proc", "/proc", "--dev", "/dev")
_PROBE_S = 10.0


@dataclass(frozen=True, slots=True)
class Host:
    """What the host offers; `reasons` is empty where sandboxes can be had."""

    program: bwrap_arguments.Program
    as_root: bool
    groups: cgroups.Parents | None
    reasons: tuple[str, ...] = ()

    def other_tasks(self) -> int:
        """Tasks of this user that the process limit would count too: before Linux 5.14 it knew no namespaces."""
        if linux_release() >= (5, 14):
            return 0
        mine = (path for path in Path("/proc").glob("[0-9]*/task") if path.stat().st_uid == os.getuid())
        return sum(len(list(path.iterdir())) for path in mine)


def linux_release() -> tuple[int, ...]:
    """Major and minor number of the running kernel."""
    return tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2] if part.isdigit())


def examine() -> Host:
    """Find bwrap, its options, the control groups, and whether the smallest sandbox starts."""
    as_root = os.geteuid() == 0
    path = shutil.which("bwrap")
    if path is None:
        fix = "apt-get install bubblewrap" if as_root else "sudo apt-get install bubblewrap"
        return Host(bwrap_arguments.Program("", "", frozenset()), as_root, None, (f"bwrap is not installed: {fix}",))
    text = _output([path, "--help"])
    version = _output([path, "--version"]).strip()
    program = bwrap_arguments.Program(path, version, frozenset(option for option in _OPTIONS if option in text))
    reasons: list[str] = []
    if not {"--perms", "--json-status-fd"} <= program.options:
        reasons.append(f"{version} is too old, 0.5 or newer is needed: apt-get install --only-upgrade bubblewrap")
    reasons += missing_parts(as_root)
    if not reasons:
        reasons += refusal("bwrap", [path, *smallest(as_root), "--ro-bind", "/", "/", *_SYSTEM, "/bin/true"], as_root)
    return Host(program, as_root, cgroups.find() if not reasons else None, tuple(reasons))


def smallest(as_root: bool) -> list[str]:
    """The namespaces without which there is no sandbox."""
    return [*([] if as_root else ["--unshare-user"]), "--unshare-pid", "--unshare-net", "--unshare-ipc"]


def missing_parts(as_root: bool) -> list[str]:
    """What every sandbox of ours needs of the host, beside the program that makes it, and what is not there."""
    reasons: list[str] = []
    if platform.machine() not in seccomp.AUDIT_ARCHITECTURES:
        reasons.append(f"no system call filter is known for {platform.machine()}: use a host with x86_64 or aarch64")
    tools = (bwrap_arguments.SETPRIV if as_root else bwrap_arguments.PRLIMIT, bwrap_arguments.ENV)
    missing = [tool for tool in tools if not Path(tool).exists()]
    return reasons + [f"{tool} is missing: apt-get install util-linux coreutils" for tool in missing]


def refusal(name: str, command: list[str], as_root: bool) -> list[str]:
    """Why the smallest sandbox does not start, with what mends it; empty where it does."""
    try:
        result = subprocess.run(command, capture_output=True, timeout=_PROBE_S, check=False)
    except subprocess.TimeoutExpired:
        return [f"{name} did not come back within {_PROBE_S:g} s: {_mending(as_root)}"]
    if result.returncode == 0:
        return []
    said = result.stderr.decode(errors="replace").strip().splitlines()
    return [f"{name} does not start ({said[-1][:200] if said else result.returncode}): {_mending(as_root)}"]


def _mending(as_root: bool) -> str:
    """The command that most likely lets namespaces be made here."""
    if as_root:
        return "give this container the right to make namespaces, e.g. docker run --privileged, or run on the host"
    switches = {
        "kernel/unprivileged_userns_clone": ("0", "sudo sysctl kernel.unprivileged_userns_clone=1"),
        "kernel/apparmor_restrict_unprivileged_userns": (
            "1",
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        "user/max_user_namespaces": ("0", "sudo sysctl user.max_user_namespaces=10000"),
    }
    for name, (bad, fix) in switches.items():
        path = Path("/proc/sys", name)
        if path.is_file() and path.read_text(encoding="ascii").strip() == bad:
            return fix
    return "run as root, or let this user make user namespaces: sudo sysctl user.max_user_namespaces=10000"


def _output(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, timeout=_PROBE_S, check=False, text=True)
    return result.stdout + result.stderr


# Runs inside. It tries what a candidate must not be able to do, and prints what it could.
_PROBE = r"""
import ctypes, json, os, socket, sys
port, secret = int(sys.argv[1]), sys.argv[2]
def can(act):
    try:
        act()
    except OSError:
        return False
    return True
libc = ctypes.CDLL(None, use_errno=True)
print(json.dumps({
    "network": can(lambda: socket.create_connection(("127.0.0.1", port), 0.5)),
    "secret": can(lambda: open(secret).read()),
    "write": can(lambda: open("/usr/planted", "w")) or can(lambda: open(secret + ".planted", "w")),
    "processes": sum(name.isdigit() for name in os.listdir("/proc")),
    "environment": sorted(os.environ),
    "userns": libc.unshare(0x10000000) == 0,
    "io_uring": libc.syscall(425, 1, 0) != -1 or ctypes.get_errno() != 1,
    "netlink": can(lambda: socket.socket(16, socket.SOCK_RAW, 0)),
}))
"""
_WRITER = r"""
written = 0
try:
    for number in range(12):
        with open(f"file{number}", "wb") as file:
            for _ in range(4):
                file.write(bytes(1 << 20))
                file.flush()
                written += 1
except OSError:
    pass
print(written, flush=True)
"""
_DISK_BYTES = 8 << 20
_HOG = "b = bytearray(192 << 20)\nimport time\ntime.sleep(2)"


def diagnose(sandbox: Sandbox, host: Host, state: Path) -> Capabilities:
    """Three real runs, which try to get out, to take too much memory and to fill the disk, and what they came to."""
    if host.reasons:
        return unusable(sandbox, *host.reasons)
    try:
        tried = Prober(sandbox, state, Path(sys.executable)).try_everything()
    except BadInput as error:
        return unusable(sandbox, str(error))
    return findings(sandbox, tried, _memory(host), _gpu(), why_soft=hard_disk.obstacle())


def unusable(sandbox: Sandbox, *reasons: str) -> Capabilities:
    """A backend that cannot be used, and why."""
    return Capabilities(sandbox.name, usable=False, isolation=sandbox.isolation, items=(), reasons=reasons)


@dataclass(frozen=True, slots=True)
class Tried:
    """How the probes of a backend ended."""

    probe: Outcome
    hog: Outcome
    writer: Outcome


class Prober:
    """Runs the probes in any backend. Without `python` they run on the `python3` that stands inside."""

    def __init__(self, sandbox: Sandbox, state: Path, python: Path | None) -> None:
        self._sandbox = sandbox
        self._state = state
        self._python = python

    def try_everything(self) -> Tried:
        """Runs that try to get out, to take too much memory and to fill the disk, side by side."""
        self._state.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="doctor-", dir=self._state) as folder, socket.socket() as listener:
            secret = Path(folder, "secret")
            secret.write_text("nobody inside may read this", encoding="ascii")
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            with ThreadPoolExecutor(2) as pool:
                hog, writer = (pool.submit(self._try, folder, program) for program in (_HOG, _WRITER))
                probe = self._try(folder, _PROBE, str(listener.getsockname()[1]), str(secret))
                return Tried(probe, hog.result(), writer.result())

    def _try(self, folder: str, program: str, *arguments: str) -> Outcome:
        out = Path(tempfile.mkdtemp(prefix="out-", dir=folder))
        limits = Limits(wall_s=_PROBE_S, memory_bytes=128 << 20, disk_bytes=_DISK_BYTES)
        first = "python3" if self._python is None else str(self._python)
        spec = RunSpec("doctor", (first, "-I", "-S", "-c", program, *arguments), out, limits, python=self._python)
        return self._sandbox.run(spec, threading.Event())


def findings(
    sandbox: Sandbox,
    tried: Tried,
    memory: Capability,
    gpu: Capability,
    variables: Iterable[str] = (),
    why_soft: str = "",
) -> Capabilities:
    """Findings in words. Anything that should be contained and was not makes the backend unusable.

    `memory` is what holds the limit, if the probe shows that anything does; `variables` are those that an image
    brings along; `why_soft` says what a hard disk limit would take.
    """
    probe, hog = tried.probe, tried.hog
    try:
        found = json.loads(probe.tail)
    except json.JSONDecodeError:
        reason = f"the probe did not run ({probe.reason} {probe.detail}): {probe.tail[-300:]}"
        return unusable(sandbox, reason)
    known = {"PATH", "HOME", "LANG", *variables}
    escapes = {
        "network": (found["network"], "a listener on the host's loopback"),
        "environment": (bool(set(found["environment"]) - known), "a variable of the orchestrator"),
        "filesystem": (found["secret"] or found["write"], "anything of the host's files but what it was given"),
        "pid namespace": (found["processes"] > 4, "any process but its own"),
        "system calls": (found["userns"] or found["io_uring"] or found["netlink"], "namespaces, io_uring or netlink"),
    }
    items = [
        Capability(
            what, "no" if leaked else "yes", f"a probe inside {'reached' if leaked else 'could not reach'} {that}"
        )
        for what, (leaked, that) in escapes.items()
    ]
    if hog.reason not in ("oom", "memory"):
        memory = Capability("memory", "none", f"a probe took 192 MiB of 128 MiB and ended with {hog.reason}")
    items += [memory, _disk(tried.writer, why_soft), gpu]
    reasons = tuple(f"{item.name}: {item.why}" for item in items if item.level in ("no", "none") and item.name != "GPU")
    return Capabilities(
        sandbox.name, usable=not reasons, isolation=sandbox.isolation, items=tuple(items), reasons=reasons
    )


def _disk(writer: Outcome, why_soft: str) -> Capability:
    """Hard where the kernel refused the write that passed the limit, soft where only a look found it afterwards."""
    if writer.reason != "disk":
        why = f"a probe wrote 48 MiB where {_DISK_BYTES >> 20} are allowed and ended with {writer.reason}"
        return Capability("disk", "none", f"{why} {writer.detail}".strip())
    written = writer.tail.strip()
    if written.isdigit() and int(written) << 20 < 2 * _DISK_BYTES:
        why = f"a probe could write {written} MiB where {_DISK_BYTES >> 20} are allowed"
        return Capability("disk", "hard", f"{why}: a file system of its own for each run")
    why = "a probe passed the limit: the folder is measured every 0.1 s, files are capped"
    return Capability("disk", "soft", f"{why}; {why_soft}" if why_soft else why)


def _memory(host: Host) -> Capability:
    if host.groups is not None:
        return Capability("memory", "cgroup", f"control groups version {host.groups.version} in {host.groups.memory}")
    return Capability("memory", "watchdog", "no control group may be made here; the tree is summed every 50 ms")


def _gpu() -> Capability:
    found = gpus.present()
    if not found:
        return Capability("GPU", "no", "no /dev/nvidia* on this host")
    return Capability("GPU", "yes", f"NVIDIA devices {', '.join(map(str, found))}")
