"""The filter's bytes mean what its tables say, on both architectures; read by a small BPF machine of the tests' own."""

from __future__ import annotations

import errno
import platform
import struct

import pytest

from sandbox import bwrap_arguments, supervisor
from sandbox.seccomp import AUDIT_ARCHITECTURES, UnknownArchitecture, build_filter

ALLOWED, KILLED = "allowed", "killed"
CALLS = (
    ("read", 0, 63),
    ("openat", 257, 56),
    ("clone", 56, 220),
    ("clone3", 435, 435),
    ("socket", 41, 198),
    ("ioctl", 16, 29),
    ("mount", 165, 40),
    ("unshare", 272, 97),
    ("bpf", 321, 280),
    ("ptrace", 101, 117),
    ("io_uring_setup", 425, 425),
    ("keyctl", 250, 219),
    ("shmget", 29, 194),
    ("memfd_create", 319, 279),
)
NUMBERS = {
    "x86_64": {name: number for name, number, _ in CALLS},
    "aarch64": {name: number for name, _, number in CALLS},
}


def verdict(program: bytes, architecture: int, number: int, *arguments: int) -> str | int:
    """`allowed`, `killed` or the error number the call gets."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    position, accumulator = 0, 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("=HBBI", program, position * 8)
        position += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x15:
                position += if_true if accumulator == value else if_false
            case 0x35:
                position += if_true if accumulator >= value else if_false
            case 0x45:
                position += if_true if accumulator & value else if_false
            case 0x06:
                if value == 0x7FFF0000:
                    return ALLOWED
                return KILLED if value == 0x80000000 else value & 0xFFFF
            case _:
                raise AssertionError(hex(code))


@pytest.mark.parametrize("machine", sorted(AUDIT_ARCHITECTURES))
def test_what_attacks_kernels_is_refused_and_what_training_needs_is_not(machine: str) -> None:
    program, architecture, call = build_filter(machine, False), AUDIT_ARCHITECTURES[machine], NUMBERS[machine]
    for name in ("mount", "unshare", "bpf", "ptrace", "io_uring_setup", "keyctl"):
        assert verdict(program, architecture, call[name]) == errno.EPERM, name
    for name in ("read", "openat", "shmget", "memfd_create"):
        assert verdict(program, architecture, call[name]) == ALLOWED, name
    assert verdict(program, architecture, call["clone3"]) == errno.ENOSYS


@pytest.mark.parametrize("machine", sorted(AUDIT_ARCHITECTURES))
def test_arguments_decide_on_clone_socket_and_ioctl(machine: str) -> None:
    program, architecture, call = build_filter(machine, False), AUDIT_ARCHITECTURES[machine], NUMBERS[machine]
    assert verdict(program, architecture, call["clone"], 0x3D0F00) == ALLOWED
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert verdict(program, architecture, call["clone"], flag | 17) == errno.EPERM
    for family in range(64):
        expected = ALLOWED if family in (1, 2, 10) else errno.EAFNOSUPPORT
        assert verdict(program, architecture, call["socket"], family, 1, 0) == expected
    assert verdict(program, architecture, call["ioctl"], 0, 0x5401) == ALLOWED
    assert verdict(program, architecture, call["ioctl"], 0, 0x5412) == errno.EPERM
    assert verdict(program, architecture, call["ioctl"], 0, 0x541C) == errno.EPERM


@pytest.mark.parametrize("machine", sorted(AUDIT_ARCHITECTURES))
def test_hidden_memory_is_refused_only_where_the_watchdog_counts(machine: str) -> None:
    program, architecture, call = build_filter(machine, True), AUDIT_ARCHITECTURES[machine], NUMBERS[machine]
    assert verdict(program, architecture, call["shmget"]) == errno.ENOSYS
    assert verdict(program, architecture, call["memfd_create"]) == errno.ENOSYS


def test_another_architecture_is_killed_and_x32_calls_do_not_exist() -> None:
    program = build_filter("x86_64", False)
    assert verdict(program, 0x40000003, 0) == KILLED
    assert verdict(program, AUDIT_ARCHITECTURES["x86_64"], 0x40000000 | 165) == errno.ENOSYS


def test_an_unknown_machine_has_no_filter() -> None:
    with pytest.raises(UnknownArchitecture, match="riscv64"):
        build_filter("riscv64", False)


def test_this_machine_is_known() -> None:
    assert len(build_filter(platform.machine(), True)) % 8 == 0


def test_supervisor_and_command_line_agree_on_their_descriptors() -> None:
    first = bwrap_arguments.PASSWD_FD
    assert [first, bwrap_arguments.GROUP_FD, bwrap_arguments.SECCOMP_FD, bwrap_arguments.STATUS_FD,
            bwrap_arguments.ARGUMENTS_FD] == list(range(first, first + 5))  # fmt: skip
    assert supervisor.ARGUMENTS == bwrap_arguments.ARGUMENTS_FD
