"""NVIDIA devices of this host: which device files a run needs, and what CUDA is told about them.

A GPU is named by its device minor (the N of /dev/nvidiaN). Called by `sandbox.bwrap_arguments` and doctor.
"""

from __future__ import annotations

from pathlib import Path

_COMMON = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")
_DRIVER = Path("/proc/driver/nvidia/gpus")


def devices(wanted: tuple[int, ...]) -> list[str]:
    """Device files for these GPUs; the other GPUs of the host stay out of sight."""
    return [f"/dev/{name}" for name in _COMMON] + [f"/dev/nvidia{minor}" for minor in wanted]


def present() -> list[int]:
    """Minors of the GPUs this host has."""
    return sorted(int(path.name[6:]) for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit())


def visible(wanted: tuple[int, ...], driver: Path = _DRIVER) -> list[str]:
    """Words for CUDA_VISIBLE_DEVICES.

    UUIDs where the driver tells them, because inside, where only some device files exist, CUDA counts anew from
    nought; that count is the fallback.
    """
    uuids: dict[int, str] = {}
    for information in driver.glob("*/information"):
        fields = dict(
            line.split(":", 1) for line in information.read_text(errors="replace").splitlines() if ":" in line
        )
        minor, uuid = fields.get("Device Minor", "").strip(), fields.get("GPU UUID", "").strip()
        if minor.isdigit() and uuid.startswith("GPU-") and "?" not in uuid:
            uuids[int(minor)] = uuid
    if all(minor in uuids for minor in wanted):
        return [uuids[minor] for minor in wanted]
    return [str(index) for index in range(len(wanted))]
