"""The GPUs of one night: all of one model, lent to its runs side by side, each run's own.

Made by `experiments.runner` where `resources.gpus` asks for some. Runs of different models are never paired: the
model is part of every run's identity, and within one night there is only one.
"""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from registry.errors import BadInput, Problem
from registry.runs import GpuUse
from registry.target import Resources
from sandbox import gpu_discovery, slots
from sandbox.gpu_discovery import Discovery, Gpu

_TOLD = ("CUDA_", "CUBLAS_", "CUDNN_", "NVIDIA_", "NCCL_", "TORCH_", "PYTORCH_", "XLA_", "JAX_", "TF_")
"""Beginnings of the variables that change what a GPU computes, or how."""


@dataclass(frozen=True, slots=True)
class Lent:
    """What one run was given."""

    minors: tuple[int, ...]
    use: GpuUse


@dataclass(frozen=True, slots=True)
class GpuPool:
    """GPUs of one model, with what each run takes of them."""

    gpus: tuple[Gpu, ...]
    driver: str
    each: int
    """GPUs of one run."""
    sharing: int
    """Runs that may have one GPU at once."""
    note: str = ""
    """What a person should know about the choice; empty where there was none."""

    @property
    def model(self) -> str:
        return self.gpus[0].model

    @property
    def at_once(self) -> int:
        """Runs that fit the GPUs at once."""
        return len(self.gpus) // self.each * self.sharing

    @contextmanager
    def lend(self, alone: bool, variables: Mapping[str, str], cancel: threading.Event) -> Iterator[Lent | None]:
        """Wait for GPUs that no other run of this host has; None where `cancel` ended the wait.

        `alone` takes whole GPUs whatever the declared share, for measurements of time. `variables` are those of the
        run's phases.
        """
        sharing = 1 if alone else self.sharing
        minors = [gpu.minor for gpu in self.gpus]
        with slots.lend_gpus(minors, self.each, cancel, slots.GPU_PARTS // sharing) as lent:
            if not lent:
                yield None
                return
            told = {name: value for name, value in variables.items() if name.startswith(_TOLD)}
            uuids = {gpu.minor: gpu.uuid for gpu in self.gpus}
            use = GpuUse(
                model=self.model,
                driver=self.driver,
                uuids=tuple(uuids[minor] for minor in lent),
                share=round(1 / sharing, 3),
                variables={"CUDA_DEVICE_ORDER": "PCI_BUS_ID", **told},
            )
            yield Lent(lent, use)

    def busy(self) -> float:
        """Share of the last moments in which the busiest of these GPUs computed, from 0 to 1; 0 where nobody tells."""
        return max(utilisation([gpu.uuid for gpu in self.gpus]).values(), default=0.0)


def utilisation(uuids: list[str]) -> dict[str, float]:
    """UUID → share of the last moments in which the GPU computed, as the driver's tool says."""
    tool = shutil.which("nvidia-smi")
    lines = gpu_discovery.query(tool, ["uuid", "utilization.gpu"])[0] if tool is not None else []
    pairs = (line.partition(",") for line in lines)
    return {uuid: int(share) / 100 for uuid, _, share in pairs if uuid in uuids and share.strip().isdigit()}


def pool_for(resources: Resources, found: Discovery | None = None) -> GpuPool | None:
    """The GPUs that a target's runs are lent, None where it asks for none; raises BadInput where there are too few.

    Of several models, the declared one or the one that most GPUs are; of equally many, the first on the bus.
    """
    if resources.gpus == 0:
        return None
    found = found or gpu_discovery.discover()
    counts = Counter(gpu.model for gpu in found.gpus)
    model = resources.gpu_model or next(iter(sorted(counts, key=lambda name: -counts[name])), "")
    gpus = tuple(gpu for gpu in found.gpus if gpu.model == model)
    listed = ", ".join(f"{count} {name}" for name, count in counts.items())
    if len(gpus) < resources.gpus:
        raise BadInput(_too_few(resources, model, len(gpus), listed, found.why))
    others = len(counts) > 1
    note = f"runs use {len(gpus)} {model} of {listed}: only GPUs of one model are paired" if others else ""
    return GpuPool(gpus, found.driver, resources.gpus, resources.runs_on_one_gpu, note)


def _too_few(resources: Resources, model: str, count: int, listed: str, why: str) -> Problem:
    if resources.gpu_model is not None and count == 0:
        expected = "a model that this host has" + (f" ({listed})" if listed else "")
        return Problem(
            "target.yaml", f"no {model} here" + (f" ({why})" if why else ""), expected, "resources.gpu_model"
        )
    mixed = f" {model}" if model and listed != f"{count} {model}" else ""
    found = f"{count} of {resources.gpus}{mixed} that resources.gpus asks for ({why or listed or 'no more'})"
    fix = "set resources.gpus in target.yaml to what there is, or mend the driver until nvidia-smi lists them"
    return Problem("target.yaml", found, "GPUs that every run can have", "resources.gpus", fix=fix)
