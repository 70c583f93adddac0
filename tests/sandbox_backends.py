"""The backends the sandbox tests run against, and what becomes of a test where one cannot be had."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from sandbox.bubblewrap import Bubblewrap
from sandbox.contract import Limits, Sandbox

BACKENDS: dict[str, tuple[str, Callable[[Path], Sandbox]]] = {"bwrap": ("bwrap", Bubblewrap)}
LIMITS = Limits(wall_s=20, memory_bytes=256 << 20, disk_bytes=64 << 20)


def absent(reason: str) -> NoReturn:
    """Skip, or fail where the environment says that the sandbox has to be there."""
    if "bwrap" in os.environ.get("REQUIRE_SANDBOX", ""):
        pytest.fail(f"REQUIRE_SANDBOX names bwrap, but {reason}")
    pytest.skip(reason)


def make(name: str, state: Path) -> Sandbox:
    """The backend, usable; the test is skipped or failed otherwise."""
    program, backend = BACKENDS[name]
    if shutil.which(program) is None:
        absent(f"{program} is not installed")
    sandbox = backend(state)
    capabilities = sandbox.doctor()
    if not capabilities.usable:
        absent("; ".join(capabilities.reasons))
    return sandbox
