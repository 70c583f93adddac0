"""A file system of its own for one run's output, so that the kernel itself stops a run at its disk limit.

An ext4 image in a file without a name, mounted over the output folder by the supervisor, in the supervisor's own
mount namespace: nobody else sees the mount, and when the last process of the run is gone so are mount, loop device
and image, whoever was killed. What the run left is carried onward into the real folder first. Needs root; elsewhere
the folder is watched instead. `template` is called by the backend, `Disk` by the supervisor. A container engine sees
only what is mounted for all, so for containers `sandbox.docker_disk` mounts it that way and takes it down again.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sandbox import trees

_SPARE_BYTES, _SPARE_SHARE = 4 << 20, 0.02
"""Above the limit, beside the tables, so that a run which ends right at its limit is not called full."""
_SPARE_FILES = 64
_INODE_BYTES, _BLOCK_BYTES = 256, 4096
_FEATURES = "^has_journal,^resize_inode"
_MAKES_WITHIN_S = 60.0
_UNFINISHED = ".disk-"

_CLONE_NEWNS = 0x20000
_MS_NOSUID, _MS_NODEV, _MS_NOATIME = 2, 4, 1024
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8
_LOOP_CTL_GET_FREE, _LOOP_CONFIGURE = 0x4C82, 0x4C0A
_LO_FLAGS_OFFSET, _LO_FLAGS_AUTOCLEAR, _LOOP_INFO_BYTES = 52, 4, 232
_TRIES = 16

NOT_KEPT = ("disk", "files", "cancelled")
"""Ends after which nothing of what a run left in a file system of its own is carried onward."""

_making = threading.Lock()


def template(folder: Path, disk_bytes: int, files: int) -> str:
    """Path of an empty file system for these limits, made once and kept in `folder`; empty where none can be made."""
    if obstacle():
        return ""
    place = folder / f"disk-{disk_bytes}-{files}.ext4"
    if place.exists():
        return str(place)
    with _making:
        return str(place) if place.exists() or _made(place, disk_bytes, files) else ""


def obstacle() -> str:
    """Why this host cannot even try, and what mends it; empty where it can."""
    if os.geteuid() != 0:
        return "a hard limit takes root"
    if not Path("/dev/loop-control").exists():
        return "a hard limit takes loop devices: modprobe loop"
    return "" if _maker() else "a hard limit takes mkfs.ext4: apt-get install e2fsprogs"


def _maker() -> str:
    return shutil.which("mkfs.ext4", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""


def _made(place: Path, disk_bytes: int, files: int) -> bool:
    inodes = files + _SPARE_FILES
    size = int(disk_bytes * (1 + _SPARE_SHARE)) + _SPARE_BYTES + inodes * _INODE_BYTES
    size = -(-size // _BLOCK_BYTES) * _BLOCK_BYTES
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor, fresh = tempfile.mkstemp(prefix=_UNFINISHED, dir=place.parent)
    try:
        os.ftruncate(descriptor, size)
        words = ["-q", "-F", "-b", str(_BLOCK_BYTES), "-O", _FEATURES, "-m", "0", "-N", str(inodes)]
        words += ["-I", str(_INODE_BYTES), "-E", "nodiscard,lazy_itable_init=1"]
        done = subprocess.run([_maker(), *words, fresh], capture_output=True, timeout=_MAKES_WITHIN_S, check=False)
        if done.returncode == 0:
            Path(fresh).rename(place)
            return True
    except (OSError, subprocess.TimeoutExpired):
        pass
    finally:
        os.close(descriptor)
        Path(fresh).unlink(missing_ok=True)
    return False


def remove_unfinished(folder: Path) -> list[str]:
    """Remove what was left of templates whose maker was killed; one line for each."""
    found = [*folder.glob(f"{_UNFINISHED}*"), *folder.glob(".image-*")]
    left = [path for path in found if time.time() - path.stat().st_mtime > _MAKES_WITHIN_S]
    for path in left:
        path.unlink(missing_ok=True)
    return [f"half-made disk {path.name}" for path in left]


class Disk:
    """The file system of one run, mounted over `out`: for this process and its children only, or for all."""

    def __init__(self, made_from: str, out: str, uid: int, *, for_all: bool = False) -> None:
        """Mount it; OSError where the host cannot, and then nothing is left of the attempt but an own namespace.

        `for_all` mounts it where everybody sees it, and then `close` is what takes it down.
        """
        self.beneath = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        """The real folder, which the mount hides."""
        self._out = out
        mounted = False
        try:
            image = _copied(made_from)
            try:
                if not for_all:
                    _enter_own_namespace()
                _mount(image, out)
                mounted = True
            finally:
                os.close(image)
            with contextlib.suppress(FileNotFoundError):
                Path(out, "lost+found").rmdir()
            os.chown(out, uid, uid)
            Path(out).chmod(0o700)
        except OSError:
            os.close(self.beneath)
            if mounted:
                unmount(out)
            raise
        self._top = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        state = os.statvfs(out)
        self._bytes_before = (state.f_blocks - state.f_bfree) * state.f_frsize
        self._files_before = state.f_files - state.f_ffree

    def use(self) -> tuple[int, int]:
        """(bytes, files) that the run holds, files without a name included."""
        state = os.statvfs(self._out)
        used = (state.f_blocks - state.f_bfree) * state.f_frsize - self._bytes_before
        return max(0, used), max(0, state.f_files - state.f_ffree - self._files_before)

    def host_free(self) -> int:
        """Free bytes of the host's file system, on which the image grows."""
        state = os.fstatvfs(self.beneath)
        return state.f_bavail * state.f_frsize

    def keep(
        self, reason: str, files: int, max_bytes: int, unwanted: Callable[[], bool]
    ) -> tuple[trees.Collected, str, str]:
        """Take what the run left into the real folder, within these bounds; the run must be over.

        `reason` is how it ended; what passed a limit is not kept. The other two are how the run is to be called from
        now on, and why: `infra` where the host could not keep it, `cancelled` where `unwanted` said so, `disk` where
        it was too much after all. Both are empty where nothing changes.
        """
        if reason in NOT_KEPT:
            return trees.Collected(), "", ""
        try:
            self._make_sure()
            found = trees.collect(Path(self._out), files, max_bytes, self.beneath, unwanted)
        except InterruptedError:
            return trees.Collected(), "cancelled", "while its output was being kept"
        except OSError as error:
            return trees.Collected(), "infra", f"the output could not be kept: {error.strerror}"
        if not found.complete and reason == "exit":
            # Files with holes: small where they were written, and larger than the limit with their holes filled.
            return found, "disk", f"more than {max_bytes} bytes with the holes of its files"
        return found, "", ""

    def _make_sure(self) -> None:
        """OSError where something that was written never reached the image, or was written beneath the mount.

        A host without room refuses the image what the run was already promised. Nobody inside hears of it, and what
        memory lets go of then reads as zeros. The kernel tells it to whoever held the file system open meanwhile.
        """
        with os.scandir(self.beneath) as entries:
            if any(entries):
                raise OSError(errno.ESTALE, "the run did not write to its own file system")
        _checked(ctypes.CDLL(None, use_errno=True).syncfs(self._top))

    def close(self) -> None:
        """Take down what was mounted for all; OSError where that cannot be done."""
        self.let_go()
        unmount(self._out)

    def let_go(self) -> None:
        """Close what this process holds of it, as its end does."""
        os.close(self.beneath)
        os.close(self._top)


