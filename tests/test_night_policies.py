"""Whole nights under the policies for what does not vary over seeds, and under the uncontrolled one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_solution import EVALUATE, PREDICT, SPACE, Tiny, build

from agent.night import Goal
from agent.verification import verify
from registry.errors import BadInput

ITEMS = 40
UNEVEN = PREDICT.replace("+ error}", '+ error * (0.6 + item["x"] % 5 / 5)}')
ITEMISED = EVALUATE.replace(
    '    pathlib.Path(out, "metrics.json")',
    """    scores = [{"id": name, "score": 1.0 - abs(found[name] - value)} for name, value in wanted.items()]
    pathlib.Path(out, "examples.jsonl").write_text("".join(json.dumps(score) + "\\n" for score in scores))
    pathlib.Path(out, "metrics.json")""",
)


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    made = build(tmp_path)
    made.target["search_space"] = {"width": SPACE["width"], "harm": SPACE["harm"]}
    return made


def with_items(tiny: Tiny, noise: float, evaluate: str = ITEMISED) -> None:
    """Forty items whose errors differ, and an evaluator that scores each."""
    changed = {"predict.py": UNEVEN, "evaluate.py": evaluate, **tiny.configured(noise=noise)}
    for split in ("dev", "test"):
        items = [{"id": f"{split}-{number}", "x": number} for number in range(ITEMS)]
        changed[f"data/{split}/inputs/inputs.jsonl"] = "".join(json.dumps(item) + "\n" for item in items)
        changed[f"data/{split}/labels/labels.json"] = json.dumps({str(item["id"]): 2 * item["x"] for item in items})
    tiny.commit(changed)


def under(tiny: Tiny, policy: str) -> None:
    tiny.target["gate"]["policy"] = policy
    tiny.write_target()


def test_exact_promotes_a_better_fixed_value_after_two_runs_of_each_arm(tiny: Tiny) -> None:
    tiny.commit(tiny.configured(noise=0.0))
    under(tiny, "exact")
    result = tiny.night(Goal(cycles=2))
    winner = tiny.changing(width=2)
    assert result.promoted == (winner,)
    (look, *_) = reversed(tiny.events("look", winner))
    assert len(look.data["evidence"]["stage"]) == 2
    assert look.data["decision"]["reported_gain"] == pytest.approx(0.02)
    assert tiny.verdict(tiny.changing(harm=2)) == ("archive", "below_baseline")
    assert verify(tiny.workspace).ok


def test_a_gain_that_is_not_fresh_is_called_so_wherever_it_is_told(tiny: Tiny) -> None:
    tiny.target["gate"] |= {"policy": "exact"}
    tiny.write_target()
    tiny.commit(tiny.configured(noise=0))
    (name,) = tiny.night(Goal(cycles=4)).promoted
    told = "+0.0200 on 2 equal runs of each arm (not fresh)"
    assert tiny.events("promoted")[-1].data["gain_on"] == "2 equal runs of each arm (not fresh)"
    assert any(f"PROMOTED {name}" in line and told in line for line in tiny.progress.lines)
    assert told in tiny.workspace.changelog.read_text()
    assert told in tiny.workspace.technical_log.read_text()
    digest = next(tiny.workspace.reports.glob("digest-*.md")).read_text()
    assert told in digest
    assert "fresh seeds" not in digest
    assert told in tiny.agent("ask", "what was promoted?").stdout
    request = (tiny.workspace.reports / "pull-requests" / f"{name}.md").read_text()
    assert "on 2 equal runs of each arm (not fresh)" in request


def test_exact_refuses_a_metric_that_varies_and_names_the_policy_it_needs(tiny: Tiny) -> None:
    under(tiny, "exact")
    result = tiny.night(Goal(cycles=2))
    assert result.promoted == ()
    assert tiny.verdict(tiny.changing(width=2)) == ("archive", "not_deterministic")
    assert "e-night" in tiny.events("verdict")[0].reason


def test_per_item_promotes_on_items_that_do_not_vary_over_seeds(tiny: Tiny) -> None:
    with_items(tiny, noise=0.0)
    under(tiny, "per-item")
    result = tiny.night(Goal(cycles=2))
    winner = tiny.changing(width=2)
    assert result.promoted == (winner,)
    (look, *_) = reversed(tiny.events("look", winner))
    assert len(look.data["evidence"]["items"]["ids"]) == ITEMS
    assert look.data["numbers"]["items"]["gained"] == ITEMS
    assert "not fresh" in tiny.events("verdict", winner)[0].reason
    assert tiny.verdict(tiny.changing(harm=2)) == ("archive", "not_significant")
    assert verify(tiny.workspace).ok


def test_per_item_reports_the_gain_of_the_split_that_confirms_it(tiny: Tiny) -> None:
    with_items(tiny, noise=0.0)
    under(tiny, "per-item")
    tiny.target["gate"]["confirm"] = True
    for phase, kind in (("predict", "inputs"), ("evaluate", "labels")):
        tiny.target["phases"][phase][kind]["confirm"] = f"data/confirm/{kind}"
    tiny.write_target()
    items = [{"id": f"confirm-{number}", "x": number} for number in range(ITEMS)]
    tiny.commit(
        {
            "data/confirm/inputs/inputs.jsonl": "".join(json.dumps(item) + "\n" for item in items),
            "data/confirm/labels/labels.json": json.dumps({str(item["id"]): 2 * int(str(item["x"])) for item in items}),
        }
    )
    result = tiny.night(Goal(cycles=2))
    winner = tiny.changing(width=2)
    assert result.promoted == (winner,)
    confirming = [run for run in tiny.events("run_finished") if run.data["key"]["split"] == "confirm"]
    assert sorted((run.data["arm"], run.data["purpose"]) for run in confirming) == [
        ("candidate", "fresh"),
        ("production", "fresh"),
    ]
    promoted = tiny.events("promoted", winner)[-1].data
    assert promoted["gain_on"] == "the split confirm"
    assert any("+0.0200 on the split confirm" in line for line in tiny.progress.lines)
    assert verify(tiny.workspace).ok


def test_a_confirmation_without_its_split_is_refused_before_the_night(tiny: Tiny) -> None:
    under(tiny, "per-item")
    tiny.target["gate"]["confirm"] = True
    tiny.write_target()
    with pytest.raises(BadInput, match=r"phases.predict.inputs has no folder confirm"):
        tiny.night(Goal(cycles=1))
    under(tiny, "e-night")
    with pytest.raises(BadInput, match="policy per-item, and the policy is e-night"):
        tiny.night(Goal(cycles=1))


def test_per_item_refuses_items_that_vary_over_seeds(tiny: Tiny) -> None:
    with_items(tiny, noise=0.002)
    under(tiny, "per-item")
    assert tiny.night(Goal(cycles=2)).promoted == ()
    assert tiny.verdict(tiny.changing(width=2)) == ("archive", "items_vary")


def test_per_item_without_items_promotes_nothing_and_says_what_is_missing(tiny: Tiny) -> None:
    with_items(tiny, noise=0.0, evaluate=EVALUATE)
    under(tiny, "per-item")
    assert tiny.night(Goal(cycles=2)).promoted == ()
    assert tiny.verdict(tiny.changing(width=2)) == ("archive", "items_missing")


def test_a_changed_score_of_one_item_is_found_in_the_log(tiny: Tiny) -> None:
    with_items(tiny, noise=0.0)
    under(tiny, "per-item")
    tiny.night(Goal(cycles=1))
    text = tiny.workspace.audit.read_text()
    look = next(event for event in reversed(tiny.events("look")) if event.data["evidence"].get("items"))
    score = repr(look.data["evidence"]["items"]["candidate"][7])
    assert score in text
    line = next(line for line in text.splitlines() if score in line and '"kind":"look"' in line)
    tiny.workspace.audit.write_text(text.replace(line, line.replace(score, score[:-1] + str(9 - int(score[-1])), 1)))
    assert not verify(tiny.workspace).ok


def test_the_uncontrolled_policy_says_so_in_its_verdict_and_its_pull_request(tiny: Tiny) -> None:
    tiny.write_registry(more="    exclude: {names: [Rival]}")
    tiny.write_board(Rival=0.9, Other=0.5, Our_solution=0.8)
    under(tiny, "seed-card-extend")
    result = tiny.night(Goal(cycles=2))
    winner = tiny.changing(width=2)
    assert result.promoted == (winner,)
    assert "Uncontrolled" in tiny.events("verdict", winner)[0].reason
    assert "ncontrolled" in (tiny.workspace.reports / "pull-requests" / f"{winner}.md").read_text()
    assert verify(tiny.workspace).ok
