"""The command line of bubblewrap for one run, and its digest.

Pure apart from looking at what exists on the host. Called by `sandbox.supervised`. Two forms: as an ordinary
user everything happens in a user namespace; as root there is none (with one, /proc/sys/kernel/core_pattern stays
writable inside, a way to root on the host) and `setpriv` changes to the slot's own user id instead.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from registry.errors import BadInput, Problem
from sandbox import gpus
from sandbox.contract import RunSpec
from sandbox.interpreters import Installation, discover

CODE, WORK = "/code", "/work"
PASSWD_FD, GROUP_FD, SECCOMP_FD, STATUS_FD, ARGUMENTS_FD = 10, 11, 12, 13, 14
"""Descriptors the supervisor opens for bwrap, by agreement with `sandbox.supervisor`."""
SETPRIV, PRLIMIT, ENV = "/usr/bin/setpriv", "/usr/bin/prlimit", "/usr/bin/env"
_DROP = ("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all")
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_MAX_PIECES = 512
_MADE = frozenset(map(Path, ("/", CODE, WORK, "/tmp", "/dev", "/proc", "/usr", "/etc")))  # noqa: S108 - inside


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the command runs as: the caller itself, or a slot's user id where the caller is root."""

    uid: int
    gid: int
    as_root: bool


@dataclass(frozen=True, slots=True)
class Program:
    """Path of bwrap and the options it knows beyond those every version has."""

    path: str
    version: str
    options: frozenset[str]


@dataclass(frozen=True, slots=True)
class CommandLine:
    """`arguments` for bwrap's own descriptor, `command` to follow, and what identifies this isolation."""

    arguments: tuple[str, ...]
    command: tuple[str, ...]
    passwd: str
    group: str
    digest: str
    covers: tuple[str, ...]
    """Names in the output folder under which nothing but mounts was put; empty folders afterwards."""


class _Flags:
    """Collects arguments, and beside them their shape: the same without the paths of one host and one run."""

    def __init__(self) -> None:
        self.arguments: list[str] = []
        self.shape: list[str] = []

    def add(self, *words: str) -> None:
        self.arguments += words
        self.shape += words

    def bind(self, flag: str, host: Path | str, inside: str) -> None:
        self.arguments += [flag, str(host), inside]
        self.shape += [flag, "", inside]


def build(spec: RunSpec, program: Program, identity: Identity, seccomp: bytes, nproc: int) -> CommandLine:
    """Everything bwrap is told for this run."""
    installation = discover(spec.python) if spec.python is not None else None
    flags = _Flags()
    _namespaces(flags, program, identity, spec.network)
    _system(flags)
    if spec.network:
        _names_of_hosts(flags)
    _private_folders(flags, spec, program)
    _devices(flags, spec)
    _materials(flags, spec, installation, identity)
    flags.add("--remount-ro", "/dev", "--remount-ro", "/", "--seccomp", str(SECCOMP_FD))
    kept = [program.version, *flags.shape, *_DROP, str(nproc), repr(identity.as_root), repr(spec.limits)]
    return CommandLine(
        arguments=tuple(flags.arguments),
        command=(*_become(identity, spec, nproc), *_argv(spec, installation)),
        passwd=f"root:x:0:0:root:/:/bin/false\nsandbox:x:{identity.uid}:{identity.gid}:sandbox:/tmp:/bin/sh\n",
        group=f"root:x:0:\nsandbox:x:{identity.gid}:\n",
        digest=hashlib.sha256("\0".join(kept).encode() + seccomp).hexdigest(),
        covers=covered_names(installation) if installation is not None else (),
    )


def _namespaces(flags: _Flags, program: Program, identity: Identity, network: bool) -> None:
    flags.add("--unshare-pid", *([] if network else ["--unshare-net"]), "--unshare-ipc", "--unshare-uts")
    flags.add("--unshare-cgroup-try")
    flags.add("--die-with-parent", "--new-session", "--hostname", "sbx", "--json-status-fd", str(STATUS_FD))
    flags.add("--clearenv")
    if not identity.as_root:
        flags.add("--unshare-user", "--cap-drop", "ALL")
        if "--disable-userns" in program.options:
            flags.add("--disable-userns")


