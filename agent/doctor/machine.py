"""What the machine offers: Python, packages, git, sandbox, disk and clock.

Called by `agent.doctor.checkup`; GPUs have `agent.doctor.gpus`. Each check asks the machine itself, not what is
usual.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib import metadata
from pathlib import Path

from agent.doctor.findings import Finding, fail, ok, warn
from experiments.measuring import side_by_side
from registry.audit_events import read_events
from registry.locks import Clock
from registry.target import Target
from sandbox.contract import SandboxUnavailable

OLDEST_PYTHON, OLDEST_GIT = (3, 11), (2, 38)
SANE_YEARS = range(2025, 2100)
_SLOW_CLOCK = timedelta(minutes=1)
_ANSWERS_WITHIN_S = 10.0
_KEPT_RUNS = 100
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*([^;]*)(;.*)?")
_BOUND = re.compile(r"(>=|<=|==|!=|>|<)\s*(\d+(?:\.\d+)*)")


def python() -> Iterator[Finding]:
    """The interpreter that runs this program."""
    version = platform.python_version()
    wanted = ".".join(map(str, OLDEST_PYTHON))
    if sys.version_info[:2] < OLDEST_PYTHON:
        yield fail("python", f"{version} at {sys.executable}, {wanted} or newer is needed", f"use python{wanted}")
    else:
        yield ok("python", f"{version} at {sys.executable}")


def packages() -> Iterator[Finding]:
    """What this program depends on, against what is installed."""
    try:
        lines = metadata.requires("auto-benchmark") or []
    except metadata.PackageNotFoundError:
        yield warn(
            "packages", "auto-benchmark is not installed here, so its requirements are unknown", "pip install -e ."
        )
        return
    required = [line for line in lines if "extra ==" not in line]
    if wrong := [trouble for line in required if (trouble := _unmet(line))]:
        yield fail("packages", "; ".join(wrong), "pip install --upgrade auto-benchmark")
    else:
        yield ok("packages", f"all {len(required)} that are required")


def _unmet(requirement: str) -> str:
    """What is wrong with one requirement; empty where it is met."""
    match = _REQUIREMENT.match(requirement)
    if match is None:
        return ""
    name, bounds = match[1], match[2]
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is missing"
    have = _numbers(installed)
    for sign, bound in _BOUND.findall(bounds):
        want = _numbers(bound)
        if (sign == ">=" and have < want) or (sign == "<" and have >= want) or (sign == "==" and have != want):
            return f"{name} {installed}, {bounds.strip()} is required"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(?:\.\d+)*", version)
    parts = [int(part) for part in match[0].split(".")] if match else [0]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def git() -> Iterator[Finding]:
    """The git on PATH."""
    path = shutil.which("git")
    if path is None:
        yield fail("git", "no git on PATH", "apt-get install git")
        return
    said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_ANSWERS_WITHIN_S, check=False)
    match = re.search(r"(\d+)\.(\d+)\S*", said.stdout)
    if match is None:
        yield fail("git", f"{path} does not say its version", "apt-get install --reinstall git")
    elif (int(match[1]), int(match[2])) < OLDEST_GIT:
        yield fail("git", f"{match[0]}, 2.38 or newer is needed", "apt-get install --only-upgrade git")
    else:
        yield ok("git", f"{match[0]} at {path}")


def sandbox(state: Path | None, image: str | None = None, allow_weak: bool = False) -> Iterator[Finding]:
    """The backend that runs candidates, and each capability as it was measured just now."""
    from sandbox.backends import WEAK_HINT, choose

    with tempfile.TemporaryDirectory(prefix="agent-doctor-") as folder:
        try:
            capabilities = choose(state or Path(folder), image=image, allow_weak=allow_weak).doctor()
        except SandboxUnavailable as error:
            for line in str(error).splitlines()[1:]:
                reason, _, fix = line.rpartition(": ")
                yield (warn if line == WEAK_HINT else fail)("sandbox", reason or line, fix)
            return
    found = f"{capabilities.backend}, isolation {capabilities.isolation}"
    if capabilities.isolation == "weak":
        yield warn("sandbox", f"{found}: nothing will be promoted", "apt-get install bubblewrap")
    else:
        yield ok("sandbox", found)
    for item in capabilities.items:
        contained = item.level not in {"no", "none"} or item.name == "GPU"
        yield (ok if contained else fail)(f"sandbox: {item.name}", f"{item.level}: {item.why}")


def capacity(target: Target | None) -> Iterator[Finding]:
    """CPUs and memory of this machine against what one run is declared to use."""
    cpus = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found = f"{cpus} CPUs and {_size(memory)}"
    if target is None:
        yield ok("CPUs, memory", found)
        return
    wanted, room = target.resources.cpus, target.resources.memory
    if wanted > cpus:
        fix = f"set resources.cpus in target.yaml to {cpus} or fewer"
        yield warn("CPUs, memory", f"{cpus} CPUs, and resources.cpus asks for {wanted}: runs take longer", fix)
    if room > memory:
        fix = f"set resources.memory in target.yaml to less than {_size(memory)}"
        yield warn("CPUs, memory", f"{_size(memory)}, and resources.memory allows a run {_size(room)}", fix)
    if wanted <= cpus and room <= memory:
        yield ok("CPUs, memory", f"{found}; a run may use {wanted} and {_size(room)}")


def disk(folder: Path, target: Target | None) -> Iterator[Finding]:
    """Free space against what the runs of a night may leave."""
    free = shutil.disk_usage(folder).free
    if target is None:
        yield ok("disk", f"{_size(free)} free at {folder}")
        return
    each = target.resources.disk
    at_once = each * side_by_side(target.resources.cpus, target.resources.memory)
    runs = target.budget.runs or _KEPT_RUNS
    found = f"{_size(free)} free at {folder}; a run may leave {_size(each)}"
    fix = "free some space, put the workspace on another disk, or lower resources.disk in target.yaml"
    if free < at_once:
        yield fail("disk", f"{found}, and those side by side {_size(at_once)}", fix)
    elif free < each * runs:
        yield warn("disk", f"{found}, so {free // each} runs are sure to fit and not {runs}", fix)
    else:
        yield ok("disk", f"{found}, {runs} runs {_size(each * runs)}")


def _size(number: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def clock(log: Path | None, now: Clock) -> Iterator[Finding]:
    """Whether the time makes sense by itself and beside the log's last event."""
    time = now()
    fix = "timedatectl set-ntp true"
    if time.year not in SANE_YEARS:
        yield fail("clock", f"{time.isoformat(timespec='seconds')}, which cannot be", fix)
        return
    last = ""
    if log is not None and log.exists():
        for event in read_events(log):
            last = event.time
    if last and datetime.fromisoformat(last) > time + _SLOW_CLOCK:
        yield fail("clock", f"{time.isoformat(timespec='seconds')}, before the log's last event ({last})", fix)
    else:
        yield ok("clock", time.isoformat(timespec="seconds"))
