"""The kernel's calls for namespaces, mounts, rights and Landlock, by way of ctypes.

Called by `sandbox.launcher` and its parts, between fork and exec, so it stands on built-in modules only. Every call
raises OSError with the call's name where the kernel refuses. Linux 5.12 or newer; the numbers below are the same on
every architecture.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
READ_ONLY, NO_SETUID, NO_DEVICES, NO_PROGRAMS = 0x1, 0x2, 0x4, 0x8
"""Attributes of a mount."""

_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _OPENAT2, _MOUNT_SETATTR = 428, 429, 430, 431, 432, 437, 442
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_AT_EMPTY_PATH, _AT_RECURSIVE = 0x1000, 0x8000
_CLONE_TREE, _CLOSE_ON_EXEC = 1, os.O_CLOEXEC
_FROM_FD, _TO_FD = 0x4, 0x40
_SET_STRING, _CREATE = 1, 6
_IN_ROOT = 0x10
_PRIVATE = 1 << 18
_DETACH = 2
_PDEATHSIG, _SECCOMP, _DROP_BOUNDING, _NO_NEW_PRIVILEGES, _AMBIENT = 1, 22, 24, 38, 47
_FILTER_MODE, _CLEAR_ALL = 2, 4
_CAPABILITIES_3 = 0x20080522
_GET_FLAGS, _SET_FLAGS = 0x8913, 0x8914

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def unshare(flags: int) -> None:
    """Leave the given namespaces for new ones; a new pid namespace begins with the next child."""
    _libc_call("unshare", ctypes.c_int(flags))


def set_hostname(name: str) -> None:
    """For the host's name in a namespace of its own."""
    data = os.fsencode(name)
    _libc_call("sethostname", data, ctypes.c_size_t(len(data)))


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root of this mount namespace and put what was there at `old`."""
    _libc_call("pivot_root", os.fsencode(new), os.fsencode(old))


def detach(path: str) -> None:
    """Take a mount, with all below it, out of this mount namespace."""
    _libc_call("umount2", os.fsencode(path), _DETACH)


def make_all_private() -> None:
    """Nothing mounted here is seen elsewhere, and nothing mounted elsewhere is seen here."""
    _set_attributes(-100, b"/", _AT_RECURSIVE, 0)


def open_beneath(root: int, path: str) -> int:
    """A descriptor of `path` as if `root` were the root, symbolic links and all; only to name it, not to read it."""
    how = struct.pack("=QQQ", os.O_PATH | os.O_CLOEXEC, 0, _IN_ROOT)
    return _call("openat2", _OPENAT2, root, os.fsencode(path.lstrip("/") or "."), how, len(how))


def clone_tree(place: int, attributes: int, recursive: bool = True) -> int:
    """A copy of the mounts at `place`, not mounted anywhere yet, with `attributes` set on every one of them."""
    below = _AT_RECURSIVE if recursive else 0
    tree = _call("open_tree", _OPEN_TREE, place, b"", _AT_EMPTY_PATH | below | _CLONE_TREE | _CLOSE_ON_EXEC)
    _set_attributes(tree, b"", _AT_EMPTY_PATH | below, attributes)
    return tree


def new_filesystem(kind: str, attributes: int, **options: str) -> int:
    """A new tmpfs, proc or devpts, not mounted anywhere yet."""
    context = _call("fsopen", _FSOPEN, kind.encode(), 1)
    for name, value in options.items():
        _call("fsconfig", _FSCONFIG, context, _SET_STRING, name.encode(), value.encode(), 0)
    _call("fsconfig", _FSCONFIG, context, _CREATE, None, None, 0)
    mount = _call(f"fsmount {kind}", _FSMOUNT, context, 1, attributes)
    os.close(context)
    return mount


def mount_at(tree: int, place: int) -> None:
    """Mount what `clone_tree` or `new_filesystem` gave at `place`."""
    _call("move_mount", _MOVE_MOUNT, tree, b"", place, b"", _FROM_FD | _TO_FD)


def make_read_only(place: int) -> None:
    """The one mount whose root `place` is."""
    _set_attributes(place, b"", _AT_EMPTY_PATH, READ_ONLY)


def raise_loopback() -> None:
    """Let a new network namespace talk to itself, as programs that work in several processes do."""
    socket = _libc_call("socket", 2, 2 | os.O_CLOEXEC, 0)
    request = bytearray(struct.pack("=16sH22x", b"lo", 0))
    fcntl.ioctl(socket, _GET_FLAGS, request)
    flags = struct.unpack_from("=H", request, 16)[0]
    fcntl.ioctl(socket, _SET_FLAGS, struct.pack("=16sH22x", b"lo", flags | 1))
    os.close(socket)


def die_with_parent() -> None:
    """Be killed when the thread that started us ends. A change of user or a set-user-id program undoes it."""
    _libc_call("prctl", _PDEATHSIG, 9, 0, 0, 0)


def default_signal(number: int) -> None:
    """Give up a handler that Python put in place."""
    _libc.signal(number, None)


def refuse_new_privileges() -> None:
    """No program that is started from now on gains a right by it; cannot be undone."""
    _libc_call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def drop_capabilities() -> None:
    """Every capability, in every set, and none to be had again by a program that is started."""
    number = 0
    while _libc.prctl(_DROP_BOUNDING, number, 0, 0, 0) == 0:
        number += 1
    if number == 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_CAPBSET_DROP)")
    _libc_call("prctl", _AMBIENT, _CLEAR_ALL, 0, 0, 0)
    _libc_call("capset", struct.pack("=Ii", _CAPABILITIES_3, 0), bytes(24))


def install_filter(program: bytes) -> None:
    """Have every system call from now on pass this classic BPF program; needs `refuse_new_privileges` or root."""
    code = ctypes.create_string_buffer(program, len(program))
    handle = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    _libc_call("prctl", _SECCOMP, _FILTER_MODE, handle, 0, 0)


def landlock_version() -> int:
    """What Landlock on this kernel can do, as a number from 1 on; 0 where there is none."""
    found: int = _libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_long(0), ctypes.c_long(1))
    return max(0, found)


def landlock_rules(handled: bytes) -> int:
    """A new set of rules; `handled` is the kernel's landlock_ruleset_attr."""
    return _call("landlock_create_ruleset", _LANDLOCK_CREATE, handled, len(handled), 0)


def landlock_allow(rules: int, access: int, place: int) -> None:
    """Allow `access` to `place` and to everything beneath."""
    _call("landlock_add_rule", _LANDLOCK_ADD, rules, 1, struct.pack("=Qi", access, place), 0)


def landlock_enforce(rules: int) -> None:
    """From now on for this process and all it starts; needs `refuse_new_privileges` or root."""
    _call("landlock_restrict_self", _LANDLOCK_RESTRICT, rules, 0)


def _set_attributes(place: int, path: bytes, flags: int, attributes: int) -> None:
    wanted = struct.pack("=QQQQ", attributes, 0, _PRIVATE, 0)
    _call("mount_setattr", _MOUNT_SETATTR, place, path, flags, wanted, len(wanted))


def _call(name: str, number: int, *arguments: int | bytes | None) -> int:
    ctypes.set_errno(0)
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *words)
    return _checked(name, result)


def _libc_call(name: str, *arguments: object) -> int:
    ctypes.set_errno(0)
    words = [ctypes.c_ulong(word) if isinstance(word, int) and name == "prctl" else word for word in arguments]
    result: int = getattr(_libc, name)(*words)
    return _checked(name, result)


def _checked(name: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result
