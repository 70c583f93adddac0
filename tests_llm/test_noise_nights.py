"""A whole night of `agent run` with a model that says nothing but noise: it ends by itself, and nothing is promoted."""

from __future__ import annotations

import json
from pathlib import Path

from model_nights import SENTENCE, paper, with_models, with_papers
from night_processes import leftovers
from tiny_solution import SPACE, Tiny, build, real_sandbox
from tiny_target import TinyTarget

from registry.workspace import Workspace

CYCLES = 5


class Left(TinyTarget):
    """The folders of the solution as `leftovers` looks for them."""

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root / "solution-agent")


def noisy(root: Path, address: str) -> Tiny:
    """The solution, a paper, and models that are noise; of what can be set nothing improves it."""
    real_sandbox(root / "sandbox")
    tiny = build(root)
    tiny.target["search_space"] = {name: SPACE[name] for name in ("harm", "mode")}
    tiny.write_target()
    paper(with_papers(tiny), f"Calibration helps\n{SENTENCE}")
    with_models(tiny, address, budget={"night": {"calls": 60}})
    made = json.loads(tiny.workspace.models.read_text())
    made["endpoints"]["main"] |= {"timeout": 60}
    made["models"]["default"] |= {"max_output_tokens": 1500}
    tiny.workspace.models.write_text(json.dumps(made))
    return tiny


def test_a_night_on_noise_promotes_nothing_and_leaves_a_clean_log_that_replays_the_same(
    noise: str, tmp_path: Path
) -> None:
    tiny = noisy(tmp_path, noise)
    done = tiny.agent("run", "--cycles", str(CYCLES), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["promoted"], document["failed"]) == ([], False)
    assert not tiny.events("promoted")
    assert {event.data["outcome"] for event in tiny.events("verdict")} <= {"archive", "park"}
    assert tiny.events("model_answered"), "the model was asked"
    asked = {event.data["role"] for event in tiny.events("model_asked")}
    assert {"screen", "propose"} <= asked
    assert tiny.tip("agent/production") == tiny.tip("main")
    for event in tiny.events("paper_read"):
        assert not [t for t in event.data["reading"]["techniques"] if t["quote"]["verified"]]
    verified = tiny.agent("audit", "verify")
    assert verified.returncode == 0, verified.stdout
    assert leftovers(Left(tiny.root), []) == []
    replayed = tiny.agent("run", "--replay", "N-0001")
    assert (replayed.returncode, replayed.stderr) == (0, "")
    assert replayed.stdout.startswith(f"N-0001 replayed: {document['cycles']} cycles, ")
    assert "all the same" in replayed.stdout
