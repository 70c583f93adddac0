"""The cached screen, candidates that come back after parking, and the caller's whole loop under e-night."""

from __future__ import annotations

import math
import timeit
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gate_evidence import CANDIDATE, COSTS, FRESH, PAIRED, PRODUCTION, SEASON, STRONG, evidence, follow, judged, run
from scipy import stats

from experiments.gate import Decision, ENight, Evidence, Pair, Readmission, RunValue, decide

CACHED = ENight()
BASELINE = tuple(0.9 + 0.001 * (k - 9.5) for k in range(20))


def screened(values: list[float], policy: ENight = CACHED, **changes: Any) -> Decision:
    own = evidence().stage_seeds
    stage = tuple(Pair(seed, run(seed, "candidate", value)) for seed, value in zip(own, values, strict=False))
    return judged(stage=stage, baseline=BASELINE, policy=policy, **changes)


def test_the_cached_screen_asks_for_its_baseline_first() -> None:
    assert judged(policy=CACHED).needs.kind == "baseline"
    assert judged(policy=CACHED).needs.up_to == 20


def test_the_first_two_looks_need_no_production_beside_them() -> None:
    decision = screened([])
    assert (decision.needs.up_to, decision.needs.production_seeds) == (1, ())
    assert screened([0.91]).needs.up_to == 2


def test_at_or_below_the_baseline_mean_one_seed_archives() -> None:
    assert screened([0.9]).reason == "below_baseline"
    assert screened([0.899]).reason == "below_baseline"


def test_the_screen_at_two_seeds_is_a_t_test_against_the_baseline() -> None:
    decision = screened([0.905, 0.903])
    statistic = (0.904 - np.mean(BASELINE)) / (np.std(BASELINE, ddof=1) * math.sqrt(0.5 + 0.05))
    assert decision.numbers.screen_statistic == pytest.approx(float(statistic), rel=1e-9)
    assert decision.numbers.screen_p == pytest.approx(float(stats.t.sf(statistic, 19)), rel=1e-9)
    assert screened([0.901, 0.8985]).reason == "futility"


def test_a_survivor_of_the_screen_gets_production_on_every_seed_of_the_prefix() -> None:
    decision = screened([0.92, 0.921])
    assert decision.needs.up_to == 3
    assert decision.needs.production_seeds == evidence().stage_seeds[:3]
    assert decision.needs.candidate_seeds == evidence().stage_seeds[2:3]


def test_the_evidence_of_a_survivor_reads_the_pairs_only() -> None:
    cached, paired = judged(STRONG, FRESH, baseline=BASELINE, policy=CACHED), judged(STRONG, FRESH)
    assert cached.outcome == paired.outcome == "promote"
    assert cached.numbers.log_e == paired.numbers.log_e


def test_the_patient_screen_skips_the_first_look_and_is_milder_at_the_second() -> None:
    patient = replace(CACHED, patient=True)
    assert screened([], patient).needs.up_to == 2
    assert screened([0.5], patient).outcome == "extend"
    assert screened([0.9002, 0.9001], CACHED).reason == "futility"
    assert screened([0.9002, 0.9001], patient).outcome == "extend"


# --- parked candidates


def parked_evidence(**changes: Any) -> Evidence:
    return evidence([0.010 + 0.019 * math.sin(2.4 * k) for k in range(40)], **changes)


def test_a_parked_candidate_is_confirmed_once_promotions_have_lowered_the_bar() -> None:
    gentle = replace(PAIRED, futility=(1.0,) * 7)
    season = replace(SEASON, planned=100_000)
    parked = decide(parked_evidence(season=season), gentle)
    assert parked.outcome == "park"
    assert parked.numbers.log_e is not None
    needed = math.ceil(season.planned / (season.alpha * math.exp(parked.numbers.log_e)))
    enough = decide(parked_evidence(season=season, readmission=Readmission(needed - 1, 1)), gentle)
    assert enough.needs is not None
    assert enough.needs.kind == "fresh"
    not_yet = decide(parked_evidence(season=season, readmission=Readmission(needed - 2, 1)), gentle)
    assert not_yet.outcome == "park"
    full = decide(parked_evidence(season=season, fresh=FRESH, readmission=Readmission(needed - 1, 1)), gentle)
    assert full.outcome == "promote"


@pytest.mark.parametrize("stage", [STRONG, [-0.01], [0.01] * 8, STRONG[:5]])
def test_only_a_candidate_that_was_parked_undecided_comes_back(stage: list[float]) -> None:
    assert judged(stage, readmission=Readmission(50, 1)).reason == "not_readmitted"


# --- the loop, and what one decision costs


def test_following_the_needs_leads_from_nothing_to_a_promotion() -> None:
    def draw(kind: str, seed: int, arm: str) -> RunValue:
        noise = 0.002 * math.sin(seed)
        gain = 0.02 + 0.001 * math.cos(3 * seed) if arm == "candidate" else 0.0
        costs = {"latency_ms": 10.0, "memory_mb": 50.0} if kind == "cost" else {}
        return run(seed, arm, 0.9 + noise + gain, secondary=costs)

    for policy in (PAIRED, CACHED, replace(CACHED, patient=True)):
        start = evidence(cost_limits=COSTS, threshold=0.005)
        final, decision = follow(start, policy, draw)
        assert decision.outcome == "promote"
        assert (len(final.stage), len(final.fresh), len(final.costs)) == (8, 5, 5)
        assert {each.candidate.commit for each in final.stage if each.candidate} == {CANDIDATE}
        assert {each.production.commit for each in final.stage if each.production} == {PRODUCTION}


def test_a_decision_with_its_whole_table_is_a_matter_of_microseconds() -> None:
    """The limit is 500 µs on an idle core; ten times that is allowed to a busy test machine."""
    full = evidence(STRONG, FRESH, costs=[1.0, 1.01, 0.99, 1.0, 1.02], cost_limits=COSTS)
    decide(full, PAIRED)
    assert min(timeit.repeat(lambda: decide(full, PAIRED), number=20, repeat=5)) / 20 < 0.005
