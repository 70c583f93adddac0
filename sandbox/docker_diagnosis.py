"""What containers contain on this host, found out by trying.

Called by `sandbox.docker_engine`. The probes are those of every backend (`sandbox.diagnosis`). Where the engine is
beside us they run on this host's Python, laid over the image, so that an image need not have one; the engine, its
kernel and its flags are what is tried.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import docker_client, docker_tools, gpus
from sandbox.contract import Capabilities, Capability, SandboxUnavailable
from sandbox.diagnosis import Prober, findings, tried_gpu, unusable

if TYPE_CHECKING:
    from sandbox.docker_engine import Docker


def diagnose(sandbox: Docker, state: Path, image: str | None) -> Capabilities:
    """Two real containers, one that tries to get out and one that takes too much memory, and what they came to."""
    from sandbox.docker_engine import Docker

    try:
        engine = sandbox.engine()
        if engine.reasons:
            return unusable(sandbox, *engine.reasons)
        if image is None:
            return unusable(sandbox, "no image is named: set environment.image in target.yaml")
        known = sandbox.image(image).variables
        trial = Docker(state, image, show_host_system=True) if engine.near else sandbox
        python = Path(sys.executable) if engine.near else None
        tried = Prober(trial, state, python).try_everything()
    except (SandboxUnavailable, OSError) as error:
        return unusable(sandbox, str(error))
    variables = [*known, *([] if engine.near else ["HOSTNAME"])]
    gpu = tried_gpu(trial, state, python) if engine.nvidia else _without_toolkit()
    return findings(sandbox, tried, _memory(engine), gpu, variables)


def _memory(engine: docker_client.Engine) -> Capability:
    how = f"control groups version {engine.groups} of engine {engine.version}"
    if not engine.near:
        how += ", which is elsewhere: figures come from the engine, a few a second"
    elif docker_tools.find() is None:
        how += "; without this host's `timeout` inside, a killed orchestrator's guard is all that ends its runs"
    return Capability("memory", "cgroup", how)


def _without_toolkit() -> Capability:
    found = gpus.present()
    if not found:
        return Capability("GPU", "no", "no /dev/nvidia* on this host")
    named = ", ".join(map(str, found))
    return Capability("GPU", "no", f"devices {named}, but the engine lacks NVIDIA's container toolkit")