def unmount(out: str) -> None:
    """Take the file system off this folder, at once for whoever looks there, even while somebody still uses it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(out), _UMOUNT_NOFOLLOW) != 0:
        _checked(libc.umount2(os.fsencode(out), _UMOUNT_NOFOLLOW | _MNT_DETACH))


def _copied(made_from: str) -> int:
    """A copy of the template, holes kept, as an open file that has no name."""
    source = os.open(made_from, os.O_RDONLY | os.O_CLOEXEC)
    try:
        copy = _nameless(Path(made_from).parent)
        try:
            size = os.fstat(source).st_size
            os.ftruncate(copy, size)
            end = 0
            while (start := _next_data(source, end)) is not None:
                end = os.lseek(source, start, os.SEEK_HOLE)
                while start < end:
                    start += os.copy_file_range(source, copy, end - start, start, start)
        except OSError:
            os.close(copy)
            raise
        return copy
    finally:
        os.close(source)


def _nameless(folder: Path) -> int:
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:  # a file system without this; the name is there for a moment
        place = folder / f".image-{os.getpid()}"
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        place.unlink()
        return descriptor


def _next_data(descriptor: int, position: int) -> int | None:
    try:
        return os.lseek(descriptor, position, os.SEEK_DATA)
    except OSError:
        return None


def _enter_own_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(libc.unshare(_CLONE_NEWNS))
    _checked(libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))


def _mount(image: int, out: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    device, descriptor = _attached(image)
    try:
        flags = _MS_NOSUID | _MS_NODEV | _MS_NOATIME
        _checked(libc.mount(device.encode(), os.fsencode(out), b"ext4", flags, b"nobarrier,nodiscard,noinit_itable"))
    finally:
        os.close(descriptor)  # from here on the mount alone keeps the device, and both go together


def _attached(image: int) -> tuple[str, int]:
    """A loop device with the image behind it, which lets go by itself; another run may be quicker for a number."""
    information = bytearray(_LOOP_INFO_BYTES)
    struct.pack_into("=I", information, _LO_FLAGS_OFFSET, _LO_FLAGS_AUTOCLEAR)
    configuration = struct.pack("=II", image, _BLOCK_BYTES) + bytes(information) + bytes(64)
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        for attempt in range(_TRIES):
            device = f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}"
            descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(descriptor, _LOOP_CONFIGURE, configuration)
            except OSError:
                os.close(descriptor)
                if attempt == _TRIES - 1:
                    raise
            else:
                return device, descriptor
    finally:
        os.close(control)
    raise OSError("no loop device is free")


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
