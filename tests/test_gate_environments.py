"""A change of the environment is judged only where it is the change under test, and then each arm in its own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_gate_bad_evidence import SOUND

from experiments.evidence_files import document_of, evidence_of
from experiments.gate import Evidence, Pair, RunValue, decide, look_record, recompute
from registry.evidence_file import EvidenceFile

OLD, NEW, OTHER = "env", "new", "other"


def moved(whole: Evidence, **environments: str) -> Evidence:
    """The same evidence with the runs of an arm made somewhere else."""

    def run(value: RunValue | None) -> RunValue | None:
        return None if value is None else replace(value, environment=environments.get(value.arm, value.environment))

    def line(pairs: tuple[Pair, ...]) -> tuple[Pair, ...]:
        return tuple(Pair(pair.seed, run(pair.candidate), run(pair.production)) for pair in pairs)

    return replace(whole, stage=line(whole.stage), fresh=line(whole.fresh), costs=line(whole.costs))


@pytest.mark.parametrize("kind", SOUND)
def test_a_marked_change_is_judged_as_any_other_and_says_what_it_is(kind: str) -> None:
    policy, make = SOUND[kind]
    plain, whole = decide(make(), policy), moved(make(), candidate=NEW)
    assert decide(whole, policy).reason == "mixed_environments"
    marked = replace(whole, environments=(OLD, NEW))
    decision = decide(marked, policy)
    assert decision == replace(plain, flags=(*plain.flags, "environment_changed"))
    record = json.loads(json.dumps(look_record(marked, decision, policy)))
    assert record["evidence"]["environments"] == [OLD, NEW]
    assert recompute(record) == []
    assert recompute(record | {"evidence": record["evidence"] | {"environments": None}}) != []
    assert evidence_of(EvidenceFile.model_validate(document_of(marked, policy).model_dump())) == marked


@pytest.mark.parametrize("kind", SOUND)
def test_a_record_of_one_environment_is_what_it_was_before(kind: str) -> None:
    policy, make = SOUND[kind]
    record = look_record(make(), decide(make(), policy), policy)
    assert "environments" not in record["evidence"]
    assert "environment_changed" not in record["decision"]["flags"]


@given(st.sampled_from(sorted(SOUND)), st.data())
def test_one_run_elsewhere_spoils_a_marked_change_too(kind: str, data: st.DataObject) -> None:
    policy, make = SOUND[kind]
    whole = replace(moved(make(), candidate=NEW), environments=(OLD, NEW))
    name = data.draw(st.sampled_from([line for line in ("stage", "fresh", "costs") if getattr(whole, line)]))
    pairs = list(getattr(whole, name))
    index = data.draw(st.integers(0, len(pairs) - 1))
    arm = data.draw(st.sampled_from(["candidate", "production"]))
    run = getattr(pairs[index], arm)
    elsewhere = data.draw(st.sampled_from([place for place in (OLD, NEW, OTHER, "") if place != run.environment]))
    pairs[index] = replace(pairs[index], **{arm: replace(run, environment=elsewhere)})
    assert decide(replace(whole, **{name: tuple(pairs)}), policy).reason == "mixed_environments"


@pytest.mark.parametrize("kind", SOUND)
def test_a_mark_that_names_other_environments_or_swaps_them_is_refused(kind: str) -> None:
    policy, make = SOUND[kind]
    whole = moved(make(), candidate=NEW)
    for mark in ((NEW, OLD), (OLD, OTHER), (OTHER, NEW), (OLD, OLD)):
        assert decide(replace(whole, environments=mark), policy).reason == "mixed_environments"


def test_the_gates_page_names_the_mark() -> None:
    page = (Path(__file__).resolve().parent.parent / "docs" / "gate.md").read_text()
    assert "`environment_changed`" in page
    assert "`mixed_environments`" in page
