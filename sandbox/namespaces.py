"""The backend for hosts without bubblewrap: the same namespaces made by our own calls, with Landlock behind them.

Implements `sandbox.contract.Sandbox`; made by `sandbox.backends.choose` where a person allows a weak sandbox. Weak
not for a way out that is known but because its set-up is ours alone, and nobody else has looked for one: what was
measured in it never promotes anything.
"""

from __future__ import annotations

import os
from dataclasses import replace

from sandbox import bwrap_arguments, cgroups, landlock, launcher
from sandbox.contract import Capabilities, Capability, Isolation
from sandbox.hosts import Host, linux_release, missing_parts, refusal, smallest
from sandbox.supervised import Supervised
from sandbox.supervisors import INTERPRETER, PACKAGE_PARENT

OLDEST_LINUX = (5, 12)
"""The first that sets the attributes of a whole tree of mounts in one call."""
_START = "import sys; sys.path.append(sys.argv[1]); from sandbox.launcher import main; main()"
_SYSTEM = ("--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/")


class Namespaces(Supervised):
    """Runs commands in namespaces of our own making; `state` is a folder for the markers of its runs."""

    name = "namespaces"
    isolation: Isolation = "weak"

    def examine(self) -> Host:
        """Start the smallest sandbox; there is nothing to be installed that could be missing."""
        as_root = os.geteuid() == 0
        program = bwrap_arguments.Program("", f"namespaces 1, Landlock {landlock.usable_version()}", launcher.OPTIONS)
        reasons = missing_parts(as_root)
        if linux_release() < OLDEST_LINUX:
            wanted = ".".join(map(str, OLDEST_LINUX))
            reasons.append(f"Linux {'.'.join(map(str, linux_release()))} is too old: use a host with {wanted} or newer")
        if not reasons:
            start = [INTERPRETER, "-I", "-S", "-c", _START, PACKAGE_PARENT]
            reasons += refusal("the smallest sandbox", [*start, *smallest(as_root), *_SYSTEM], as_root)
        return Host(program, as_root, cgroups.find() if not reasons else None, tuple(reasons))

    def doctor(self) -> Capabilities:
        """Beside what every backend finds out: whether the second layer is there. Without it the first one stands."""
        found = super().doctor()
        return replace(found, items=(*found.items, _second_layer())) if found.items else found


def _second_layer() -> Capability:
    version = landlock.usable_version()
    if version:
        return Capability(
            "Landlock", "yes", f"version {version}: what the mounts do not show stays closed without them"
        )
    return Capability(
        "Landlock", "absent", "this kernel has none of version 2 or newer; the mounts alone keep files apart"
    )
