"""Does with our own calls what bubblewrap does: new namespaces, a private root, a first process, the command.

For hosts without bubblewrap. The supervisor calls `launch` in the process that would have become bwrap, with the
same options, so that everything else about a run is shared; `main` lets `sandbox.namespaces` try it by itself. Three
processes: this one stays outside and tells the exit status; its child is the first of the new pid namespace, sets
everything up and reaps; that one's child becomes the command. Each ends when the one before it does. Built-in
modules only, for the start.
"""

# Here os.path is right: pathlib takes longer to import than everything else that happens before the command starts.
# ruff: noqa: PTH123
from __future__ import annotations

import os
import select
import sys

from sandbox import kernel_calls as kernel
from sandbox import landlock
from sandbox.private_root import PrivateRoot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

OPTIONS = frozenset({"--size", "--disable-userns", "--perms", "--json-status-fd"})
"""Options beyond those that every bubblewrap knows."""
_ARITY = {
    0: "unshare-user unshare-pid unshare-net unshare-ipc unshare-uts unshare-cgroup-try disable-userns"
    " die-with-parent new-session clearenv",
    1: "hostname cap-drop seccomp json-status-fd perms size tmpfs dir proc dev remount-ro chdir",
    2: "ro-bind ro-bind-try bind dev-bind-try ro-bind-data symlink",
}
_WORDS_AFTER = {f"--{name}": count for count, names in _ARITY.items() for name in names.split()}
_NAMESPACES = {
    "--unshare-user": kernel.CLONE_NEWUSER,
    "--unshare-pid": kernel.CLONE_NEWPID,
    "--unshare-net": kernel.CLONE_NEWNET,
    "--unshare-ipc": kernel.CLONE_NEWIPC,
    "--unshare-uts": kernel.CLONE_NEWUTS,
}
_INTERRUPT = 2
_MESSAGE_AT_MOST = 4096


class Wishes:
    """Bubblewrap's options, taken apart."""

    def __init__(self, arguments: list[str]) -> None:
        self.namespaces = kernel.CLONE_NEWNS
        self.flags: set[str] = set()
        self.values: dict[str, str] = {}
        self.mounts: list[tuple[str, list[str], int | None, int]] = []
        """In their order: option, its words, mode (None: the usual) and size in bytes (0: the kernel's own)."""
        mode: int | None = None
        size = position = 0
        while position < len(arguments):
            option = arguments[position]
            if option not in _WORDS_AFTER:
                raise ValueError(f"unknown option {option}")
            words = arguments[position + 1 : position + 1 + _WORDS_AFTER[option]]
            if len(words) != _WORDS_AFTER[option]:
                raise ValueError(f"{option} lacks a word")
            position += 1 + len(words)
            if not words:
                self.flags.add(option)
                self.namespaces |= _NAMESPACES.get(option, 0)
            elif option == "--perms":
                mode = int(words[0], 8)
            elif option == "--size":
                size = int(words[0])
            elif option in ("--hostname", "--cap-drop", "--seccomp", "--json-status-fd", "--chdir"):
                self.values[option] = words[0]
            else:
                self.mounts.append((option, words, mode, size))
                mode, size = None, 0
        if "--unshare-pid" not in self.flags:
            raise ValueError("a pid namespace is what ends everything with the run: --unshare-pid is needed")
        if self.values.get("--cap-drop", "ALL") != "ALL":
            raise ValueError("--cap-drop knows ALL only")

    def descriptors(self) -> set[int]:
        """Those that were handed over."""
        found = {int(self.values[name]) for name in ("--seccomp", "--json-status-fd") if name in self.values}
        return found | {int(words[0]) for option, words, _, _ in self.mounts if option == "--ro-bind-data"}


def main() -> None:
    """As a program of its own: options, then optionally `--` and a command; without one nothing is started."""
    words = sys.argv[2:]
    split = words.index("--") if "--" in words else len(words)
    launch(words[:split], words[split + 1 :], os.getppid())


def launch(arguments: list[str], command: list[str], parent: int) -> NoReturn:
    """Become the outermost of the three processes; `parent` is whose end is ours. Never returns."""
    try:
        _outside(Wishes(arguments), command, parent)
    except Exception as error:  # noqa: BLE001 - said, and then this process ends
        os.write(2, f"namespaces: {error}\n".encode(errors="replace"))
    finally:
        os._exit(1)


def _outside(wishes: Wishes, command: list[str], parent: int) -> None:
    _close_all_but({0, 1, 2, *wishes.descriptors()})
    kernel.die_with_parent()
    if os.getppid() != parent:
        return
    uid, gid = os.getuid(), os.getgid()
    here = os.pidfd_open(os.getpid())
    kernel.unshare(wishes.namespaces)
    if "--unshare-user" in wishes.flags:
        _map_user(uid, gid)
    if "--unshare-cgroup-try" in wishes.flags:
        _try_cgroup_namespace()
    reading, writing = os.pipe2(os.O_CLOEXEC)
    first = os.fork()
    if first == 0:
        try:
            os.close(reading)
            _inside(wishes, command, here, writing, (uid, gid))
        except Exception as error:  # noqa: BLE001 - said, and then this process ends
            os.write(2, f"namespaces: {error}\n".encode(errors="replace"))
        finally:
            os._exit(1)
    os.close(writing)
    _tell(wishes, f'{{ "child-pid": {first} }}\n')
    kernel.refuse_new_privileges()
    kernel.drop_capabilities()
    kernel.die_with_parent()  # once more, for the kernel forgets it where rights change
    if os.getppid() != parent:
        os._exit(1)
    said = os.read(reading, 8)
    if not said:
        ended = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
        if ended >= 0:  # it could not set up, and has said so
            os._exit(1)
        said = b"%d" % (128 - ended)
    _tell(wishes, f'{{ "exit-code": {int(said)} }}\n')
    os._exit(int(said))


