"""What a run is shown of the NVIDIA GPUs it is given: device files, the driver's library, names for CUDA.

A GPU is named by its device minor (the N of /dev/nvidiaN). Called by `sandbox.bwrap_arguments` and by diagnosis;
which GPUs there are is `sandbox.gpu_discovery`'s to say.
"""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

from sandbox import gpu_discovery
from sandbox.gpu_discovery import described, discover

_COMMON = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")
_LIBRARY = "libcuda.so.1"
_LIBRARY_FOLDERS = ("/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/lib/wsl/lib")
"""Where containers have the driver's library without telling the loader, but by a variable that no run inherits."""


def devices(wanted: tuple[int, ...]) -> list[str]:
    """Device files for these GPUs; the other GPUs of the host stay out of sight."""
    return [f"/dev/{name}" for name in _COMMON] + [f"/dev/nvidia{minor}" for minor in wanted]


def present() -> list[int]:
    """Minors of the GPUs this host has."""
    return sorted(int(path.name[6:]) for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit())


def visible(wanted: tuple[int, ...], driver: Path | None = None) -> list[str]:
    """Words for CUDA_VISIBLE_DEVICES.

    UUIDs where the driver or its tool tells them, because inside, where only some device files exist, CUDA counts
    anew from nought; that count is the fallback.
    """
    driver = gpu_discovery.DRIVER if driver is None else driver
    uuids = {one.minor: one.uuid for one in described(driver) if one.uuid}
    if not all(minor in uuids for minor in wanted):
        uuids = _listed(os.environ.get("PATH", os.defpath), driver) | uuids
    if all(minor in uuids for minor in wanted):
        return [uuids[minor] for minor in wanted]
    return [str(index) for index in range(len(wanted))]


def variables(wanted: tuple[int, ...]) -> dict[str, str]:
    """What a run with these GPUs has in its environment because of them."""
    values = {"CUDA_VISIBLE_DEVICES": ",".join(visible(wanted)), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    if folder := library_folder(os.environ.get("LD_LIBRARY_PATH", "")):
        values["LD_LIBRARY_PATH"] = folder
    return values


@functools.lru_cache(maxsize=8)
def library_folder(search: str) -> str:
    """The folder of the driver's library where the loader's cache does not know it; empty where it does.

    `search` is a list of folders as in LD_LIBRARY_PATH.
    """
    try:
        known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=False).stdout
    except OSError:
        known = ""
    if _LIBRARY in known:
        return ""
    folders = [*(folder for folder in search.split(":") if folder.startswith("/")), *_LIBRARY_FOLDERS]
    return next((folder for folder in folders if Path(folder, _LIBRARY).exists()), "")


@functools.lru_cache(maxsize=8)
def _listed(path: str, driver: Path) -> dict[int, str]:
    """Minor → UUID as the tool on this PATH tells it; asked once, because every run needs it."""
    return {gpu.minor: gpu.uuid for gpu in discover({"PATH": path}, driver).gpus}
