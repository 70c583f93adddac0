"""A solution in C with a build command, and no Python: built once a commit, measured, judged, patched by a writer."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from git_repositories import git
from test_patch_nights import Scripted, Writing
from tiny_solution import Tiny, build, real_sandbox

from agent import night
from agent.night import Goal
from agent.researcher.offline import OfflineResearcher
from agent.verification import verify
from experiments.plans import Plan
from registry.documents import load_target
from registry.errors import BadInput
from sandbox.contract import Outcome, RunSpec, Sandbox

MODEL_C = """\
#include <stdio.h>
#include <string.h>
#include "weight.h"

int main(int count, char **words) {
    char path[512];
    (void)count;
    snprintf(path, sizeof path, "%s/%s", words[3], strcmp(words[1], "train") ? "predictions.jsonl" : "model");
    FILE *out = fopen(path, "w");
    if (!out) return 2;
    fprintf(out, "%.4f\\n", WEIGHT);
    return fclose(out);
}
"""
WEIGHT = "#define WEIGHT 0.50\n"
EVALUATE = """\
#!/bin/sh
read answer < "$1/predictions.jsonl"
read wanted < "$2/truth"
awk -v a="$answer" -v b="$wanted" 'BEGIN { d = a - b; if (d < 0) d = -d; printf "{\\"accuracy\\": %.6f}\\n", 1 - d }' \\
    > "$3/metrics.json"
"""
BETTER = "src/weight.h\n<<<<<<< SEARCH\n#define WEIGHT 0.50\n=======\n#define WEIGHT 0.75\n>>>>>>> REPLACE\n"
BROKEN = "src/weight.h\n<<<<<<< SEARCH\n#define WEIGHT 0.50\n=======\n#define WEIGHT not_there\n>>>>>>> REPLACE\n"


class Counted:
    """A real sandbox that keeps what it was asked to run."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.name, self.isolation = sandbox.name, sandbox.isolation
        self.started: list[str] = []
        self.seen: list[RunSpec] = []

    def doctor(self) -> Any:
        return self._sandbox.doctor()

    def reap(self) -> tuple[str, ...]:
        return self._sandbox.reap()

    def run(self, spec: RunSpec, cancel: threading.Event) -> Outcome:
        self.started.append(spec.run_id)
        self.seen.append(spec)
        return self._sandbox.run(spec, cancel)


@pytest.fixture
def compiled(tmp_path: Path) -> Tiny:
    if shutil.which("cc", path="/usr/bin:/bin:/usr/local/bin") is None:
        pytest.skip("no C compiler on this machine (apt-get install gcc)")
    tiny = build(tmp_path)
    for name in ("train.py", "predict.py", "evaluate.py"):
        git(tiny.repository, "rm", "--quiet", name)
    (tiny.repository / "score.sh").write_text(EVALUATE)
    (tiny.repository / "score.sh").chmod(0o755)
    truth = {f"data/{split}/labels/truth": f"{value}\n" for split, value in (("dev", 0.8), ("test", 0.79))}
    tiny.commit({"src/main.c": MODEL_C, "src/weight.h": WEIGHT, **truth})
    tiny.target |= {"environment": {"programs": ["cc"]}, "search_space": {}}
    tiny.target["solution"] |= {"editable": ["src/**"], "protected": ["score.sh", "data/**"]}
    tiny.target["gate"] |= {"policy": "exact", "threshold": 0.01}
    tiny.target["metrics"]["secondary"] = {}
    phases = tiny.target["phases"]
    phases["build"] = {"command": ["cc", "-O2", "-Wall", "-o", "{out}/solution", "src/main.c"], "timeout": 60}
    phases["train"] |= {"command": ["{build}/solution", "train", "{data}", "{out}"]}
    phases["predict"] |= {"command": ["{build}/solution", "predict", "{inputs}", "{out}"]}
    phases["evaluate"] |= {"command": ["./score.sh", "{predictions}", "{labels}", "{out}"]}
    tiny.write_target()
    tiny.sandbox = Counted(real_sandbox(tmp_path / "state"))  # type: ignore[assignment]
    return tiny


def patched(tiny: Tiny, *answers: str) -> None:
    implementation = {"change": "another weight", "effort": "Low", "files": ["src/weight.h"]}
    tiny.put_into_queue("H-500", implementation=implementation, estimated_gain=0.5)
    with tiny.services() as services:
        assert isinstance(services.researcher, OfflineResearcher)
        services.researcher = Writing(services.researcher, Scripted(*answers))
        night.run(services, Goal(only="H-500"))


