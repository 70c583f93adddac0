"""One run in a container, from its creation to its removal: output, limits, the end, the account.

Called by `sandbox.docker_engine` in the thread of the caller. The limits are judged by `sandbox.watching`, as for
every backend; here is what a container needs beside: its output comes over a connection to the engine, which must
be read to its end (an engine does not end a container whose output nobody takes), and its groups vanish with it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox import docker_groups, docker_output, ending, processes, trees, watching
from sandbox.contract import Reason, SandboxUnavailable
from sandbox.docker_client import explain
from sandbox.docker_leftovers import remove_one
from sandbox.docker_tools import INSIDE
from sandbox.hard_disk import Disk

if TYPE_CHECKING:
    from docker import APIClient

_SETTLES_WITHIN_S = 10.0
_RUN_OF_A_MOMENT_S = 0.3
_LATE_S = 0.05
_NOT_FOUND, _NOT_EXECUTABLE, _KILLED = 127, 126, 137


@dataclass(slots=True)
class Report:
    """What is known of a run once its container is gone."""

    reason: Reason
    detail: str = ""
    status: int | None = None
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak: int = 0
    output_bytes: int = 0
    tail: bytes = b""
    left: tuple[str, ...] = ()
    peak_disk: int = 0
    peak_files: int = 0
    peak_processes: int = 0
    collected: trees.Collected | None = None
    """What was carried into the output folder, where the run had a file system of its own."""


def supervise(
    client: APIClient,
    configuration: dict[str, Any],
    name: str,
    job: watching.Job,
    disk: Disk | None,
    cancel: threading.Event,
) -> Report:
    """Create, start, watch, end and remove one container; SandboxUnavailable where it cannot even be created."""
    from docker.errors import APIError, NotFound
    from requests.exceptions import RequestException

    began = time.monotonic()
    watch = watching.Watch(job, None, disk)
    parent = configuration["HostConfig"].get("CgroupParent", "")
    container = ""
    try:
        container = str(client.create_container_from_config(configuration, name)["Id"])
        above = docker_groups.Parent(parent) if parent else None
        unaided = not str(configuration["Entrypoint"][0]).startswith(INSIDE)
        report = _Run(client, container, watch, above, unaided).go(cancel)
    except NotFound as error:
        watch.log.close()
        raise SandboxUnavailable(f"the engine cannot make the container: {explain(error)}") from error
    except (APIError, RequestException, OSError) as error:
        text = f"the container engine: {explain(error)}"
        report = Report("infra", text, wall_s=time.monotonic() - began, output_bytes=watch.log.total)
        report.tail = watch.log.close()
    finally:
        left = _tidy(client, container or name, parent)
    report.left = tuple(left)
    if disk is not None:
        _carry_onward(disk, job, report, cancel)
    return report


def _carry_onward(disk: Disk, job: watching.Job, report: Report, cancel: threading.Event) -> None:
    """Keep what the run left in its own file system; what passed a limit is not, nor what may still be running."""
    report.collected = trees.Collected()
    if report.reason == "infra" and report.left:
        return
    found, reason, detail = disk.keep(report.reason, job.files, job.disk_bytes, cancel.is_set)
    report.collected = found
    if reason:
        report.reason, report.detail, report.status = reason, detail, None  # type: ignore[assignment]


def _tidy(client: APIClient, container: str, parent: str) -> list[str]:
    from requests.exceptions import RequestException

    try:
        left = [] if remove_one(client, container) else [f"container {container[:12]}"]
    except (RequestException, OSError):
        left = [f"container {container[:12]}"]
    return [*left, *(docker_groups.remove_parent(parent) if parent else [])]


class _Run:
    """One created container on its way."""

    def __init__(
        self,
        client: APIClient,
        container: str,
        watch: watching.Watch,
        parent: docker_groups.Parent | None,
        unaided: bool,
    ) -> None:
        """`unaided` says that the engine itself looks for the command, without our tools inside."""
        self._client = client
        self._container = container
        self._watch = watch
        self._parent = parent
        self._unaided = unaided
        self._drained = threading.Event()
        self._trouble = ""

    def go(self, cancel: threading.Event) -> Report:
        """Start it, watch it to its end or a limit, and take its last words."""
        watch = self._watch
        with docker_output.attached(self._client, self._container) as stream:
            drain = threading.Thread(target=self._drain, args=(stream,), name="container-output")
            drain.start()
            try:
                if not cancel.is_set():
                    self._start()
                    watch.started = time.monotonic()
                    self._look_up()
                    self._wait(cancel)
                else:
                    watch.end("cancelled", "")
                ended = time.monotonic()
                state = self._end()
            finally:
                # Whatever happened: without an end of the stream the thread would wait for one for ever.
                if not self._drained.wait(_LATE_S):
                    with contextlib.suppress(OSError):
                        stream.shutdown(socket.SHUT_RDWR)
                drain.join()
        return self._report(state, ended)

    def _start(self) -> None:
        from docker.errors import APIError

        try:
            self._client.start(self._container)
        except APIError as error:
            text = explain(error)
            missing = "executable file not found" in text or "no such file or directory" in text
            if not self._unaided or not (missing or "permission denied" in text):
                raise
            self._watch.log.add(f"{text}\n".encode())
            self._watch.exit_status = _NOT_FOUND if missing else _NOT_EXECUTABLE
            self._drained.set()

    def _look_up(self) -> None:
        """Find the container's first process and its groups, where they are on this host."""
        state = self._state()
        pid = int(state.get("Pid") or 0)
        groups = docker_groups.of_process(pid, self._container) if pid else None
        if groups is not None:
            self._watch.groups, self._watch.init = groups, pid

    def _wait(self, cancel: threading.Event) -> None:
        watch = self._watch
        deadline = watch.started + watch.job.wall_s
        due = time.monotonic()
        while not watch.reason and not self._drained.wait(max(0.0, min(due, deadline) - time.monotonic())):
            now = time.monotonic()
            if cancel.is_set():
                watch.end("cancelled", "")
            if now >= deadline:
                watch.end("timeout", f"wall time {watch.job.wall_s:g} s")
            if now >= due:
                self._inspect()
                due = time.monotonic() + watch.pause_s
        if self._trouble:
            raise OSError(self._trouble)

    def _inspect(self) -> None:
        watch = self._watch
        if watch.groups is None:
            self._inspect_from_afar()
            return
        watching.inspect(watch)
        members = watch.groups.members()
        watch.peak = max(watch.peak, _largest(members))
        if self._parent is None:
            watch.cpu_s = max(watch.cpu_s, processes.cpu_seconds(members))

    def _inspect_from_afar(self) -> None:
        """The engine is elsewhere: ask it, which takes longer, and look at what can be seen from here."""
        watch = self._watch
        watching.judge_output(watch)
        watching.judge_disk(watch, 0, 0)
        found: dict[str, Any] = self._client.stats(self._container, stream=False, one_shot=True)
        used = found.get("memory_stats", {}).get("stats", {})
        anonymous = int(used.get("anon", used.get("total_rss", 0))) + int(used.get("shmem", used.get("total_shmem", 0)))
        watch.peak = max(watch.peak, anonymous)
        watch.cpu_s = max(watch.cpu_s, found.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage", 0) / 1e9)
        if watch.job.cpu_s > 0 and watch.cpu_s > watch.job.cpu_s:
            watch.end("timeout", f"CPU time {watch.job.cpu_s:g} s")

    def _end(self) -> dict[str, Any]:
        """End the container if it has not ended, and wait until the engine knows."""
        from docker.errors import APIError

        deadline = time.monotonic() + _SETTLES_WITHIN_S
        state = self._state()
        if self._watch.reason and state.get("Running"):
            with contextlib.suppress(APIError):  # it may have ended in this moment
                self._client.kill(self._container)
        while (state := self._state()).get("Running") or state.get("Pid"):
            if time.monotonic() > deadline:
                raise OSError("a container did not end")
            time.sleep(0.01)
        self._drained.wait(1.0)
        return state

    def _report(self, state: dict[str, Any], ended: float) -> Report:
        watch = self._watch
        wall_s = ended - watch.started if watch.reason else _duration(state, ended - watch.started)
        if self._parent is not None:
            watch.cpu_s = max(watch.cpu_s, self._parent.cpu_seconds())
            if wall_s < _RUN_OF_A_MOMENT_S:
                watch.peak = max(watch.peak, self._parent.most_memory())
        if watch.exit_status is None and state.get("Status") == "exited":
            watch.exit_status = int(state["ExitCode"])
        if watch.exit_status == _KILLED and wall_s >= watch.job.wall_s:
            # Where this host is slow to look, `timeout` inside may come first.
            watch.end("timeout", f"wall time {watch.job.wall_s:g} s")
        if state.get("OOMKilled"):
            watch.end("oom", watching.OOM.format(watch.job.memory_bytes))
        ending.judge_the_end(watch)
        reason: Reason = watch.reason  # type: ignore[assignment]  # every word comes from Reason
        if reason == "infra" and state.get("Error"):
            watch.detail = f"{watch.detail}: {state['Error']}"
        total = watch.log.total
        return Report(
            reason,
            watch.detail,
            watch.exit_status,
            wall_s,
            watch.cpu_s,
            watch.peak,
            total,
            watch.log.close(),
            peak_disk=watch.peak_disk,
            peak_files=watch.peak_files,
            peak_processes=watch.peak_processes,
        )

    def _state(self) -> dict[str, Any]:
        return dict(self._client.inspect_container(self._container)["State"])

    def _drain(self, stream: socket.socket) -> None:
        """Take the output as it comes, in a thread of its own."""
        try:
            for piece in docker_output.pieces(stream):
                self._watch.log.add(piece)
        except OSError as error:
            self._trouble = f"the output was cut off: {error.strerror}"
        finally:
            self._drained.set()


def _largest(pids: list[int]) -> int:
    """The largest resident size that any one of these processes ever had, as the kernel remembers it."""
    most = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError):
            for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
                if line.startswith("VmHWM:"):
                    most = max(most, int(line.split()[1]) << 10)
    return most


def _duration(state: dict[str, Any], fallback: float) -> float:
    """Seconds between the engine's own notes of start and end."""
    try:
        started, finished = (_moment(str(state[name])) for name in ("StartedAt", "FinishedAt"))
    except (KeyError, ValueError):
        return fallback
    return max(finished - started, 0.001)


def _moment(text: str) -> float:
    """A time in RFC 3339 with nanoseconds, in seconds."""
    whole, _, rest = text.partition(".")
    digits = "".join(character for character in rest if character.isdigit())[:9] if rest else ""
    base = datetime.fromisoformat(f"{whole.removesuffix('Z')}+00:00").timestamp()
    return base + (int(digits) / 10 ** len(digits) if digits else 0.0)