def _inside(wishes: Wishes, command: list[str], outer: int, report: int, user: tuple[int, int]) -> None:
    """The first process of the pid namespace, to its end."""
    _follow(outer)
    if "--new-session" in wishes.flags:
        os.setsid()
    if "--hostname" in wishes.values:
        kernel.set_hostname(wishes.values["--hostname"])
    if "--unshare-net" in wishes.flags:
        kernel.raise_loopback()
    _show(wishes)
    seccomp = os.read(int(wishes.values["--seccomp"]), 1 << 20) if "--seccomp" in wishes.values else b""
    started, starting = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        try:
            _command(wishes, command, seccomp, starting, user)
        except Exception as error:  # noqa: BLE001 - said, and then this process ends
            os.write(starting, f"{type(error).__name__}: {error}"[:_MESSAGE_AT_MOST].encode(errors="replace"))
        finally:
            os._exit(126)
    os.close(starting)
    kernel.default_signal(_INTERRUPT)
    kernel.refuse_new_privileges()
    kernel.drop_capabilities()
    if seccomp:
        kernel.install_filter(seccomp)
    _follow(outer)  # for the same reason
    if complaint := os.read(started, _MESSAGE_AT_MOST):
        raise OSError(complaint.decode(errors="replace"))
    ended = 0
    while ended != child:
        ended, status = os.wait()
    code = os.waitstatus_to_exitcode(status)
    os.write(report, b"%d" % (code if code >= 0 else 128 - code))
    os._exit(0)


def _command(wishes: Wishes, command: list[str], seccomp: bytes, starting: int, user: tuple[int, int]) -> None:
    """Give up every right that is not asked to be kept and become the command."""
    if "--disable-userns" in wishes.flags:
        # The one that is still allowed. In it the command has no say over the first process, whose user it shares.
        kernel.unshare(kernel.CLONE_NEWUSER)
        _map_user(*user)
    if "--cap-drop" in wishes.values:
        kernel.drop_capabilities()
    kernel.refuse_new_privileges()
    landlock.enforce()
    os.chdir(wishes.values.get("--chdir", "/"))
    if not command:
        os._exit(0)
    _close_all_but({0, 1, 2, starting})
    if seccomp:
        kernel.install_filter(seccomp)
    environment = {} if "--clearenv" in wishes.flags else dict(os.environ)
    os.execve(command[0], command, environment)  # noqa: S606 - no shell is the point


def _show(wishes: Wishes) -> None:
    """Put the file system together and leave the host's."""
    root = PrivateRoot()
    read_only = kernel.READ_ONLY | kernel.NO_SETUID | kernel.NO_DEVICES
    closes_root = False
    for option, words, mode, size in wishes.mounts:
        if option in ("--ro-bind", "--ro-bind-try"):
            root.bind(words[0], words[1], read_only, may_be_absent=option.endswith("-try"))
        elif option == "--bind":
            root.bind(words[0], words[1], kernel.NO_SETUID | kernel.NO_DEVICES)
        elif option == "--dev-bind-try":
            root.bind(words[0], words[1], kernel.NO_SETUID, may_be_absent=True)
        elif option == "--ro-bind-data":
            root.data(int(words[0]), words[1], 0o600 if mode is None else mode)
        elif option == "--tmpfs":
            root.tmpfs(words[0], 0o755 if mode is None else mode, size)
        elif option == "--dir":
            root.folder(words[0])
        elif option == "--symlink":
            root.link(words[0], words[1])
        elif option == "--proc":
            root.proc(words[0], 1 if "--disable-userns" in wishes.flags else None)
        elif option == "--dev":
            root.dev(words[0])
        elif words[0] == "/":
            closes_root = True
        else:
            root.make_read_only(words[0])
    root.leave_the_host()
    if closes_root:
        root.make_read_only("/")


def _try_cgroup_namespace() -> None:
    try:
        kernel.unshare(kernel.CLONE_NEWCGROUP)
    except OSError:
        return


def _map_user(uid: int, gid: int) -> None:
    """In a user namespace of our own: the same user, and nobody else."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _follow(outer: int) -> None:
    """End with the process outside, which may have ended already."""
    kernel.die_with_parent()
    poll = select.poll()
    poll.register(outer, select.POLLIN)
    if poll.poll(0):
        os._exit(1)


def _tell(wishes: Wishes, line: str) -> None:
    if "--json-status-fd" in wishes.values:
        os.write(int(wishes.values["--json-status-fd"]), line.encode())


def _close_all_but(kept: set[int]) -> None:
    low = 0
    for descriptor in sorted(kept):
        if descriptor > low:  # an empty range from nought is taken for all there is
            os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, 1 << 16)
