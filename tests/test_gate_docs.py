"""docs/gate.md names every row and every reason that the gate can give, and none that it cannot."""

from __future__ import annotations

import re
from pathlib import Path

from gate_evidence import evidence

from experiments.gate import BAD_EVIDENCE, POLICIES, Plausibility, decide

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
CODE = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "experiments" / "gate").glob("*.py")))


def section(title: str) -> str:
    return TEXT.split(f"## {title}")[1].split("\n## ")[0]


def test_every_row_is_explained() -> None:
    first_cells = " ".join(line.split("|")[1] for line in section("The table").splitlines() if line.startswith("| `"))
    explained = set(re.findall(r"`(\w+)`", first_cells))
    asked = evidence(plausibility=Plausibility())
    given = {row.name for policy in (kind() for kind in POLICIES.values()) for row in decide(asked, policy).rows}
    assert explained == given


def test_every_reason_is_named_and_none_is_invented() -> None:
    returned = set(re.findall(r'Stop\(\s*"(?:archive|park|extend|promote|bad_evidence)",\s*"(\w+)"', CODE))
    returned |= {"gain_below_threshold", "not_significant", "unstable", "rank", "cost_regression"}
    returned -= set(BAD_EVIDENCE)
    how = section("How a candidate moves through `e-night`") + section("The other policies")
    named = set(re.findall(r"`(\w+)`", how))
    assert returned <= named
    assert all(f'"{reason}"' in CODE for reason in returned)


def test_the_files_it_points_to_exist() -> None:
    for path in re.findall(r"`((?:experiments|tests|registry)/[\w/]+\.py)`", TEXT):
        assert (ROOT / path).is_file(), path
