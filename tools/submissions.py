"""Hands a promoted solution to a leaderboard by the command the user configured. Off unless there is one.

Called by the promoting node after the promotion is recorded. Whatever goes wrong becomes a `SubmissionResult`:
nothing here raises into a promotion. No shell, no inherited environment, a time limit on the whole process tree.
The command is the user's own and runs outside the sandbox, because it needs the network and their credentials.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import threading
import time
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

MAX_OUTPUT_BYTES = 64 << 10
TEMPORARY_FAILURE = 75
"""sysexits' EX_TEMPFAIL: the command's way to say that trying again may help."""
INHERITED = ("PATH", "HOME", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")
"""What a command needs to be found, to find its own credentials file and to reach the network at all."""
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")

Status = Literal["off", "submitted", "refused", "retry", "unknown"]
GRACE_S = 3.0
"""Given to a command to end by itself, once somebody wants to stop."""
Ended = Literal["itself", "late", "stopped"]


@dataclass(frozen=True, slots=True)
class Promotion:
    """What a command may ask for by placeholder: `{hypothesis}`, `{branch}`, `{commit}`, `{code}`, `{results}`."""

    hypothesis: str
    branch: str
    commit: str
    code: Path
    """The promoted tree, written out."""
    results: Path


@dataclass(frozen=True, slots=True)
class SubmissionResult:
    """How it went: `retry` may be tried again as it is, `refused` needs a person; of `unknown` only the board knows."""

    status: Status
    why: str = ""
    argv: tuple[str, ...] = ()
    exit_status: int | None = None
    wall_s: float = 0.0
    output: str = ""
    """The last of what the command wrote, control characters stripped; a stranger's text."""


def submit(
    command: Sequence[str] | None,
    promotion: Promotion,
    timeout_s: float,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    cancel: threading.Event | None = None,
) -> SubmissionResult:
    """Run the command in `folder` with its placeholders filled in, and say how it went.

    Where `cancel` is set meanwhile, the command has a few seconds left.
    """
    if not command:
        return SubmissionResult("off", "submission.command is not configured")
    values = {
        "hypothesis": promotion.hypothesis,
        "branch": promotion.branch,
        "commit": promotion.commit,
        "code": str(promotion.code),
        "results": str(promotion.results),
    }
    if unknown := sorted({name for word in command for name in _PLACEHOLDER.findall(word)} - values.keys()):
        return SubmissionResult("refused", f"submission.command uses {{{unknown[0]}}}, which means nothing here")
    argv = tuple(_PLACEHOLDER.sub(lambda match: values[match[1]], word) for word in command)
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    variables = {"LC_ALL": "C.UTF-8", **inherited, **(environment or {})}
    return _run(argv, timeout_s, folder, variables, cancel or threading.Event())


def _run(
    argv: tuple[str, ...], timeout_s: float, folder: Path, environment: Mapping[str, str], cancel: threading.Event
) -> SubmissionResult:
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            argv,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return SubmissionResult("refused", f"the command could not be started: {error}", argv)
    with process:
        try:
            kept, ended = _watch(process, started + timeout_s, cancel)
        finally:
            _end_group(process)
    status = process.returncode if ended == "itself" else None
    wall = time.monotonic() - started
    output = _printable(kept)
    if ended == "late":
        return SubmissionResult("retry", f"no end after {timeout_s:g} s", argv, None, wall, output)
    if ended == "stopped":
        why = "stopped while it was handed in; look at the board before handing it in by hand"
        return SubmissionResult("unknown", why, argv, None, wall, output)
    if status == 0:
        return SubmissionResult("submitted", "", argv, status, wall, output)
    verdict: Status = "retry" if status == TEMPORARY_FAILURE else "refused"
    return SubmissionResult(verdict, f"the command ended with status {status}", argv, status, wall, output)


def _watch(process: subprocess.Popen[bytes], deadline: float, cancel: threading.Event) -> tuple[bytes, Ended]:
    """Read until the command ends or its time is up; keeps the last bytes only, however many there are."""
    kept = bytearray()
    late: Ended = "late"
    stream = process.stdout
    if stream is None:
        raise ValueError("the command was started without a pipe for its output")
    with selectors.DefaultSelector() as selector:
        os.set_blocking(stream.fileno(), False)
        selector.register(stream, selectors.EVENT_READ)
        while process.poll() is None:
            now = time.monotonic()
            if cancel.is_set() and now + GRACE_S < deadline:
                deadline, late = now + GRACE_S, "stopped"
            if now >= deadline:
                return bytes(kept), late
            # A child that holds the output open must not keep us waiting, so the end is polled for.
            if selector.get_map() and selector.select(0.05):
                if not _take(stream, kept):
                    selector.unregister(stream)
            elif not selector.get_map():
                time.sleep(0.02)
        while _take(stream, kept) and time.monotonic() < deadline:
            pass
    return bytes(kept), "itself"


def _take(stream: IO[bytes], kept: bytearray) -> bool:
    """Move what is there into `kept`; False at the end of the stream or where nothing is there."""
    try:
        block = os.read(stream.fileno(), 1 << 16)
    except BlockingIOError:
        return False
    kept += block
    del kept[:-MAX_OUTPUT_BYTES]
    return bool(block)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()


def _printable(content: bytes) -> str:
    text = content.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        character if character in "\n\t" or unicodedata.category(character)[0] != "C" else "�" for character in text
    )
