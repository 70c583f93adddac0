"""Runs with GPUs: which one each has, what its record says, memory that gave out, and models that are never paired.

The sandbox and the runs are real; what is made up is the answer of `nvidia-smi`, and the message of a GPU that is full.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_target
from fake_nvidia import A100, H100, FakeGpu, device_files, install
from gate_evidence import evidence
from scripted_solution import agent, needs_sandbox
from tiny_target import TinyTarget

from agent import circumstances
from agent.evidence import run_value
from agent.progress import Silent
from agent.services import Services
from agent.wiring import open_services
from experiments import gpu_memory
from experiments.gate import ENight, Pair, decide
from experiments.plans import Plan
from registry.errors import BadInput
from registry.runs import RunRecord
from sandbox import gpu_discovery
from sandbox.backends import choose
from sandbox.contract import Limits, RunSpec

__all__ = ["needs_sandbox"]
pytestmark = pytest.mark.usefixtures("needs_sandbox")

MINOR = 6000 + 10 * (os.getpid() % 5000)
"""Of no real GPU, and another for each process of tests."""
TORCH_SAYS = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.10 GiB"
    " of which 1.21 GiB is free."
)
LOOK = "\nimport os\nprint('cuda:', os.environ.get('CUDA_VISIBLE_DEVICES'), os.environ.get('CUDA_DEVICE_ORDER'))\n"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_target.make_environment(tmp_path_factory.mktemp("environment") / "venv")


@pytest.fixture
def target(tmp_path: Path, environment: Path, monkeypatch: pytest.MonkeyPatch) -> TinyTarget:
    monkeypatch.setattr(gpu_discovery, "DRIVER", tmp_path / "none")
    monkeypatch.setattr(gpu_discovery, "DEVICES", tmp_path / "none")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tiny_target.make(tmp_path / "target", environment=environment)


def gpus(*models: str, **changed: str) -> list[FakeGpu]:
    return [FakeGpu(index, MINOR + index, model, **changed) for index, model in enumerate(models)]


def host(target: TinyTarget, monkeypatch: pytest.MonkeyPatch, *models: str, **changed: str) -> list[FakeGpu]:
    """A host that has these GPUs, from now on."""
    listed = gpus(*models, **changed)
    found = install(target.root / f"tool-{len(list(target.root.glob('tool-*')))}", listed)
    monkeypatch.setenv("PATH", found)
    return listed


def declare(target: TinyTarget, resources: str, *pairs: str) -> None:
    text = target.workspace.target.read_text()
    for old, new in (("gpus: 0", resources), *zip(pairs[::2], pairs[1::2], strict=True)):
        assert old in text
        text = text.replace(old, new)
    target.workspace.target.write_text(text)


def change(target: TinyTarget, script: str) -> str:
    (target.solution / "train.py").write_text(script)
    target.git("commit", "--quiet", "--all", "--message", "a change")
    return target.git("rev-parse", "HEAD")


@contextmanager
def services(target: TinyTarget) -> Iterator[Services]:
    with open_services(target.workspace, Silent(), "a test") as opened:
        yield opened


def plan(commit: str, seed: int = 7, **changed: str) -> Plan:
    values = {"subject": "H-001", "arm": "candidate", "purpose": "gate", **changed}
    return Plan(values["subject"], values["arm"], values["purpose"], commit, commit, seed)  # type: ignore[arg-type]


def told(target: TinyTarget, record: RunRecord) -> str:
    log = (target.workspace.root / record.folder / "train.log").read_text()
    return next(line for line in log.splitlines() if line.startswith("cuda:"))


def test_each_run_has_a_gpu_of_its_own_and_its_record_says_which(
    target: TinyTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = host(target, monkeypatch, H100, H100)
    declare(target, "gpus: 1")
    # Each waits a moment, so that two run side by side wherever the machine has two processors.
    commit = change(target, tiny_target.TRAIN.replace('time.sleep(chosen["sleep"])', "time.sleep(0.7)") + LOOK)
    with services(target) as opened:
        opened.measurer.slots = 2
        records = opened.measurer.measure([plan(commit, seed) for seed in (1, 2)])
        events = list(opened.log.read_new(0))
    used = []
    for record in records:
        assert record.status == "ok", record.why
        assert record.gpu is not None
        assert (record.gpu.model, record.gpu.driver, record.gpu.share) == (H100, "535.129.03", 1.0)
        assert record.gpu.variables["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert told(target, record) == f"cuda: {record.gpu.uuids[0]} PCI_BUS_ID"
        used += record.gpu.uuids
    assert sorted(used) == sorted(gpu.uuid for gpu in listed)
    recorded = [event.data["gpu"] for event in events if event.kind == "run_finished"]
    assert [gpu["model"] for gpu in recorded] == [H100, H100]


def test_what_a_run_prints_is_kept_however_many_gpus_it_holds(tmp_path: Path) -> None:
    """Each GPU, and each part of one, is a lock: a descriptor that the run's supervisor has beside its own."""
    sandbox = choose(tmp_path / "state")
    for count in range(16):
        out = tmp_path / f"out-{count}"
        out.mkdir()
        minors = tuple(range(MINOR + 100, MINOR + 100 + count))
        command = ("/bin/sh", "-c", "echo heard; exit 3")
        limits = Limits(wall_s=20.0, memory_bytes=64 << 20)
        spec = RunSpec(run_id=f"prints-{count}", argv=command, out=out, limits=limits, gpus=minors)
        outcome = sandbox.run(spec, threading.Event())
        assert (count, outcome.reason, outcome.status, outcome.tail) == (count, "exit", 3, "heard\n")


