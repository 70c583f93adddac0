"""A change of dependencies is built apart, in a sandbox, and never paired with the old environment unmarked."""

from __future__ import annotations

import json
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from real_environments import install, make_environment, wheel
from tiny_solution import SPACE, InProcess, Tiny, build, real_sandbox

from agent import night
from agent.night import Goal, NightResult
from agent.researcher.contract import PatchRequest
from agent.researcher.offline import OfflineResearcher
from agent.verification import verify
from experiments.building import BuildFailed
from experiments.plans import Interrupted, Plan
from experiments.runner import Runner
from registry.audit_events import ROOT_HASH, seal
from registry.documents import load_target
from registry.errors import BadInput
from sandbox.contract import Limits, Outcome, RunSpec, Sandbox
from sandbox.specification import check

BUILD = """
import pathlib, subprocess, sys
out, wheels = sys.argv[1:]
pip = ["install", "--quiet", "--no-index", "--find-links", wheels, "--no-compile", "-r", "requirements.txt"]
subprocess.run([sys.executable, "-m", "venv", out], check=True)
subprocess.run([out + "/bin/python", "-m", "pip", *pip], check=True)
"""
QUICK = """
import pathlib, subprocess, sys, zipfile
out, wheels = sys.argv[1:]
subprocess.run([sys.executable, "-m", "venv", "--without-pip", out], check=True)
(site,) = pathlib.Path(out).glob("lib/python3*/site-packages")
for line in pathlib.Path("requirements.txt").read_text().splitlines():
    name, _, version = line.partition("==")
    zipfile.ZipFile(f"{wheels}/{name}-{version}-py3-none-any.whl").extractall(site)
"""
"""The same without pip, which takes seconds to put there."""

ANOTHERS = """
import os, sys
out = sys.argv[1]
os.makedirs(out + "/bin")
open(out + "/pyvenv.cfg", "w").close()
os.symlink(%(other)r, out + "/bin/python")
"""


class BuildsForReal(InProcess):
    """Builds in the real sandbox, and runs phases bare under the interpreter they name: a night takes seconds."""

    def __init__(self, builder: Sandbox) -> None:
        super().__init__()
        self.builder = builder

    def run(self, spec: RunSpec, cancel: threading.Event) -> Outcome:
        if spec.out_in_place:
            return self.builder.run(spec, cancel)
        assert spec.code is not None
        shown = {mount.inside: str(mount.host) for mount in spec.mounts} | {"/work": str(spec.out)}
        words = [shown.get(word, word) for word in spec.argv]
        done = subprocess.run(words, cwd=spec.code, capture_output=True, text=True)
        return self._outcome("exit", done.returncode, done.stderr[-500:])


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return real_sandbox(tmp_path_factory.mktemp("sandbox"))


@pytest.fixture
def tiny(tmp_path: Path, sandbox: Sandbox) -> Tiny:
    tiny = build(tmp_path)
    python = make_environment(tmp_path / "environment")
    install(python, "gadget", "0.1", {"gadget.py": "WORTH = 0.5\n"})  # what scores never sees another one
    for version, worth in (("1.0", 0.0), ("2.0", 0.02)):
        wheel(
            tiny.repository / "vendor", "gadget", version, {"gadget.py": f"WORTH = {worth}\n"}, "gadget = gadget:show"
        )
    train = (tiny.repository / "train.py").read_text()
    train = train.replace("import hashlib,", "import gadget, hashlib,").replace(
        "    draw =", "    worth += gadget.WORTH\n    draw =", 1
    )
    evaluate = (tiny.repository / "evaluate.py").read_text()
    evaluate = evaluate.replace("import json,", "import gadget, json,").replace(
        '"error": error}', '"error": error, "gadget": gadget.WORTH}'
    )
    tiny.commit(
        {
            "train.py": train,
            "evaluate.py": evaluate,
            "requirements.txt": "gadget==1.0\n",
            "build_env.py": QUICK,
            ".gitignore": "vendor/\n",
            **tiny.configured(noise=0),
        }
    )
    for phase in tiny.target["phases"].values():
        phase["command"].remove("-S")
    tiny.target["solution"]["editable"] += ["requirements.txt"]
    tiny.target["solution"]["protected"] += ["build_env.py"]
    tiny.target["environment"] = {
        "python": str(python),
        "build": {
            "command": ["python", "-I", "build_env.py", "{out}", "{wheels}"],
            "files": ["requirements.txt", "build_env.py"],
            "wheels": "vendor",
            "timeout": "2m",
            "disk": "256MiB",
        },
    }
    tiny.target["resources"]["memory"] = "512MiB"
    tiny.target["gate"] = {"policy": "exact", "threshold": 0.005, "season": 20}
    tiny.target["search_space"] = {"width": SPACE["width"]}
    del tiny.target["metrics"]["primary"]["leaderboard"]
    tiny.write_target()
    tiny.write_registry()
    tiny.sandbox = sandbox  # type: ignore[assignment]
    return tiny


