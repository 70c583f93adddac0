"""`agent doctor --noise`: production against itself, paid once, recorded, told with the setting to change."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_solution import EVALUATE, PREDICT, SPACE, TRAIN, Tiny, build, real_sandbox

from agent.doctor import noise, noise_report, season
from agent.doctor.noise import Measured
from agent.night import Goal
from agent.verification import verify
from experiments import seeds
from experiments.plans import Interrupted
from registry.audit_events import fields_of, seal
from registry.documents import load_target

OLD = 'pathlib.Path(out, "metrics.json").write_text'
PER_ITEM = EVALUATE.replace(
    OLD,
    'pathlib.Path(out, "examples.jsonl").write_text("".join(json.dumps({"id": name, "score": 1}) + "\\n" for name in'
    f" wanted))\n    {OLD}",
)


def measured(tiny: Tiny, count: int = 12) -> Measured:
    with tiny.services() as services:
        return noise.measure(services, count, services.progress.say)


def advised(tiny: Tiny, found: Measured) -> list[str]:
    return [one.setting for one in noise_report.advice(found, load_target(tiny.workspace.target))]


def screen(tiny: Tiny, found: Measured) -> str:
    return "\n".join(noise_report.lines(found, load_target(tiny.workspace.target)))


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return build(tmp_path)


def test_the_spread_is_the_solution_s_and_its_runs_are_events(tiny: Tiny) -> None:
    found = measured(tiny)
    (event,) = tiny.events("noise_measured")
    runs = {e.data["run_id"]: e.data for e in tiny.events("run_finished")}
    values = [runs[run_id]["metrics"]["accuracy"] for run_id in event.data["runs"]]
    assert len(set(event.data["runs"])) == len(values) == 12
    assert found.spread.sd == event.data["spread"]["sd"]
    assert 0.001 < found.spread.sd < 0.004  # the configuration says 0.002
    assert found.repeats.equal
    assert len(event.data["again"]) == noise.REPEATED
    assert {run["purpose"] for run in runs.values()} == {"check"}
    assert advised(tiny, found) == []
    assert verify(tiny.workspace).ok


def test_nothing_is_paid_twice_and_more_seeds_pay_only_for_themselves(tiny: Tiny) -> None:
    measured(tiny, 6)
    first = len(tiny.events("run_finished"))
    again = measured(tiny, 6)
    assert len(tiny.events("run_finished")) == first == 6 + noise.REPEATED
    assert len(tiny.events("noise_measured")) == 1
    more = measured(tiny, 10)
    assert len(tiny.events("run_finished")) == first + 4
    assert list(more.values.items())[:6] == list(again.values.items())
    assert len(tiny.events("noise_measured")) == 2


def test_a_measurement_that_was_stopped_goes_on_and_pays_nothing_again(tiny: Tiny) -> None:
    with tiny.services() as services:

        def stop(line: str) -> None:
            if "once more" in line:
                services.cancel.set()

        with pytest.raises(Interrupted):
            noise.measure(services, 6, stop)
    assert tiny.events("noise_measured") == []
    assert len(tiny.events("run_finished")) == 6
    found = measured(tiny, 6)
    assert found.spread.n == 6
    paid = [event.data["run_id"] for event in tiny.events("run_finished")]
    assert len(paid) == len(set(paid)) == 6 + noise.REPEATED


def test_its_seeds_are_in_no_list_of_the_gate(tiny: Tiny) -> None:
    found = measured(tiny)
    others = {seed for t in range(1, 200) for seed in seeds.candidate_seeds(1, t).stage}
    others |= {seed for t in range(1, 200) for seed in seeds.candidate_seeds(1, t).fresh}
    others |= {*seeds.baseline_seeds(1, 1, 64), *seeds.defence_seeds(1, 64), *seeds.check_seeds(0, 64)}
    assert not others & set(found.values)


def test_no_branch_moves_and_no_night_pays_for_the_check(tiny: Tiny) -> None:
    before = tiny.night(Goal(cycles=1))
    tip = tiny.tip("agent/production")
    measured(tiny)
    assert tiny.tip("agent/production") == tip
    with tiny.services() as services:
        night = services.history.night
        assert night is not None
        assert night.runs == before.runs
    assert not [*tiny.workspace.results.rglob("model")]
    tiny.night(Goal(cycles=1))
    assert verify(tiny.workspace).ok


def test_a_metric_that_no_seed_changes_calls_for_exact(tiny: Tiny) -> None:
    tiny.commit(tiny.configured(noise="0.0"))
    found = measured(tiny)
    assert found.spread.equal
    assert found.spread.outputs_equal
    assert advised(tiny, found) == ["gate.policy: exact"]
    told = screen(tiny, found)
    assert "the metric is deterministic" in told
    assert "e-night never promotes" in told
    assert season.practice(load_target(tiny.workspace.target).gate, found.spread.sd) is None


def test_scores_of_items_that_no_seed_changes_call_for_per_item_and_say_what_it_finds(tiny: Tiny) -> None:
    items = 400
    inputs = "".join(json.dumps({"id": f"d{n}", "x": n}) + "\n" for n in range(items))
    labels = json.dumps({f"d{n}": 2 * n for n in range(items)})
    data = {"data/dev/inputs/inputs.jsonl": inputs, "data/dev/labels/labels.json": labels}
    tiny.commit({"evaluate.py": PER_ITEM, **data, **tiny.configured(noise="0.0")})
    found = measured(tiny)
    assert found.items is not None
    assert (found.items.items, found.items.equal, found.items.binary) == (items, True, True)
    assert advised(tiny, found) == ["gate.policy: per-item"]
    power = noise_report.item_power(found, load_target(tiny.workspace.target))
    assert power is not None
    assert power.fewest == math.ceil(math.log2(20 / 0.05)) / items
    assert f"{power.fewest:+.3g} on where no item is lost" in screen(tiny, found)


def test_scores_of_items_that_vary_over_seeds_are_no_case_for_per_item(tiny: Tiny) -> None:
    graded = PER_ITEM.replace('"score": 1}', '"score": found[name]}')
    tiny.commit({"evaluate.py": graded})
    found = measured(tiny)
    assert found.items is not None
    assert not found.items.equal
    assert found.items.varying == 1.0
    assert advised(tiny, found) == []
    assert "so per-item does not apply" in screen(tiny, found)


def test_one_seed_with_two_values_is_measured_on_every_seed_and_has_to_be_declared(tiny: Tiny) -> None:
    counted = TRAIN.replace(
        "draw = random.Random(",
        "random.drawn = getattr(random, 'drawn', 0) + 1\n    draw = random.Random(str(random.drawn) + ",
    )
    tiny.commit({"train.py": counted})
    found = measured(tiny, 8)
    assert not found.repeats.equal
    assert found.repeats.runs == 8
    assert 0.0005 < found.repeats.sd < 0.006
    assert advised(tiny, found) == ["noisy: true"]
    tiny.target["noisy"] = True
    tiny.write_target()
    assert advised(tiny, found) == []


def test_a_seed_that_fails_is_named(tiny: Tiny) -> None:
    broken = seeds.check_seeds(1, 12)[4]
    bad = TRAIN.replace("    pathlib", f"    worth -= 0.3 * (int(seed) == {broken})\n    pathlib", 1)
    tiny.commit({"train.py": bad})
    found = measured(tiny)
    assert [one.seed for one in found.spread.outliers] == [broken]
    assert f"seed {broken} gave" in screen(tiny, found)


def test_pairs_of_real_candidates_are_taken_from_the_log(tiny: Tiny) -> None:
    tiny.target["search_space"] = {"width": SPACE["width"]}
    tiny.write_target()
    tiny.night(Goal(cycles=1))
    found = measured(tiny)
    assert found.pairing is not None
    assert (found.pairing.candidates, found.pairing.pairs) == (1, 8)
    assert "8 of 1 candidates in the log" in screen(tiny, found)


def test_costs_are_measured_twice_a_seed_and_held_against_their_limits(tiny: Tiny) -> None:
    tiny.target["metrics"]["secondary"] = {"memory_mb": {"source": "predict", "max_increase": 0.15}}
    tiny.write_target()
    found = measured(tiny, 5)
    (cost,) = found.costs
    assert (cost.name, cost.runs, cost.limit) == ("memory_mb", 2 * noise.TIMED, 0.15)
    assert (cost.cv, cost.confirmed, cost.smallest_limit) == (0.0, 1.0, 0.0)
    assert "memory_mb" in screen(tiny, found)


def test_a_value_changed_in_a_measurement_is_found(tiny: Tiny) -> None:
    measured(tiny, 5)
    changes: list[Callable[[dict[str, object]], None]] = [
        lambda data: data["values"].__setitem__(0, 0.5),  # type: ignore[attr-defined]
        lambda data: data["spread"].__setitem__("sd", 0.001),  # type: ignore[attr-defined]
    ]
    whole = tiny.workspace.audit.read_bytes()
    for change in changes:
        lines, previous = [], "0" * 64
        for event in tiny.events():
            body = json.loads(json.dumps(fields_of(event)))
            del body["hash"]
            body["prev"] = previous
            if event.kind == "noise_measured":
                change(body["data"])
            lines.append(seal(body))
            previous = json.loads(lines[-1])["hash"]
        tiny.workspace.audit.write_bytes(b"".join(lines))
        problems = verify(tiny.workspace).problems
        assert problems
        assert all("noise_measured" in problem for problem in problems)
        tiny.workspace.audit.write_bytes(whole)


def test_doctor_says_what_the_season_means_once_noise_or_a_baseline_is_known(tiny: Tiny) -> None:
    described = load_target(tiny.workspace.target)

    def said() -> str:
        return next(iter(season.finding(tiny.workspace, described))).found

    assert "`agent doctor --noise` measures" in said()
    tiny.night(Goal(cycles=1))
    assert "baseline of 5 runs" in said()
    found = measured(tiny)
    assert "noise of 12 seeds" in said()
    assert f"at σ = {found.spread.sd:.3g} you need about" in said()
    assert "a candidate that is nothing costs about 3.6" in said()


def test_the_command_line_measures_and_gives_everything_as_json(tmp_path: Path) -> None:
    real_sandbox(tmp_path / "sandbox")
    tiny = build(tmp_path)
    done = tiny.agent("doctor", "--noise", "--seeds", "5")
    assert done.returncode == 0, done.stderr
    assert "Noise of production" in done.stdout
    assert len(done.stdout.splitlines()) <= 24
    document = json.loads(tiny.agent("doctor", "--noise", "--seeds", "5", "--json").stdout)
    assert len(tiny.events("run_finished")) == 5 + noise.REPEATED
    assert {"spread", "repeats", "costs", "items", "pairing", "practice", "advice", "item_power"} <= set(document)
    assert len(document["values"]) == 5
    for words in (
        ("doctor", "--seeds", "5"),
        ("doctor", "--noise", "--no-baseline"),
        ("doctor", "--noise", "--seeds", "4"),
    ):
        assert tiny.agent(*words).returncode == 2


def test_the_help_names_the_seeds_that_there_are() -> None:
    from click.testing import CliRunner

    from agent.cli.doctor import command

    told = CliRunner().invoke(command, ["--help"]).output
    assert f"[default: {noise.SEEDS}]" in told
    assert f"5<=x<={seeds.BLOCK}" in told


def test_production_that_does_not_finish_is_said_and_measured_after_it_is_mended(tiny: Tiny) -> None:
    from experiments.measuring import ProductionFailed

    tiny.commit({"predict.py": "def main(*words):\n    raise SystemExit('no luck')\n"})
    with pytest.raises(ProductionFailed, match="no luck"):
        measured(tiny, 5)
    assert tiny.events("noise_measured") == []
    tiny.commit({"predict.py": PREDICT})
    assert measured(tiny, 5).spread.n == 5
