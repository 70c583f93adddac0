"""Whether this host can make sandboxes of namespaces at all, and what mends it where it cannot.

Asked once before runs, by `sandbox.bubblewrap` and `sandbox.namespaces`; what a sandbox then contains is found out by
`sandbox.diagnosis`.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sandbox import bwrap_arguments, cgroups, seccomp

_OPTIONS = ("--size", "--disable-userns", "--perms", "--json-status-fd")
_SYSTEM = ("--proc", "/proc", "--dev", "/dev")
_PROBE_S = 10.0


@dataclass(frozen=True, slots=True)
class Host:
    """What the host offers; `reasons` is empty where sandboxes can be had."""

    program: bwrap_arguments.Program
    as_root: bool
    groups: cgroups.Parents | None
    reasons: tuple[str, ...] = ()

    def other_tasks(self) -> int:
        """Tasks of this user that the process limit would count too: before Linux 5.14 it knew no namespaces."""
        if linux_release() >= (5, 14):
            return 0
        mine = (path for path in Path("/proc").glob("[0-9]*/task") if path.stat().st_uid == os.getuid())
        return sum(len(list(path.iterdir())) for path in mine)


def linux_release() -> tuple[int, ...]:
    """Major and minor number of the running kernel."""
    return tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2] if part.isdigit())


def examine() -> Host:
    """Find bwrap, its options, the control groups, and whether the smallest sandbox starts."""
    as_root = os.geteuid() == 0
    path = shutil.which("bwrap")
    if path is None:
        fix = "apt-get install bubblewrap" if as_root else "sudo apt-get install bubblewrap"
        return Host(bwrap_arguments.Program("", "", frozenset()), as_root, None, (f"bwrap is not installed: {fix}",))
    text = _output([path, "--help"])
    version = _output([path, "--version"]).strip()
    program = bwrap_arguments.Program(path, version, frozenset(option for option in _OPTIONS if option in text))
    reasons: list[str] = []
    if not {"--perms", "--json-status-fd"} <= program.options:
        reasons.append(f"{version} is too old, 0.5 or newer is needed: apt-get install --only-upgrade bubblewrap")
    reasons += missing_parts(as_root)
    if not reasons:
        reasons += refusal("bwrap", [path, *smallest(as_root), "--ro-bind", "/", "/", *_SYSTEM, "/bin/true"], as_root)
    return Host(program, as_root, cgroups.find() if not reasons else None, tuple(reasons))


def smallest(as_root: bool) -> list[str]:
    """The namespaces without which there is no sandbox."""
    return [*([] if as_root else ["--unshare-user"]), "--unshare-pid", "--unshare-net", "--unshare-ipc"]


def missing_parts(as_root: bool) -> list[str]:
    """What every sandbox of ours needs of the host, beside the program that makes it, and what is not there."""
    reasons: list[str] = []
    if platform.machine() not in seccomp.AUDIT_ARCHITECTURES:
        reasons.append(f"no system call filter is known for {platform.machine()}: use a host with x86_64 or aarch64")
    tools = (bwrap_arguments.SETPRIV if as_root else bwrap_arguments.PRLIMIT, bwrap_arguments.ENV)
    missing = [tool for tool in tools if not Path(tool).exists()]
    return reasons + [f"{tool} is missing: apt-get install util-linux coreutils" for tool in missing]


def refusal(name: str, command: list[str], as_root: bool) -> list[str]:
    """Why the smallest sandbox does not start, with what mends it; empty where it does."""
    try:
        result = subprocess.run(command, capture_output=True, timeout=_PROBE_S, check=False)
    except subprocess.TimeoutExpired:
        return [f"{name} did not come back within {_PROBE_S:g} s: {_mending(as_root)}"]
    if result.returncode == 0:
        return []
    said = result.stderr.decode(errors="replace").strip().splitlines()
    return [f"{name} does not start ({said[-1][:200] if said else result.returncode}): {_mending(as_root)}"]


def _mending(as_root: bool) -> str:
    """The command that most likely lets namespaces be made here."""
    if as_root:
        return "give this container the right to make namespaces, e.g. docker run --privileged, or run on the host"
    switches = {
        "kernel/unprivileged_userns_clone": ("0", "sudo sysctl kernel.unprivileged_userns_clone=1"),
        "kernel/apparmor_restrict_unprivileged_userns": (
            "1",
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        "user/max_user_namespaces": ("0", "sudo sysctl user.max_user_namespaces=10000"),
    }
    for name, (bad, fix) in switches.items():
        path = Path("/proc/sys", name)
        if path.is_file() and path.read_text(encoding="ascii").strip() == bad:
            return fix
    return "run as root, or let this user make user namespaces: sudo sysctl user.max_user_namespaces=10000"


def _output(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, timeout=_PROBE_S, check=False, text=True)
    return result.stdout + result.stderr