def _candidate(tiny: Tiny, **files: str) -> str:
    from git_repositories import git

    git(tiny.repository, "switch", "-q", "-c", f"by-hand-{abs(hash(str(files)))}")
    made = tiny.commit({name.replace("_txt", ".txt").replace("_py", ".py"): text for name, text in files.items()})
    git(tiny.repository, "switch", "-q", "main")
    return made


def _run(tiny: Tiny, runner: Runner, commit: str) -> dict[str, float]:
    arm = "production" if commit == tiny.tip("main") else "candidate"
    plan = Plan("H-001", arm, "gate", commit, tiny.tip("main"), 7)  # type: ignore[arg-type]
    record = runner.execute(plan, 1, threading.Event())
    assert record.status == "ok", record.why
    assert record.verified
    return record.metrics


def test_each_commit_runs_in_what_its_own_files_ask_for_and_is_scored_in_the_declared_one(tiny: Tiny) -> None:
    runner, main = tiny.runner(), tiny.tip("main")
    other = _candidate(tiny, requirements_txt="gadget==2.0\n")
    built = runner.prepare([main, other], threading.Event())
    assert [build.commit for build in built] == [main, other]
    assert runner.prepare([main, other], threading.Event()) == []
    assert tiny.runner().prepare([main, other], threading.Event()) == []
    found = {commit: _run(tiny, runner, commit) for commit in (main, other)}
    assert found[other]["accuracy"] - found[main]["accuracy"] == pytest.approx(0.02)
    assert {values["gadget"] for values in found.values()} == {0.5}
    records = {commit: runner.environment(commit) for commit in (main, other)}
    assert dict(records[main].packages)["gadget"] == "1.0"
    assert dict(records[other].packages)["gadget"] == "2.0"
    assert records[main].evaluated_in == records[other].evaluated_in != ""
    assert records[main].sha256 != records[other].sha256
    assert dict(records[main].locks).keys() == {"requirements.txt"}


def test_pip_installs_from_wheels_alone_and_its_programs_know_their_place(tiny: Tiny, sandbox: Sandbox) -> None:
    tiny.commit({"build_env.py": BUILD})
    runner, main = tiny.runner(), tiny.tip("main")
    runner.prepare([main], threading.Event())
    python = runner.interpreter(main)
    script = python.parent / "gadget"
    assert str(python) in script.read_text().split("import", 1)[0]
    said = subprocess.run([python, "-c", "import gadget, sys; print(gadget.WORTH, sys.prefix)"], capture_output=True)
    assert said.stdout.decode().split() == ["0.0", str(python.parent.parent)]
    out = tiny.root / "out"
    out.mkdir()
    limits = Limits(wall_s=30.0, memory_bytes=256 << 20, disk_bytes=1 << 20)
    spec = RunSpec("in-a-run", (str(script),), out, limits, python=python)
    outcome = sandbox.run(spec, threading.Event())
    assert "cannot import name 'show'" in outcome.tail  # the script ran, under its own interpreter
    assert sandbox.run(replace(spec, argv=("python", "-c", "import gadget")), threading.Event()).status == 0


def test_a_build_sees_its_files_and_wheels_and_no_network_and_no_data(tiny: Tiny) -> None:
    look = """
import os, socket, sys
found = sorted(os.path.join(top, name) for top, _, names in os.walk("/code") for name in names)
try:
    socket.create_connection(("127.0.0.1", 1), timeout=1)
except OSError as error:
    found.append(type(error).__name__)
sys.exit(repr((found, sorted(os.listdir("/wheels")), os.path.exists(%r), sorted(os.environ))))
"""
    tiny.commit({"build_env.py": look % str(tiny.repository)})
    with pytest.raises(BuildFailed) as caught:
        tiny.runner().prepare([tiny.tip("main")], threading.Event())
    said = str(caught.value)
    assert "['/code/build_env.py', '/code/requirements.txt', " in said
    assert "gadget-1.0-py3-none-any.whl" in said
    assert "False" in said
    assert "SECRET" not in said


