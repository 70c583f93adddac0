"""The start-up check: all six packages must be this program's, wherever the command is started.

Run inside a target repository, a folder called `tools` or `registry` could stand before ours on the path.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from registry.errors import BadInput, Problem

PACKAGES = ("agent", "tools", "experiments", "sandbox", "registry", "prompts")


def check_packages() -> None:
    """BadInput unless all packages share one parent folder."""
    parents = {name: _parent(name) for name in PACKAGES}
    home = parents["agent"]
    if strangers := [f"{name} in {parent}" for name, parent in parents.items() if parent != home]:
        raise BadInput(
            Problem(
                "Python's path",
                f"{', '.join(strangers)}",
                f"all packages in {home}",
                fix="start `agent` by its own script, outside PYTHONPATH and without python -m",
            )
        )


def _parent(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).resolve().parent.parent if spec is not None and spec.origin else None
