"""The system calls a candidate may not make, as a classic BPF program for `bwrap --seccomp`.

A deny list, because training code uses more of the kernel than any allow list foresees: what is left out is what
attacks kernels (namespaces, mounts, io_uring, bpf, keyrings, tracing) and sockets of families no candidate needs.
Written byte for byte here, so that nothing has to be installed. Called by `sandbox.bwrap_arguments`.
"""

from __future__ import annotations

import errno
import struct

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_X32_BIT = 0x40000000
_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""
_SOCKET_FAMILIES = (1, 2, 10)
"""AF_UNIX (torch's data loaders hang without), AF_INET, AF_INET6: the last two lead nowhere but are asked for."""
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

AUDIT_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# name: (x86-64, aarch64); None where the architecture has no such call.
_DENIED: dict[str, tuple[int | None, int | None]] = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "process_madvise": (440, 440), "pidfd_getfd": (438, 438),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467),
    "unshare": (272, 97), "setns": (308, 268),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "syslog": (103, 116),
    "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "sethostname": (170, 161), "setdomainname": (171, 162), "vhangup": (153, 58),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "lookup_dcookie": (212, 18),
    "fanotify_init": (300, 262), "fanotify_mark": (301, 263), "memfd_secret": (447, 447),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "uselib": (134, None),
    "ustat": (136, None), "sysfs": (139, None), "_sysctl": (156, None),
}  # fmt: skip

# Memory that no watchdog can see: System V segments and anonymous files that nobody has mapped.
_HIDDEN_MEMORY: dict[str, tuple[int | None, int | None]] = {"shmget": (29, 194), "memfd_create": (319, 279)}

_CLONE, _CLONE3, _SOCKET, _IOCTL = (56, 220), (435, 435), (41, 198), (16, 29)


class UnknownArchitecture(Exception):
    """No table of system calls for this machine, so no filter and no sandbox."""


def build_filter(machine: str, visible_memory_only: bool) -> bytes:
    """The filter for `machine` (as `uname -m` says it).

    `visible_memory_only` also refuses memory that only a control group accounts for; it is set where the memory
    limit rests on the watchdog.
    """
    if machine not in AUDIT_ARCHITECTURES:
        raise UnknownArchitecture(f"no system call filter for {machine}; known are {', '.join(AUDIT_ARCHITECTURES)}")
    column = list(AUDIT_ARCHITECTURES).index(machine)
    program = [
        _statement(_LOAD, _ARCHITECTURE),
        _jump(_JUMP_EQUAL, AUDIT_ARCHITECTURES[machine], 1, 0),
        _statement(_RETURN, _KILL_PROCESS),
        _statement(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":
        program += [_jump(_JUMP_AT_LEAST, _X32_BIT, 0, 1), _refuse(errno.ENOSYS)]
    # glibc falls back to clone, whose flags can be looked at; clone3 hides them behind a pointer.
    program += _refuse_call(_CLONE3[column], errno.ENOSYS)
    for numbers in _DENIED.values():
        program += _refuse_call(numbers[column], errno.EPERM)
    if visible_memory_only:
        for numbers in _HIDDEN_MEMORY.values():
            program += _refuse_call(numbers[column], errno.ENOSYS)
    program += _inspect_arguments(column)
    program.append(_statement(_RETURN, _ALLOW))
    return b"".join(program)


def _inspect_arguments(column: int) -> list[bytes]:
    """Calls that are refused for some arguments only. Each block reloads nothing it does not return from."""
    families = [_jump(_JUMP_EQUAL, family, len(_SOCKET_FAMILIES) - index, 0)
                for index, family in enumerate(_SOCKET_FAMILIES)]  # fmt: skip
    return [
        *_when(_CLONE[column], [
            _statement(_LOAD, _ARGUMENTS),
            _jump(_JUMP_ANY_BIT, _NEW_NAMESPACES, 0, 1),
            _refuse(errno.EPERM),
            _statement(_RETURN, _ALLOW),
        ]),
        *_when(_SOCKET[column], [
            _statement(_LOAD, _ARGUMENTS),
            *families,
            _refuse(errno.EAFNOSUPPORT),
            _statement(_RETURN, _ALLOW),
        ]),
        *_when(_IOCTL[column], [
            _statement(_LOAD, _ARGUMENTS + 8),
            _jump(_JUMP_EQUAL, _TIOCSTI, 1, 0),
            _jump(_JUMP_EQUAL, _TIOCLINUX, 0, 1),
            _refuse(errno.EPERM),
            _statement(_RETURN, _ALLOW),
        ]),
    ]  # fmt: skip


def _refuse_call(number: int | None, error: int) -> list[bytes]:
    return [] if number is None else [_jump(_JUMP_EQUAL, number, 0, 1), _refuse(error)]


def _when(number: int, block: list[bytes]) -> list[bytes]:
    return [_jump(_JUMP_EQUAL, number, 0, len(block)), *block]


def _refuse(error: int) -> bytes:
    return _statement(_RETURN, _ERRNO | error)


def _statement(code: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, 0, 0, value)


def _jump(code: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def rules() -> tuple[tuple[str, ...], tuple[int, ...], int]:
    """(calls refused, socket families allowed, clone flags refused), for backends that write a filter by names."""
    return tuple(_DENIED), _SOCKET_FAMILIES, _NEW_NAMESPACES
