"""What the engine is told to make of one run: the container's configuration, and its digest.

Pure apart from looking at what exists on the host and, where something must be mounted inside a read-only folder,
making an empty copy of that folder to mount in. Called by `sandbox.docker_engine`.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from registry.errors import BadInput, Problem
from sandbox import docker_tools, gpus
from sandbox.bwrap_arguments import CODE, WORK, Identity, check_readable, covered_names
from sandbox.contract import RunSpec
from sandbox.docker_client import Engine, Image
from sandbox.docker_seccomp import profile
from sandbox.interpreters import Installation, discover

HELPERS = 2
"""Processes of ours beside the command: the engine's first process, which reaps, and `timeout`."""
GRACE_S = 3
"""How long after its limit a run ends by itself, should nobody be there to end it."""
LEAST_MEMORY = 6 << 20
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_HOST_LINKS = ("bin", "lib", "lib32", "lib64", "libx32")
"""Not /sbin, where the engine puts its own first process."""
_HOST_FILES = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives")
_MAX_PIECES = 512
_MASKED = ("/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
           "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/proc/interrupts", "/sys/firmware",
           "/sys/devices/virtual/powercap")  # fmt: skip
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True, slots=True)
class Container:
    """The configuration for the engine, what identifies this isolation, and names to tidy away afterwards."""

    configuration: dict[str, Any]
    digest: str
    covers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where and as whom: the folder for our own small files, the user, the control group, the labels."""

    scratch: Path
    identity: Identity
    group_parent: str
    labels: dict[str, str]


class _Mounts:
    """Collects mounts, and beside them their shape: the same without the paths of one host and one run."""

    def __init__(self) -> None:
        self.binds: list[dict[str, Any]] = []
        self.tmpfs: dict[str, str] = {}
        self.shape: list[str] = []

    def bind(self, host: Path | str, inside: str, *, writable: bool = False, shaped: bool = True) -> None:
        self.binds.append(
            {
                "Type": "bind",
                "Source": os.path.realpath(host),
                "Target": inside,
                "ReadOnly": not writable,
                # Read-only is said of the first file system only, so those mounted below it stay outside.
                "BindOptions": {"Propagation": "rprivate", "NonRecursive": not writable},
            }
        )
        if shaped:
            self.shape.append(f"{inside} {writable}")

    def memory(self, inside: str, options: str) -> None:
        self.tmpfs[inside] = options
        self.shape.append(f"{inside} {options}")


def build(spec: RunSpec, engine: Engine, image: Image, place: Place, *, show_host_system: bool) -> Container:
    """The whole configuration of the run's container; BadInput where it cannot be had in one."""
    if spec.limits.memory_bytes < LEAST_MEMORY:
        found = f"{spec.limits.memory_bytes} bytes"
        raise BadInput(
            Problem(
                f"run {spec.run_id[:64]!a}", found, f"at least {LEAST_MEMORY} in a container", "limits.memory_bytes"
            )
        )
    installation = discover(spec.python) if show_host_system and spec.python is not None else None
    tools = docker_tools.find() if engine.near else None
    mounts = _Mounts()
    _private_folders(mounts, spec, image)
    _accounts(mounts, place)
    _materials(mounts, spec, place)
    if show_host_system:
        _host_system(mounts)
    covers = _show_installation(mounts, installation) if installation is not None else ()
    for path, name in tools.files if tools is not None else ():
        mounts.bind(path, f"{docker_tools.INSIDE}/{name}")
    values = variables(spec, image)
    configuration = {
        "Image": image.identity,
        "User": f"{place.identity.uid}:{place.identity.gid}",
        "Hostname": "sbx",
        "WorkingDir": CODE if spec.start_in == "code" and spec.code is not None else WORK,
        "NetworkDisabled": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": False,
        "OpenStdin": False,
        # An image may bring a command that the engine would start inside every so often.
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGKILL",
        "Labels": place.labels,
        **_command(spec, installation, tools, values),
        "HostConfig": _host_configuration(spec, engine, mounts, place),
    }
    return Container(configuration, _digest(configuration, engine, mounts.shape, spec), covers)


