"""What code makes of a model's ideas: the strategy, gains that enthusiasm cannot raise, variants told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_solution import target

from agent.papers.claim_ledger import PRIOR_TRUST, PRIOR_WEIGHT
from agent.researcher import diversity, places
from agent.researcher.contract import Idea, Outcome, Trial
from agent.researcher.direction import PLATEAU, direction, kind_of
from agent.researcher.estimates import estimated_gain
from agent.researcher.history import FAILURES_TO_REST, Known
from agent.researcher.llm_prompting import ending
from agent.researcher.llm_proposing import ROUNDS
from agent.researcher.search import OTHER_PRIOR, PREFERRED_PRIOR, STRUCTURAL_GAP
from agent.researcher.settings import declared_value, parameter_called
from registry.hypotheses import Quote, Scalar
from registry.papers import Technique
from registry.target import Parameter, Target
from tools.code_map import MOST_LINES, outline

TAU = 0.01
SPACE = {
    "width": Parameter(path="model.width", values=[1, 2, 4], tags=["width", "capacity"]),
    "rate": Parameter(path="train.rate", values=[0.1, 0.01], tags=["optimisation"]),
    "flip": Parameter(path="data.flip", values=[False, True], tags=["augmentation"]),
}


def trial(gain: float | None, verdict: Outcome = "archive", **changes: object) -> Trial:
    return replace(Trial({"train.rate": 0.01}, gain, verdict, "not_enough", hypothesis="H-001"), **changes)


def code(title: str, change: str = "", files: tuple[str, ...] = ("train.py",)) -> Idea:
    return Idea({}, title, "", change or title, "", "code", "Low", 0.0, "refine", files=files)


def technique(gain: float | None, verified: bool = True) -> Technique:
    quote = Quote(document="a", file_sha256="0" * 64, page=1, text="it helps by so much", verified=verified)
    return Technique(
        name="t", paper="p", settings={}, change="c", effort="Low", impact="Low", claimed_gain=gain, quote=quote
    )


def estimate(rests_on: list[Technique], told: float | None = None, follows: bool = True, *tried: Trial) -> float:
    settings: dict[str, Scalar] = {"train.rate": 0.01}
    return estimated_gain(settings, "optimisation", rests_on, tried, SPACE, threshold=TAU, follows=follows, told=told)


# -- strategy -----------------------------------------------------------------------------------------------


def test_several_measured_ideas_without_a_gain_move_to_restructuring() -> None:
    flat = [trial(0.0)] * PLATEAU
    assert direction(flat, TAU, None).strategy == "restructure"
    assert f"last {PLATEAU} measured ideas" in direction(flat, TAU, None).why
    assert direction(flat[1:], TAU, None).strategy == "refine"


def test_a_promotion_or_a_gain_ends_a_plateau_and_a_failed_patch_is_no_part_of_one() -> None:
    flat = [trial(0.0)] * (PLATEAU - 1)
    assert direction([*flat, trial(0.02, "promote"), *flat], TAU, None).strategy == "refine"
    assert direction([*flat, trial(0.5 * TAU, "park"), trial(0.0)], TAU, None).strategy == "refine"
    assert direction([*flat, trial(None), trial(None)], TAU, None).strategy == "refine"


def test_two_gains_that_were_too_small_are_to_be_combined_until_that_was_tried() -> None:
    near = [trial(0.5 * TAU, "park"), trial(0.6 * TAU, hypothesis="H-002")]
    asked = direction(near, TAU, 9.0)
    assert asked.strategy == "combine"
    assert "H-001, H-002" in asked.why
    both = trial(0.0, settings={"train.rate": 0.01, "model.width": 2})
    assert direction([*near, both], TAU, 9.0).strategy == "restructure"
    code = trial(0.0, settings={}, files=("train.py",), strategy="combine")
    assert direction([*near, code], TAU, 9.0).strategy == "restructure"


def test_settings_say_themselves_what_they_are_and_code_is_taken_at_its_word() -> None:
    assert kind_of({"train.rate": 0.01}, SPACE, "restructure", code=False) == "refine"
    assert kind_of({"model.width": 2}, SPACE, "refine", code=False) == "restructure"
    assert kind_of({"model.width": 2, "train.rate": 0.1}, SPACE, "refine", code=False) == "combine"
    assert kind_of({}, SPACE, "combine", code=True) == "combine"


# -- gains --------------------------------------------------------------------------------------------------


def test_enthusiasm_raises_no_estimate_and_modesty_lowers_it() -> None:
    assert estimate([]) == estimate([], told=90.0) == PREFERRED_PRIOR * TAU
    assert estimate([], told=0.001) == 0.001
    assert estimate([], told=-3.0) == 0.0


def test_an_idea_that_ignores_the_strategy_is_below_one_that_follows_it() -> None:
    assert estimate([], None, False) == OTHER_PRIOR * TAU
    paid = [trial(0.9)] * 20
    assert estimate([], 90.0, False, *paid) == OTHER_PRIOR * TAU < estimate([], 90.0, True, *paid)


def test_verified_claims_count_at_a_discount_and_unverified_ones_add_nothing() -> None:
    assert estimate([technique(0.04)]) == PRIOR_TRUST * 0.04
    assert estimate([technique(0.04), technique(0.02)]) == PRIOR_TRUST * 0.02
    assert estimate([technique(0.04, verified=False)], told=1.0) == 0.0
    assert estimate([technique(0.04), technique(0.4, verified=False)]) == PRIOR_TRUST * 0.04
    assert estimate([technique(0.04)], None, True, trial(0.0), trial(0.0)) == PRIOR_TRUST * 0.04 / 2


# -- variants -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "change"),
    [
        ("Add dropout 0.2 to the classifier", "Add a dropout layer with rate 0.2 before the classifier's last layer."),
        ("Dropout in the classifier", "Put dropout before the last layer of the classifier, with a rate of 0.3"),
        (
            "ADD  DROPOUT 0.1 — to the classifier!",
            "add a dropout layer with rate 0.1, before the classifier’s last layer",
        ),
    ],
)
def test_the_same_thought_in_the_same_file_is_a_variant(title: str, change: str) -> None:
    first = diversity.of_idea(
        code(
            "Add dropout 0.1 to the classifier", "Add a dropout layer with rate 0.1 before the classifier's last layer"
        )
    )
    assert diversity.variant(code(title, change), [first])
    assert not diversity.variant(code(title, change, ("other.py",)), [first])


def test_another_thought_in_the_same_file_is_none() -> None:
    first = diversity.of_idea(code("Add dropout to the classifier", "Add a dropout layer before the last layer."))
    others = [
        code("Average the weights", "Keep a moving average of the weights over the last half and save that."),
        code("Label smoothing", "Smooth the training labels by one tenth in the loss."),
        code("Wider last layer", "Double the units of the last layer of the classifier."),
    ]
    assert [diversity.variant(each, [first]) for each in others] == ["", "", ""]


def test_another_value_of_a_setting_waits_for_the_verdict_on_the_first() -> None:
    two = Idea({"model.width": 2}, "2", "", "", "", "width", "Low", 0.0, "refine")
    open_one = diversity.of_trial(trial(None, "open", settings={"model.width": 4}))
    decided = diversity.of_trial(trial(0.0, settings={"model.width": 4}))
    assert "no verdict yet" in diversity.variant(two, [open_one])
    assert diversity.variant(two, [decided]) == ""


def test_promoted_code_makes_tried_settings_new_and_code_is_no_trial_of_its_settings() -> None:
    now: dict[str, Scalar] = {"model.width": 1, "train.rate": 0.1}
    failed = trial(0.0, settings={"model.width": 2}, production=now)
    coded = trial(0.02, "promote", settings={}, files=("train.py",), production=now)
    paths = frozenset(now)
    assert {"model.width": 2} in Known(paths, now, [failed])
    assert {"model.width": 2} not in Known(paths, now, [failed, coded])


# -- what a model names -------------------------------------------------------------------------------------


def test_a_value_is_a_declared_one_or_none() -> None:
    width, flip = SPACE["width"], SPACE["flip"]
    assert [declared_value(width, text) for text in ("2", "2.0", "`4`", "3", "many", "nan")] == [
        2,
        2,
        4,
        None,
        None,
        None,
    ]
    assert [declared_value(flip, text) for text in ("true", "False", "1")] == [True, False, None]
    assert parameter_called(SPACE, "width") is parameter_called(SPACE, "model.width") is width
    assert parameter_called(SPACE, "gate.threshold") is None


@pytest.mark.parametrize(
    "path",
    [
        "evaluate.py",
        "data/train/knowledge.py",
        "Data/x.py",
        "../train.py",
        "/train.py",
        "a//b.py",
        ".git/hooks.py",
        "x\n.py",
        "",
    ],
)
def test_no_idea_is_about_what_is_protected_data_or_elsewhere(path: str, tmp_path: Path) -> None:
    described = Target.model_validate(target(tmp_path, tmp_path / "python"))
    assert places.may_change(described, "train.py")
    assert places.may_change(described, "new.py")
    assert not places.may_change(described, path)


def test_what_a_phase_printed_that_sees_a_split_is_never_told() -> None:
    crash = "fast validation failed: predict: exit status 1; last lines: item dev-1 | {'x': 5}"
    assert ending(crash) == "fast validation failed: predict: exit status 1"
    assert "dev-1" not in ending("evaluate: timeout; at most 3 s; last line: label of dev-1 is 9")
    trained = "train: exit status 1; last line: KeyError: 'rate'"
    assert ending(trained) == trained


def test_an_outline_has_signatures_and_first_lines_and_breaks_on_nothing() -> None:
    source = (
        b'"""Trains.\n\nMore."""\nRATE = 0.1\n\n'
        b'class Model(Base):\n    """A model."""\n    def fit(self, x: int = 1) -> None: ...\n'
    )
    assert outline("a.py", source) == (
        '"""Trains."""',
        "RATE = 0.1",
        "class Model(Base)  # A model.",
        "    def fit(self, x: int=1) -> None",
    )
    assert outline("a.py", b"def broken(") == outline("a.rs", b"fn main() {}") == outline("a.py", b"\xff\x00") == ()
    assert outline("deep.py", b"(" * 5000 + b")" * 5000) == ()
    many = outline("many.py", b"\n".join(b"def f%d(): ..." % number for number in range(500)))
    assert len(many) == MOST_LINES
    assert many[-1] == f"… and {500 - MOST_LINES + 1} more definitions"


def test_the_documentation_states_the_rules_as_the_code_has_them() -> None:
    text = " ".join((Path(__file__).resolve().parent.parent / "docs" / "researcher.md").read_text().split())
    assert (PLATEAU, STRUCTURAL_GAP, diversity.SIMILAR) == (5, 5.0, 0.5)
    assert "Five measured ideas in a row" in text
    assert "above 5 points" in text
    assert "half its words" in text
    assert (PRIOR_TRUST, PREFERRED_PRIOR, OTHER_PRIOR) == (0.5, 0.5, 0.25)
    assert "have not kept (half, before any was tried)" in text
    assert (PRIOR_TRUST, PRIOR_WEIGHT) == (0.5, 2.0)
    assert "drawn to one half by two claims' weight" in text
    assert "half the promotion threshold, or a quarter where" in text
    assert FAILURES_TO_REST == 2
    assert "failed twice in a row" in text
    assert ROUNDS == 2
    assert "asked once more" in text
