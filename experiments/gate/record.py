"""The record of one look: everything the verdict depends on and every number derived, as canonical JSON values.

The judge writes `look_record` into the audit log; `recompute` rebuilds the verdict from the record alone and names
every difference. Raw values compare exactly. Derived numbers compare within the tolerance that another build of the
numerical library may need, and the record's own digest covers the digits below it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from experiments.gate.deciding import decide
from experiments.gate.decision import Decision, Policy
from experiments.gate.evidence import Evidence, ItemScores, Pair, Plausibility, Readmission, RunValue, SeasonFacts
from experiments.gate.policies import parameters, policy_from_parameters

RECORD_VERSION = 1
TOLERANCE = 1e-9
"""Relative (for values below a thousandth: absolute at 1e-12) difference that another build may make."""


def look_record(evidence: Evidence, decision: Decision, policy: Policy) -> dict[str, Any]:
    """The record that goes into the audit log."""
    record = {
        "v": RECORD_VERSION,
        "policy": {"name": policy.name, "version": policy.version, "parameters": parameters(policy)},
        "evidence": _json(asdict(evidence)),
        "numbers": _json(asdict(decision.numbers)),
        "rows": [_json(asdict(row)) for row in decision.rows],
        "decision": {
            "outcome": decision.outcome,
            "reason": decision.reason,
            "explanation": decision.explanation,
            "reported_gain": decision.reported_gain,
            "gain_is_fresh": decision.gain_is_fresh,
            "gain_on": decision.gain_on,
            "needs": None if decision.needs is None else _json(asdict(decision.needs)),
            "flags": list(decision.flags),
        },
    }
    return {**record, "digest": content_digest(record)}


def content_digest(record: Mapping[str, Any]) -> str:
    """sha256 over the canonical JSON of everything but the digest itself."""
    content = {name: value for name, value in record.items() if name != "digest"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def evidence_from_record(record: Mapping[str, Any]) -> Evidence:
    """The evidence a record holds; KeyError, TypeError or ValueError where it holds none."""
    data = dict(record["evidence"])
    back = data["readmission"]
    data["season"] = SeasonFacts(**{**data["season"], "alpha": float(data["season"]["alpha"])})
    data["readmission"] = None if back is None else Readmission(**back)
    data["threshold"] = float(data["threshold"])
    data["cost_limits"] = {name: float(limit) for name, limit in data["cost_limits"].items()}
    for line in ("stage", "fresh", "costs"):
        data[line] = tuple(_pair(pair) for pair in data[line])
    data["baseline"] = tuple(_run(run) for run in data["baseline"])
    data["stage_seeds"] = tuple(data["stage_seeds"])
    data["fresh_seeds"] = tuple(data["fresh_seeds"])
    if data.get("items") is not None:
        data["items"] = _items(data["items"])
    if data.get("environments") is not None:
        production, candidate = data["environments"]
        data["environments"] = (production, candidate)
    if data.get("plausibility") is not None:
        data["plausibility"] = _plausibility(data["plausibility"])
    return Evidence(**data)


def recompute(record: Mapping[str, Any]) -> list[str]:
    """Decide again from the record alone and name every difference; empty where it reproduces."""
    try:
        evidence = evidence_from_record(record)
        policy = policy_from_parameters(
            record["policy"]["name"], record["policy"]["version"], record["policy"]["parameters"]
        )
        again = look_record(evidence, decide(evidence, policy), policy)
        digest = content_digest(record)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        return [f"record: cannot be read ({type(error).__name__}: {error})"]
    found: list[str] = []
    for name in sorted({*record, *again} - {"digest"}):
        _compare(name, record.get(name, _ABSENT), again.get(name, _ABSENT), found)
    if record.get("digest") != digest:
        found.append(f"digest: the record says {record.get('digest')}, its content gives {digest}")
    return found


_ABSENT = "(absent)"


def _compare(place: str, recorded: object, computed: object, found: list[str]) -> None:
    if isinstance(recorded, dict) and isinstance(computed, dict):
        for name in sorted({*recorded, *computed}, key=str):
            _compare(f"{place}.{name}", recorded.get(name, _ABSENT), computed.get(name, _ABSENT), found)
    elif isinstance(recorded, list) and isinstance(computed, list) and len(recorded) == len(computed):
        for index, (left, right) in enumerate(zip(recorded, computed, strict=True)):
            _compare(f"{place}[{index}]", left, right, found)
    elif isinstance(recorded, list) and isinstance(computed, list):
        found.append(f"{place}: recorded {len(recorded)} entries, recomputed {len(computed)}")
    elif not _equal(recorded, computed):
        found.append(f"{place}: recorded {recorded!r}, recomputed {computed!r}")


def _equal(recorded: object, computed: object) -> bool:
    if type(recorded) is float and type(computed) is float:
        return math.isclose(recorded, computed, rel_tol=TOLERANCE, abs_tol=1e-12)
    return type(recorded) is type(computed) and recorded == computed


def _json(value: Any) -> Any:
    """Tuples as lists; numbers JSON cannot hold as text that `float` reads back."""
    if isinstance(value, dict):
        return {name: _json(item) for name, item in value.items() if item or name not in _WHERE_GIVEN}
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


_WHERE_GIVEN = {"items", "items_sha256", "environments", "plausibility"}
"""Members that a record has only where there is something in them: records from before they were known have none."""


def _plausibility(data: Mapping[str, Any]) -> Plausibility:
    numbers = {name: None if data[name] is None else float(data[name]) for name in ("best", "leader")}
    return Plausibility(**{**data, **numbers, "season_gain": float(data["season_gain"])})


def _items(data: Mapping[str, Any]) -> ItemScores:
    arms = {arm: tuple(float(score) for score in data[arm]) for arm in ("candidate", "production")}
    return ItemScores(tuple(data["ids"]), arms["candidate"], arms["production"], tuple(data["clusters"]))


def _pair(data: Mapping[str, Any]) -> Pair:
    arms = {arm: None if data[arm] is None else _run(data[arm]) for arm in ("candidate", "production")}
    return Pair(data["seed"], arms["candidate"], arms["production"])


def _run(data: Mapping[str, Any]) -> RunValue:
    value = data["primary"]
    secondary = {name: float(number) for name, number in data["secondary"].items()}
    return RunValue(**{**data, "primary": None if value is None else float(value), "secondary": secondary})
