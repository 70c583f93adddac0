"""The benchmark of the gate's error control judges as the gate does, and says so where it does not."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gate_evidence import evidence, follow

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

import gate_check
import gate_error_control
import gate_figures
import gate_nights
import gate_plan
import gate_plot
import gate_rules
import gate_walk
import gate_worlds

from experiments import statistics
from experiments.gate import ENight, Evidence, Readmission, SeasonFacts, parked_promotions
from experiments.season import Season, SeasonState, archived, opened, parked, promoted, start_candidate

ROOT = Path(__file__).resolve().parent.parent
DAY = "2026-01-02"
POLICIES = [ENight(screen="paired"), ENight(), ENight(patient=True), ENight(screen="paired", patient=True)]
MIXED = gate_worlds.World(name="mixed", number=901, planned=60, true_share=0.5)
SMALL_GAINS = gate_worlds.World(name="small gains", number=902, planned=60, true_share=0.9, effects=(0.4, 0.7))


def season_of(world: gate_worlds.World) -> Season:
    return Season(1, world.planned, 0.05, "2026-01-01", "2026-12-31")


def night_of(world: gate_worlds.World, number: int = 0) -> gate_worlds.Night:
    return gate_worlds.draw(world, number, stage=40, fresh=5, baseline=20)


def label(policy: ENight) -> str:
    return f"{policy.screen}{'-patient' if policy.patient else ''}"


class RealNight:
    """The same night through the product: season, evidence, gate and readmission, one candidate after the other."""

    def __init__(self, world: gate_worlds.World, night: gate_worlds.Night, policy: ENight) -> None:
        self.world, self.night, self.policy = world, night, policy
        self.state: SeasonState = opened(None, season_of(world))
        self.verdicts: dict[int, tuple[str, int, float | None, int]] = {}
        self.evidence: dict[int, Evidence] = {}
        self.readmitted: dict[int, Readmission] = {}

    def play(self) -> None:
        for index in range(self.world.planned):
            self.state = start_candidate(self.state, f"H-{index}", DAY)
            place = self.state.candidates[-1]
            facts = SeasonFacts(1, place.t, self.world.planned, place.promotions, 0.05)
            cached = self.policy.screen == "cached"
            baseline = self.night.baselines[place.promotions].tolist() if cached else ()
            self.judge(index, evidence(season=facts, baseline=baseline, threshold=self.world.threshold))
            if self.verdicts[index][0] == "promote":
                self.readmit()

    def judge(self, index: int, start: Evidence) -> None:
        final, decision = follow(start, self.policy, gate_check.Runs(self.night, index).draw)
        self.evidence[index] = final
        pairs, before = len(final.stage), self.state.candidates[index].promotions
        self.verdicts[index] = decision.reason, pairs, decision.reported_gain, before
        if decision.outcome == "promote":
            self.state = promoted(self.state, index + 1)
        elif decision.outcome == "park":
            self.state = parked(self.state, index + 1, decision.numbers.log_e)
        else:
            self.state = archived(self.state, index + 1)

    def readmit(self) -> None:
        while True:
            waiting = self.state.parked
            logs = [candidate.log_e for candidate in waiting if candidate.log_e is not None]
            chosen = parked_promotions(logs, self.world.planned, 0.05, self.state.promotions)
            if not chosen:
                return
            index = waiting[chosen[0]].t - 1
            self.readmitted[index] = Readmission(self.state.promotions, len(chosen))
            self.judge(index, replace(self.evidence[index], readmission=self.readmitted[index]))


@pytest.mark.parametrize("world", [MIXED, SMALL_GAINS], ids=lambda world: world.name)
@pytest.mark.parametrize("policy", POLICIES, ids=label)
def test_a_whole_night_of_the_engine_is_a_night_of_the_product(world: gate_worlds.World, policy: ENight) -> None:
    night = night_of(world)
    made = gate_walk.walk(night, policy, season_of(world), world.threshold)
    real = RealNight(world, night, policy)
    real.play()
    for index in range(world.planned):
        reason, pairs, gain, before = real.verdicts[index]
        assert gate_walk.REASONS[made.reason[index]] == reason, index
        assert (made.pairs[index], made.before[index]) == (pairs, before), index
        assert (gain is None) == math.isnan(made.gain[index])
        assert gain is None or abs(gain - made.gain[index]) <= gate_check.TOLERANCE
    assert made.readmitted == real.readmitted
    assert real.state.promotions > 0


def test_the_nights_compared_hold_every_kind_of_verdict() -> None:
    kinds, readmissions = set(), 0
    for world in (MIXED, SMALL_GAINS):
        for policy in POLICIES:
            made = gate_walk.walk(night_of(world), policy, season_of(world), world.threshold)
            kinds |= set(made.reason.tolist())
            readmissions += len(made.readmitted)
    assert kinds >= {gate_walk.BELOW, gate_walk.FUTILE, gate_walk.PARKED, gate_walk.PROMOTED}
    assert readmissions > 0


@pytest.mark.parametrize("world", [*gate_plan.MIXED, *gate_plan.THRESHOLDS, *gate_plan.LIMITS], ids=lambda w: w.name)
def test_a_sample_of_every_world_is_judged_the_same_by_the_gate(world: gate_worlds.World) -> None:
    job = gate_plan.Job(world, 2, gate_plan.SCREENS, gate_nights.Checking(0, 40, decided=False))
    played = gate_nights.play([job], 0.05, workers=1)[world.name]
    assert played.checked > 30
    assert played.differences == []


@pytest.mark.parametrize("name", sorted(gate_check.CHECKED_RULES))
def test_the_documents_rules_are_judged_the_same_by_the_gate(name: str) -> None:
    night = night_of(MIXED)
    ruled = gate_rules.RULES[name](night, 0.0)
    assert ruled.promoted.any()
    policy = gate_check.CHECKED_RULES[name]
    for stepwise in (True, False):
        found = [gate_check.check_rule(MIXED, night, ruled, policy, index, stepwise=stepwise) for index in range(60)]
        assert found == [None] * 60


def test_log_e_from_the_table_is_close_enough_to_be_settled_exactly_at_the_bar() -> None:
    for n in ENight().looks[2:]:
        t = np.random.default_rng(n).uniform(0.0, 30.0, 200)
        exact = [statistics.log_e_value(n, float(each / math.sqrt(n - 1 + each * each))) for each in t]
        assert np.abs(gate_walk._log_e(n, t) - exact).max() < gate_walk._NEAR / 10


def spoiled(field: str, index: int, value: Any) -> tuple[gate_worlds.Night, gate_walk.Verdicts]:
    night = night_of(MIXED)
    made = gate_walk.walk(night, ENight(), season_of(MIXED), 0.0)
    getattr(made, field)[index] = value
    return night, made


@pytest.mark.parametrize("stepwise", [True, False])
@pytest.mark.parametrize("field", ["reason", "pairs", "gain", "fresh"])
def test_a_verdict_that_is_not_the_gates_is_found(field: str, stepwise: bool) -> None:
    night = night_of(MIXED)
    made = gate_walk.walk(night, ENight(), season_of(MIXED), 0.0)
    index = int(np.flatnonzero(made.reason == gate_walk.PROMOTED)[0])
    wrong = {"reason": gate_walk.FUTILE, "pairs": 12 + int(made.pairs[index]), "gain": 0.1, "fresh": False}[field]
    night, made = spoiled(field, index, wrong)
    found = gate_check.check_e_night(MIXED, night, made, ENight(), 0.05, index, stepwise=stepwise)
    assert found is not None
    assert f"candidate {index + 1}" in found


def test_nothing_is_reported_while_engine_and_gate_disagree(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    played = {"mixed": gate_nights.Played(MIXED, {}, 1, ["mixed, candidate 3: the engine says x, the gate y"])}
    monkeypatch.setattr(gate_error_control, "play", lambda *_: played)
    assert gate_error_control.main(["--json"]) == gate_error_control.DISAGREED
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "the engine says x, the gate y" in printed.err


def test_a_requirement_is_met_by_the_estimate_alone() -> None:
    required = gate_figures.Requirement("<= .05", high=0.05)
    figure = gate_figures.Figure("FDR", "e-night", 0.05, 0.01, required, ".001")
    assert figure.passed is True
    assert replace(figure, value=0.0501).passed is False
    assert replace(figure, value=math.nan).passed is False
    assert replace(figure, requirement=gate_figures.SHOWN).passed is None


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    plot = tmp_path_factory.mktemp("plot") / "plot.svg"
    argv = [
        sys.executable,
        str(ROOT / "benchmarks" / "gate_error_control.py"),
        "--nights",
        "12",
        "--check",
        "0",
        "--json",
        "--plot",
        str(plot),
    ]
    return subprocess.run(argv, capture_output=True, text=True, cwd=plot.parent), plot


def test_a_few_nights_meet_every_requirement(few: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    done, _ = few
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["passed"] is True
    assert all(row["passed"] is not False and row["standard_error"] > 0 for row in result["figures"])


def test_the_documentation_shows_every_figure_and_none_of_them_missed(
    few: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    text = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if " ± " in line]
    shown = {(row[0], row[1], row[3]): row for row in cells if len(row) == 6}
    result = json.loads(few[0].stdout)
    assert set(shown) == {(row["figure"], row["policy"], row["requirement"]) for row in result["figures"]}
    assert {row[5] for row in shown.values()} <= {"met", "shown"}
    for row in result["figures"]:
        written, error = map(float, shown[row["figure"], row["policy"], row["requirement"]][2].split(" ± "))
        tolerance = 5 * math.hypot(error, row["standard_error"])
        assert abs(written - row["value"]) <= tolerance, row["figure"]
    assert {row["rule"] for row in result["comparison"]} <= {row[0] for row in cells}


def test_the_picture_is_the_same_each_time_and_names_what_it_shows(
    few: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    comparison = json.loads(few[0].stdout)["comparison"]
    drawn = gate_plot.picture(comparison)
    assert drawn == few[1].read_text(encoding="utf-8")
    texts = [element.text or "" for element in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    for style in gate_plot.SHOWN.values():
        assert sum(text.startswith(style.label + ":") for text in texts) >= 2
