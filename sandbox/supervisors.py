"""Starts supervisors from the orchestrator's side: a job goes out, a cancellation may follow, a report comes back.

Called by the backends that `sandbox.supervisor` serves, from any thread. Supervisors are forked by one helper process
(`sandbox.fork_server`), which this module starts when the first one is wanted and again if somebody ended it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
from pathlib import Path

from sandbox.outputs import plain_text

PACKAGE_PARENT = str(Path(__file__).resolve().parent.parent)
_START = "import sys; sys.path.append(sys.argv[1]); from sandbox.fork_server import main; main()"
INTERPRETER: str = getattr(sys, "_base_executable", None) or sys.executable
"""Ours, by its real name: without site-packages a virtual environment gives nothing and takes milliseconds."""
_CANCEL_POLL_S = 0.05
_GOES_WITHIN_S = 5.0


class ForkServer:
    """The helper process and the socket to it; `request` is safe to call from several threads."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [INTERPRETER, "-I", "-S", "-c", _START, PACKAGE_PARENT],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
                env={name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"},
            )
        self._socket = ours
        self._sending = threading.Lock()
        self.owner = os.getpid()

    def request(self, descriptors: list[int]) -> None:
        """Ask for one supervisor with these descriptors; OSError where the helper is gone."""
        with self._sending:
            socket.send_fds(self._socket, [b"s"], descriptors)

    def close(self) -> None:
        """Let the helper end, and wait for it where it is our own child."""
        self._socket.close()
        if self.owner == os.getpid():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GOES_WITHIN_S)


_server: ForkServer | None = None
_starting = threading.Lock()


def _close_at_exit() -> None:
    if _server is not None:
        _server.close()


def _request(descriptors: list[int]) -> None:
    """Ask the helper, starting it where there is none (any more): a forked orchestrator needs one of its own."""
    global _server
    with _starting:
        if _server is None:
            atexit.register(_close_at_exit)
        if _server is None or _server.owner != os.getpid():
            _server = ForkServer()
        try:
            _server.request(descriptors)
        except (BrokenPipeError, ConnectionError):
            _server.close()
            _server = ForkServer()
            _server.request(descriptors)


def supervise(job: bytes, cancel: threading.Event, locks: tuple[int, ...]) -> tuple[bytes, str]:
    """Have one job done; returns the supervisor's marshalled report, or nothing and what it complained of.

    The supervisor inherits `locks` and holds them to its end. `cancel` may be set by any thread at any time.
    """
    job_end, job_out = os.pipe2(os.O_CLOEXEC)
    report_in, report_end = os.pipe2(os.O_CLOEXEC)
    complaint_in, complaint_end = os.pipe2(os.O_CLOEXEC)
    theirs = [job_end, report_end, complaint_end]
    try:
        try:
            _request([*theirs, *locks])
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        report = _converse(job_out, report_in, job, cancel)
        with open(complaint_in, "rb", closefd=False) as stream:
            complaint = plain_text(stream.read().decode(errors="replace"), 2000)
    finally:
        os.close(report_in)
        os.close(complaint_in)
    return report, complaint


def _converse(job_out: int, report_in: int, job: bytes, cancel: threading.Event) -> bytes:
    """Send the job, pass a cancellation on, and collect the report until the supervisor closes its end."""
    with open(job_out, "wb", buffering=0) as jobs:
        with contextlib.suppress(BrokenPipeError):
            message = memoryview(len(job).to_bytes(8, "little") + job)
            while message:
                message = message[jobs.write(message) :]
        report = b""
        poll = select.poll()
        poll.register(report_in, select.POLLIN)
        while True:
            if cancel.is_set():
                jobs.close()
            if poll.poll(_CANCEL_POLL_S * 1000):
                piece = os.read(report_in, 1 << 16)
                if not piece:
                    return report
                report += piece
