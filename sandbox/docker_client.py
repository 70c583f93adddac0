"""The container engine: how it is reached, what it is, and which images it has.

Called by `sandbox.docker_engine` and by the guard. Talks to the engine that `DOCKER_HOST` names, else to the one on
the usual socket. docker-py is imported here, when an engine is first asked for. Nothing is ever pulled or built.
"""

from __future__ import annotations

import os
import platform
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sandbox.contract import SandboxUnavailable
from sandbox.docker_seccomp import ARCHITECTURES

if TYPE_CHECKING:
    from docker import APIClient

RUNTIME_VARIABLE = "AGENT_DOCKER_RUNTIME"
"""Names another runtime of the engine for candidates, such as runsc; a property of the machine, not of a target."""
ANSWERS_WITHIN_S = 60.0
_CONNECTS_WITHIN_S = 10.0
_USUAL = "unix:///var/run/docker.sock"
_MENDING = "start it (sudo systemctl start docker), or name another one in DOCKER_HOST"


@dataclass(frozen=True, slots=True)
class Engine:
    """What an engine says of itself; `reasons` is empty where containers can be had."""

    url: str
    version: str = ""
    architecture: str = ""
    groups: str = ""
    """`1` or `2`: the version of its control groups."""
    group_driver: str = ""
    runtime: str = ""
    near: bool = False
    """Whether it runs beside us, on this kernel and these files, so that its containers show in our /proc."""
    nvidia: bool = False
    """Whether NVIDIA's container toolkit is set up for it."""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """An image that the engine has: `identity` is what is run, its content's own digest."""

    identity: str
    variables: dict[str, str]
    volumes: tuple[str, ...]


def connect(timeout_s: float = ANSWERS_WITHIN_S) -> APIClient:
    """A connection to the engine; SandboxUnavailable, with what mends it, where there is none."""
    if trouble := _trouble_with_socket(os.environ.get("DOCKER_HOST") or _USUAL):
        raise _unreachable(trouble)
    from docker import APIClient
    from docker.errors import DockerException
    from docker.utils import kwargs_from_env
    from requests.exceptions import RequestException

    try:
        settings = kwargs_from_env()
        return APIClient(**settings, version="auto", timeout=timeout_s)
    except (DockerException, RequestException, OSError, ValueError) as error:
        raise _unreachable(_short(error)) from error


def _trouble_with_socket(host: str) -> str:
    """Why a unix socket cannot be connected to; found out before docker-py is asked, which takes longer to say it."""
    if not host.startswith("unix://"):
        return ""
    with socket.socket(socket.AF_UNIX) as trial:
        trial.settimeout(_CONNECTS_WITHIN_S)
        try:
            trial.connect(host.removeprefix("unix://"))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def _unreachable(trouble: str) -> SandboxUnavailable:
    where = os.environ.get("DOCKER_HOST") or _USUAL
    return SandboxUnavailable(f"no container engine answers at {where} ({trouble}): {_MENDING}")


def examine(client: APIClient) -> Engine:
    """What the engine is, and why it cannot be used where it cannot."""
    found: dict[str, Any] = client.info()
    version, architecture = str(found.get("ServerVersion", "")), str(found.get("Architecture", ""))
    runtime = os.environ.get(RUNTIME_VARIABLE, "")
    url = str(client.base_url)  # docker-py's own word for a unix socket is http+docker
    kernel = found.get("KernelVersion") == platform.release() and found.get("Name") == socket.gethostname()
    engine = Engine(
        url=url,
        version=version,
        architecture=architecture,
        groups=str(found.get("CgroupVersion") or "1"),
        group_driver=str(found.get("CgroupDriver", "")),
        runtime=runtime,
        nvidia="nvidia" in (found.get("Runtimes") or {}),
        near=kernel and sys.platform == "linux" and url.startswith("http+docker"),
    )
    return _with_reasons(engine, found)


def _with_reasons(engine: Engine, found: dict[str, Any]) -> Engine:
    reasons = []
    options = " ".join(map(str, found.get("SecurityOptions") or []))
    if found.get("OSType") != "linux":
        reasons.append("the engine runs no Linux containers: switch it to Linux containers")
    if not found.get("MemoryLimit") or not found.get("PidsLimit"):
        reasons.append("the engine can limit neither memory nor processes: start the host with cgroup_enable=memory")
    if "name=rootless" in options or "name=userns" in options:
        fix = "use the system's engine without userns-remap, or leave environment.image out and use bwrap"
        reasons.append(f"the engine changes user ids, so outputs would belong to nobody here: {fix}")
    if "name=seccomp" not in options:
        reasons.append("the engine has no system call filters: use an engine and a kernel with seccomp")
    if engine.architecture not in ARCHITECTURES:
        reasons.append(f"no system call filter is known for {engine.architecture}: use x86_64 or aarch64")
    if engine.runtime and engine.runtime not in (found.get("Runtimes") or {}):
        known = ", ".join(sorted(found.get("Runtimes") or {}))
        fix = f"set {RUNTIME_VARIABLE} to one of {known}, or unset it"
        reasons.append(f"the engine has no runtime {engine.runtime!a}: {fix}")
    return replace(engine, reasons=tuple(reasons))


def find_image(client: APIClient, name: str) -> Image:
    """The image as the engine has it; SandboxUnavailable with the command that fetches it where it has not."""
    from docker.errors import APIError, ImageNotFound

    try:
        return _image(client.inspect_image(name))
    except ImageNotFound as error:
        _, _, digest = name.partition("@")
        if digest:
            # An image of one's own making has no digest in a registry, only that of its content, which is its id.
            with suppress(ImageNotFound):
                return _image(client.inspect_image(digest))
        fix = f"docker pull {name}" if digest else "docker image ls --no-trunc lists those that it has"
        raise SandboxUnavailable(f"the engine has no image {name}: {fix}") from error
    except APIError as error:
        raise SandboxUnavailable(f"the engine does not take {name!a} for an image: {_short(error)}") from error


def _image(found: dict[str, Any]) -> Image:
    configuration: dict[str, Any] = found.get("Config") or {}
    pairs = (entry.partition("=") for entry in configuration.get("Env") or [])
    return Image(
        identity=str(found["Id"]),
        variables={key: value for key, _, value in pairs},
        volumes=tuple(sorted(configuration.get("Volumes") or {})),
    )


def explain(error: Exception) -> str:
    """One line of what an engine, or the way to it, complains about."""
    return _short(error)


def _short(error: BaseException) -> str:
    text = str(getattr(error, "explanation", "") or error)
    return " ".join(text.split())[:300]
