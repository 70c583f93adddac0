"""A patch of code written by a model over the real wire, from the prompt to the promotion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scripted_endpoint import Script, ScriptedEndpoint, Step, serving
from test_patch_nights import GOOD, NOWHERE, Writing, attempts, queue
from tiny_solution import SPACE, Tiny, build

from agent import night
from agent.briefing import brief
from agent.llm.client import EndpointModel, Patience
from agent.night import Goal, NightResult
from agent.researcher.offline import OfflineResearcher
from agent.verification import verify
from registry.documents import load_models


def models(base_url: str, **changes: Any) -> str:
    document = {
        "version": 1,
        "endpoints": {"main": {"base_url": base_url, "timeout": 5, "retries": 1}},
        "models": {"default": {"endpoint": "main", "model": "small", "max_output_tokens": 2000}},
        "prices": {"models": {"small": {"input": 2, "output": 10}}},
    }
    return json.dumps(document | changes)


def reply(**fields: object) -> str:
    return json.dumps({"note": "", "read": [], "patch": "", **fields})


def prepared(root: Path) -> Tiny:
    tiny = build(root)
    tiny.commit(tiny.configured(noise=0))
    tiny.target["search_space"] = {"depth": SPACE["depth"]}
    tiny.target["gate"]["policy"] = "exact"
    tiny.write_target()
    queue(tiny)
    return tiny


def nightly(tiny: Tiny, script: Script, **changes: Any) -> tuple[NightResult, ScriptedEndpoint]:
    with serving(script) as endpoint, tiny.services() as services:
        tiny.workspace.models.write_text(models(endpoint.base_url, **changes))
        assert isinstance(services.researcher, OfflineResearcher)
        model = EndpointModel(services, load_models(tiny.workspace.models), Patience(first_s=0.01, longest_s=0.1))
        services.researcher = Writing(services.researcher, model)
        return night.run(services, Goal(only="H-500")), endpoint


def test_a_model_reads_is_refused_is_told_why_and_its_third_reply_is_promoted(tmp_path: Path) -> None:
    tiny = prepared(tmp_path)
    script = [reply(read=["predict.py", "evaluate.py"]), reply(patch=NOWHERE), reply(patch=GOOD, note="a bonus")]
    _, endpoint = nightly(tiny, script)
    assert tiny.verdict("H-500")[0] == "promote"
    assert attempts(tiny) == [(1, False), (2, True)]
    system, question = (str(message["content"]) for message in endpoint.asked[0].messages[:2])
    assert "<<<<<<< SEARCH" in system
    assert "worth = float(pathlib" in question
    assert "predict.py (editable, shown below)" in question or "predict.py (editable)" in question
    assert "no place for the block" in endpoint.asked[2].said
    for asked in endpoint.asked:
        assert "metrics.json" not in asked.said, "the evaluator is not shown"
        assert '"dev-0"' not in asked.said, "nor are items and labels"
    assert tiny.events("patch_attempted")[-1].data["call"]
    assert verify(tiny.workspace).ok


def test_a_server_that_stalls_or_dies_puts_the_idea_back_and_the_next_night_writes_it(tmp_path: Path) -> None:
    tiny = prepared(tmp_path)
    down = [Step(reply(patch=NOWHERE)), *[Step(status=500)] * 9]
    result, _ = nightly(tiny, down)
    assert result.reason.startswith("what is queued waits: H-500")
    assert attempts(tiny) == [(1, False)]
    assert tiny.events("hypothesis_archived", "H-500") == []
    nightly(tiny, [reply(patch=NOWHERE), reply(patch=GOOD)])  # another address, so nothing of it is on record
    assert tiny.verdict("H-500")[0] == "promote"


def test_a_budget_that_ends_puts_the_idea_back(tmp_path: Path) -> None:
    tiny = prepared(tmp_path)
    result, _ = nightly(tiny, [reply(patch=NOWHERE), reply(patch=GOOD)], budget={"night": {"calls": 1}})
    assert result.reason.startswith("what is queued waits: H-500")
    (postponed,) = tiny.events("hypothesis_postponed")
    assert postponed.data["kind"] == "budget"


def test_nonsense_three_times_archives_the_idea_and_harms_nothing(tmp_path: Path) -> None:
    tiny = prepared(tmp_path)
    hostile = reply(patch="../../etc/passwd\n<<<<<<< SEARCH\n=======\nroot::0:0\n>>>>>>> REPLACE\n")
    wild = reply(patch="\u202e" + "<<<<<<< SEARCH\n" * 50)
    nightly(tiny, [Step("not json at all"), Step("nor this"), hostile, wild])
    assert attempts(tiny) == [(1, False), (2, False), (3, False)]
    (archived,) = tiny.events("hypothesis_archived", "H-500")
    assert archived.data["code"] == "patch"
    assert archived.reason.isprintable()
    assert verify(tiny.workspace).ok


def test_under_exact_two_equal_runs_of_production_are_told_as_no_noise(tmp_path: Path) -> None:
    tiny = prepared(tmp_path)
    nightly(tiny, [reply(patch=GOOD.replace("+ 0.05", "- 0.05"))])
    assert tiny.verdict("H-500")[0] == "archive"
    with tiny.services() as services:
        noise = brief(services, tiny.tip("main")).noise
    assert noise is not None
    assert (noise.sd, noise.seeds) == (0.0, 2)
    baseline = [event.data for event in tiny.events("run_finished") if event.data["purpose"] == "baseline"]
    assert {run["metrics"]["accuracy"] for run in baseline} == {noise.mean}