def variables(spec: RunSpec, image: Image) -> dict[str, str]:
    """The whole environment inside: the image's own, over it ours, over that what the run declares.

    The image's own are needed (its PATH leads to its python), and its digest stands for them.
    """
    path = image.variables.get("PATH", _SYSTEM_PATH)
    if spec.python is not None:
        path = f"{Path(os.path.normpath(spec.python.absolute())).parent}:{path}"
    values = {"LANG": "C.UTF-8", **image.variables, "PATH": path, "HOME": "/tmp"}  # noqa: S108 - a path inside
    if spec.gpus:
        values["CUDA_VISIBLE_DEVICES"] = ",".join(gpus.visible(spec.gpus))
    return {**values, **spec.environment}


def _command(
    spec: RunSpec, installation: Installation | None, tools: docker_tools.Tools | None, values: dict[str, str]
) -> dict[str, Any]:
    """Entrypoint and words. With our tools the engine's own variables (HOSTNAME) stay out, too."""
    first, *rest = spec.argv
    if installation is not None and first in ("python", "python3"):
        first = str(installation.executable)
    pairs = [f"{name}={value}" for name, value in values.items()]
    if tools is None:
        return {"Entrypoint": [first], "Cmd": rest, "Env": pairs}
    clock = str(math.ceil(spec.limits.wall_s) + GRACE_S)
    # The engine carries the two outputs side by side; made one here, their lines stay in order.
    words = [*tools.words("sh"), "-c", 'exec "$@" 2>&1', "sh", *tools.words("timeout"), "-s", "KILL", clock]
    words += [*tools.words("env"), "-i", *pairs, first, *rest]
    return {"Entrypoint": words[:1], "Cmd": words[1:], "Env": []}


def _host_configuration(spec: RunSpec, engine: Engine, mounts: _Mounts, place: Place) -> dict[str, Any]:
    limits = spec.limits
    ulimits = {"fsize": limits.disk_bytes, "core": 0, "nofile": 1024}
    if limits.cpu_s is not None:
        ulimits["cpu"] = int(limits.cpu_s) + 2
    configuration = {
        "NetworkMode": "none",
        "Dns": ["127.0.0.1"],
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "Init": True,
        "ReadonlyRootfs": True,
        "Privileged": False,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges", f"seccomp={profile(engine.architecture)}"],
        "MaskedPaths": list(_MASKED),
        "ReadonlyPaths": list(_READ_ONLY),
        "Memory": limits.memory_bytes,
        "MemorySwap": limits.memory_bytes,
        "PidsLimit": limits.processes + HELPERS,
        "ShmSize": limits.memory_bytes,
        "OomScoreAdj": 500,
        "Ulimits": [{"Name": name, "Soft": value, "Hard": value} for name, value in ulimits.items()],
        "LogConfig": {"Type": "none", "Config": {}},
        "RestartPolicy": {"Name": "no"},
        "AutoRemove": False,
        "Mounts": mounts.binds,
        "Tmpfs": mounts.tmpfs,
    }
    if place.group_parent:
        configuration["CgroupParent"] = place.group_parent
    if engine.runtime:
        configuration["Runtime"] = engine.runtime
    if spec.gpus:
        devices = [word if word.startswith("GPU-") else str(minor) for word, minor in _gpus(spec)]
        request = {"Driver": "nvidia", "DeviceIDs": devices, "Capabilities": [["gpu", "compute", "utility"]]}
        configuration["DeviceRequests"] = [request]
    return configuration


def _gpus(spec: RunSpec) -> list[tuple[str, int]]:
    return list(zip(gpus.visible(spec.gpus), spec.gpus, strict=True))


def _private_folders(mounts: _Mounts, spec: RunSpec, image: Image) -> None:
    limits = spec.limits
    size = min(limits.memory_bytes, limits.disk_bytes)
    # More than may be there: the limit itself is watched, and ends a run with a reason of its own.
    inodes = 4 * limits.files + 4096
    mounts.memory("/tmp", f"rw,nosuid,nodev,exec,mode=1777,size={size},nr_inodes={inodes}")  # noqa: S108 - inside
    if not spec.gpus:
        # Whatever the engine shows of the host's devices and control groups; closed to all but root.
        mounts.memory("/sys", "ro,nosuid,nodev,noexec,mode=0000,size=4k")
        mounts.memory("/sys/fs/cgroup", "ro,nosuid,nodev,noexec,mode=0000,size=4k")
    for volume in image.volumes:
        # The engine would make a folder on the host's disk for each, without any limit.
        if volume not in (WORK, CODE, "/tmp"):  # noqa: S108 - inside
            mounts.memory(volume, "rw,nosuid,nodev,mode=0755,size=64k")


