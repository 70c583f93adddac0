"""GPUs are lent to one run at a time on the whole host, or in declared shares, and to measurements of time alone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_nvidia import A100, H100, FakeGpu, install
from sandbox_backends import make

from experiments.gpu_pool import GpuPool, pool_for, utilisation
from registry.errors import BadInput
from registry.target import Resources
from sandbox import slots
from sandbox.gpu_discovery import Discovery, Gpu

ROOT = Path(__file__).resolve().parent.parent
# Minors that no host has, each test its own, so that tests side by side do not wait for each other.
BASE = 5000 + 100 * (os.getpid() % 5000)
HOLD = """
import sys, threading
from sandbox import slots
minors = [int(word) for word in sys.argv[1].split(",")]
with slots.lend_gpus(minors, int(sys.argv[2]), threading.Event(), int(sys.argv[3])) as lent:
    print(*lent, flush=True)
    sys.stdin.read()
"""


@contextmanager
def other_process(minors: list[int], count: int = 1, parts: int = 12) -> Iterator[list[int]]:
    """GPUs lent in another process of this host, until the block ends."""
    words = [sys.executable, "-c", HOLD, ",".join(map(str, minors)), str(count), str(parts)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield [int(word) for word in process.stdout.readline().split()]
        process.kill()


def at_once(minors: list[int], count: int = 1, parts: int = 12) -> tuple[int, ...]:
    """What can be had without waiting."""
    cancel = threading.Event()
    cancel.set()
    with slots.lend_gpus(minors, count, cancel, parts) as lent:
        return lent


def test_two_processes_never_have_the_same_gpu() -> None:
    minors = [BASE, BASE + 1, BASE + 2]
    with other_process(minors) as first, other_process(minors) as second:
        assert first + second == minors[:2]
        assert at_once(minors, 2) == ()
        assert at_once(minors) == (BASE + 2,)
    assert at_once(minors, 3) == tuple(minors)  # killed, and free


def test_a_share_has_room_for_another_and_a_whole_gpu_for_none() -> None:
    minor = BASE + 10
    with other_process([minor], parts=6), other_process([minor], parts=6):
        assert at_once([minor], parts=6) == ()
        assert at_once([minor], parts=1) == ()
    with other_process([minor], parts=3):
        assert at_once([minor]) == ()
        assert at_once([minor], parts=6) == (minor,)
    with other_process([minor]):
        assert at_once([minor], parts=1) == ()


def test_shares_go_to_gpus_without_one_first() -> None:
    minors = [BASE + 20, BASE + 21]
    with other_process(minors, parts=6) as one, other_process(minors, parts=6) as two:
        assert (one, two) == ([BASE + 20], [BASE + 21])
        assert at_once(minors, parts=6) == (BASE + 20,)


def test_a_measurement_of_time_waits_until_nobody_shares_the_gpu() -> None:
    pool = pool_for(Resources(gpus=1, gpu_share=0.5), Discovery((gpu(BASE + 30, H100),), driver="535"))
    assert pool is not None
    got: list[float] = []

    def measure() -> None:
        with pool.lend(True, {}, threading.Event()) as lent:
            assert lent is not None
            assert (lent.minors, lent.use.share) == ((BASE + 30,), 1.0)
            got.append(time.monotonic())

    with ThreadPoolExecutor() as threads:
        with pool.lend(False, {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "SECRET": "x"}, threading.Event()) as shared:
            assert shared is not None
            assert shared.use.share == 0.5
            assert shared.use.variables == {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
            waiting = threads.submit(measure)
            time.sleep(0.4)
            assert not waiting.done()
            ended = time.monotonic()
        waiting.result(10)
    assert got[0] >= ended


def test_what_a_thread_runs_on_gpus_lent_to_it_waits_for_nobody() -> None:
    cancel = threading.Event()
    with slots.lend_gpus([BASE + 40], 1, cancel) as lent, slots.hold_gpus(lent, cancel) as locks:
        assert len(locks) == 1
        with ThreadPoolExecutor() as threads:  # another thread is another run
            waits = threads.submit(lambda: at_once([BASE + 40]))
            assert waits.result() == ()
    with slots.hold_gpus((BASE + 40,), cancel) as locks:
        assert len(locks) == 1
        assert at_once([BASE + 40]) == ()


def test_waiting_ends_when_it_is_cancelled() -> None:
    cancel = threading.Event()
    with other_process([BASE + 50]):
        threading.Timer(0.3, cancel.set).start()
        with slots.lend_gpus([BASE + 50], 1, cancel) as lent:
            assert lent == ()


RUN = """
import sys, threading
from pathlib import Path
from sandbox import slots
from sandbox.bubblewrap import Bubblewrap
from sandbox.contract import Limits, RunSpec
folder, minor = Path(sys.argv[1]), int(sys.argv[2])
(folder / "out").mkdir()
with slots.lend_gpus([minor], 1, threading.Event()) as lent:
    spec = RunSpec("held", ("sleep", "30"), folder / "out", Limits(wall_s=60), gpus=lent)
    Bubblewrap(folder).run(spec, threading.Event())
