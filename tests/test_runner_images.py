"""A target that names an image: its runs, their identity, and what doctor says of it."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import docker_engines
import pytest
from sandbox_backends import absent
from tiny_solution import Tiny, build

from experiments import environment
from experiments.plans import Plan
from sandbox.backends import choose
from sandbox.contract import SandboxUnavailable

NOWHERE = f"no/such/image@sha256:{'0' * 64}"


@pytest.fixture(scope="module")
def image() -> str:
    if why := docker_engines.provide():
        absent(why, "docker")
    return docker_engines.python_image()


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return build(tmp_path)


def with_image(tiny: Tiny, image: str) -> Tiny:
    tiny.target["environment"] = {"image": image, "variables": {"OF_THE_TARGET": "1"}}
    tiny.write_target()
    return tiny


def doctor(tiny: Tiny, *words: str) -> dict[str, Any]:
    document = json.loads(tiny.agent("doctor", "--json", *words).stdout)
    return {one["check"]: one for one in document["findings"]}


def test_a_run_goes_through_its_phases_on_the_images_own_python(tiny: Tiny, image: str) -> None:
    with_image(tiny, image)
    spied = (tiny.repository / "train.py").read_text().replace(
        "def main(", "def main(config, seed, data, out):\n    import os\n    print(sys.executable, os.environ)\n"
        "    trained(config, seed, data, out)\n\ndef trained(", 1
    )  # fmt: skip
    commit = tiny.commit({"train.py": f"import sys\n{spied}"})
    runner = tiny.runner(choose(tiny.workspace.agent / "sandbox", image=image))
    record = runner.execute(Plan("H-001", "candidate", "gate", commit, commit, 7), 1, threading.Event())
    assert record.status == "ok", record
    assert 0.5 < record.metrics["accuracy"] < 1
    assert (record.backend, record.isolation) == ("docker", "full")
    assert record.key.environment == runner.environment(commit).sha256
    log = (tiny.workspace.root / record.folder / "train.log").read_text()
    assert log.startswith("/opt/python/bin/python ")
    assert "'OF_THE_IMAGE': 'its-own'" in log
    assert "'AGENT_SEED': '7'" in log


def test_the_digest_is_the_environment_and_not_the_name() -> None:
    digest, other = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    one = environment.ImageEnvironment(f"a/b@{digest}", {"X": "1"}).look()
    assert one.sha256 == environment.ImageEnvironment(f"elsewhere/c@{digest}", {"X": "1"}).look().sha256
    assert one.sha256 != environment.ImageEnvironment(f"a/b@{other}", {"X": "1"}).look().sha256
    assert one.sha256 != environment.ImageEnvironment(f"a/b@{digest}", {"X": "2"}).look().sha256
    assert digest in environment.lock_text(one.facts())
    assert one.summary == f"image a/b@{digest}"


def test_doctor_runs_the_baseline_in_the_image(tiny: Tiny, image: str) -> None:
    found = doctor(with_image(tiny, image))
    assert found["sandbox"]["found"] == "docker, isolation full"
    assert found["interpreter"]["found"] == f"image {image}, which the engine has"
    assert found["baseline"]["status"] == "ok", found["baseline"]


def test_doctor_and_the_night_refuse_an_image_that_the_engine_lacks(tiny: Tiny, image: str) -> None:
    with_image(tiny, NOWHERE)
    found = doctor(tiny, "--no-baseline")
    for check in ("sandbox", "interpreter"):
        assert found[check]["status"] == "fail"
        assert found[check]["fix"] == f"docker pull {NOWHERE}", found[check]
    night = tiny.agent("run", "--cycles", "1")
    assert night.returncode != 0
    assert f"docker pull {NOWHERE}" in night.stdout + night.stderr
    with pytest.raises(SandboxUnavailable):
        choose(tiny.workspace.agent / "sandbox", image=NOWHERE)