def variables(spec: RunSpec) -> dict[str, str]:
    """The whole environment inside."""
    folder = f"{Path(os.path.normpath(spec.python.absolute())).parent}:" if spec.python is not None else ""
    values = {"PATH": folder + _SYSTEM_PATH, "HOME": "/tmp", "LANG": "C.UTF-8"}  # noqa: S108 - a path inside
    if spec.gpus:
        values |= gpus.variables(spec.gpus)
    return {**values, **spec.environment}


def _system(flags: _Flags) -> None:
    flags.bind("--ro-bind", "/usr", "/usr")
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        top = Path("/", name)
        if top.is_symlink():
            flags.add("--symlink", str(top.readlink()), str(top))
        elif top.is_dir():
            flags.bind("--ro-bind", top, str(top))
    # Said first, for bwrap closes the folders it has to make for a file to all but root.
    flags.add("--dir", "/etc")
    for name in ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives"):
        flags.bind("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    for descriptor, place in ((PASSWD_FD, "/etc/passwd"), (GROUP_FD, "/etc/group")):
        flags.add("--perms", "0644", "--ro-bind-data", str(descriptor), place)


def _names_of_hosts(flags: _Flags) -> None:
    """What finding a host and trusting it takes."""
    for name in ("resolv.conf", "hosts", "nsswitch.conf", "ssl/certs", "ssl/openssl.cnf", "pki", "ca-certificates"):
        real = Path(os.path.realpath(f"/etc/{name}"))
        if real.exists():
            flags.bind("--ro-bind", real, f"/etc/{name}")


def _private_folders(flags: _Flags, spec: RunSpec, program: Program) -> None:
    # Some settings belong to the sandbox's own namespaces, which would make them its own to write.
    flags.add("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev")
    for folder, size in (
        ("/dev/shm", spec.limits.memory_bytes),  # noqa: S108 - inside
        ("/tmp", min(spec.limits.memory_bytes, spec.limits.disk_bytes)),  # noqa: S108 - inside
    ):
        flags.add("--perms", "1777")
        if "--size" in program.options:
            flags.add("--size", str(size))
        flags.add("--tmpfs", folder)


def _devices(flags: _Flags, spec: RunSpec) -> None:
    if not spec.gpus:
        return
    for device in gpus.devices(spec.gpus):
        flags.bind("--dev-bind-try", device, device)
    flags.bind("--ro-bind", "/sys", "/sys")
    library = gpus.library_folder(os.environ.get("LD_LIBRARY_PATH", ""))
    if library and not Path(library).is_relative_to("/usr"):
        for folder in reversed(Path(library).parents[:-1]):
            flags.arguments += ["--dir", str(folder)]
        flags.arguments += ["--ro-bind", library, library]


def _materials(flags: _Flags, spec: RunSpec, installation: Installation | None, identity: Identity) -> None:
    """Code, data, output folder and interpreter. Order matters: what lies inside another comes after it."""
    if identity.as_root:
        for host in (*([spec.code] if spec.code is not None else []), *(mount.host for mount in spec.mounts)):
            check_readable(host)
    _show_output(flags, spec)
    needs_room = [mount.inside for mount in spec.mounts]
    needs_room += [str(path) for path in installation.paths] if installation is not None else []
    if spec.code is not None:
        crowded = any(PurePosixPath(inside).is_relative_to(CODE) for inside in needs_room)
        _show(flags, spec.code, CODE, in_pieces=crowded or not _open_to_others(spec.code, identity))
    above = {str(folder) for mount in spec.mounts for folder in PurePosixPath(mount.inside).parents}
    for folder in sorted(above - {str(place) for place in _MADE}):
        flags.add("--dir", folder)
    for mount in sorted(spec.mounts, key=lambda mount: mount.inside):
        _show(flags, mount.host, mount.inside, in_pieces=not _open_to_others(mount.host, identity))
    if installation is not None:
        _show_installation(flags, installation)
    home = str(spec.out.absolute()) if spec.out_in_place else WORK
    flags.arguments += ["--chdir", CODE if spec.start_in == "code" and spec.code is not None else home]
    flags.shape += ["--chdir", spec.start_in]


def _show_output(flags: _Flags, spec: RunSpec) -> None:
    if not spec.out_in_place:
        flags.bind("--bind", spec.out, WORK)
        return
    place = Path(os.path.normpath(spec.out.absolute()))
    for folder in sorted(set(place.parents) - _MADE):
        flags.arguments += ["--dir", str(folder)]
    flags.arguments += ["--bind", str(place), str(place)]
    flags.shape += ["--bind", "", "in place"]


def covered_names(installation: Installation) -> tuple[str, ...]:
    """Names directly below the output folder through which the interpreter's own paths lead."""
    places = [*installation.paths, *(place for place, _ in installation.links)]
    return tuple(sorted({place.relative_to(WORK).parts[0] for place in places if place.is_relative_to(WORK)}))


def _show_installation(flags: _Flags, installation: Installation) -> None:
    """Every path of the interpreter at its own place."""
    places = [*installation.paths, *(place for place, _ in installation.links)]
    # Where the host's path leads through the output folder, a memory file system keeps the run's files apart.
    covers = [Path(WORK, name) for name in covered_names(installation)]
    for cover in covers:
        flags.arguments += ["--tmpfs", str(cover)]
    # bwrap would give the folders above the modes of the host's, which may be closed to the slot's user.
    for folder in sorted({above for place in places for above in place.parents}):
        if folder not in _MADE and not any(cover == folder for cover in covers):
            flags.arguments += ["--dir", str(folder)]
    for path in installation.paths:
        flags.arguments += ["--ro-bind", str(path), str(path)]
    for place, target in installation.links:
        flags.arguments += ["--symlink", target, str(place)]
    for cover in covers:
        flags.arguments += ["--remount-ro", str(cover)]


def _show(flags: _Flags, host: Path, inside: str, *, in_pieces: bool) -> None:
    """Show a file or folder read-only.

    In pieces, entry by entry in a folder of ours, where something else must be mounted inside, or where the folder
    itself is closed to the slot's user (as `mkdtemp` makes them) though its contents are not.
    """
    if not in_pieces or not host.is_dir():
        flags.bind("--ro-bind", host, inside)
        return
    entries = sorted(host.iterdir())
    if len(entries) > _MAX_PIECES:
        fix = f"chmod go+rx '{host}'"
        raise BadInput(Problem(str(host), "a folder closed to other users", "one that they may read", fix=fix))
    flags.add("--dir", inside)
    for entry in entries:
        place = f"{inside}/{entry.name}"
        if entry.is_symlink():
            flags.arguments += ["--symlink", str(entry.readlink()), place]
        else:
            flags.arguments += ["--ro-bind", str(entry), place]


def check_readable(host: Path) -> None:
    """Refuse what the slot's user could not read: better now than as a failure that looks like the candidate's own.

    Looks at the first entries only; a umask that closed one file will have closed those.
    """
    entries = itertools.islice(host.rglob("*"), _MAX_PIECES) if host.is_dir() else iter([host])
    for entry in entries:
        state = entry.lstat()
        wanted = 0o005 if stat.S_ISDIR(state.st_mode) else 0o004
        if not stat.S_ISLNK(state.st_mode) and state.st_mode & wanted != wanted:
            found = f"mode {stat.S_IMODE(state.st_mode):04o}"
            expected = "files that other users may read, because under root a candidate has a user id of its own"
            raise BadInput(Problem(str(entry), found, expected, fix=f"chmod -R go+rX '{host}'"))


def _open_to_others(host: Path, identity: Identity) -> bool:
    return not identity.as_root or host.stat().st_mode & 0o005 == 0o005 or not host.is_dir()


def _become(identity: Identity, spec: RunSpec, nproc: int) -> list[str]:
    """What stands between bwrap and the command: the change of user as root, the process limit otherwise.

    The variables come last of all: bwrap adds one of its own, and as root a variable for the loader must not reach
    a program before it has given its rights up.
    """
    environment = [ENV, "-i", *(f"{name}={value}" for name, value in variables(spec).items())]
    if identity.as_root:
        ids = [f"--reuid={identity.uid}", f"--regid={identity.gid}", "--clear-groups"]
        return [SETPRIV, *ids, *_DROP, *environment]
    # Within its own user namespace the count starts at nothing, so the limit can only be set in there.
    return [PRLIMIT, f"--nproc={nproc}", "--", *environment]


def _argv(spec: RunSpec, installation: Installation | None) -> list[str]:
    first, *rest = spec.argv
    if installation is not None and first in ("python", "python3"):
        first = str(installation.executable)
    return [first, *rest]