"""


def holders(minor: int) -> set[int]:
    """Processes that have the GPU's lock open."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if entry.readlink().name == f"gpu-{minor}":
                found.add(int(entry.parts[2]))
        except OSError:
            continue
    return found


def wait_for(what: Callable[[], object]) -> bool:
    deadline = time.monotonic() + 20
    while not what() and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(what())


def test_a_lent_gpu_is_held_by_the_runs_supervisor_too_and_free_when_all_are_gone(tmp_path: Path) -> None:
    make("bwrap", tmp_path / "state")  # skips, or fails, where there is no sandbox
    minor = BASE + 60
    with subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path), str(minor)], cwd=ROOT) as process:
        try:
            assert wait_for(lambda: len(holders(minor)) == 2), holders(minor)
            assert at_once([minor]) == ()
        finally:
            process.kill()
    assert wait_for(lambda: at_once([minor]) == (minor,))
    assert holders(minor) == set()


# -- which GPUs a night has ---------------------------------------------------------------------------------


def gpu(minor: int, model: str) -> Gpu:
    return Gpu(index=minor, minor=minor, uuid=f"GPU-{minor}", model=model, memory_mib=81559, used_mib=0)


MIXED = Discovery((gpu(0, A100), gpu(1, H100), gpu(2, H100), gpu(3, A100), gpu(4, H100)), driver="535")


def pool(**resources: object) -> GpuPool:
    made = pool_for(Resources.model_validate(resources), MIXED)
    assert made is not None
    return made


def test_of_several_models_the_one_that_most_gpus_are_is_used_and_said() -> None:
    chosen = pool(gpus=1)
    assert [gpu.minor for gpu in chosen.gpus] == [1, 2, 4]
    assert chosen.note == f"runs use 3 {H100} of 2 {A100}, 3 {H100}: only GPUs of one model are paired"
    declared = pool(gpus=1, gpu_model=A100)
    assert [gpu.minor for gpu in declared.gpus] == [0, 3]


@pytest.mark.parametrize(
    ("resources", "fit"), [({}, 3), ({"gpus": 2}, 1), ({"gpu_share": 0.5}, 6), ({"gpu_share": 0.33}, 9)]
)
def test_as_many_runs_fit_as_groups_or_shares(resources: dict[str, object], fit: int) -> None:
    assert pool(**{"gpus": 1, **resources}).at_once == fit


@pytest.mark.parametrize(
    ("resources", "place", "found"),
    [
        ({"gpus": 4}, "resources.gpus", f"3 of 4 {H100} that resources.gpus asks for"),
        ({"gpus": 1, "gpu_model": "NVIDIA B200"}, "resources.gpu_model", "no NVIDIA B200 here"),
    ],
)
def test_too_few_gpus_are_refused(resources: dict[str, object], place: str, found: str) -> None:
    with pytest.raises(BadInput) as caught:
        pool(**resources)
    (problem,) = caught.value.problems
    assert problem.place == place
    assert found in problem.found


@pytest.mark.parametrize(
    "resources", [{"gpu_share": 0.5}, {"gpus": 2, "gpu_share": 0.5}, {"gpus": 1, "gpu_share": 0.7}, {"gpu_model": "X"}]
)
def test_shares_and_models_that_make_no_sense_are_refused(resources: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"gpu_"):
        Resources.model_validate(resources)


def test_how_busy_gpus_are_is_asked_of_the_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = FakeGpu(0, 0, busy="37"), FakeGpu(1, 1, busy="[N/A]")
    monkeypatch.setenv("PATH", install(tmp_path, [one, other]))
    assert utilisation([one.uuid, other.uuid]) == {one.uuid: 0.37}
