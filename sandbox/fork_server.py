"""The process that supervisors are forked from, so that Python's start is paid once and not once a run.

Started by `sandbox.supervisors`, one for each orchestrator, as

    python -I -S -c "...; from sandbox.fork_server import main; main()"

with one end of a socket as its standard input. Each message on it asks for one supervisor and brings that one's
descriptors: standard input, output and error, then the locks it holds. It never sees a job, and it ends when the
orchestrator does; supervisors do not depend on it once they are there.
"""

from __future__ import annotations

import gc
import os
import signal
import socket

from sandbox import supervisor

MAX_LOCKS = 64
_STANDARD = 3


def main() -> None:
    """Fork a supervisor for every request, until the orchestrator closes its end."""
    requests = socket.socket(fileno=0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the supervisors; they report by themselves
    gc.freeze()
    while True:
        try:
            message, descriptors, _, _ = socket.recv_fds(requests, 1, _STANDARD + MAX_LOCKS)
        except InterruptedError:
            continue
        if not message:
            return
        if os.fork() == 0:
            _become_supervisor(requests, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _become_supervisor(requests: socket.socket, descriptors: list[int]) -> None:
    """In the child: a session of its own, its descriptors in their places, and then nothing but the run."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        requests.detach()
        standard, locks = descriptors[:_STANDARD], descriptors[_STANDARD:]
        for place, descriptor in enumerate(standard):
            os.dup2(descriptor, place)
            os.close(descriptor)
        status = supervisor.main(locks)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it must not go on as a second fork server
        os.write(2, f"{type(error).__name__}: {error}\n".encode(errors="replace"))
    finally:
        os._exit(status)
