"""The offline search: deterministic, within the declared values, never twice the same, and honest at the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.researcher.history import Trial, expected_gain, family_of, resting, settings_key
from agent.researcher.search import Idea, Proposals, mode_for, propose
from registry.hypotheses import EFFORT_SCORES, Quote, Scalar
from registry.papers import Technique
from registry.target import Parameter

SPACE = {
    "hidden": Parameter(path="model.hidden", values=[32, 64, 128, 256], tags=["width", "capacity"]),
    "epochs": Parameter(path="train.epochs", values=[10, 20, 40], tags=["training-length"]),
    "lr": Parameter(path="train.lr", values=[0.001, 0.003, 0.01], tags=["optimisation"]),
    "decay": Parameter(path="train.weight_decay", values=[0.0, 0.001], tags=["optimisation"]),
    "shifts": Parameter(path="data.shifts", values=[0, 1, 4], tags=["augmentation"], effort="Medium"),
    "schedule": Parameter(path="train.schedule", values=["constant", "cosine"], tags=["schedule"]),
}
NOW: dict[str, Scalar] = {
    "model.hidden": 32,
    "train.epochs": 20,
    "train.lr": 0.003,
    "train.weight_decay": 0.0,
    "data.shifts": 0,
    "train.schedule": "constant",
}


def archived(changed: dict[str, Scalar], gain: float = 0.0, now: dict[str, Scalar] = NOW) -> Trial:
    return Trial(changed, gain, "archive", "too small", production=now)


def promoted(changed: dict[str, Scalar], gain: float = 0.02, now: dict[str, Scalar] = NOW) -> Trial:
    return Trial(changed, gain, "promote", production=now)


def technique(path: str, *values: Scalar, gain: float | None = 0.037, verified: bool = True) -> Technique:
    return Technique(
        name=path.rsplit(".", 1)[-1],
        paper="arxiv:2602.01234",
        settings={path: list(values)},
        effort="Low",
        impact="High" if gain and gain > 0.03 else "Low",
        claimed_gain=gain,
        quote=Quote(document="arxiv:2602.01234v1", file_sha256="0" * 64, page=2, text="said so", verified=verified),
    )


def changes(proposals: Proposals) -> list[dict[str, Scalar]]:
    return [idea.settings for idea in proposals.ideas]


def first(**options: object) -> Idea:
    return propose(SPACE, NOW, (), **{"limit": 1, **options}).ideas[0]


@pytest.mark.parametrize(
    ("gap", "mode"),
    [(None, "refine"), (-2.0, "refine"), (0.99, "refine"), (1.0, "ablate"), (5.0, "ablate"), (5.1, "restructure")],
)
def test_the_gap_decides_the_mode(gap: float | None, mode: str) -> None:
    assert mode_for(gap) == mode
    assert propose(SPACE, NOW, (), gap_points=gap).mode == mode


def test_a_small_gap_moves_optimisation_settings_to_their_neighbours() -> None:
    proposals = propose(SPACE, NOW, (), gap_points=0.4, limit=4)
    assert changes(proposals) == [
        {"train.lr": 0.001},
        {"train.lr": 0.01},
        {"train.weight_decay": 0.001},
        {"train.schedule": "cosine"},
    ]
    assert {idea.strategy for idea in proposals.ideas} == {"refine"}


def test_a_middling_gap_changes_one_component_at_a_time() -> None:
    proposals = propose(SPACE, NOW, (), gap_points=3.0, limit=4)
    assert changes(proposals)[:3] == [{"model.hidden": 64}, {"train.epochs": 10}, {"train.epochs": 40}]
    assert {idea.strategy for idea in proposals.ideas} == {"ablate"}


def test_a_large_gap_changes_structure_first_and_by_larger_steps() -> None:
    proposals = propose(SPACE, NOW, (), gap_points=7.0, limit=5)
    assert changes(proposals)[:3] == [{"model.hidden": 128}, {"model.hidden": 256}, {"data.shifts": 4}]
    assert {idea.strategy for idea in proposals.ideas} == {"restructure"}


def test_verified_techniques_come_first_and_carry_their_quote() -> None:
    known = [technique("train.epochs", 40, gain=None), technique("data.shifts", 4, 1)]
    proposals = propose(SPACE, NOW, (), known, gap_points=3.7, limit=4)
    assert changes(proposals)[:3] == [{"data.shifts": 4}, {"train.epochs": 40}, {"data.shifts": 1}]
    idea = proposals.ideas[0]
    assert idea.strategy == "paper"
    assert idea.quotes == (known[1].quote,)
    assert idea.source == "arxiv:2602.01234v1 + gap analysis (gap to #1 = 3.7 points)"
    assert idea.estimated_gain == pytest.approx(0.0185)
    assert idea.effort == "Medium"
    assert "data.shifts from 0 to 4" in idea.claim


def test_an_unverified_technique_is_never_ahead_and_promises_nothing() -> None:
    doubtful = technique("data.shifts", 4, gain=0.3, verified=False)
    proposals = propose(SPACE, NOW, (), [doubtful], gap_points=0.5, limit=50)
    idea = next(idea for idea in proposals.ideas if idea.settings == {"data.shifts": 4})
    assert idea.strategy != "paper"
    assert idea.estimated_gain < 0.005
    assert changes(proposals)[0] != {"data.shifts": 4}


def test_techniques_outside_the_search_space_are_not_proposed() -> None:
    strange = [technique("model.elsewhere", 4), technique("model.hidden", 100), technique("model.hidden", 32)]
    proposals = propose(SPACE, NOW, (), strange, limit=50)
    assert "paper" not in {idea.strategy for idea in proposals.ideas}


def test_what_measured_well_is_expected_to_go_on_and_what_failed_is_not() -> None:
    before = first(gap_points=3.0)
    shorter = {**NOW, "train.epochs": 10}
    tried = [promoted({"train.epochs": 20}, 0.03, shorter), archived({"model.hidden": 64}, -0.01)]
    after = propose(SPACE, NOW, tried, gap_points=3.0, limit=1000).ideas
    gains = {idea.family: idea.estimated_gain for idea in reversed(after) if len(idea.settings) == 1}
    assert before.settings == {"model.hidden": 64}
    assert gains["training-length"] > before.estimated_gain > gains["width"] >= 0.0
    assert after[0].family == "training-length"


def test_the_way_back_from_a_promotion_is_expected_to_gain_nothing_and_comes_last() -> None:
    tried = [promoted({"train.epochs": 40}, 0.03, {**NOW})]
    after = propose(SPACE, {**NOW, "train.epochs": 40}, tried, gap_points=3.0, limit=1000).ideas
    singles = [idea for idea in after if len(idea.settings) == 1]
    back = [idea for idea in singles if idea.settings.get("train.epochs", 40) < 40]
    assert back
    assert all(idea.estimated_gain == 0.0 for idea in back)
    assert list(after[-len(back) :]) == back


def test_a_claim_that_measurements_contradict_is_expected_to_give_less() -> None:
    fresh = propose(SPACE, NOW, (), [technique("data.shifts", 4)], limit=1).ideas[0]
    tried = [archived({"data.shifts": 1}, -0.002)]
    sobered = propose(SPACE, NOW, tried, [technique("data.shifts", 4)], limit=1).ideas[0]
    assert sobered.settings == fresh.settings == {"data.shifts": 4}
    assert sobered.estimated_gain < fresh.estimated_gain


def test_a_family_that_failed_twice_is_left_and_refining_becomes_restructuring() -> None:
    tried = [archived({"train.lr": 0.001})]
    assert propose(SPACE, NOW, tried, gap_points=0.5).mode == "refine"
    tried.append(archived({"train.lr": 0.01}))
    proposals = propose(SPACE, NOW, tried, gap_points=0.5, limit=50)
    assert proposals.mode == "restructure"
    assert "optimisation" in proposals.note
    assert proposals.ideas[0].strategy == "restructure"
    assert not any("train.weight_decay" in change or "train.lr" in change for change in changes(proposals))


def test_a_family_that_was_left_gets_one_more_chance_after_a_promotion() -> None:
    def labels(trial: Trial) -> list[str]:
        return [family_of(SPACE, trial.settings)]

    fail, other = archived({"train.lr": 0.001}), promoted({"data.shifts": 4})
    assert resting([fail, other, fail], labels) == frozenset()
    assert resting([fail, fail], labels) == {"optimisation"}
    assert resting([fail, fail, other], labels) == frozenset()
    assert resting([fail, fail, other, fail, fail], labels) == {"optimisation"}
    assert resting([fail, fail, other, fail, fail, other], labels) == {"optimisation"}
    own = promoted({"train.lr": 0.01})
    assert resting([fail, fail, other, fail, fail, own], labels) == frozenset()


def test_a_dead_end_is_not_proposed_again_until_production_changes() -> None:
    dead = archived({"train.epochs": 40})
    assert {"train.epochs": 40} not in changes(propose(SPACE, NOW, [dead], gap_points=3.0, limit=50))
    later = {**NOW, "data.shifts": 4}
    tried = [dead, promoted({"data.shifts": 4})]
    assert {"train.epochs": 40} in changes(propose(SPACE, later, tried, gap_points=3.0, limit=50))


def test_a_configuration_measured_before_is_not_reached_by_another_way() -> None:
    later = {**NOW, "data.shifts": 4}
    tried = [archived({"train.epochs": 40}), promoted({"data.shifts": 4})]
    proposals = propose(SPACE, later, tried, gap_points=3.0, limit=200)
    assert {"data.shifts": 0} not in changes(proposals)
    assert not any(
        settings_key(change) == settings_key({"data.shifts": 0, "train.epochs": 40}) for change in changes(proposals)
    )


def test_open_and_parked_ideas_are_not_proposed_twice() -> None:
    tried = [Trial({"model.hidden": 64}, None, "open"), Trial({"train.epochs": 40}, None, "park")]
    found = changes(propose(SPACE, NOW, tried, gap_points=3.0, limit=50))
    assert {"model.hidden": 64} not in found
    assert {"train.epochs": 40} not in found


def test_equal_numbers_are_one_value_and_truth_is_not_one() -> None:
    assert settings_key({"a": 1}) == settings_key({"a": 1.0})
    assert settings_key({"a": 1e-3}) == settings_key({"a": 0.001})
    assert settings_key({"a": 1}) != settings_key({"a": True})
    assert settings_key({"a": 1}) != settings_key({"a": "1"})


def test_combinations_follow_once_single_changes_are_used_up() -> None:
    pair = {name: SPACE[name] for name in ("hidden", "shifts")}
    now = {path: NOW[path] for path in ("model.hidden", "data.shifts")}
    tried = [Trial({"model.hidden": value}, None, "open", production=now) for value in (64, 128, 256)]
    tried += [Trial({"data.shifts": value}, None, "open", production=now) for value in (1, 4)]
    proposals = propose(pair, now, tried, gap_points=7.0, limit=50)
    assert len(proposals.ideas) == 6
    assert all(len(idea.settings) == 2 for idea in proposals.ideas)
    assert {idea.family for idea in proposals.ideas} == {"combination"}
    assert {idea.effort for idea in proposals.ideas} == {"Medium"}


def test_the_sampler_prefers_combinations_near_what_measured_well() -> None:
    space = {name: Parameter(path=name, values=list(range(6)), tags=[name]) for name in "abc"}
    now: dict[str, Scalar] = {"a": 0, "b": 0, "c": 0}
    tried = [
        Trial({"a": a, "b": b, "c": c}, 0.01 * (a + b) - 0.03 * c, "extend", production=now)
        for a in range(1, 6)
        for b in range(1, 6)
        for c in (1, 4)
    ]
    tried += [Trial({name: value}, None, "open", production=now) for name in "abc" for value in range(1, 6)]
    ideas = propose(space, now, tried, gap_points=7.0, limit=10, seed=3).ideas
    mean = sum(int(idea.settings.get("c", 0)) for idea in ideas) / len(ideas)
    assert mean < 2.5


def test_an_exhausted_space_is_said_to_be_so() -> None:
    space = {"a": Parameter(path="a", values=[1, 2], tags=["x"])}
    proposals = propose(space, {"a": 1}, [archived({"a": 2}, now={"a": 1}), Trial({"a": 2}, None, "open")])
    assert proposals.exhausted
    assert proposals.ideas == ()
    assert proposals.note == "nothing untried is left in the search space; 1 still under way or parked"
    assert propose({}, {}, ()).exhausted


def test_the_limit_is_kept_and_asking_for_none_is_not_exhaustion() -> None:
    assert len(propose(SPACE, NOW, (), limit=3).ideas) == 3
    none = propose(SPACE, NOW, (), limit=0)
    assert (none.ideas, none.exhausted) == ((), False)


def test_expected_gains_are_drawn_towards_the_prior_and_never_below_zero() -> None:
    assert expected_gain([], 0.0025) == 0.0025
    assert 0.0025 < expected_gain([0.02], 0.0025) < 0.02
    assert expected_gain([-1.0], 0.0025) == 0.0


def test_another_process_proposes_the_same(tmp_path: Path) -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from test_search_propose import SPACE, NOW, archived\n"
        "from agent.researcher.search import propose\n"
        "tried = [archived({'train.lr': 0.001}, 0.004), archived({'model.hidden': 64}, -0.01)]\n"
        "print(propose(SPACE, NOW, tried, gap_points=3.0, seed=5, limit=60))\n"
    )
    here = Path(__file__).resolve().parent
    command = [sys.executable, "-c", program, str(here), str(here.parent)]
    printed = {
        subprocess.run(
            command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}, cwd=tmp_path
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1
    assert "combination" in printed.pop()


VALUES = st.lists(st.integers(0, 9), min_size=2, max_size=3, unique=True)
TAGS = st.sampled_from(["width", "optimisation", "augmentation", "other"])


@st.composite
def spaces(draw: st.DrawFn) -> tuple[dict[str, Parameter], dict[str, Scalar]]:
    space: dict[str, Parameter] = {}
    now: dict[str, Scalar] = {}
    for name in "abc"[: draw(st.integers(1, 3))]:
        listed: list[Scalar] = [*draw(VALUES)]
        if draw(st.booleans()):
            listed = [f"v{value}" for value in listed]
        space[name] = Parameter(
            path=f"p.{name}", values=listed, tags=[draw(TAGS)], effort=draw(st.sampled_from(list(EFFORT_SCORES)))
        )
        if draw(st.booleans()):
            now[f"p.{name}"] = draw(st.sampled_from(listed))
    return space, now


@given(
    spaces(),
    st.lists(st.sampled_from(["archive", "archive", "promote", "open", "extend"]), min_size=1, max_size=12),
    st.integers(0, 5),
    st.sampled_from([None, 0.5, 3.0, 9.0]),
)
@settings(max_examples=30, deadline=None)
def test_a_night_of_proposals_is_declared_new_deterministic_and_ends(
    drawn: tuple[dict[str, Parameter], dict[str, Scalar]], verdicts: list[str], seed: int, gap: float | None
) -> None:
    space, now = drawn
    declared = {parameter.path: parameter.values for parameter in space.values()}
    tried: list[Trial] = []
    measured = {settings_key(now)}
    for cycle in range(200):
        proposals = propose(space, now, tried, gap_points=gap, seed=seed, limit=5)
        assert proposals == propose(space, dict(now), tuple(tried), gap_points=gap, seed=seed, limit=5)
        keys = [settings_key(idea.settings) for idea in proposals.ideas]
        assert len(keys) == len(set(keys)) <= 5
        for idea in proposals.ideas:
            assert 1 <= len(idea.settings) <= 3
            assert all(value in declared[path] and value != now.get(path) for path, value in idea.settings.items())
            assert idea.estimated_gain >= 0
        if proposals.exhausted:
            assert not proposals.ideas
            return
        chosen = proposals.ideas[0]
        configuration = {**now, **chosen.settings}
        assert settings_key(configuration) not in measured
        measured.add(settings_key(configuration))
        verdict = verdicts[cycle % len(verdicts)]
        tried.append(Trial(chosen.settings, 0.01 * (cycle % 3), verdict, production=dict(now)))
        if verdict == "promote":
            now = configuration
    pytest.fail("the search space has fewer configurations than this many cycles")


def test_no_idea_claims_an_improvement_of_nothing() -> None:
    tried = [archived({"model.hidden": 64}, -0.05)]
    ideas = propose(SPACE, NOW, tried, (), 2.0, limit=1000, metric="accuracy").ideas
    assert {idea.estimated_gain == 0.0 for idea in ideas} == {True, False}
    for idea in ideas:
        assert "+0.0000" not in idea.claim
        if idea.estimated_gain == 0.0:
            assert "is an ablation" in idea.claim
            assert "nothing better is left" in idea.claim
            assert "improves" not in idea.claim
        else:
            assert "improves accuracy by about +" in idea.claim


def test_an_idea_from_an_unverified_passage_claims_no_gain() -> None:
    unverified = (technique("data.shifts", 4, verified=False),)
    tried = [archived({"data.shifts": 1}, -0.05)]
    ideas = propose(SPACE, NOW, tried, unverified, 2.0, limit=1000, metric="accuracy").ideas
    (found,) = [idea for idea in ideas if idea.quotes]
    assert found.estimated_gain == 0.0
    assert "not found word for word" in found.claim
    assert "improves" not in found.claim
