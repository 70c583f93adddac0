"""Turns an evidence file into what the gate judges, and back. Called by `agent gate`.

Nothing is judged or mended here: what the file says is what the gate reads, so that it can name what is wrong.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from experiments import seeds
from experiments.gate import (
    Evidence,
    ItemScores,
    Pair,
    Plausibility,
    Policy,
    Readmission,
    RunValue,
    SeasonFacts,
    policy_for,
)
from experiments.gate.policies import parameters
from registry.evidence_file import VERSION, EvidenceFile, PairFacts, RunFacts
from registry.runs import Arm
from registry.target import GateSettings


def policy_of(document: EvidenceFile) -> Policy:
    """The policy that the file asks for."""
    chosen = document.policy
    settings = {"policy": chosen.name, "screen": chosen.screen, "unstable": chosen.unstable, "rank": chosen.rank}
    return policy_for(GateSettings.model_validate({**settings, "confirm": chosen.confirm}))


def evidence_of(document: EvidenceFile) -> Evidence:
    """The evidence that the file holds."""
    season = SeasonFacts(**document.season.model_dump())
    stage_seeds, fresh_seeds, derived = _seeds(document, season)
    items, back, changed = document.items, document.readmission, document.environments
    paired = document.arms.production.commit
    return Evidence(
        hypothesis=document.hypothesis,
        metric=document.metric,
        higher_is_better=document.higher_is_better,
        threshold=document.threshold,
        season=season,
        stage_seeds=stage_seeds,
        fresh_seeds=fresh_seeds,
        stage=tuple(_pair(document, pair) for pair in document.stage),
        fresh=tuple(_pair(document, pair) for pair in document.fresh),
        costs=tuple(_pair(document, pair) for pair in document.costs),
        cost_limits=dict(document.cost_limits),
        baseline=tuple(
            _run(document, "production", pair.seed, pair.production or RunFacts()) for pair in document.baseline
        ),
        projected_rank=document.projected_rank,
        required_rank=document.required_rank,
        empty_diff=document.empty_diff,
        identical_outputs=document.identical_outputs,
        production_commit_now=paired if document.production_commit_now is None else document.production_commit_now,
        production_commit_paired=paired,
        uncommitted=document.uncommitted,
        split=document.split,
        evaluator=document.evaluator,
        board_higher_is_better=document.board_higher_is_better,
        seeds_derived=derived,
        environments=None if changed is None else (changed.production, changed.candidate),
        readmission=None if back is None else Readmission(back.promotions, back.position),
        plausibility=None if document.plausibility is None else Plausibility(**document.plausibility.model_dump()),
        items=None
        if items is None
        else ItemScores(tuple(items.ids), tuple(items.candidate), tuple(items.production), tuple(items.clusters)),
    )


def _seeds(document: EvidenceFile, season: SeasonFacts) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
    if document.seeds is not None:
        return tuple(document.seeds.stage), tuple(document.seeds.fresh), document.seeds.derived
    try:
        own = seeds.candidate_seeds(season.id, season.t)
    except ValueError:
        return (), (), True  # no such place in a season, which the gate says
    return own.stage, own.fresh, True


def _pair(document: EvidenceFile, pair: PairFacts) -> Pair:
    candidate, production = pair.candidate, pair.production
    return Pair(
        pair.seed,
        None if candidate is None else _run(document, "candidate", pair.seed, candidate),
        None if production is None else _run(document, "production", pair.seed, production),
    )


def _run(document: EvidenceFile, arm: Arm, seed: int, run: RunFacts) -> RunValue:
    shared = document.arms.candidate if arm == "candidate" else document.arms.production

    def said(name: str) -> str:
        own = getattr(run, name)
        return str(getattr(shared, name) if own is None else own)

    return RunValue(
        seed=seed if run.seed is None else run.seed,
        arm=arm if run.arm is None else run.arm,
        commit=said("commit"),
        tree=said("tree") or said("commit"),
        environment=said("environment"),
        evaluator=said("evaluator") or document.evaluator,
        status=run.status,
        primary=run.primary,
        secondary=dict(run.secondary),
        run_id=run.run_id,
        isolation=said("isolation"),
        outputs_sha256=run.outputs_sha256,
        attempts=run.attempts,
        items_sha256=run.items_sha256,
    )


def document_of(evidence: Evidence, policy: Policy) -> EvidenceFile:
    """The file that `evidence_of` and `policy_of` read as this evidence and this policy.

    ValueError where the policy has other parameters than a file can choose.
    """
    given = parameters(policy)
    choice = {name: given[name] for name in ("screen", "unstable", "rank", "confirm") if name in given}
    arms = {arm: _facts(evidence, arm) for arm in ("candidate", "production")}
    document = EvidenceFile.model_validate(
        {
            "version": VERSION,
            "hypothesis": evidence.hypothesis,
            "policy": {"name": policy.name, **choice},
            "metric": evidence.metric,
            "higher_is_better": evidence.higher_is_better,
            "board_higher_is_better": evidence.board_higher_is_better,
            "threshold": evidence.threshold,
            "split": evidence.split,
            "season": asdict(evidence.season),
            "arms": arms,
            "evaluator": evidence.evaluator,
            "seeds": {
                "stage": list(evidence.stage_seeds),
                "fresh": list(evidence.fresh_seeds),
                "derived": evidence.seeds_derived,
            },
            **{line: [_pair_facts(pair) for pair in getattr(evidence, line)] for line in ("stage", "fresh", "costs")},
            "cost_limits": dict(evidence.cost_limits),
            "baseline": [{"seed": run.seed, "production": asdict(run)} for run in evidence.baseline],
            "items": None if evidence.items is None else _lists(asdict(evidence.items)),
            "projected_rank": evidence.projected_rank,
            "required_rank": evidence.required_rank,
            "empty_diff": evidence.empty_diff,
            "identical_outputs": evidence.identical_outputs,
            "uncommitted": evidence.uncommitted,
            "environments": None
            if evidence.environments is None
            else dict(zip(("production", "candidate"), evidence.environments, strict=True)),
            "production_commit_now": evidence.production_commit_now,
            "readmission": None if evidence.readmission is None else asdict(evidence.readmission),
            "plausibility": None if evidence.plausibility is None else asdict(evidence.plausibility),
        }
    )
    if policy_of(document) != policy:
        raise ValueError(f"the policy {policy.name} has parameters that no evidence file can choose")
    return document


def _facts(evidence: Evidence, arm: str) -> dict[str, Any]:
    """What the arm's runs share is written with each of them, so here only its commit is needed."""
    found = (getattr(pair, arm) for line in (evidence.stage, evidence.fresh, evidence.costs) for pair in line)
    commit = next((run.commit for run in found if run is not None), "")
    return {"commit": evidence.production_commit_paired if arm == "production" else commit}


def _pair_facts(pair: Pair) -> dict[str, Any]:
    arms = {"candidate": pair.candidate, "production": pair.production}
    return {"seed": pair.seed, **{arm: None if run is None else asdict(run) for arm, run in arms.items()}}


def _lists(values: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) for name, value in values.items()}