def test_a_patch_to_a_program_in_c_is_built_once_measured_and_promoted(compiled: Tiny) -> None:
    patched(compiled, BETTER)
    assert compiled.verdict("H-500")[0] == "promote"
    (promoted,) = compiled.events("promoted")
    assert promoted.data["gain"] == pytest.approx(0.25)
    assert verify(compiled.workspace).ok
    builds = [name for name in compiled.sandbox.started if name.startswith("code-")]
    assert len(builds) == len(set(builds)) == 2, "one for production, one for the candidate"
    runs = [event.data for event in compiled.events("run_finished")]
    assert sum("build" in run["phases"] for run in runs) == 2
    assert all(run["status"] == "ok" and run["verified"] for run in runs)
    (attempt,) = compiled.events("patch_attempted")
    assert attempt.data["checks"]["imports"] == "no Python file to import"
    for spec in compiled.sandbox.seen:
        shown = {mount.inside for mount in spec.mounts}
        assert spec.run_id.startswith("code-") == (not shown)
        assert "/labels" not in shown or "/build" not in shown


def test_a_compile_error_is_a_failed_validation_with_the_compilers_own_lines(compiled: Tiny) -> None:
    patched(compiled, BROKEN)
    (archived,) = compiled.events("hypothesis_archived", "H-500")
    assert archived.data["code"] == "validation"
    assert "build: exit status 1; the compiler: " in archived.reason
    assert "not_there" in archived.reason
    assert "error: " in archived.reason
    (run,) = compiled.events("run_finished", "H-500")
    assert run.data["status"] == "crash"
    assert list(run.data["phases"]) == ["build"]
    assert (compiled.workspace.root / run.data["folder"] / "build.log").is_file()


def test_a_build_that_somebody_changed_is_made_again_and_one_changed_meanwhile_gives_no_outcome(compiled: Tiny) -> None:
    runner = compiled.runner(compiled.sandbox)
    commit = compiled.tip("main")

    def plan(seed: int) -> Plan:
        return Plan("production", "production", "baseline", commit, commit, seed)

    cancel = threading.Event()
    assert runner.execute(plan(1), 1, cancel).metrics == {"accuracy": pytest.approx(0.7)}
    (program,) = (compiled.workspace.cache / "builds").glob("*/solution")
    program.chmod(0o755)
    program.write_text("#!/bin/sh\nexit 3\n")
    assert runner.execute(plan(2), 1, cancel).status == "ok"
    assert any("changed by somebody" in note for note in runner.take_notes())
    run = runner.sandbox.run

    def meddling(spec: RunSpec, stop: threading.Event) -> Outcome:
        if spec.run_id.endswith("-train"):
            program.write_bytes(program.read_bytes() + b"\0")
        return run(spec, stop)

    runner.sandbox.run = meddling  # type: ignore[method-assign]
    record = runner.execute(plan(3), 1, cancel)
    assert record.status == "infra"
    assert "build" in record.why


def test_the_programs_of_the_machine_are_part_of_the_identity_and_a_missing_one_is_named(compiled: Tiny) -> None:
    runner = compiled.runner(compiled.sandbox)
    record = runner.environment(compiled.tip("main"))
    assert record.summary == "programs of the machine: cc"
    assert record.contents[0][0] == "program cc"
    compiled.target["environment"] = {"programs": ["cc", "awk"]}
    compiled.write_target()
    assert compiled.runner(compiled.sandbox).environment(compiled.tip("main")).sha256 != record.sha256
    compiled.target["environment"] = {"programs": ["no-such-compiler"]}
    compiled.write_target()
    with pytest.raises(BadInput, match="no program no-such-compiler"):
        compiled.runner(compiled.sandbox).environment(compiled.tip("main"))


@pytest.mark.parametrize(
    ("environment", "phases", "reason"),
    [
        ({}, {}, "python, image, or programs"),
        ({"programs": ["/usr/bin/cc"]}, {}, "as it is found on PATH"),
        ({"programs": ["cc"]}, {"train": {"command": ["python", "x.py", "{out}"]}}, "names no interpreter"),
        ({"programs": ["cc"]}, {"build": None}, "there is no phases.build"),
        ({"programs": ["cc"]}, {"build": {"command": ["cc", "x.c"]}}, "does not say {out}"),
        ({"programs": ["cc"]}, {"build": {"command": ["cc", "{data}", "{out}"]}}, "uses {data}"),
    ],
)
def test_what_a_target_says_of_builds_and_programs_has_to_fit_together(
    compiled: Tiny, environment: dict[str, Any], phases: dict[str, Any], reason: str
) -> None:
    compiled.target["environment"] = environment
    compiled.target["phases"] |= phases
    if compiled.target["phases"]["build"] is None:
        del compiled.target["phases"]["build"]
    compiled.workspace.target.write_text(json.dumps(compiled.target))
    with pytest.raises(BadInput, match=reason.replace("{", r"\{")):
        load_target(compiled.workspace.target)
