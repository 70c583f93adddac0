"""Evidence as a file: what `agent gate FILE` judges, written by a person, another program or `agent gate --save`.

The format is versioned; docs/evidence.schema.json is its JSON schema, made from these records, and docs/evidence.md
explains it. YAML and JSON are both read. What a value is and how files are broken is checked here; whether the
evidence may be judged at all is the gate's to say, with a name for everything that can be wrong with it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from registry.runs import Arm, RunStatus

VERSION = 1


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _number(value: object) -> object:
    """NaN and infinities are evidence too, of the wrong kind: JSON and YAML spell them in several ways."""
    known = {"nan": "nan", ".nan": "nan", "inf": "inf", ".inf": "inf", "infinity": "inf"}
    if isinstance(value, str) and (bare := value.strip().lower().removeprefix("+").removeprefix("-")) in known:
        return float(("-" if value.strip().startswith("-") else "") + known[bare])
    return value


Number = Annotated[float, BeforeValidator(_number)]


class PolicyChoice(Section):
    """The policy, and what a target may choose about it."""

    name: Literal["e-night", "seed-card", "seed-card-extend", "per-item", "exact"] = "e-night"
    screen: Literal["cached", "paired"] = "paired"
    unstable: Literal["flag", "archive"] = "flag"
    rank: Literal["row", "binding"] = "row"


class SeasonPlace(Section):
    """The candidate's place in its season."""

    id: int = 1
    t: int = 1
    """Its number among the season's candidates, from 1."""
    planned: int = 100
    """Candidates the season is planned for (N)."""
    promotions: int = 0
    """Promotions decided before it started (R)."""
    alpha: Number = 0.05
    counted_t: int | None = None
    """What a log counts for t; evidence that says another number is refused."""
    counted_promotions: int | None = None


class ArmFacts(Section):
    """Facts that every run of an arm shares, unless the run says otherwise."""

    commit: str
    tree: str = ""
    """Hash of the commit's files; default: the commit."""
    environment: str = ""
    """Hash of interpreter, packages and data."""
    evaluator: str = ""
    """Hash of the evaluator that scored the runs; default: the pinned one."""
    isolation: str = ""
    """`full` where nothing of the host was in reach; anything else is refused."""


class Arms(Section):
    candidate: ArmFacts
    production: ArmFacts


class RunFacts(Section):
    """One run. A number in its place is its primary value."""

    primary: Number | None = None
    secondary: dict[str, Number] = Field(default_factory=dict)
    """Costs by name, such as latency_ms."""
    status: RunStatus = "ok"
    attempts: int = 1
    run_id: str = ""
    outputs_sha256: str = ""
    items_sha256: str = ""
    """`experiments.items.items_digest` of its per-item scores."""
    seed: int | None = None
    """Default: the seed of the pair."""
    arm: Arm | None = None
    commit: str | None = None
    tree: str | None = None
    environment: str | None = None
    evaluator: str | None = None
    isolation: str | None = None


def _run(value: object) -> object:
    number = _number(value)
    return {"primary": number} if isinstance(number, (int, float)) and not isinstance(number, bool) else value


Run = Annotated[RunFacts, BeforeValidator(_run, json_schema_input_type=float | RunFacts)]


class PairFacts(Section):
    """Both arms on one seed."""

    seed: int
    candidate: Run | None = None
    production: Run | None = None


class Seeds(Section):
    """Seed lists of one's own. Without them they are the ones the agent derives from season and t."""

    stage: list[int]
    fresh: list[int] = Field(default_factory=list)
    derived: bool = False
    """Whether they must be the ones that the agent derives."""


class ReadmissionFacts(Section):
    """A parked candidate that comes back after a promotion."""

    promotions: int
    position: int


class ItemFacts(Section):
    """Scores of every item in both arms, for the policy per-item."""

    ids: list[str]
    candidate: list[Number]
    production: list[Number]
    clusters: list[str] = Field(default_factory=list)


class EvidenceFile(Section):
    """Everything one decision depends on."""

    version: Literal[1]
    hypothesis: str = "evidence"
    policy: PolicyChoice = PolicyChoice()
    metric: str
    higher_is_better: bool
    board_higher_is_better: bool | None = None
    """Direction that the metric's leaderboard states, where it states one."""
    threshold: Number
    """Smallest gain worth a promotion, in the metric's unit."""
    split: str = "dev"
    season: SeasonPlace = SeasonPlace()
    arms: Arms
    evaluator: str = ""
    """Hash of the pinned evaluator."""
    seeds: Seeds | None = None
    stage: list[PairFacts] = Field(default_factory=list)
    """Pairs in the order of the stage seeds."""
    fresh: list[PairFacts] = Field(default_factory=list)
    """Pairs on the fresh seeds, which chose nothing."""
    costs: list[PairFacts] = Field(default_factory=list)
    """Pairs on the stage seeds, run with nothing beside them; only `secondary` is read."""
    cost_limits: dict[str, Number] = Field(default_factory=dict)
    """Largest relative increase by cost: 0.10 for ten percent."""
    baseline: list[PairFacts] = Field(default_factory=list)
    """Production on seeds of its own, for the cached screen."""
    items: ItemFacts | None = None
    projected_rank: int | None = None
    required_rank: int | None = None
    empty_diff: bool = False
    identical_outputs: bool = False
    uncommitted: bool = False
    production_commit_now: str | None = None
    """Default: production's commit."""
    readmission: ReadmissionFacts | None = None
