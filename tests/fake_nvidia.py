"""A program `nvidia-smi` for machines without a GPU: the real tool's questions, answers and refusals.

Real runs find it on PATH and start it like the real one. The driver's text files can be made beside it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

H100, A100 = "NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB"
PROGRAM = """\
#!$python -IS
import json, sys
from pathlib import Path

said = json.loads(Path(__file__).with_name("gpus.json").read_text())
gpus, unknown = said["gpus"], said["unknown"]
if said["fails"]:
    print(said["fails"])
    raise SystemExit(9)
if sys.argv[1:] == ["-q", "-x"]:
    print('<?xml version="1.0" ?>')
    print('<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">')
    print("<nvidia_smi_log>")
    for gpu in gpus:
        print(f"<gpu id=\\"{gpu['bus']}\\"><uuid>{gpu['uuid']}</uuid><minor_number>{gpu['minor']}</minor_number></gpu>")
    print("</nvidia_smi_log>")
    raise SystemExit
query = next(word for word in sys.argv if word.startswith("--query-gpu="))
assert "--format=csv,noheader,nounits" in sys.argv
KNOWN = {
    "index": "index", "uuid": "uuid", "pci.bus_id": "bus", "memory.total": "memory", "memory.used": "used",
    "driver_version": "driver", "mig.mode.current": "mig", "name": "model", "utilization.gpu": "busy",
}
fields = query.partition("=")[2].split(",")
for field in fields:
    if field not in KNOWN or field in unknown:
        print(f'Field "{field}" is not a valid field to query.\\n')
        raise SystemExit(2)
if not gpus:
    print("No devices were found")
for gpu in gpus:
    print(", ".join(str(gpu[KNOWN[field]]) for field in fields))
"""


@dataclass(frozen=True)
class FakeGpu:
    """One GPU as the tool tells it."""

    index: int
    minor: int
    model: str = H100
    memory: str = "81559"
    used: str = "4"
    mig: str = "Disabled"
    driver: str = "535.129.03"
    busy: str = "0"

    @property
    def uuid(self) -> str:
        return f"GPU-{self.minor:08x}-aaaa-bbbb-cccc-{self.index:012x}"

    @property
    def bus(self) -> str:
        return f"00000000:{0x1B + 0x10 * self.index:02X}:00.0"


def install(folder: Path, gpus: Sequence[FakeGpu], fails: str = "", unknown: Sequence[str] = ()) -> str:
    """Write the program into a folder; returns the PATH on which it comes first."""
    folder.mkdir(parents=True, exist_ok=True)
    told = [{**asdict(gpu), "uuid": gpu.uuid, "bus": gpu.bus} for gpu in gpus]
    (folder / "gpus.json").write_text(json.dumps({"gpus": told, "fails": fails, "unknown": list(unknown)}))
    program = folder / "nvidia-smi"
    program.write_text(PROGRAM.replace("$python", getattr(sys, "_base_executable", sys.executable)))
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def driver_files(folder: Path, gpus: Sequence[FakeGpu], uuids: bool = True) -> Path:
    """What the driver tells under /proc/driver/nvidia/gpus; without `uuids`, as it does before it has read them."""
    for gpu in gpus:
        place = folder / gpu.bus.lower().removeprefix("0000")
        place.mkdir(parents=True)
        uuid = gpu.uuid if uuids else "GPU-????????-????-????-????-????????????"
        place.joinpath("information").write_text(
            f"Model: \t\t {gpu.model}\nIRQ:   \t\t 204\nGPU UUID: \t {uuid}\nVideo BIOS: \t 96.00.74.00.01\n"
            f"Bus Type: \t PCIe\nBus Location: \t {place.name}\nDevice Minor: \t {gpu.minor}\nGPU Excluded:\t No\n"
        )
    return folder


def device_files(folder: Path, minors: Sequence[int]) -> Path:
    folder.mkdir()
    for name in ("nvidiactl", "nvidia-uvm", *(f"nvidia{minor}" for minor in minors)):
        (folder / name).touch()
    return folder
