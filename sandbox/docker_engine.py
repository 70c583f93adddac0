"""Containers: a fresh one for every run, of an image that the user chose by digest.

Implements `sandbox.contract.Sandbox`; made by `sandbox.backends.choose` where a target names an image. Nothing is
pulled or built: an image that the engine lacks is refused with the command that fetches it. Several threads may
run at once; a killed orchestrator leaves nothing running (`sandbox.docker_guard`).
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import (
    accounts,
    bwrap_arguments,
    docker_arguments,
    docker_client,
    docker_disk,
    docker_groups,
    docker_guard,
    docker_leftovers,
    docker_runs,
    hard_disk,
    slots,
    specification,
    trees,
    watching,
)
from sandbox.contract import Capabilities, Isolation, Outcome, RunSpec, SandboxUnavailable
from sandbox.outputs import plain_text

if TYPE_CHECKING:
    from docker import APIClient


class Docker:
    """Runs commands in containers; `state` is a folder for the small files that its containers are shown."""

    name = "docker"
    isolation: Isolation = "full"

    def __init__(self, state: Path, image: str | None = None, *, show_host_system: bool = False) -> None:
        """`image` serves specifications that name none.

        `show_host_system` lays this host's /usr and the interpreter of the specification over the image, so that
        an image with nothing in it will do: for doctor's probe and for tests.
        """
        self._state = state.absolute()
        self._image = image
        self._show_host_system = show_host_system
        self._lock = threading.Lock()
        self._known: tuple[APIClient, docker_client.Engine] | None = None
        self._images: dict[str, docker_client.Image] = {}

    @staticmethod
    def was_used(state: Path) -> bool:
        """Whether containers were ever made for this folder of records."""
        return (state / docker_leftovers.SCRATCH).is_dir()

    def doctor(self) -> Capabilities:
        """Try each capability in a real container and tell what was found."""
        from sandbox.docker_diagnosis import diagnose

        return diagnose(self, self._state, self._image)

    def reap(self) -> tuple[str, ...]:
        """End and remove what dead orchestrators left; one line for each thing removed."""
        try:
            client, _ = self._engine()
        except SandboxUnavailable:
            return tuple(docker_leftovers.clear_mounts(self._scratch))
        return (
            *docker_leftovers.remove(client, docker_leftovers.of_state(client, self._state)),
            *docker_leftovers.clear_mounts(self._scratch),
            *docker_leftovers.clear_scratch(self._scratch),
            *hard_disk.remove_unfinished(self._state),
        )

    def engine(self) -> docker_client.Engine:
        """What the engine is; SandboxUnavailable where none answers."""
        return self._engine()[1]

    def image(self, name: str) -> docker_client.Image:
        """The image, where the engine has it; SandboxUnavailable otherwise."""
        client, _ = self._engine()
        with self._lock:
            if name not in self._images:
                self._images[name] = docker_client.find_image(client, name)
            return self._images[name]

    def run(self, spec: RunSpec, cancel: threading.Event) -> Outcome:
        """Run one command to its end or to a limit; whatever it started is gone when this returns."""
        specification.check(spec, runs_images=True)
        client, engine = self._engine()
        if engine.reasons:
            raise SandboxUnavailable("\n".join(engine.reasons))
        name = spec.image or self._image
        if name is None:
            raise SandboxUnavailable("no image is named: set environment.image in target.yaml")
        image = self.image(name)
        run = accounts.run_name(self._state)
        label = docker_leftovers.orchestrator_label()
        with (
            slots.hold_gpus(spec.gpus, cancel),
            accounts.identity(spec) as (identity, _),
            self._scratch_folder(run) as scratch,
            docker_guard.guarded(label),
        ):
            above = docker_groups.may_have_parents(engine.group_driver) and engine.near
            place = docker_arguments.Place(
                scratch,
                identity,
                docker_groups.parent_name(run) if above else "",
                docker_leftovers.labels(self._state, run),
            )
            told = docker_arguments.build(spec, engine, image, place, show_host_system=self._show_host_system)
            job = watching.Job(_job(spec, identity))
            if identity.as_root and engine.near and not any(spec.out.iterdir()) and docker_disk.engine_sees_mounts():
                job.disk_template = hard_disk.template(self._state, job.disk_bytes, job.files)
            report = _supervised(client, told, place, job, cancel)
            for cover in told.covers:
                with contextlib.suppress(OSError):
                    (spec.out / cover).rmdir()
        return accounts.outcome(self.name, self.isolation, spec, report, report.left, report.collected, told.digest)

    @property
    def _scratch(self) -> Path:
        return self._state / docker_leftovers.SCRATCH

    def _engine(self) -> tuple[APIClient, docker_client.Engine]:
        """The connection and what is at its other end; looked at once, unless it was of no use."""
        with self._lock:
            if self._known is None or self._known[1].reasons:
                client = docker_client.connect()
                self._known = client, docker_client.examine(client)
            return self._known

    @contextlib.contextmanager
    def _scratch_folder(self, run: str) -> Iterator[Path]:
        """Where the small files lie that a container is shown; readable for whomever it runs as."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        folder = self._scratch / f"{run}-{os.getpid()}"
        folder.mkdir(mode=0o755)
        folder.chmod(0o755)
        try:
            yield folder
        finally:
            # What could not be taken away yet is found by this folder at the next start.
            if not docker_groups.is_there(docker_groups.parent_name(run)):
                trees.remove_tree(folder)


def _supervised(
    client: APIClient,
    told: docker_arguments.Container,
    place: docker_arguments.Place,
    job: watching.Job,
    cancel: threading.Event,
) -> docker_runs.Report:
    name = f"auto-benchmark-{place.labels[docker_leftovers.RUN]}"
    try:
        with docker_disk.mounted(job, place.scratch, place.labels[docker_leftovers.ORCHESTRATOR]) as disk:
            return docker_runs.supervise(client, told.configuration, name, job, disk, cancel)
    except OSError as error:
        return docker_runs.Report("infra", plain_text(str(error), 300))


def _job(spec: RunSpec, identity: bwrap_arguments.Identity) -> dict[str, object]:
    """What `sandbox.watching` judges by."""
    limits = spec.limits
    return {
        "out": str(spec.out.absolute()),
        "log": str(spec.log.absolute()) if spec.log is not None else "",
        "uid": identity.uid,
        "disk_template": "",
        "wall_s": float(limits.wall_s),
        "cpu_s": float(limits.cpu_s or 0.0),
        "memory_bytes": int(limits.memory_bytes),
        "disk_bytes": int(limits.disk_bytes),
        "files": int(limits.files),
        "output_bytes": int(limits.output_bytes),
    }
