"""A process that outlives its orchestrator just long enough to end the containers it leaves behind.

A container is the engine's child and not ours, so nothing in the kernel ends it when an orchestrator is killed.
There is one guard for each orchestrator, started before its first container by `sandbox.docker_engine` as

    python -I -c "...; from sandbox.docker_guard import main; main()" PACKAGES ORCHESTRATOR

It sleeps on a pipe from the orchestrator and on the orchestrator's own end. Should both be killed, `timeout` inside
the container and the next `reap` remain.
"""

from __future__ import annotations

import atexit
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PACKAGES = str(Path(__file__).resolve().parent.parent)
_START = "import sys; sys.path.append(sys.argv[1]); from sandbox.docker_guard import main; main()"
_KEPT = ("LD_LIBRARY_PATH", "HOME", "PATH")
_LOOKS_FOR_S = 3.0
"""How long it looks for containers that the engine was still being asked for."""
_QUIET_S = 1.0

_GOODBYE = b"."

_lock = threading.Lock()
_guards: dict[tuple[int, str], subprocess.Popen[bytes]] = {}
_runs: dict[int, int] = {}


@contextmanager
def guarded(label: str) -> Iterator[None]:
    """For the length of one run, see to it that this orchestrator has a living guard; OSError where it cannot."""
    with _lock:
        _start_if_needed(label)
        _runs[os.getpid()] = _runs.get(os.getpid(), 0) + 1
    try:
        yield
    finally:
        with _lock:
            _runs[os.getpid()] -= 1


def process_id() -> int | None:
    """The guard of this orchestrator, if it has one."""
    with _lock:
        guard = _guards.get(_key())
        return guard.pid if guard is not None and guard.poll() is None else None


def _start_if_needed(label: str) -> None:
    guard = _guards.get(_key())
    if guard is not None and guard.poll() is None:
        return
    if guard is not None and guard.stdin is not None:
        guard.stdin.close()
    if not any(pid == os.getpid() for pid, _ in _guards):
        atexit.register(_dismiss, os.getpid())
    variables = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith("DOCKER_")}
    _guards[_key()] = subprocess.Popen(
        [sys.executable, "-I", "-c", _START, _PACKAGES, label],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env=variables,
    )


def _key() -> tuple[int, str]:
    return os.getpid(), os.environ.get("DOCKER_HOST", "")


def _dismiss(pid: int) -> None:
    """At the orchestrator's own orderly end the guard may go at once, unless a run is still under way."""
    if pid != os.getpid():
        return
    for guard in _guards.values():
        with suppress(OSError):
            if guard.stdin is not None:
                if not _runs.get(pid):
                    guard.stdin.write(_GOODBYE)
                guard.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            guard.wait(_LOOKS_FOR_S)
    _guards.clear()


def main() -> None:
    """Wait for the orchestrator's end, then leave none of its containers behind."""
    label = sys.argv[2]
    if _farewell(int(label.split(":")[1])):
        return
    from sandbox import docker_client, docker_leftovers
    from sandbox.contract import SandboxUnavailable

    try:
        client = docker_client.connect()
    except SandboxUnavailable:
        return
    began = quiet = time.monotonic()
    while time.monotonic() < began + _LOOKS_FOR_S or time.monotonic() < quiet:
        if list(docker_leftovers.remove(client, docker_leftovers.of_orchestrator(client, label))):
            quiet = time.monotonic() + _QUIET_S
        elif time.monotonic() > began + _QUIET_S and not docker_leftovers.is_alive(label):
            return
        time.sleep(0.05)


def _farewell(orchestrator: int) -> bool:
    """Sleep until the orchestrator ends; whether it said goodbye."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    with suppress(OSError, AttributeError):
        poll.register(os.pidfd_open(orchestrator), select.POLLIN)
    while os.getppid() == orchestrator:
        ready = [descriptor for descriptor, _ in poll.poll(60_000)]
        if 0 in ready:
            return os.read(0, 1) == _GOODBYE
        if ready:
            return False
    return False


if __name__ == "__main__":
    main()
