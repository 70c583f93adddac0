"""GPUs: what runs may use of this host, and whether torch in the solution's own environment can use it.

Called by `agent.doctor.checkup`. The second question is asked in a real sandbox with one of the GPUs, because a
driver that the host's own programs find says nothing about what a run finds.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.doctor.contract import Opened
from agent.doctor.findings import Finding, fail, ok, warn
from experiments.environments import interpreter
from experiments.gpu_pool import GpuPool, pool_for
from registry.errors import BadInput
from registry.target import Target
from sandbox import gpu_discovery
from sandbox.contract import Limits, Outcome, RunSpec, Sandbox

_MEMORY_IN_USE = 0.1
"""Share of a GPU's memory in use by others from which doctor warns."""
_WAIT_S = 15.0
"""How long doctor waits for a GPU that runs of another night may hold."""
_TORCH_S = 90.0
"""torch's first start from a cold disk takes most of a minute."""
_TORCH = r"""
import json, sys
said = {"torch": None, "built": None, "count": 0, "why": ""}
try:
    import torch
except ImportError as error:
    said["why"] = str(error)
else:
    said.update(torch=torch.__version__, built=torch.version.cuda or torch.version.hip)
    try:
        torch.cuda.init()
        said["count"] = torch.cuda.device_count()
        assert float((torch.ones(2, device="cuda") + 1).sum()) == 4.0
    except Exception as error:
        said["why"] = (str(error).strip() or repr(error)).splitlines()[0]
print("\n" + json.dumps(said))
"""


def host(target: Target | None) -> Iterator[Finding]:
    """The GPUs that runs may use, against those that the target asks for."""
    found = gpu_discovery.discover()
    names = [f"{gpu.index}: {gpu.model}, {gpu.memory_mib} MiB, {gpu.used_mib} used" for gpu in found.gpus]
    if target is None or target.resources.gpus == 0:
        unused = "" if target is None else "; resources.gpus is 0, so runs do not see them"
        none = "" if target is None else ", and the target asks for none"
        yield ok("GPUs", "; ".join(names) + unused if names else f"none ({found.why}){none}")
        return
    try:
        pool = pool_for(target.resources, found)
    except BadInput as error:
        for problem in error.problems:
            fix = problem.fix or f"let resources.gpu_model in target.yaml name {problem.expected}"
            yield fail("GPUs", problem.found, fix)
        return
    if pool is not None:
        yield ok("GPUs", "; ".join(names) + (f" ({found.why})" if found.why else ""))
        yield from _use(pool, target)


def _use(pool: GpuPool, target: Target) -> Iterator[Finding]:
    """What the runs of a night make of them."""
    shared = f", {pool.sharing} runs on each" if pool.sharing > 1 else ""
    runs = "1 run fits" if pool.at_once == 1 else f"{pool.at_once} runs fit"
    told = f"{runs} at once on {len(pool.gpus)} {pool.model}, driver {pool.driver}{shared}"
    yield ok("GPUs: runs", told + (f"; {pool.note}" if pool.note else ""))
    devices = gpu_discovery.DEVICES
    if any(devices.glob("nvidia[0-9]*")) and not (devices / "nvidia-uvm").exists():
        fix = "nvidia-modprobe -u -c=0, which the first program with CUDA does outside of a sandbox"
        yield fail("GPUs: devices", f"no {devices / 'nvidia-uvm'}, which CUDA needs and no run may make", fix)
    for gpu in pool.gpus:
        if gpu.memory_mib and gpu.used_mib > _MEMORY_IN_USE * gpu.memory_mib:
            found = f"{gpu.used_mib} of {gpu.memory_mib} MiB of GPU {gpu.index} are in use by others"
            fix = f"end what uses it (nvidia-smi -i {gpu.index}), or leave it out with CUDA_VISIBLE_DEVICES"
            yield warn("GPUs: memory", found, fix)
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        if name in target.environment.variables:
            found = f"environment.variables sets {name}, which is how each run is told its own GPU"
            yield fail("GPUs: variables", found, f"take {name} out of environment.variables in target.yaml")


@dataclass(frozen=True, slots=True)
class _Said:
    """What torch says of itself inside."""

    torch: str | None
    built: str | None
    count: int
    why: str


def torch(target: Target, opened: Opened, sandbox: Sandbox) -> Iterator[Finding]:
    """Whether torch in the solution's environment computes on a GPU that a run is given."""
    pool = pool_for(target.resources)
    if pool is None:
        return
    outcome = _asked(pool, target, interpreter(target, opened.folder), sandbox)
    if outcome is None:
        fix = "run `agent doctor` again when one is free"
        yield warn("GPUs: torch", f"not asked: other runs had every GPU for {_WAIT_S:g} s", fix)
        return
    said = _read(outcome)
    if said is None:
        last = outcome.tail.strip().splitlines()[-1:] or [outcome.detail or "no output"]
        fix = "try it by hand with the solution's interpreter: python -c 'import torch; torch.cuda.init()'"
        yield fail("GPUs: torch", f"did not answer ({outcome.reason}): {last[0]}", fix)
    else:
        yield _judged(said, pool)


def _judged(said: _Said, pool: GpuPool) -> Finding:
    check = "GPUs: torch"
    if said.torch is None:
        return ok(check, f"none in the solution's environment ({said.why}), so nothing was asked")
    version = f"torch {said.torch}"
    if said.built is None:
        fix = "install a build with CUDA into the solution's environment (PyPI's for Linux has it)"
        return fail(check, f"{version} is built for the CPU alone, and there are {len(pool.gpus)} {pool.model}", fix)
    if said.why or said.count == 0:
        trouble = said.why or "it finds no GPU"
        fix = f"install a torch that driver {pool.driver} and this GPU can run, or a newer driver"
        return fail(check, f"{version} (CUDA {said.built}) cannot use a {pool.model}: {trouble}", fix)
    if said.count != pool.each:
        found = f"{version} sees {said.count} GPUs in a run that was given {pool.each}"
        return fail(check, found, "take CUDA_VISIBLE_DEVICES out of environment.variables in target.yaml")
    return ok(check, f"{version} (CUDA {said.built}) computes on {said.count} {pool.model}")


def _asked(pool: GpuPool, target: Target, python: Path | None, sandbox: Sandbox) -> Outcome | None:
    """The probe's outcome; None where every GPU was taken for too long."""
    cancel = threading.Event()
    patience = threading.Timer(_WAIT_S, cancel.set)
    patience.start()
    try:
        with pool.lend(False, target.environment.variables, cancel) as lent, tempfile.TemporaryDirectory() as folder:
            patience.cancel()
            if lent is None:
                return None
            out = Path(folder, "out")
            out.mkdir()
            limits = Limits(wall_s=_TORCH_S, memory_bytes=max(target.resources.memory, 4 << 30))
            spec = RunSpec(
                run_id=f"doctor-torch-{os.getpid()}",
                argv=(str(python or "python"), "-I", "-c", _TORCH),
                out=out,
                limits=limits,
                environment=dict(target.environment.variables),
                python=python,
                image=target.environment.image,
                gpus=lent.minors,
            )
            return sandbox.run(spec, threading.Event())
    finally:
        patience.cancel()


def _read(outcome: Outcome) -> _Said | None:
    """The probe's last line; None where it is none of ours."""
    if outcome.reason != "exit" or outcome.status != 0:
        return None
    try:
        said = json.loads(outcome.tail.strip().splitlines()[-1])
        return _Said(said["torch"], said["built"], int(said["count"]), str(said["why"]))
    except (ValueError, LookupError, TypeError):
        return None
