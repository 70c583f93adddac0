"""`target.yaml`: the contract with the user's solution, validated whole at the boundary.

Read by `registry.documents.load_target`; the runner, the researcher and doctor work from these records. Paths
are as written in the file: `solution.repository` relative to the workspace, all others relative to the
repository's root.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from registry.hypotheses import Scalar
from registry.units import parse_duration, parse_size

PLACEHOLDERS: dict[str, frozenset[str]] = {
    "build": frozenset({"out"}),
    "train": frozenset({"config", "seed", "data", "build", "out"}),
    "predict": frozenset({"config", "seed", "model", "inputs", "build", "out"}),
    "evaluate": frozenset({"predictions", "labels", "out"}),
}
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


Seconds = Annotated[float, BeforeValidator(parse_duration)]
Bytes = Annotated[int, BeforeValidator(parse_size)]


def _relative(value: str) -> str:
    parts = value.split("/")
    if not value or value.startswith(("/", "~")) or ".." in parts or "\0" in value:
        raise ValueError("a path inside the repository, relative and without .., is expected")
    return value


RepositoryPath = Annotated[str, BeforeValidator(lambda value: _relative(value) if isinstance(value, str) else value)]


Split = Literal["dev", "test", "confirm"]
"""`confirm` is only for the gate's policy `per-item`, and only where `gate.confirm` asks for it."""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Solution(Section):
    repository: str
    base: str = "main"
    """The user's branch that production starts from and follows."""
    config: RepositoryPath
    editable: list[str]
    """Globs (`*` within a folder, `**` across) of what a hypothesis may change."""
    protected: list[str]
    """Globs that win over `editable`; their content is hashed before and after."""


class CodeBuild(Section):
    """Makes a program of the candidate's code, once for all runs of a commit."""

    command: list[str] = Field(min_length=1)
    timeout: Seconds = 600.0


class Train(Section):
    command: list[str] = Field(min_length=1)
    data: RepositoryPath | None = None


class Predict(Section):
    command: list[str] = Field(min_length=1)
    inputs: dict[Split, RepositoryPath]
    repeats: int = Field(default=1, ge=1, le=10_000)
    """For latency: how often the items of `inputs.jsonl` are repeated (with new ids) so that start-up does not
    dominate. 1 times the phase as it is."""


class Evaluate(Section):
    command: list[str] = Field(min_length=1)
    labels: dict[Split, RepositoryPath]


class Phases(Section):
    build: CodeBuild | None = None
    train: Train
    predict: Predict | None = None
    evaluate: Evaluate

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> Phases:
        for name, known in PLACEHOLDERS.items():
            phase = getattr(self, name)
            if phase is None:
                continue
            used = {found for word in phase.command for found in _PLACEHOLDER.findall(word)}
            if unknown := sorted(used - known):
                expected = ", ".join("{" + word + "}" for word in sorted(known))
                raise ValueError(f"{name}.command uses {{{unknown[0]}}}; it may use {expected}")
            if "out" not in used:
                raise ValueError(f"{name}.command does not say {{out}}, so its result has no place to go")
            if "build" in used and self.build is None:
                raise ValueError(f"{name}.command uses {{build}}, and there is no phases.build")
        return self


class PrimaryMetric(Section):
    name: str
    higher_is_better: bool
    leaderboard: str | None = None
    """The board this metric competes on; None for a target without one."""
    plausible_best: float | None = Field(default=None, allow_inf_nan=False)
    """The best value that can be believed: what is beyond it is held for a person. None: far outside what was seen."""


class SecondaryMetric(Section):
    """A cost, measured by the host and never taken from what the candidate says."""

    source: Literal["train", "predict"]
    max_increase: float = Field(gt=0, le=10)


class Metrics(Section):
    primary: PrimaryMetric
    secondary: dict[Literal["latency_ms", "memory_mb"], SecondaryMetric] = Field(default_factory=dict)


class GateSettings(Section):
    """What the gate is told; the meaning of each is the gate's (`experiments.gate`)."""

    policy: Literal["e-night", "seed-card", "seed-card-extend", "per-item", "exact"] = "e-night"
    threshold: float = Field(default=0.005, ge=0)
    """Smallest gain worth a promotion (tau), in the primary metric's unit."""
    season: int = Field(default=100, ge=20, le=100_000)
    """Candidates the season is planned for (N)."""
    season_days: int = Field(default=90, ge=1)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    screen: Literal["cached", "paired"] = "cached"
    test_looks: int = Field(default=10, ge=1)
    unstable: Literal["flag", "archive"] = "flag"
    rank: Literal["row", "binding"] = "row"
    confirm: bool = False
    """`per-item` only: the gain is measured on the split `confirm`, which decides nothing before."""


class Parameter(Section):
    """One tunable of the solution: where it lives, what it may be, which ideas it belongs to."""

    path: str = Field(pattern=r"^[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*$")
    values: list[Scalar] = Field(min_length=2)
    """Every value worth trying, in order where an order exists."""
    tags: list[str] = Field(min_length=1)
    effort: Literal["Low", "Medium", "High"] = "Low"


class Fast(Section):
    overrides: dict[str, Scalar] = Field(default_factory=dict)
    timeout: Seconds = 60.0


class Full(Section):
    timeout: Seconds = 1800.0