def test_only_a_build_that_is_allowed_to_has_a_network(tiny: Tiny, sandbox: Sandbox) -> None:
    out = tiny.root / "out"
    out.mkdir()
    limits = Limits(wall_s=20.0, memory_bytes=128 << 20, disk_bytes=1 << 20)
    looks = "import os; print(sorted(os.listdir('/sys/class/net')) if os.path.isdir('/sys/class/net') else 'none');"
    looks += "print(sorted(line.split(':')[0].strip() for line in open('/proc/net/dev') if ':' in line))"
    spec = RunSpec("network", ("/usr/bin/python3", "-c", looks), out, limits)
    here = sorted(line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines() if ":" in line)
    assert str(here) in sandbox.run(replace(spec, network=True), threading.Event()).tail
    closed = sandbox.run(spec, threading.Event())
    assert "['lo']" in closed.tail
    assert closed.flags_sha256 != sandbox.run(replace(spec, network=True), threading.Event()).flags_sha256
    with pytest.raises(BadInput, match="bwrap"):
        check(replace(spec, network=True))
    with pytest.raises(BadInput, match="bwrap"):
        check(replace(spec, out_in_place=True))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import sys; sys.exit('no such package')", "no such package"),
        ("pass", "no interpreter at bin/python"),
        (
            "import os, sys; os.makedirs(sys.argv[1] + '/bin'); os.symlink('/bin/sh', sys.argv[1] + '/bin/python')",
            "neither its own nor the base's",
        ),
        (ANOTHERS, "neither its own nor the base's"),
        (QUICK + "\nimport os, shutil\nshutil.rmtree(site)\nos.symlink('/usr/share', site)", "outside of itself"),
        ("import time; time.sleep(60)", "timeout"),
    ],
)
def test_a_build_that_makes_no_environment_of_its_own_is_refused(tiny: Tiny, script: str, said: str) -> None:
    if script.endswith("sleep(60)"):
        tiny.target["environment"]["build"]["timeout"] = 2
        tiny.write_target()
    other = make_environment(tiny.root / "private")
    tiny.commit({"build_env.py": script.replace("%(other)r", repr(str(other)))})
    runner = tiny.runner()
    with pytest.raises(BuildFailed, match=said):
        runner.prepare([tiny.tip("main")], threading.Event())
    assert not [*(tiny.workspace.cache / "environments").glob("*/bin")]


def test_a_stopped_build_leaves_nothing_and_a_changed_one_is_built_again(tiny: Tiny) -> None:
    main, stopped = tiny.tip("main"), threading.Event()
    stopped.set()
    with pytest.raises(Interrupted):
        tiny.runner().prepare([main], stopped)
    runner = tiny.runner()
    assert len(runner.prepare([main], threading.Event())) == 1
    before = runner.environment(main)
    (site,) = runner.interpreter(main).parent.parent.glob("lib/python3*/site-packages")
    (site / "gadget.py").write_text("WORTH = 9.0\n")
    for again in (runner, tiny.runner()):
        (site / "gadget.py").write_text("WORTH = 9.0\n")
        assert len(again.prepare([main], threading.Event())) == 1
        assert any("built again" in note for note in again.take_notes())
        assert again.environment(main) == before
        assert (site / "gadget.py").read_text() == "WORTH = 0.0\n"


# -- nights -------------------------------------------------------------------------------------------------


class Upgrades(OfflineResearcher):
    """Writes the requirements that a hypothesis of that title asks for, and nothing else."""

    def patch(self, request: PatchRequest) -> dict[str, bytes]:
        title = request.hypothesis.title
        return {"requirements.txt": f"{title}\n".encode()} if "==" in title else super().patch(request)


def _night(tiny: Tiny, title: str, name: str = "H-100") -> NightResult:
    tiny.sandbox = BuildsForReal(tiny.sandbox)
    settings = {"model.harm": 2} if "==" in title else {"model.width": 2}
    tiny.put_into_queue(name, title=title, settings=settings, estimated_gain=0.5)
    with tiny.services() as services:
        services.researcher = Upgrades(services.solution.edited, ())
        return night.run(services, Goal(cycles=1))


