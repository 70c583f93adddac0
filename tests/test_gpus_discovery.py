"""Which GPUs a host has, as nvidia-smi, the driver's files, the device files and CUDA_VISIBLE_DEVICES tell together."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_nvidia import A100, H100, FakeGpu, device_files, driver_files, install

from sandbox import gpu_discovery, gpus
from sandbox.gpu_discovery import Discovery, discover

# The driver counts its minors in the order in which it met the GPUs, which need not be that of the bus.
FOUR = [FakeGpu(index, minor) for index, minor in enumerate((2, 3, 0, 1))]


def found(
    tmp_path: Path, listed: list[FakeGpu], *, visible: str | None = None, fails: str = "", unknown: tuple[str, ...] = ()
) -> Discovery:
    environment = {"PATH": install(tmp_path / "tool", listed, fails, unknown)}
    if visible is not None:
        environment["CUDA_VISIBLE_DEVICES"] = visible
    nothing = tmp_path / "nothing"
    driver, devices = (path if path.is_dir() else nothing for path in (tmp_path / "driver", tmp_path / "dev"))
    return discover(environment, driver, devices)


def test_gpus_have_the_minor_that_the_driver_gives_their_place_on_the_bus(tmp_path: Path) -> None:
    driver_files(tmp_path / "driver", FOUR, uuids=False)
    listed = found(tmp_path, FOUR)
    assert [(gpu.index, gpu.minor, gpu.uuid) for gpu in listed.gpus] == [(g.index, g.minor, g.uuid) for g in FOUR]
    assert (listed.gpus[0].model, listed.gpus[0].memory_mib, listed.gpus[0].used_mib) == (H100, 81559, 4)
    assert (listed.driver, listed.why) == ("535.129.03", "")


def test_without_the_drivers_files_the_tools_long_answer_tells_the_minors(tmp_path: Path) -> None:
    assert [gpu.minor for gpu in found(tmp_path, FOUR).gpus] == [2, 3, 0, 1]


def test_the_only_device_file_is_the_only_gpus(tmp_path: Path) -> None:
    device_files(tmp_path / "dev", [5])
    quiet = FakeGpu(0, minor=-1)  # the long answer says N/A or nothing for it
    assert [gpu.minor for gpu in found(tmp_path, [quiet]).gpus] == [5]


def test_a_gpu_that_nobody_can_place_is_left_out(tmp_path: Path) -> None:
    listed = found(tmp_path, [FakeGpu(0, -1), FakeGpu(1, 1)])
    assert [gpu.index for gpu in listed.gpus] == [1]
    assert "nobody says which /dev/nvidia* is GPU 0" in listed.why


def test_a_gpu_whose_device_file_is_not_in_this_container_is_left_out(tmp_path: Path) -> None:
    device_files(tmp_path / "dev", [2, 0])
    listed = found(tmp_path, FOUR)
    assert [gpu.minor for gpu in listed.gpus] == [2, 0]
    assert "nvidia3, which is not here" in listed.why


def test_a_gpu_divided_by_mig_is_left_out_with_the_command_that_joins_it(tmp_path: Path) -> None:
    listed = found(tmp_path, [FakeGpu(0, 0, mig="Enabled"), FakeGpu(1, 1, mig="[N/A]")])
    assert [gpu.index for gpu in listed.gpus] == [1]
    assert "nvidia-smi -i 0 -mig 0" in listed.why


def test_a_driver_that_does_not_know_mig_is_asked_again_without_it(tmp_path: Path) -> None:
    listed = found(tmp_path, FOUR, unknown=("mig.mode.current",))
    assert (len(listed.gpus), listed.why) == (4, "")


@pytest.mark.parametrize(
    ("visible", "indices", "why"),
    [
        ("0", [0], "CUDA_VISIBLE_DEVICES='0'"),
        (" 3 , 1", [1, 3], "CUDA_VISIBLE_DEVICES"),
        ("0,1,2,3", [0, 1, 2, 3], ""),
        ("", [], "CUDA_VISIBLE_DEVICES=''"),
        ("-1", [], "CUDA_VISIBLE_DEVICES='-1'"),
        ("NoDevFiles", [], "CUDA_VISIBLE_DEVICES='NoDevFiles'"),
        ("1,7,2", [1], "no GPU '7', and CUDA reads no further"),
        ("1,1", [1], "no GPU '1', and CUDA reads no further"),
        (FOUR[2].uuid, [2], "CUDA_VISIBLE_DEVICES"),
        ("GPU-00000003", [1], "CUDA_VISIBLE_DEVICES"),
        ("GPU-0000", [], "no GPU 'GPU-0000'"),
        ("MIG-a1b2c3", [], "no GPU 'MIG-a1b2c3'"),
    ],
)
def test_cuda_visible_devices_is_kept_to(tmp_path: Path, visible: str, indices: list[int], why: str) -> None:
    listed = found(tmp_path, FOUR, visible=visible)
    assert [gpu.index for gpu in listed.gpus] == indices
    assert why in listed.why
    assert bool(why) == bool(listed.why)


def test_what_is_wrong_with_the_tool_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = {"PATH": str(tmp_path / "empty")}
    assert discover(nowhere) == Discovery(why="no nvidia-smi on PATH")
    trouble = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    assert found(tmp_path, FOUR, fails=trouble) == Discovery(why=f"nvidia-smi: {trouble}")
    assert found(tmp_path, []).why == "nvidia-smi: No devices were found"
    monkeypatch.setattr(gpu_discovery, "ANSWERS_WITHIN_S", 0.3)
    slow = tmp_path / "slow" / "nvidia-smi"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    assert "did not answer within 0.3 s" in discover({"PATH": f"{slow.parent}:/usr/bin:/bin"}).why


def test_a_lost_gpu_hides_no_other(tmp_path: Path) -> None:
    listed = found(tmp_path, [FakeGpu(0, 0, memory="[Unknown Error]"), FakeGpu(1, 1, model=A100)])
    assert [(gpu.index, gpu.memory_mib, gpu.model) for gpu in listed.gpus] == [(0, 0, H100), (1, 81559, A100)]


def test_runs_are_told_uuids_by_the_tool_where_the_driver_does_not_tell_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", install(tmp_path / "tool", FOUR))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # of the orchestrator, and nothing to a run that has its GPU
    by_minor = {gpu.minor: gpu.uuid for gpu in FOUR}
    assert gpus.visible((3, 0), tmp_path / "nothing") == [by_minor[3], by_minor[0]]
    told = gpus.variables((1,))
    assert (told["CUDA_VISIBLE_DEVICES"], told["CUDA_DEVICE_ORDER"]) == (by_minor[1], "PCI_BUS_ID")


def test_the_drivers_library_is_found_where_only_a_variable_tells_it(tmp_path: Path) -> None:
    (tmp_path / "libcuda.so.1").touch()
    if gpus.library_folder("") == "":
        assert gpus.library_folder(f"relative:{tmp_path / 'empty'}:{tmp_path}") == str(tmp_path)
