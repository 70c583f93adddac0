"""The system call filter of a container, as the JSON profile that the engine takes.

A profile of ours takes the place of the engine's own, which still lets VSOCK, NETLINK and, in some versions,
io_uring through. So this one is an allow list: what training code needs, less whatever `sandbox.seccomp` refuses
bubblewrap's runs. Everything else fails, so nothing that an engine refuses by default becomes possible here. The
terminal calls that bubblewrap's filter refuses lead nowhere: a container has no terminal. Called by
`sandbox.docker_arguments`.
"""

from __future__ import annotations

import errno
import json

from sandbox import seccomp

ARCHITECTURES = {
    "x86_64": "SCMP_ARCH_X86_64", "amd64": "SCMP_ARCH_X86_64",
    "aarch64": "SCMP_ARCH_AARCH64", "arm64": "SCMP_ARCH_AARCH64",
}  # fmt: skip
"""By the names that kernels and engines give them; 32-bit calls are of another architecture and end a program."""

_FILES = """
access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr
fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr inotify_add_watch inotify_init
inotify_init1 inotify_rm_watch ioctl lchown lgetxattr link linkat listxattr llistxattr lremovexattr lseek lsetxattr
lstat mkdir mkdirat mknod mknodat newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read
readahead readlink readlinkat readv removexattr rename renameat renameat2 rmdir sendfile setxattr splice stat statfs
statx symlink symlinkat sync sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice
write writev io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit
"""
_WAITING = """
epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 poll ppoll pselect6 select
signalfd signalfd4 timerfd_create timerfd_gettime timerfd_settime pipe pipe2
"""
_MEMORY = """
brk madvise membarrier memfd_create mincore mlock mlock2 mlockall mmap mprotect mremap msync munlock munlockall munmap
pkey_alloc pkey_free pkey_mprotect remap_file_pages shmat shmctl shmdt shmget
"""
_PROCESSES = """
arch_prctl capget capset execve execveat exit exit_group fork futex futex_waitv get_robust_list get_thread_area getcpu
getegid geteuid getgid getgroups getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage
getsid gettid getuid ioprio_get ioprio_set kill pause pidfd_open pidfd_send_signal prctl prlimit64 restart_syscall
rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield
seccomp set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid setgroups setitimer setpgid
setpriority setregid setresgid setresuid setreuid setrlimit setsid setuid sigaltstack tgkill tkill vfork wait4 waitid
"""
_TIME = """
alarm clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep time timer_create timer_delete
timer_getoverrun timer_gettime timer_settime times
"""
_MESSAGES = """
accept accept4 bind connect getpeername getsockname getsockopt listen mq_getsetattr mq_notify mq_open mq_timedreceive
mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd recvfrom recvmmsg recvmsg semctl semget semop semtimedop sendmmsg
sendmsg sendto setsockopt shutdown socketpair getrandom sysinfo uname
"""
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
"""Linux, with or without 32-bit sizes, and the question which one it is."""


def allowed() -> list[str]:
    """Names of the calls that may be made with any arguments."""
    refused = set(seccomp.rules()[0])
    text = _FILES + _WAITING + _MEMORY + _PROCESSES + _TIME + _MESSAGES
    return sorted(set(text.split()) - refused)


def profile(architecture: str) -> str:
    """The profile for an engine of this architecture (`ARCHITECTURES`)."""
    refused, families, namespaces = seccomp.rules()
    whole = [
        _rule(allowed()),
        *(_rule(["socket"], _argument(0, family)) for family in families),
        *(_rule(["personality"], _argument(0, kind)) for kind in _PERSONALITIES),
        _rule(["clone"], {"index": 0, "value": namespaces, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}),
        # glibc falls back to clone, whose flags can be looked at; clone3 hides them behind a pointer.
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS},
        # Named although refused anyway: an engine answers calls newer than any it finds in a profile in another way.
        {"names": sorted(refused), "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPERM},
    ]
    return json.dumps(
        {
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": errno.EPERM,
            "architectures": [ARCHITECTURES[architecture]],
            "syscalls": whole,
        },
        sort_keys=True,
    )


def _rule(names: list[str], *arguments: dict[str, object]) -> dict[str, object]:
    return {"names": names, "action": "SCMP_ACT_ALLOW", "args": list(arguments)}


def _argument(index: int, value: int) -> dict[str, object]:
    return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}