def test_an_upgrade_is_tried_in_its_own_environment_marked_and_promoted_with_it(tiny: Tiny) -> None:
    result = _night(tiny, "gadget==2.0")
    assert result.promoted == ("H-100",), tiny.progress.lines[-5:]
    assert tiny.events("patch_committed", "H-100")[0].data["environment_files"] == ["requirements.txt"]
    built = tiny.events("environment_built")
    assert [event.subject for event in built] == ["production", "H-100"]
    assert built[1].data["network"] is False
    (verdict,) = tiny.events("verdict", "H-100")
    told = verdict.data["environment"]
    assert told["change"].startswith("gadget 1.0 → 2.0")
    assert (told["production"], told["candidate"]) == tuple(event.data["environment"] for event in built)
    look = tiny.events("look", "H-100")[-1].data
    production, candidate = look["evidence"]["environments"]
    assert production != candidate
    assert "environment_changed" in look["decision"]["flags"]
    assert verify(tiny.workspace).ok
    recorded = {event.data["sha256"]: event.data for event in tiny.events("environment_recorded")}
    assert recorded[told["candidate"]]["packages"]["gadget"] == "2.0"
    assert "gadget==2.0" in tiny.workspace.results_of("H-100").requirements.read_text()
    request = (tiny.workspace.reports / "pull-requests" / "H-100.md").read_text()
    assert f"environment changed: {told['production'][:12]} → {told['candidate'][:12]} (gadget 1.0 → 2.0" in request
    assert "environment changed" in tiny.workspace.technical_log.read_text()
    assert "gadget 1.0 → 2.0" in tiny.agent("ask", "why was H-100 promoted?").stdout
    baseline = [event.data for event in tiny.events("run_finished") if event.data["purpose"] == "baseline"]
    assert baseline[-1]["key"]["environment"] != baseline[0]["key"]["environment"]
    assert baseline[-1]["metrics"]["accuracy"] == pytest.approx(0.82)
    lines = len(built)
    assert _night(tiny, "wider", "H-101").promoted == ("H-101",)
    assert len(tiny.events("environment_built")) == lines
    assert "environments" not in tiny.events("look", "H-101")[-1].data["evidence"]
    assert verify(tiny.workspace).ok
    _without_the_mark(tiny)
    problems = verify(tiny.workspace).problems
    assert any("pairs runs of two environments, and its patch changes none" in str(problem) for problem in problems)


def _without_the_mark(tiny: Tiny) -> None:
    """Write the log anew, whole and consistent, with a patch that is said to change no environment."""
    lines, before = [], ROOT_HASH
    for line in tiny.workspace.audit.read_bytes().splitlines():
        body = json.loads(line)
        del body["hash"]
        if body["kind"] == "patch_committed":
            body["data"]["environment_files"] = []
        lines.append(seal(body | {"prev": before}))
        before = json.loads(lines[-1])["hash"]
    tiny.workspace.audit.write_bytes(b"".join(lines))


def test_an_upgrade_that_cannot_be_built_is_archived_without_a_place_in_the_season(tiny: Tiny) -> None:
    assert _night(tiny, "gadget==3.0").promoted == ()
    (archived,) = tiny.events("hypothesis_archived", "H-100")
    assert archived.data["code"] == "environment"
    assert "gadget-3.0" in archived.reason
    assert tiny.events("gate_entered", "H-100") == []
    assert verify(tiny.workspace).ok


def test_a_production_that_cannot_be_built_ends_the_night_and_says_so(tiny: Tiny) -> None:
    tiny.commit({"requirements.txt": "gadget==9.9\n"})
    tiny.sandbox = BuildsForReal(tiny.sandbox)
    failed = tiny.night(Goal(cycles=1))
    assert failed.failed
    assert "cannot be built" in failed.reason
    assert "gadget-9.9" in failed.reason


def test_without_a_build_a_change_of_dependencies_is_refused(tiny: Tiny) -> None:
    del tiny.target["environment"]["build"]
    tiny.target["environment"]["lock"] = "pins.in"
    tiny.target["solution"]["editable"] += ["pins.in"]
    tiny.commit({"pins.in": "gadget==1.0\n"})
    tiny.write_target()
    tiny.sandbox = build(tiny.root / "other").sandbox
    with tiny.services() as services:
        for path in ("requirements.txt", "pins.in"):
            (problem,) = services.solution.check(tiny.tip("main"), {path: b"gadget==2.0\n"})
            assert "environment.build.files" in str(problem)


def test_a_build_says_what_it_lacks(tiny: Tiny) -> None:
    for changed, said in (
        ({"command": ["sh", "build.sh"]}, "{out}"),
        ({"command": ["sh", "build.sh", "{out}"]}, "wheels"),
        ({"command": ["sh", "{code}", "{out}", "{wheels}"]}, "{code}"),
    ):
        document = json.loads(tiny.workspace.target.read_text())
        document["environment"]["build"] |= changed
        path = tiny.root / "target.yaml"
        path.write_text(json.dumps(document))
        with pytest.raises(BadInput) as caught:
            load_target(path)
        assert said in str(caught.value)