def test_a_run_without_gpus_sees_none_and_keeps_its_identity(
    target: TinyTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = change(target, tiny_target.TRAIN + LOOK)
    with services(target) as opened:
        before = opened.runner.key(plan(commit))
    host(target, monkeypatch, H100)
    with services(target) as opened:
        assert opened.runner.key(plan(commit)) == before
        (record,) = opened.measurer.measure([plan(commit)])
    assert (record.status, record.gpu) == ("ok", None)
    assert told(target, record) == "cuda: None None"
    older = {name: value for name, value in record.model_dump(mode="json").items() if name != "gpu"}
    assert RunRecord.model_validate(older) == record


def test_runs_of_two_models_are_never_the_same_run_nor_paired(
    target: TinyTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(target, "gpus: 1")
    commit = target.git("rev-parse", "HEAD")
    arms = [plan(commit, 1), plan(commit, 1, subject="production", arm="production")]
    records, keys = [], []
    for model, arm, driver in ((H100, arms[0], "535.129.03"), (A100, arms[1], "550.54.15")):
        host(target, monkeypatch, model, driver=driver)
        with services(target) as opened:
            circumstances.record(opened, commit)
            keys.append(opened.runner.key(arm))
            records += opened.measurer.measure([arm])
            difference = circumstances.difference(opened.log.find, keys[0], keys[-1])
    assert records[0].key.environment != records[1].key.environment
    assert f"GPU {H100} → {A100}" in difference
    assert [record.gpu.driver for record in records if record.gpu] == ["535.129.03", "550.54.15"]
    host(target, monkeypatch, A100, driver="570.86.15")
    with services(target) as opened:  # a driver is told, and is no other circumstance
        assert opened.runner.key(arms[1]) == keys[1]
    candidate, production = (run_value(record, "accuracy") for record in records)
    sound = evidence([0.02, 0.021, 0.019, 0.022])
    assert decide(sound, ENight()).outcome != "bad_evidence"
    mixed = tuple(
        Pair(
            pair.seed,
            pair.candidate and replace(pair.candidate, environment=candidate.environment),
            pair.production and replace(pair.production, environment=production.environment),
        )
        for pair in sound.stage
    )
    decision = decide(replace(sound, stage=mixed), ENight())
    assert (decision.outcome, decision.reason) == ("bad_evidence", "mixed_environments")


@pytest.mark.parametrize(
    ("resources", "ending", "status"),
    [
        ("gpus: 1", f"raise RuntimeError({TORCH_SAYS!r})", "oom"),
        ("gpus: 1", "print('no luck'); sys.exit(1)", "crash"),
        ("gpus: 1", f"print({TORCH_SAYS!r})", "ok"),  # it went on with less, as some do
        ("gpus: 0", f"print({TORCH_SAYS!r}); sys.exit(1)", "crash"),
    ],
)
def test_memory_of_the_gpu_that_gave_out_is_told_apart_from_a_crash(
    target: TinyTarget, monkeypatch: pytest.MonkeyPatch, resources: str, ending: str, status: str
) -> None:
    host(target, monkeypatch, H100)
    declare(target, resources)
    commit = change(target, tiny_target.TRAIN + ending + "\n")
    with services(target) as opened:
        record = opened.runner.execute(plan(commit), 1, opened.cancel)
    assert record.status == status, record.why
    assert ("out of GPU memory: " in record.why) == (status == "oom")
    if status == "oom":
        assert "Tried to allocate 20.00 GiB" in record.why


@pytest.mark.parametrize(
    ("line", "lacked"),
    [
        (TORCH_SAYS, True),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 MiB (GPU 0; 79.10 GiB total", True),
        ("RuntimeError: CUDA error: out of memory", True),
        ("RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", True),
        ("cudaErrorMemoryAllocation: out of memory", True),
        ("jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 B", True),
        ("RuntimeError: CUDA error: device-side assert triggered", False),
        ("MemoryError", False),
        ("OSError: [Errno 28] No space left on device", False),
    ],
)
def test_the_words_that_mean_it(line: str, lacked: bool) -> None:
    assert bool(gpu_memory.complaint(f"Traceback (most recent call last):\n  File\n{line}\n")) == lacked


def test_two_runs_share_a_gpu_where_that_is_declared_and_costs_are_timed_alone(
    target: TinyTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    host(target, monkeypatch, H100)
    cost = "  secondary: {memory_mb: {source: train, max_increase: 0.5}}\ngate:"
    declare(target, "gpus: 1, gpu_share: 0.5", "gate:", cost)
    commit = target.git("rev-parse", "HEAD")
    with services(target) as opened:
        assert opened.runner.gpus is not None
        assert opened.runner.gpus.at_once == 2
        records = opened.measurer.measure([plan(commit, seed) for seed in (1, 2)])
        timed = [opened.runner.execute(plan(commit, 1, purpose="cost"), 1, opened.cancel)]
    assert [record.gpu.share for record in records if record.gpu] == [0.5, 0.5]
    assert [record.gpu.share for record in timed if record.gpu] == [1.0]


def test_a_night_without_the_gpus_it_asks_for_does_not_start(
    target: TinyTarget, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host(target, monkeypatch, H100)
    declare(target, "gpus: 2")
    with pytest.raises(BadInput, match=r"1 of 2 that resources\.gpus asks for"), services(target):
        pass
    said = agent(capsys, "run", "--cycles", "1", "--workspace", str(target.workspace.root))
    assert said.status == 2
    assert "resources.gpus" in said.err


# -- doctor -------------------------------------------------------------------------------------------------


TORCH = """
class version: cuda, hip = $built, None
__version__ = "$version"
class cuda:
    @staticmethod
    def init(): $init
    @staticmethod
    def device_count(): return $count
class _Four:
    def __add__(self, other): return self
    def sum(self): return 4.0
def ones(count, device):
    assert device == "cuda"
    return _Four()
"""
OLD = 'raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040).")'
CPU = 'raise AssertionError("Torch not compiled with CUDA enabled")'


def doctor(
    target: TinyTarget, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, list[dict[str, str]]]]:
    said = agent(capsys, "doctor", "--no-baseline", "--json", "--workspace", str(target.workspace.root))
    found: dict[str, list[dict[str, str]]] = {}
    for finding in json.loads(said.out)["findings"]:
        found.setdefault(finding["check"], []).append(finding)
    return said.status, found


@pytest.mark.parametrize(
    ("values", "status", "words"),
    [
        (None, "ok", "none in the solution's environment"),
        (("'12.6'", "pass", 1), "ok", "(CUDA 12.6) computes on 1 NVIDIA H100"),
        (("None", CPU, 0), "fail", "is built for the CPU alone, and there are 2 NVIDIA H100"),
        (("'13.0'", OLD, 0), "fail", "driver on your system is too old"),
        (("'12.6'", "import os; os._exit(3)", 0), "fail", "did not answer"),
    ],
)
def test_doctor_asks_torch_in_the_solutions_environment(
    tmp_path: Path,
    target: TinyTarget,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    values: tuple[str, str, int] | None,
    status: str,
    words: str,
) -> None:
    host(target, monkeypatch, H100, H100)
    declare(target, "gpus: 1", "memory: 256MiB", "memory: 128MiB")
    own = tiny_target.make_environment(tmp_path / "own")
    if values is not None:
        (packages,) = own.glob("lib/python3*/site-packages")
        stub = TORCH
        for name, value in zip(("built", "init", "count"), values, strict=True):
            stub = stub.replace(f"${name}", str(value))
        (packages / "torch").mkdir()
        (packages / "torch" / "__init__.py").write_text(stub.replace("$version", "2.9.1"))
    (target.root / "environment").unlink()
    (target.root / "environment").symlink_to(own)
    _, found = doctor(target, monkeypatch, capsys)
    (torch,) = found["GPUs: torch"]
    assert (torch["status"], words in torch["found"]) == (status, True), torch
    assert "2 runs fit at once" in found["GPUs: runs"][0]["found"] or found["GPUs: runs"][0]["status"] == "ok"


def test_doctor_tells_what_makes_a_seed_one_value_on_a_gpu(
    target: TinyTarget, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host(target, monkeypatch, H100)
    declare(target, "gpus: 1")
    change(target, tiny_target.TRAIN.replace('options["--seed"] +', "repr(time.time()) +"))
    said = agent(capsys, "doctor", "--json", "--workspace", str(target.workspace.root))
    (finding,) = [one for one in json.loads(said.out)["findings"] if one["check"] == "same seed twice"]
    assert finding["status"] == "fail"
    assert "torch.use_deterministic_algorithms(True)" in finding["fix"]


def test_doctor_warns_of_memory_in_use_and_refuses_variables_that_take_a_runs_gpu_away(
    target: TinyTarget, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = host(target, monkeypatch, H100, A100, H100, used="60000")
    monkeypatch.setattr(gpu_discovery, "DEVICES", device_files(target.root / "dev", [gpu.minor for gpu in listed]))
    (target.root / "dev" / "nvidia-uvm").unlink()
    variables = "environment: {python: ../environment/bin/python, variables: {CUDA_VISIBLE_DEVICES: '0'}}"
    declare(target, "gpus: 1", "environment: {python: ../environment/bin/python}", variables)
    status, found = doctor(target, monkeypatch, capsys)
    assert status == 1
    assert "only GPUs of one model are paired" in found["GPUs: runs"][0]["found"]
    assert ["60000 of 81559 MiB of GPU" in one["found"] for one in found["GPUs: memory"]] == [True, True]
    assert found["GPUs: variables"][0]["status"] == "fail"
    assert "nvidia-modprobe" in found["GPUs: devices"][0]["fix"]
    assert "GPUs: torch" not in found
