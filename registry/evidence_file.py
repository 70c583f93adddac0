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
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


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
    """docs/gate.md explains each."""
    screen: Literal["cached", "paired"] = "paired"
    """Of e-night: whether the first two looks read a baseline (`cached`) or pairs."""
    unstable: Literal["flag", "archive"] = "flag"
    """Of e-night: what a spread over seeds above its limit does."""
    rank: Literal["row", "binding"] = "row"
    """Whether the projected rank binds."""
    confirm: bool = False
    """Of per-item: whether the one fresh pair was run on the split `confirm`, and gives the gain."""


class SeasonPlace(Section):
    """The candidate's place in its season."""

    id: int = 1
    """Number of the season."""
    t: int = 1
    """Its number among the season's candidates, from 1."""
    planned: int = 100
    """Candidates the season is planned for (N)."""
    promotions: int = 0
    """Promotions decided before it started (R)."""
    alpha: Number = 0.05
    """Level of the season."""
    counted_t: int | None = None
    """What a log counts for t; evidence that says another number is refused."""
    counted_promotions: int | None = None
    """The same for R."""


class ArmFacts(Section):
    """Facts that every run of an arm shares, unless the run says otherwise."""

    commit: str
    """The commit that ran."""
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
    """The arm that may replace production."""
    production: ArmFacts
    """The arm that it is held against."""


class ChangedEnvironment(Section):
    """What each arm runs in, where the change under test is one of the environment."""

    production: str
    """Production's `environment`."""
    candidate: str
    """The candidate's."""


class RunFacts(Section):
    """One run. A number in its place is its primary value."""

    primary: Number | None = None
    """Value of the primary metric."""
    secondary: dict[str, Number] = Field(default_factory=dict)
    """Costs by name, such as latency_ms."""
    status: RunStatus = "ok"
    """How it ended; anything but `ok` has no value."""
    attempts: int = 1
    """How often it was tried; a crash counts only after its one retry."""
    run_id: str = ""
    """Its identity, where it has one: no run may stand in two places."""
    outputs_sha256: str = ""
    """Hash of its outputs: equal in both arms of every pair means that nothing was changed."""
    items_sha256: str = ""
    """`experiments.items.items_digest` of its per-item scores."""
    seed: int | None = None
    """Default: the seed of the pair."""
    arm: Arm | None = None
    """Default: the arm it stands under."""
    commit: str | None = None
    """Default: its arm's."""
    tree: str | None = None
    """Default: its arm's."""
    environment: str | None = None
    """Default: its arm's."""
    evaluator: str | None = None
    """Default: its arm's."""
    isolation: str | None = None
    """Default: its arm's."""


def _run(value: object) -> object:
    number = _number(value)
    return {"primary": number} if isinstance(number, (int, float)) and not isinstance(number, bool) else value


Run = Annotated[RunFacts, BeforeValidator(_run, json_schema_input_type=float | RunFacts)]


class PairFacts(Section):
    """Both arms on one seed."""

    seed: int
    """The seed of both runs."""
    candidate: Run | None = None
    """A number or a run; missing where it failed or was not run."""
    production: Run | None = None
    """The same of production."""


class Seeds(Section):
    """Seed lists of one's own. Without them they are the ones the agent derives from season and t."""

    stage: list[int]
    """Seeds of the pairs that decide, in the order of their use."""
    fresh: list[int] = Field(default_factory=list)
    """Seeds of the pairs that confirm."""
    derived: bool = False
    """Whether they must be the ones that the agent derives."""


class ReadmissionFacts(Section):
    """A parked candidate that comes back after a promotion."""

    promotions: int
    """Promotions decided by then."""
    position: int
    """Its place among those let in at once, from 1."""


class ItemFacts(Section):
    """Scores of every item in both arms, for the policy per-item."""

    ids: list[str]
    """Name of every item, each once."""
    candidate: list[Number]
    """Its scores, in the order of the ids."""
    production: list[Number]
    """The same of production."""
    clusters: list[str] = Field(default_factory=list)
    """The cluster of every item, where items are not independent."""


class PlausibilityFacts(Section):
    """What a result is held against before it is promoted without a person."""

    best: Number | None = None
    """The best value that can be believed; without it, one far outside what was seen is held."""
    leader: Number | None = None
    """The best score of another on the metric's leaderboard."""
    season_gain: Number = 0.0
    """The largest mean gain of the season's candidates so far."""
    released: bool = False
    """Whether a person has looked at it and let it go on."""


class EvidenceFile(Section):
    """Everything one decision depends on."""

    version: Literal[1]
    """Of this format."""
    hypothesis: str = "evidence"
    """What it is called in the answer."""
    policy: PolicyChoice = PolicyChoice()
    """The rule that judges."""
    metric: str
    """Name of the primary metric."""
    higher_is_better: bool
    """The direction of the metric."""
    board_higher_is_better: bool | None = None
    """Direction that the metric's leaderboard states, where it states one."""
    threshold: Number
    """Smallest gain worth a promotion, in the metric's unit."""
    split: str = "dev"
    """The split that the values come from; only `dev` may decide."""
    season: SeasonPlace = SeasonPlace()
    """The candidate's place in its season."""
    arms: Arms
    """Facts that the runs of an arm share."""
    evaluator: str = ""
    """Hash of the pinned evaluator."""
    seeds: Seeds | None = None
    """Seed lists of one's own; default: the agent's, from season and t."""
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
    """Per-item scores, for the policy per-item."""
    projected_rank: int | None = None
    """Rank that the candidate's dev mean would have."""
    required_rank: int | None = None
    """Rank that the victory condition asks for."""
    empty_diff: bool = False
    """Whether the patch changes nothing."""
    identical_outputs: bool = False
    """Whether its outputs are production's."""
    uncommitted: bool = False
    """Whether the candidate ran with changes that no commit holds."""
    production_commit_now: str | None = None
    """Default: production's commit."""
    environments: ChangedEnvironment | None = None
    """Where the change under test is one of the environment: what each arm runs in."""
    readmission: ReadmissionFacts | None = None
    """Where a parked candidate comes back after a promotion."""
    plausibility: PlausibilityFacts | None = None
    """What a gain is held against that is too good to be believed; without it nothing is held."""
