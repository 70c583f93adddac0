"""The claim ledger holds what papers promised against what was measured, and steers what is read and tried next."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_nights import NOTHING, SOURCE, STRONG, Nights, a_night, hypothesis, make_workspace
from test_search_propose import NOW, SPACE, technique

from agent import verification
from agent.cli.main import main
from agent.papers.claim_ledger import PRIOR_TRUST, Claim, ClaimLedger, Measured, claim_ledger
from agent.reports import claims
from agent.researcher.search import propose
from registry.history import History
from registry.workspace import Workspace


def history_of(log: Nights) -> History:
    history = History()
    for event in log.log.events():
        history.apply(event)
    return history


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path)


def one_claim(promised: float | None, *gains: float | None, outcome: str = "archive", source: str = "s") -> Claim:
    tests = tuple(Measured(f"H-{n:03d}", outcome, gain, None, None, n) for n, gain in enumerate(gains, 1))
    return Claim(source, "paper", "A paper", "width", promised, verified=True, measured=tests)


def test_a_tested_claim_stands_beside_what_was_measured_of_it_with_its_interval(workspace: Workspace) -> None:
    (claim,) = claim_ledger(history_of(a_night(workspace))).claims
    assert (claim.source, claim.technique, claim.promised) == (SOURCE, "shifts", 0.015)
    (test,) = claim.measured
    assert (test.hypothesis, test.outcome) == ("H-001", "promote")
    assert test.gain is not None
    assert test.low is not None
    assert test.high is not None
    assert test.low < test.gain < test.high
    assert test.gain == pytest.approx(0.02, abs=0.003)


@pytest.mark.parametrize("kind", ["folder", "reports"])
def test_a_model_is_not_told_where_on_this_machine_a_folder_of_papers_is(kind: str) -> None:
    claims = [one_claim(0.02, 0.01, source=f"{kind}:{place}") for place in ("/home/ann lee/papers", "papers")]
    assert [line.split("): ")[0] for line in ClaimLedger(tuple(claims), {}).lines()] == [f"width ({kind}:papers"] * 2


def test_a_hypothesis_that_sets_the_same_is_a_test_of_the_claim_whoever_proposed_it(workspace: Workspace) -> None:
    log = Nights(workspace)
    log.start_night()
    log.make_production("base", "production starts here")
    log.read_paper()
    log.open_season()
    log.propose(
        hypothesis("H-001", "Shifts, by search", data__shifts=2),
        hypothesis("H-002", "Shifts and more", data__shifts=1, train__dropout=0.2),
    )
    for name in ("H-001", "H-002"):
        commit = log.start_test(name)
        log.validate(name, commit)
        log.judge(name, commit, NOTHING)
    (claim,) = claim_ledger(history_of(log)).claims
    assert [test.hypothesis for test in claim.measured] == ["H-001"]


def test_a_hypothesis_that_never_ran_says_nothing_about_the_claim_but_why(workspace: Workspace) -> None:
    log = Nights(workspace)
    log.start_night()
    log.make_production("base", "production starts here")
    log.read_paper()
    log.propose(hypothesis("H-001", "Shifts", quoted=True, data__shifts=1))
    log.validate("H-001", log.start_test("H-001"), ok=False)
    ledger = claim_ledger(history_of(log))
    assert ledger.claims[0].measured == ()
    assert ledger.claims[0].unmeasured == ("H-001 failed its validation",)
    assert ledger.source_trust() == {SOURCE: PRIOR_TRUST}


def test_a_source_that_keeps_its_promises_is_trusted_more_and_one_that_breaks_them_less() -> None:
    good, bad = one_claim(0.02, 0.03, outcome="promote", source="good"), one_claim(0.02, -0.01, source="bad")
    unknown = one_claim(0.02, source="new")
    trust = ClaimLedger((bad, unknown, good), {"bad": ["p"], "new": ["p"], "good": ["p"]}).source_trust()
    assert list(trust) == ["good", "new", "bad"]
    assert trust == {"good": pytest.approx(2 / 3), "new": PRIOR_TRUST, "bad": pytest.approx(1 / 3)}


@given(
    st.lists(
        st.tuples(st.none() | st.floats(-1, 1), st.lists(st.none() | st.floats(-1, 1), max_size=4), st.booleans()),
        max_size=8,
    )
)
def test_trust_is_always_a_share_between_nothing_and_all(
    facts: list[tuple[float | None, list[float | None], bool]],
) -> None:
    found = [one_claim(p, *gains, outcome="promote" if won else "archive") for p, gains, won in facts]
    ledger = ClaimLedger(tuple(found), {"s": ["paper"]})
    for standing in (*ledger.by_source(), *ledger.by_technique()):
        assert 0.0 < standing.trust < 1.0
        assert standing.tested <= standing.claims


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.floats(0, 0.02)), max_size=12))
def test_a_promise_is_pooled_with_those_of_its_source_and_of_its_technique_each_once(
    facts: list[tuple[str, str, float]],
) -> None:
    found = [
        replace(one_claim(0.01, gain, source=source), technique=technique, paper=f"p{number}")
        for number, (source, technique, gain) in enumerate(facts)
    ]
    trust = ClaimLedger(tuple(found), {}).technique_trust()
    for claim in found:
        kin = [one.kept or 0.0 for one in found if one.source == claim.source or one.technique == claim.technique]
        assert trust[claim.paper, claim.technique] == pytest.approx((sum(kin) + 1.0) / (len(kin) + 2.0))


def test_the_trust_of_thousands_of_claims_is_known_at_once() -> None:
    claim = one_claim(0.01, 0.005)
    found = tuple(replace(claim, paper=f"p{number}", technique=f"t{number % 50}") for number in range(5000))
    began = time.process_time()
    assert len(ClaimLedger(found, {}).technique_trust()) == 5000
    assert time.process_time() - began < 1.0


@given(st.integers(1, 30), st.floats(-1, 0.0099))
def test_broken_promises_only_ever_lower_trust(count: int, gain: float) -> None:
    fewer = ClaimLedger(tuple(one_claim(0.01, gain) for _ in range(count)), {"s": ["paper"]})
    more = ClaimLedger(tuple(one_claim(0.01, gain) for _ in range(count + 1)), {"s": ["paper"]})
    kept = max(gain, 0.0) / 0.01
    before, after = fewer.source_trust()["s"], more.source_trust()["s"]
    assert (after <= before + 1e-12) if kept <= before else (after >= before - 1e-12)


def test_the_search_tries_the_trusted_claim_first_and_expects_less_of_the_other() -> None:
    width, epochs = technique("model.hidden", 64), technique("train.epochs", 40)
    trust = {(width.paper, width.name): 0.2, (epochs.paper, epochs.name): 0.6}
    ideas = propose(SPACE, NOW, [], [width, epochs], 3.0, limit=2, trust=trust).ideas
    assert [idea.settings for idea in ideas] == [{"train.epochs": 40}, {"model.hidden": 64}]
    assert ideas[0].estimated_gain == pytest.approx(3 * ideas[1].estimated_gain)


def test_the_ledger_stands_in_the_digest_and_strangers_text_in_it_is_escaped(workspace: Workspace) -> None:
    from datetime import UTC, datetime

    from agent.chronicle import chronicle
    from agent.reports import digest

    log = a_night(workspace)
    text = digest(chronicle(log.log.events()), datetime(2026, 11, 21, tzinfo=UTC))
    section = text.split("## Claims: Promised Against Measured\n", 1)[1].split("\n## ", 1)[0]
    assert "| folder:papers | 1 | 1 | 1 | 1 | +0.0150 |" in section
    assert "H-001 +0.0" in section
    hostile = Claim("s", "p", "# T | [x](y)", "<b>", None, verified=False, measured=one_claim(0.1, 0.1).measured)
    shown = claims.tables(ClaimLedger((hostile,), {"s": ["p"]}))
    assert r"\<b\>" in shown
    assert r"\# T \| (x)(y)" in shown


def test_the_command_lists_every_claim(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    a_night(workspace).log.close()
    with pytest.raises(SystemExit) as ended:
        main(["papers", "claims", "--workspace", str(workspace.root)])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "folder:papers: 1 of 1 claims tested, 1 promoted; 67% of a promise is expected" in said
    assert "promised +0.015; H-001 +0.0" in said


def test_an_interval_that_is_not_that_of_the_look_is_found(workspace: Workspace) -> None:
    log = Nights(workspace)
    log.start_night()
    log.make_production("base", "production starts here")
    log.open_season()
    log.propose(hypothesis("H-001", "Shifts", data__shifts=1))
    commit = log.start_test("H-001")
    log.validate("H-001", commit)
    log.judge("H-001", commit, STRONG)
    honest = log.log.find(f"verdict:H-001:{commit}")
    assert honest is not None
    low, high = honest.data["interval"]
    log.record("verdict", "H-001", {**honest.data, "interval": [low + 0.01, high + 0.01]}, honest.reason)
    log.log.close()
    problems = [problem for problem in verification.verify(workspace).problems if "interval" in problem]
    assert len(problems) == 1
