"""Runs: one (tree, configuration, seed) executed, identified by what went into it and never by a commit's sha."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Purpose = Literal["validation", "gate", "fresh", "baseline", "cost", "test_look", "defence", "check"]
Arm = Literal["candidate", "production"]
RunStatus = Literal["ok", "crash", "oom", "timeout", "limit", "bad_output", "infra"]
IDENTITY_LENGTH = 24


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunKey(Frozen):
    """Everything a run's result depends on. Two runs with equal keys are the same run and paid once."""

    tree: str
    configuration: str
    data: str
    environment: str
    evaluator: str
    settings: str
    """Digest of the phases' commands, limits and overrides (a fast run differs from a full one here)."""
    split: str
    seed: int

    @property
    def run_id(self) -> str:
        text = json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"))
        return "r" + hashlib.sha256(text.encode()).hexdigest()[:IDENTITY_LENGTH]


class PhaseRecord(Frozen):
    """One sandboxed phase as the host saw it."""

    reason: str
    """`sandbox.Reason` value."""
    status: int | None
    wall_s: float
    peak_memory_bytes: int
    cpu_s: float = 0.0
    peak_disk_bytes: int = 0
    peak_files: int = 0
    peak_processes: int = 0
    output_bytes: int = 0
    """Printed on stdout and stderr together, kept or not."""


class GpuUse(Frozen):
    """The GPUs that a run had."""

    model: str
    """Such as `NVIDIA H100 80GB HBM3`; part of the run's identity, as `RunKey.environment`."""
    driver: str
    """Version of the driver; told, and no part of the identity."""
    uuids: tuple[str, ...]
    share: float = 1.0
    """Part of the GPU that was the run's: below 1, others ran on it at the same time."""
    variables: dict[str, str] = Field(default_factory=dict)
    """What was set for CUDA and its libraries, determinism among it (`CUBLAS_WORKSPACE_CONFIG`)."""


class RunRecord(Frozen):
    """The outcome of one run: paid once, quoted in every decision that reads it."""

    v: int = 1
    run_id: str
    key: RunKey
    subject: str
    """`H-042` or `production`."""
    arm: Arm
    purpose: Purpose
    commit: str
    status: RunStatus
    why: str = ""
    """For anything but `ok`: what happened, in one line, already stripped of control characters."""
    attempt: int = 1
    metrics: dict[str, float] = Field(default_factory=dict)
    phases: dict[str, PhaseRecord] = Field(default_factory=dict)
    outputs_sha256: str = ""
    """Digest of what `predict` (or `train`, where there is no predict) left: equal means identical outputs."""
    items_sha256: str = ""
    """Digest of the per-item scores (`experiments.items`); empty where the evaluator left none that can be read."""
    verified: str = ""
    """Digest of code, evaluator, data and environment, equal before the run's first phase and after its last; empty
    where they were not, and in records that are older than this."""
    backend: str = ""
    isolation: Literal["full", "weak", ""] = ""
    folder: str = ""
    """Results folder relative to the workspace."""
    gpu: GpuUse | None = None
    """None for a run without GPUs, and in records of versions that did not tell."""
