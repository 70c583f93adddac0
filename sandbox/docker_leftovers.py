"""Containers whose orchestrator is dead: how they are known, and how they are ended and removed.

Every container carries three labels: the host and the state folder it belongs to, and its orchestrator, as (boot,
process id, start time), which names one process for ever. Called by the guard and by `sandbox.docker_engine.reap`.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox import docker_disk, docker_groups, processes
from sandbox.trees import remove_tree

if TYPE_CHECKING:
    from docker import APIClient

ORCHESTRATOR, STATE, RUN = "auto-benchmark.orchestrator", "auto-benchmark.state", "auto-benchmark.run"
SCRATCH = "containers"
"""Folder of the state with a folder for each run, whose name ends in the orchestrator's process id."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PATIENCE_S = 10.0


def orchestrator_label(pid: int | None = None) -> str:
    """The process, told apart from every other that ever had or will have its id."""
    pid = os.getpid() if pid is None else pid
    boot = _BOOT.read_text(encoding="ascii").strip() if _BOOT.exists() else ""
    return f"{boot}:{pid}:{processes.start_time(pid)}"


def state_label(state: Path) -> str:
    """The state folder, on this host: an engine may serve several."""
    return f"{socket.gethostname()}:{state}"


def labels(state: Path, run: str) -> dict[str, str]:
    """The labels of a container of ours."""
    return {ORCHESTRATOR: orchestrator_label(), STATE: state_label(state), RUN: run}


def is_alive(label: str) -> bool:
    """Whether the orchestrator that a label names still runs."""
    words = label.split(":")
    if len(words) != 3 or not words[1].isdigit():
        return False
    pid = int(words[1])
    if not _BOOT.exists():  # no /proc here: the id alone has to do
        return _exists(pid)
    return orchestrator_label(pid) == label and not label.endswith(":0")


def of_state(client: APIClient, state: Path) -> list[dict[str, Any]]:
    """Containers of this state folder, running or not, whose orchestrator is dead."""
    found = _listed(client, f"{STATE}={state_label(state)}")
    return [one for one in found if not is_alive((one.get("Labels") or {}).get(ORCHESTRATOR, ""))]


def of_orchestrator(client: APIClient, label: str) -> list[dict[str, Any]]:
    """Containers of one orchestrator."""
    return _listed(client, f"{ORCHESTRATOR}={label}")


def remove(client: APIClient, containers: list[dict[str, Any]]) -> Iterator[str]:
    """End and remove them, with groups and mounts made for them; yields a line for each thing removed."""
    for container in containers:
        identity = str(container["Id"])
        was = str(container.get("State", ""))
        if remove_one(client, identity):
            yield f"container {identity[:12]} ({was})"
        known = container.get("Labels") or {}
        run = known.get(RUN, "")
        if run:
            docker_groups.remove_parent(docker_groups.parent_name(run))
            yield from docker_disk.clear(_scratch(known))


def remove_one(client: APIClient, identity: str) -> bool:
    """End and remove one container, however long the engine is still busy starting it; whether it is gone."""
    from docker.errors import APIError, NotFound

    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            client.remove_container(identity, force=True, v=True)
        except NotFound:
            return True
        except APIError:
            time.sleep(0.1)
        else:
            return True
    return False


def clear_mounts(folder: Path) -> Iterator[str]:
    """Take down the mounts of runs whose orchestrator is dead: before their output folders are removed."""
    for path in _of_the_dead(folder):
        yield from docker_disk.clear(path)


def clear_scratch(folder: Path) -> Iterator[str]:
    """Remove the groups and small files of runs whose orchestrator is dead, once their mounts are down.

    The group of a container goes with it, but not where the kernel lets go of it too late; then it is found here,
    by the folder, which stays until it is gone.
    """
    for path in _of_the_dead(folder):
        group = docker_groups.parent_name(path.name.rpartition("-")[0])
        if docker_groups.is_there(group) and not docker_groups.remove_parent(group):
            yield f"control group {group}"
        if not docker_disk.is_mounted(path) and not docker_groups.is_there(group):
            remove_tree(path)
            yield f"folder {path.name}"


def _of_the_dead(folder: Path) -> list[Path]:
    """Folders for the small files of runs whose orchestrator is dead."""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        pid = path.name.rpartition("-")[2]
        owner = docker_disk.orchestrator_of(path)
        if pid.isdigit() and (not _exists(int(pid)) or (owner is not None and not is_alive(owner))):
            found.append(path)
    return found


def _scratch(labels_of_run: dict[str, str]) -> Path:
    """The folder for the small files of a container's run."""
    state = labels_of_run.get(STATE, "").partition(":")[2]
    pid = labels_of_run.get(ORCHESTRATOR, "").split(":")[1:2]
    return Path(state, SCRATCH, "-".join([labels_of_run[RUN], *pid]))


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _listed(client: APIClient, label: str) -> list[dict[str, Any]]:
    from docker.errors import APIError

    with suppress(APIError):
        return list(client.containers(all=True, filters={"label": label}))
    return []
