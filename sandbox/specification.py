"""Checks a `RunSpec` before anything is started: every problem at once, each with its place.

Called by every backend first, so that a specification that makes no sense fails the same way everywhere.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from registry.errors import BadInput, Problem
from sandbox.contract import Limits, RunSpec

_RESERVED = ("/bin", "/code", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/sbin", "/sys", "/usr")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_ARGUMENTS = 100_000


_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}")


def check(spec: RunSpec, *, runs_images: bool = False, builds: bool = False) -> None:
    """BadInput with every problem of the specification; None where there is none.

    `builds` is said by a backend that can do what only builds of environments ask for.
    """
    problems = [*_command(spec), *_folders(spec), *_environment(spec), *_limits(spec.limits)]
    problems += _image(spec, runs_images)
    if not builds and (spec.network or spec.out_in_place):
        problems.append(("a build of an environment", "a backend that can build: bwrap", "network, out_in_place"))
    if problems:
        raise BadInput(*(Problem(f"run {spec.run_id[:64]!a}", *problem) for problem in problems))


_Complaint = tuple[str, str, str]
"""Found, expected, place."""


def _command(spec: RunSpec) -> Iterator[_Complaint]:
    if not spec.argv or not spec.argv[0]:
        yield "no command", "a program and its arguments", "argv"
    if any("\0" in word for word in spec.argv):
        yield "a NUL character", "arguments without NUL", "argv"
    if sum(len(word) for word in spec.argv) > _MAX_ARGUMENTS:
        yield "arguments that are too long", f"at most {_MAX_ARGUMENTS} characters together", "argv"


def _folders(spec: RunSpec) -> Iterator[_Complaint]:
    if spec.out.is_symlink() or not spec.out.is_dir():
        yield f"{spec.out}", "an existing folder", "out"
    elif spec.out.resolve() in (Path("/"), Path.home()):
        yield f"{spec.out}", "a folder of the run's own", "out"
    if spec.code is not None and not spec.code.is_dir():
        yield f"{spec.code}", "an existing folder", "code"
    seen: list[PurePosixPath] = []
    for index, mount in enumerate(spec.mounts):
        place = f"mounts[{index}]"
        if not mount.host.exists():
            yield f"{mount.host}", "an existing file or folder", f"{place}.host"
        inside = PurePosixPath(mount.inside)
        if not inside.is_absolute() or mount.inside != os.path.normpath(mount.inside) or "\0" in mount.inside:
            yield ascii(mount.inside), "an absolute path without ..", f"{place}.inside"
        elif inside == PurePosixPath("/") or inside in map(PurePosixPath, ("/work", "/tmp")):  # noqa: S108 - inside
            yield mount.inside, "a place of its own", f"{place}.inside"
        elif any(inside.is_relative_to(top) for top in (*_RESERVED, "/work")):
            yield mount.inside, f"a place outside {', '.join((*_RESERVED, '/work'))}", f"{place}.inside"
        if other := next((other for other in seen if _overlap(inside, other)), None):
            yield f"{inside} beside {other}", "places that do not lie in each other", f"{place}.inside"
        seen.append(inside)


def _overlap(first: PurePosixPath, second: PurePosixPath) -> bool:
    return first.is_relative_to(second) or second.is_relative_to(first)


def _environment(spec: RunSpec) -> Iterator[_Complaint]:
    for name, value in spec.environment.items():
        if not _VARIABLE.fullmatch(name):
            yield ascii(name), "a name of letters, digits and underscores", "environment"
        elif "\0" in value:
            yield "a NUL character", "text without NUL", f"environment.{name}"
    if any(minor < 0 for minor in spec.gpus) or len(set(spec.gpus)) != len(spec.gpus):
        yield f"{spec.gpus}", "each GPU once, counted from 0", "gpus"


def _image(spec: RunSpec, runs_images: bool) -> Iterator[_Complaint]:
    if spec.image is None:
        return
    if not runs_images:
        yield f"{spec.image[:200]!a}", "no image: this backend runs none, the docker backend does", "image"
    elif not _IMAGE.fullmatch(spec.image):
        yield f"{spec.image[:200]!a}", "an image by digest, such as name@sha256: and 64 hexadecimal digits", "image"


def _limits(limits: Limits) -> Iterator[_Complaint]:
    for name in ("wall_s", "memory_bytes", "processes", "disk_bytes", "files", "output_bytes"):
        value = getattr(limits, name)
        if not (math.isfinite(value) and value > 0):
            yield f"{value}", "a finite number above zero", f"limits.{name}"
    if limits.cpu_s is not None and not (math.isfinite(limits.cpu_s) and limits.cpu_s > 0):
        yield f"{limits.cpu_s}", "a finite number above zero, or None", "limits.cpu_s"
    if limits.memory_bytes < 1 << 20:
        yield f"{limits.memory_bytes} bytes", "at least 1 MiB", "limits.memory_bytes"
