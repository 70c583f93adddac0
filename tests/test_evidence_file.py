"""Evidence as a file: what it says is what the gate reads, a look comes back whole, and what is broken is named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from gate_evidence import COSTS, FRESH, STRONG, evidence
from markdown_files import ROOT
from scripted_solution import agent
from test_gate_bad_evidence import SOUND, WRONG, WRONG_ITEMS, itemised

from experiments import evidence_files
from experiments.gate import BAD_EVIDENCE, PerItem, decide, look_record
from registry.documents import load_evidence
from registry.errors import BadInput
from registry.evidence_file import EvidenceFile

PAGE = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
EXAMPLE = PAGE.split("```yaml\n")[1].split("```")[0]


def written(folder: Path, text: str) -> Path:
    path = folder / "evidence.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def through_a_file(folder: Path, document: EvidenceFile) -> EvidenceFile:
    return load_evidence(written(folder, json.dumps(document.model_dump(mode="json", exclude_none=True))))


@pytest.mark.parametrize("kind", SOUND)
def test_sound_evidence_goes_through_a_file_and_comes_back_as_it_was(tmp_path: Path, kind: str) -> None:
    policy, make = SOUND[kind]
    document = through_a_file(tmp_path, evidence_files.document_of(make(), policy))
    assert evidence_files.evidence_of(document) == make()
    assert evidence_files.policy_of(document) == policy


@pytest.mark.parametrize("name", [*WRONG, *WRONG_ITEMS])
def test_every_way_to_be_wrong_keeps_its_name_through_a_file(tmp_path: Path, name: str) -> None:
    policy, sound = (PerItem(), itemised()) if name in WRONG_ITEMS else (SOUND["e-night"][0], SOUND["e-night"][1]())
    code, spoil = {**WRONG, **WRONG_ITEMS}[name]
    document = through_a_file(tmp_path, evidence_files.document_of(spoil(sound), policy))
    assert decide(evidence_files.evidence_of(document), policy).reason == code


def test_the_page_s_example_gives_what_the_page_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = agent(capsys, "gate", str(written(tmp_path, EXAMPLE)))
    assert said.status == 1
    expected = PAGE.split("```text\n")[1].split("```")[0].splitlines()
    for line in expected:
        assert line in " ".join(said.out.split())


def test_more_pairs_that_are_as_good_promote_and_exit_with_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = evidence_files.document_of(evidence(STRONG, FRESH), SOUND["e-night"][0])
    path = written(tmp_path, json.dumps(document.model_dump(mode="json", exclude_none=True)))
    said = agent(capsys, "gate", str(path), "--json")
    assert said.status == 0
    told = json.loads(said.out)
    assert (told["outcome"], told["hypothesis"]) == ("promote", "H-042")
    whole = evidence(STRONG, FRESH)
    assert told["look"] == json.loads(
        json.dumps(look_record(whole, decide(whole, SOUND["e-night"][0]), SOUND["e-night"][0]))
    )


@pytest.mark.parametrize("spelled", ["NaN", "nan", "Infinity", "-inf"])
def test_a_value_that_is_no_number_is_bad_evidence_and_exits_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spelled: str
) -> None:
    said = agent(capsys, "gate", str(written(tmp_path, EXAMPLE.replace("0.924", spelled))))
    assert said.status == 2
    assert re.search(r"bad_evidence \((nan|infinite)\)", said.out)
    assert any(text.capitalize() in said.out for code, text in BAD_EVIDENCE.items() if code in {"nan", "infinite"})


@pytest.mark.parametrize(
    ("change", "line", "found"),
    [
        (("metric: accuracy\n", ""), None, "metric"),
        (("version: 1", "version: 7"), 1, "7"),
        (("threshold: 0.005", "threshold: small"), 5, "small"),
        (("policy: {name: e-night", "policy: {name: e-day"), 2, "e-day"),
        (("candidate: 0.924", "candidat: 0.924"), None, "candidat"),
        (("seed: 12", "seed: twelve"), None, "twelve"),
        (("metric: accuracy", "metric: [accuracy"), None, ""),
    ],
)
def test_a_broken_file_is_refused_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], line: int | None, found: str
) -> None:
    path = written(tmp_path, EXAMPLE.replace(*change))
    said = agent(capsys, "gate", str(path))
    assert said.status == 2
    assert str(path) in said.err
    assert found in said.err
    assert line is None or f":{line}" in said.err


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = agent(capsys, "gate", str(tmp_path / "nothing.yaml"))
    assert said.status == 2
    assert "nothing.yaml" in said.err


def test_runs_say_for_themselves_what_differs_from_their_arm(tmp_path: Path) -> None:
    text = EXAMPLE.replace("candidate: 0.924", "candidate: {primary: 0.924, environment: another}")
    read = evidence_files.evidence_of(load_evidence(written(tmp_path, text)))
    assert decide(read, SOUND["e-night"][0]).reason == "mixed_environments"


def test_costs_and_limits_are_read(tmp_path: Path) -> None:
    whole = evidence(STRONG, FRESH, costs=[1.2] * 20, cost_limits=COSTS)
    document = through_a_file(tmp_path, evidence_files.document_of(whole, SOUND["e-night"][0]))
    assert decide(evidence_files.evidence_of(document), SOUND["e-night"][0]).reason == "cost_regression"


def test_a_policy_with_parameters_of_its_own_is_not_written() -> None:
    from experiments.gate import ENight

    with pytest.raises(ValueError, match="parameters"):
        evidence_files.document_of(evidence(STRONG), ENight(screen="paired", patient=True))


def test_the_schema_describes_every_key() -> None:
    schema = json.loads((ROOT / "docs" / "evidence.schema.json").read_text(encoding="utf-8"))
    for part in [schema, *schema["$defs"].values()]:
        for name, field in part.get("properties", {}).items():
            told = field.get("description") or schema["$defs"][field["$ref"].rpartition("/")[2]]["description"]
            assert told, (part["title"], name)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        load_evidence(written(tmp_path, ""))
