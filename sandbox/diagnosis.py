"""What a backend contains on this host, found out by trying: real runs that do their worst, and what they came to.

Every finding comes with its reason. Called by the backends, for doctor and before a backend is chosen.
"""

from __future__ import annotations

import json
import socket
import sys
import tempfile
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from registry.errors import BadInput
from sandbox import gpus, hard_disk
from sandbox.contract import Capabilities, Capability, Limits, Outcome, RunSpec, Sandbox
from sandbox.hosts import Host

_PROBE_S = 10.0

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
_OPENS_GPU = r"""
import os, sys
for name in ("nvidiactl", "nvidia" + sys.argv[1]):
    os.close(os.open("/dev/" + name, os.O_RDWR))
"""
_GPU_WAIT_S = 3.0
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
    gpu = tried_gpu(sandbox, state, Path(sys.executable))
    return findings(sandbox, tried, _memory(host), gpu, why_soft=hard_disk.obstacle())


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

    def try_gpu(self, minor: int) -> Outcome:
        """A run that opens one GPU's devices; cancelled where other runs have that GPU."""
        self._state.mkdir(parents=True, exist_ok=True)
        patience = threading.Timer(_GPU_WAIT_S, (cancel := threading.Event()).set)
        patience.start()
        try:
            with tempfile.TemporaryDirectory(prefix="doctor-", dir=self._state) as folder:
                return self._try(folder, _OPENS_GPU, str(minor), gpus=(minor,), cancel=cancel)
        finally:
            patience.cancel()

    def _try(
        self,
        folder: str,
        program: str,
        *arguments: str,
        gpus: tuple[int, ...] = (),
        cancel: threading.Event | None = None,
    ) -> Outcome:
        out = Path(tempfile.mkdtemp(prefix="out-", dir=folder))
        limits = Limits(wall_s=_PROBE_S, memory_bytes=128 << 20, disk_bytes=_DISK_BYTES)
        first = "python3" if self._python is None else str(self._python)
        words = (first, "-I", "-S", "-c", program, *arguments)
        spec = RunSpec("doctor", words, out, limits, python=self._python, gpus=gpus)
        return self._sandbox.run(spec, cancel or threading.Event())


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


def tried_gpu(sandbox: Sandbox, state: Path, python: Path | None) -> Capability:
    """Whether a run that is given the first GPU can open its devices."""
    found = gpus.present()
    if not found:
        return Capability("GPU", "no", "no /dev/nvidia* on this host")
    outcome = Prober(sandbox, state, python).try_gpu(found[0])
    named = f"NVIDIA devices {', '.join(map(str, found))}"
    if outcome.reason == "cancelled":
        return Capability("GPU", "yes", f"{named}; not tried, for other runs have GPU {found[0]} now")
    if outcome.reason == "exit" and outcome.status == 0:
        return Capability("GPU", "yes", f"{named}; a probe inside opened those of GPU {found[0]}")
    last = outcome.tail.strip().splitlines()[-1:] or [outcome.detail or outcome.reason]
    return Capability("GPU", "no", f"{named}, but a probe inside could not open them: {last[0]}")