class EnvironmentBuild(Section):
    """How the environment of a commit is made from the commit's own files, in a sandbox."""

    command: list[str] = Field(min_length=1)
    files: list[str] = Field(min_length=1)
    """Globs of the repository's files that the build sees, and that decide what it makes."""
    wheels: RepositoryPath | None = None
    """Folder of packages to install from, shown read-only."""
    network: bool = False
    timeout: Seconds = 900.0
    disk: Bytes = 8 << 30

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> EnvironmentBuild:
        used = {found for word in self.command for found in _PLACEHOLDER.findall(word)}
        if unknown := sorted(used - {"out", "wheels"}):
            raise ValueError(f"build.command uses {{{unknown[0]}}}; it may use {{out}}, {{wheels}}")
        if "out" not in used:
            raise ValueError("build.command does not say {out}, so what it makes has no place to go")
        if ("wheels" in used) != (self.wheels is not None):
            raise ValueError("build.wheels names the folder that build.command uses as {wheels}: both or neither")
        return self


class Environment(Section):
    python: str | None = None
    """Interpreter of the solution, relative to the repository or absolute; never the orchestrator's own."""
    lock: RepositoryPath | None = None
    """Lock file that the environment was made from, where its name does not say so."""
    build: EnvironmentBuild | None = None
    image: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}$")
    """Container image of the solution, by digest; present in the engine, for nothing is ever fetched."""
    programs: list[str] = Field(default_factory=list)
    """Programs of the machine that the phases use, such as `cc`: what they are is part of every run's identity."""
    variables: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_of_three(self) -> Environment:
        if self.python is not None and self.image is not None:
            raise ValueError("one of python and image is expected, and not both")
        if self.python is None and self.image is None and not self.programs:
            raise ValueError("python, image, or programs is expected: what the phases run on")
        if self.programs and self.image is not None:
            raise ValueError("programs are the machine's own, and the phases run in an image")
        if unknown := [name for name in self.programs if not re.fullmatch(r"[A-Za-z0-9][\w.+-]*", name)]:
            raise ValueError(f"programs has {unknown[0]!r}; a name such as cc, as it is found on PATH, is expected")
        if self.build is not None and self.python is None:
            raise ValueError("environment.build makes an environment for environment.python, and there is none")
        return self


RUNS_ON_ONE_GPU = (1, 2, 3, 4, 6, 12)
"""What a GPU can be shared by (`sandbox.slots.GPU_PARTS` can be divided by)."""


class Resources(Section):
    cpus: int = Field(default=1, ge=1)
    memory: Bytes = 2 << 30
    gpus: int = Field(default=0, ge=0)
    gpu_share: float = Field(default=1.0, gt=0, le=1)
    """Part of one GPU that a run needs: 0.5 lets two runs have it at once. Only with `gpus: 1`."""
    gpu_model: str | None = None
    """The only model that runs may use, as nvidia-smi names it; None for the one that most GPUs of the host are."""
    disk: Bytes = 1 << 30
    files: int = Field(default=20_000, ge=1, le=1_000_000)
    processes: int = Field(default=256, ge=1, le=32_768)
    output: Bytes = 4 << 20
    cpu_time: Seconds | None = None

    @model_validator(mode="after")
    def _a_share_is_of_one_gpu(self) -> Resources:
        if self.gpu_share < 1 and self.gpus != 1:
            raise ValueError(f"gpu_share is a part of one GPU, and gpus is {self.gpus}")
        if not any(abs(self.gpu_share * runs - 1) < 0.025 for runs in RUNS_ON_ONE_GPU):
            raise ValueError("a gpu_share of 1, 0.5, 0.33, 0.25, 0.167 or 0.083 is expected: 1 to 4, 6 or 12 runs")
        if self.gpu_model is not None and self.gpus == 0:
            raise ValueError("gpu_model is given, and gpus is 0")
        return self

    @property
    def runs_on_one_gpu(self) -> int:
        """How many runs may have one GPU at once."""
        return round(1 / self.gpu_share)


class Budget(Section):
    """What one night may spend; None is no limit."""

    runs: int | None = Field(default=None, ge=1)
    hours: float | None = Field(default=None, gt=0)
    gpu_hours: float | None = Field(default=None, gt=0)


class Submission(Section):
    """How a promoted solution is handed to a leaderboard. Off unless `command` is given."""

    command: list[str] | None = None
    timeout: Seconds = 300.0


class Target(Section):
    """The whole of `target.yaml`."""

    version: Literal[1]
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    solution: Solution
    phases: Phases
    metrics: Metrics
    gate: GateSettings = GateSettings()
    search_space: dict[str, Parameter] = Field(default_factory=dict)
    fast: Fast = Fast()
    full: Full = Full()
    environment: Environment
    resources: Resources = Resources()
    budget: Budget = Budget()
    submission: Submission = Submission()
    noisy: bool = False
    """Declares that one seed need not give the same value twice."""

    @model_validator(mode="after")
    def _python_is_declared_where_it_is_called(self) -> Target:
        if self.environment.python is not None or self.environment.image is not None:
            return self
        for name in PLACEHOLDERS:
            phase = getattr(self.phases, name)
            if phase is not None and phase.command[0] in {"python", "python3"}:
                raise ValueError(f"phases.{name}.command calls python, and environment.python names no interpreter")
        return self

    @model_validator(mode="after")
    def _costs_have_their_phase(self) -> Target:
        for name, cost in self.metrics.secondary.items():
            if cost.source == "predict" and self.phases.predict is None:
                raise ValueError(f"metrics.secondary.{name} is taken from predict, and there is no phases.predict")
        return self

    @model_validator(mode="after")
    def _confirmation_has_its_split(self) -> Target:
        if not self.gate.confirm:
            return self
        if self.gate.policy != "per-item":
            raise ValueError(f"gate.confirm is for the policy per-item, and the policy is {self.gate.policy}")
        if self.phases.predict is not None and "confirm" not in self.phases.predict.inputs:
            raise ValueError("gate.confirm is true, and phases.predict.inputs has no folder confirm")
        if "confirm" not in self.phases.evaluate.labels:
            raise ValueError("gate.confirm is true, and phases.evaluate.labels has no folder confirm")
        return self