def _accounts(mounts: _Mounts, place: Place) -> None:
    """A name for the user inside; what the image says of its own users does not matter to one command."""
    uid, gid = place.identity.uid, place.identity.gid
    texts = {
        "passwd": f"root:x:0:0:root:/:/bin/false\nsandbox:x:{uid}:{gid}:sandbox:/tmp:/bin/sh\n",
        "group": f"root:x:0:\nsandbox:x:{gid}:\n",
    }
    for name, text in texts.items():
        path = place.scratch / name
        path.write_text(text, encoding="ascii")
        path.chmod(0o644)
        mounts.bind(path, f"/etc/{name}")


def _materials(mounts: _Mounts, spec: RunSpec, place: Place) -> None:
    if place.identity.as_root:
        for host in (*([spec.code] if spec.code is not None else []), *(mount.host for mount in spec.mounts)):
            check_readable(host)
    mounts.bind(spec.out, WORK, writable=True)
    if spec.code is not None:
        _show(mounts, spec.code, CODE, place)
    for mount in sorted(spec.mounts, key=lambda mount: mount.inside):
        _show(mounts, mount.host, mount.inside, place)


def _show(mounts: _Mounts, host: Path, inside: str, place: Place) -> None:
    """Show a file or folder read-only; in pieces where the folder itself is closed to the slot's user."""
    if not place.identity.as_root or not host.is_dir() or host.stat().st_mode & 0o005 == 0o005:
        mounts.bind(host, inside)
        return
    entries = sorted(host.iterdir())
    if len(entries) > _MAX_PIECES:
        fix = f"chmod go+rx '{host}'"
        raise BadInput(Problem(str(host), "a folder closed to other users", "one that they may read", fix=fix))
    hollow = place.scratch / f"hollow-{len(mounts.binds)}"
    hollow.mkdir(mode=0o755)
    mounts.bind(hollow, inside)
    for entry in entries:
        if entry.is_symlink():
            (hollow / entry.name).symlink_to(entry.readlink())
        else:
            (hollow / entry.name).mkdir() if entry.is_dir() else (hollow / entry.name).touch()
            mounts.bind(entry, f"{inside}/{entry.name}", shaped=False)


def _host_system(mounts: _Mounts) -> None:
    mounts.bind("/usr", "/usr")
    for name in _HOST_LINKS:
        if Path("/", name).exists():
            mounts.bind(Path("/", name), f"/{name}")
    for name in _HOST_FILES:
        if Path("/etc", name).exists():
            mounts.bind(Path("/etc", name), f"/etc/{name}")


def _show_installation(mounts: _Mounts, installation: Installation) -> tuple[str, ...]:
    """Every path of the host's interpreter at its own place; returns names of the output folder to tidy away."""
    covers = covered_names(installation)
    for name in covers:
        # Where the host's path leads through the output folder, a memory file system keeps the run's files apart.
        mounts.tmpfs[f"{WORK}/{name}"] = "rw,nosuid,nodev,mode=0755,size=64k"
    links = ((link, PurePosixPath(os.path.normpath(link.parent / target))) for link, target in installation.links)
    for path in (*installation.paths, *(link for link, target in links if Path(target).exists())):
        mounts.bind(path, str(path), shaped=False)
    return covers


def _digest(configuration: dict[str, Any], engine: Engine, shape: list[str], spec: RunSpec) -> str:
    """The same for every run that is contained in the same way."""
    host = {key: value for key, value in configuration["HostConfig"].items() if key not in _OF_ONE_RUN}
    facts = [host, shape, configuration["Image"], configuration["WorkingDir"], repr(spec.limits)]
    facts += [engine.version, engine.runtime, engine.near, configuration["User"] == "0:0"]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


_OF_ONE_RUN = ("Mounts", "Tmpfs", "CgroupParent")
