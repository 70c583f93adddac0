"""The record of a look: whole, canonical, and enough to rebuild the verdict; a changed digit is found."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from gate_evidence import COSTS, FRESH, SEASON, STRONG, evidence, run
from hypothesis import given, settings
from hypothesis import strategies as st
from test_gate_bad_evidence import itemised

from experiments.gate import (
    ENight,
    Evidence,
    Exact,
    Pair,
    PerItem,
    Policy,
    SeedCard,
    SeedCardExtend,
    decide,
    evidence_from_record,
    look_record,
    recompute,
)
from experiments.gate.record import content_digest

PAIRED = ENight(screen="paired")
BASELINE = tuple(0.9 + 0.001 * (k - 9.5) for k in range(20))
COST_RUNS = [1.0, 1.01, 0.99, 1.0, 1.02]


def cases() -> dict[str, tuple[Evidence, Policy]]:
    full = evidence(STRONG, FRESH, costs=COST_RUNS, cost_limits=COSTS, required_rank=1, projected_rank=2)
    seed = full.stage_seeds[0]
    crashed = Pair(seed, run(seed, "candidate", None, status="oom", attempts=2))
    return {
        "promoted": (full, PAIRED),
        "promoted after the cached screen": (replace(full, baseline=evidence(baseline=BASELINE).baseline), ENight()),
        "undecided": (evidence(STRONG[:5]), PAIRED),
        "futile": (evidence([0.01, -0.03]), PAIRED),
        "futile on the screen": (
            evidence(stage=[Pair(s, run(s, "candidate", 0.9001)) for s in full.stage_seeds[:2]], baseline=BASELINE),
            ENight(),
        ),
        "crashed": (evidence([crashed]), PAIRED),
        "bad": (evidence([0.01, math.nan]), PAIRED),
        "small": (evidence(STRONG, FRESH, threshold=0.03), PAIRED),
        "by the card": (evidence((0.0200, 0.0201, 0.0199), costs=COST_RUNS[:3], cost_limits=COSTS), SeedCard()),
        "by the extended card": (evidence((0.0200, 0.001, 0.0199)), SeedCardExtend()),
        "exact": (evidence((0.02, 0.02), costs=COST_RUNS, cost_limits=COSTS), Exact()),
        "by items": (itemised(), PerItem()),
        "by other items": (replace(itemised(), items=None), PerItem()),
        "no operation": (evidence(empty_diff=True), PAIRED),
    }


def recorded(name: str) -> dict[str, Any]:
    given_evidence, policy = cases()[name]
    return look_record(given_evidence, decide(given_evidence, policy), policy)


@pytest.mark.parametrize("name", cases())
def test_a_record_survives_json_and_reproduces(name: str) -> None:
    record = recorded(name)
    again = json.loads(json.dumps(record, allow_nan=False))
    assert again == record
    assert recompute(again) == []
    rebuilt = evidence_from_record(again)
    original = cases()[name][0]
    assert rebuilt == original or name == "bad"  # NaN is not equal to itself


def numbers_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of every number and text in the record."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from numbers_in(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from numbers_in(item, (*path, index))
    elif value is not None:
        yield path


def at(record: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        record = record[step]
    return record


def put(record: Any, path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed: dict[str, Any] = copy.deepcopy(record)
    at(changed, path[:-1])[path[-1]] = value
    return changed


def last_digit_changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return math.nextafter(value, math.inf)
    return value + "x"


@pytest.mark.parametrize("name", ["promoted", "promoted after the cached screen", "futile", "by the card"])
def test_one_changed_last_digit_anywhere_is_found(name: str) -> None:
    record = recorded(name)
    # every path once for the small records; a fixed stride through the large one keeps the test short
    paths = list(numbers_in(record))
    for path in paths[:: max(1, len(paths) // 150)]:
        assert recompute(put(record, path, last_digit_changed(at(record, path)))), path


DERIVED = [
    *(("numbers", key) for key in ("mean", "sd", "t", "p_greater", "p_two_sided", "log_e", "log_bar", "level")),
    *(("numbers", key) for key in ("futility_limit", "fresh_mean", "stability", "stability_limit", "n")),
    *(("numbers", "differences", k) for k in (0, 3, 7)),
    *(("numbers", "costs", 0, key) for key in ("mean", "sd", "bound", "limit")),
    *(("decision", key) for key in ("outcome", "reason", "reported_gain")),
    ("rows", 3, "value"),
    ("rows", 3, "result"),
]


@pytest.mark.parametrize("path", DERIVED, ids=str)
def test_a_derived_number_changed_together_with_the_digest_is_found_and_named(path: tuple[Any, ...]) -> None:
    record = recorded("promoted")
    value = at(record, path)
    forged = put(record, path, value * (1 + 1e-7) + 1e-8 if isinstance(value, float) else last_digit_changed(value))
    forged["digest"] = content_digest(forged)
    place = path[0] + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path[1:])
    assert any(found.startswith(f"{place}: ") for found in recompute(forged))


@given(st.integers(0, 7), st.sampled_from(["candidate", "production"]), st.sampled_from([1e-8, 1e-4, -1e-3, 0.5]))
@settings(max_examples=40, deadline=None)
def test_a_raw_value_changed_together_with_the_digest_is_found(index: int, arm: str, change: float) -> None:
    record = recorded("promoted")
    path = ("evidence", "stage", index, arm, "primary")
    forged = put(record, path, at(record, path) + change)
    forged["digest"] = content_digest(forged)
    assert recompute(forged)


FACTS = [
    ("evidence", "season", "promotions"),
    ("evidence", "season", "t"),
    ("evidence", "threshold"),
    ("evidence", "stage_seeds", 4),
    ("policy", "parameters", "futility", 3),
]


@pytest.mark.parametrize("path", FACTS, ids=str)
def test_facts_changed_together_with_the_digest_are_found(path: tuple[Any, ...]) -> None:
    record = recorded("promoted")
    value = at(record, path)
    forged = put(record, path, value + (1 if isinstance(value, int) else 0.03))
    forged["digest"] = content_digest(forged)
    assert recompute(forged)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: {},
        lambda r: {**r, "evidence": None},
        lambda r: put(r, ("policy", "name"), "wishful"),
        lambda r: put(r, ("policy", "version"), 99),
        lambda r: put(r, ("policy", "parameters"), {}),
        lambda r: put(r, ("evidence", "stage", 0), {}),
        lambda r: {**r, "extra": 1},
        lambda r: {key: value for key, value in r.items() if key != "digest"},
    ],
)
def test_a_record_that_is_not_one_is_reported_and_raises_nothing(spoil: Any) -> None:
    assert recompute(spoil(recorded("promoted")))


def test_the_record_holds_what_a_reader_needs() -> None:
    record = recorded("promoted")
    assert record["policy"]["name"] == "e-night"
    assert record["policy"]["parameters"]["looks"][-1] == 40
    assert record["evidence"]["season"]["planned"] == SEASON.planned
    assert record["evidence"]["stage"][0]["candidate"]["run_id"].startswith("candidate")
    assert len(record["numbers"]["differences"]) == record["numbers"]["n"] == 8
    assert record["numbers"]["level"] == pytest.approx(0.05 / 100)
