"""Which NVIDIA GPUs runs on this host may use, and why there are none or fewer than there might be.

The driver's own tool is asked (`nvidia-smi`), `CUDA_VISIBLE_DEVICES` of the orchestrator is kept to, and each GPU is
given its device minor (the N of /dev/nvidiaN), which neither the tool's index nor CUDA's count has to equal. Called
by `experiments.gpu_pool`, by `sandbox.gpus` and by doctor. It never raises for what a host lacks: the reason is in
the answer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

DRIVER = Path("/proc/driver/nvidia/gpus")
DEVICES = Path("/dev")
ANSWERS_WITHIN_S = 30.0
"""Without persistence mode the driver starts every GPU anew when it is asked, seconds for each."""
_TOOL_FOLDERS = ("/usr/local/nvidia/bin", "/usr/lib/wsl/lib")
"""Where containers have the tool off PATH."""
_FIELDS = ("index", "uuid", "pci.bus_id", "memory.total", "memory.used", "driver_version")
_LATER = "mig.mode.current"
"""A field that drivers before 450 do not know and refuse the whole question for."""
_HIDDEN = frozenset({"", "-1", "none", "void", "nodevfiles"})


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU that a run may be given."""

    index: int
    """nvidia-smi's number: the order on the bus, CUDA's too with CUDA_DEVICE_ORDER=PCI_BUS_ID."""
    minor: int
    uuid: str
    model: str
    """Such as `NVIDIA H100 80GB HBM3`."""
    memory_mib: int
    """0 where the driver does not tell (memory shared with the CPU)."""
    used_mib: int


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found."""

    gpus: tuple[Gpu, ...] = ()
    why: str = ""
    """Why there is none, or why one that the host has is not among them; empty where nothing is missing."""
    driver: str = ""
    """Version of the driver."""


@dataclass(frozen=True, slots=True)
class _Listed:
    index: int
    uuid: str
    bus: str
    memory_mib: int
    used_mib: int
    driver: str
    divided: bool
    model: str


def discover(
    environment: Mapping[str, str] | None = None, driver: Path | None = None, devices: Path | None = None
) -> Discovery:
    """The GPUs of this host that this process may use, in the order of the bus.

    `environment` is the orchestrator's own where it is None, `driver` and `devices` are this host's.
    """
    driver = DRIVER if driver is None else driver
    devices = DEVICES if devices is None else devices
    variables = os.environ if environment is None else environment
    tool = shutil.which("nvidia-smi", path=os.pathsep.join([variables.get("PATH", os.defpath), *_TOOL_FOLDERS]))
    if tool is None:
        return Discovery(why="no nvidia-smi on PATH")
    listed, troubles = _ask(tool)
    if not listed:
        return Discovery(why="; ".join(troubles) or "nvidia-smi lists none")
    version = listed[0].driver
    asked = variables.get("CUDA_VISIBLE_DEVICES")
    if asked is not None:
        listed, trouble = _visible(listed, asked)
        troubles += trouble
    minors = _minors(tool, listed, driver, devices)
    present = {path.name for path in devices.glob("nvidia[0-9]*")}
    found = []
    for one in listed:
        minor = minors.get(one.uuid)
        if one.divided:
            fix = f"nvidia-smi -i {one.index} -mig 0"
            troubles.append(f"GPU {one.index} is divided by MIG, and runs get whole GPUs ({fix})")
        elif minor is None:
            troubles.append(f"nobody says which /dev/nvidia* is GPU {one.index}")
        elif present and f"nvidia{minor}" not in present:
            troubles.append(f"GPU {one.index} is {devices}/nvidia{minor}, which is not here")
        else:
            found.append(Gpu(one.index, minor, one.uuid, one.model, one.memory_mib, one.used_mib))
    return Discovery(tuple(sorted(found, key=lambda gpu: gpu.index)), "; ".join(troubles), version)


def _ask(tool: str) -> tuple[list[_Listed], list[str]]:
    """Every GPU that the tool lists, and what it says of the others."""
    rows, troubles = _table(tool, [*_FIELDS, _LATER, "name"])
    if not rows and any("not a valid field" in line for line in troubles):
        rows, troubles = _table(tool, [*_FIELDS, "name"])
    found = []
    for row in rows:
        index, uuid, bus, total, used, version, *mig, model = row
        if not index.isdigit() or not uuid.startswith("GPU-"):
            troubles.append(f"nvidia-smi: {', '.join(row)[:200]}")
            continue
        divided = mig == ["Enabled"]
        found.append(_Listed(int(index), uuid, _bus(bus), _whole(total), _whole(used), version, divided, model))
    return found, troubles


def query(tool: str, fields: Sequence[str]) -> tuple[list[str], str]:
    """Lines of the tool's answer about every GPU, numbers without units, or no line and why."""
    words = [tool, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(words, capture_output=True, text=True, timeout=ANSWERS_WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        return [], f"nvidia-smi did not answer within {ANSWERS_WITHIN_S:g} s"
    except OSError as error:
        return [], f"{tool} does not start: {error.strerror}"
    if said.returncode != 0:
        lines = (said.stdout + said.stderr).strip().splitlines() or [f"exit status {said.returncode}"]
        return [], f"nvidia-smi: {lines[0][:200]}"
    return [line.strip() for line in said.stdout.splitlines() if line.strip()], ""


def _table(tool: str, fields: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """Rows of as many cells as fields; a model's name comes last, for nothing quotes a comma in it."""
    lines, why = query(tool, fields)
    rows, troubles = [], [why] if why else []
    for line in lines:
        cells = [cell.strip() for cell in line.split(",", len(fields) - 1)]
        if len(cells) == len(fields):
            rows.append(cells)
        else:
            troubles.append(f"nvidia-smi: {line[:200]}")
    return rows, troubles


def _visible(listed: list[_Listed], asked: str) -> tuple[list[_Listed], list[str]]:
    """Those that CUDA_VISIBLE_DEVICES names, by number or by the beginning of a UUID; CUDA ends at the first unknown.

    Numbers are read in the order of the bus, which is CUDA's own too where the GPUs are of one model.
    """
    chosen: list[_Listed] = []
    setting = f"CUDA_VISIBLE_DEVICES={asked!r}"
    if asked.strip().lower() in _HIDDEN:
        return [], [setting]
    for word in (word.strip() for word in asked.split(",")):
        named = [one for one in listed if (one.index == int(word) if word.isdigit() else _begins(one.uuid, word))]
        if len(named) != 1 or named[0] in chosen:
            return chosen, [f"{setting}: no GPU {word!r}, and CUDA reads no further"]
        chosen.append(named[0])
    return chosen, [setting] if len(chosen) < len(listed) else []


def _begins(uuid: str, word: str) -> bool:
    return word.startswith("GPU-") and uuid.startswith(word)


def _minors(tool: str, listed: list[_Listed], driver: Path, devices: Path) -> dict[str, int]:
    """UUID → device minor: by the driver's own files, else by the tool's long answer, else where only one is left."""
    by_bus = {one.bus: one.minor for one in described(driver)}
    minors = {one.uuid: by_bus[one.bus] for one in listed if one.bus in by_bus}
    if len(minors) < len(listed):
        minors = dict(_long_answer(tool)) | minors
    files = [path.name[6:] for path in devices.glob("nvidia[0-9]*") if path.name[6:].isdigit()]
    if not minors and len(listed) == len(files) == 1:
        minors[listed[0].uuid] = int(files[0])
    return minors


@dataclass(frozen=True, slots=True)
class Described:
    """One GPU as the driver's file describes it."""

    bus: str
    minor: int
    uuid: str
    """Empty where the driver has not read it yet."""


def described(driver: Path) -> Iterator[Described]:
    """What `/proc/driver/nvidia/gpus/*/information` says; containers do not always have it."""
    for information in sorted(driver.glob("*/information")):
        try:
            lines = information.read_text(errors="replace").splitlines()
        except OSError:
            continue
        fields = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
        minor, uuid = fields.get("Device Minor", ""), fields.get("GPU UUID", "")
        if minor.isdigit():
            known = uuid.startswith("GPU-") and "?" not in uuid
            yield Described(_bus(information.parent.name), int(minor), uuid if known else "")


def _long_answer(tool: str) -> Iterator[tuple[str, int]]:
    try:
        said = subprocess.run([tool, "-q", "-x"], capture_output=True, timeout=ANSWERS_WITHIN_S, check=False)
        root = ET.fromstring(said.stdout)  # noqa: S314 - written by the driver's own tool
    except (OSError, subprocess.TimeoutExpired, ET.ParseError):
        return
    for gpu in root.iter("gpu"):
        uuid, minor = gpu.findtext("uuid", "").strip(), gpu.findtext("minor_number", "").strip()
        if minor.isdigit():
            yield uuid, int(minor)


def _bus(text: str) -> str:
    """A place on the bus in one spelling: the tool writes eight digits of the domain, the driver four."""
    domain, _, rest = text.strip().lower().partition(":")
    return f"{domain.lstrip('0')}:{rest}"


def _whole(text: str) -> int:
    return int(text) if text.isdigit() else 0
