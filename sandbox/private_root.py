"""The file system of one sandbox, put together from bubblewrap's own options in a mount namespace of ours.

Used by `sandbox.launcher` for the backend without bubblewrap. Every place inside is found beneath the new root
whatever symbolic links a used output folder holds, and every source beneath the old one. Built-in modules only.
"""

# Here os is right: pathlib takes longer to import than everything else that happens before the command starts.
# ruff: noqa: PTH102,PTH106,PTH119,PTH120
from __future__ import annotations

import os

from sandbox import kernel_calls as kernel

_BASE = "/tmp"  # noqa: S108 - covered in our own namespace only, and uncovered again by the change of root
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
_KEPT_FROM_WRITING = ("sys", "sysrq-trigger", "irq", "bus")
_PLAIN = kernel.NO_SETUID | kernel.NO_DEVICES
_DATA_AT_MOST = 1 << 20


class PrivateRoot:
    """A new root under construction; the calling process already stands in it, the host's is at a place beneath."""

    def __init__(self) -> None:
        kernel.make_all_private()
        base = os.open(_BASE, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        _mount(kernel.new_filesystem("tmpfs", _PLAIN, mode="0755"), base)
        self._old = "/." + os.urandom(16).hex()
        os.mkdir(_BASE + self._old, 0o700)
        kernel.pivot_root(_BASE, _BASE + self._old)
        os.chdir("/")
        self._root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._host = os.open(self._old, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def bind(self, source: str, place: str, attributes: int, *, may_be_absent: bool = False) -> None:
        """Show a file or folder of the host at `place`."""
        try:
            shown = kernel.open_beneath(self._host, source)
        except FileNotFoundError:
            if may_be_absent:
                return
            raise
        tree = kernel.clone_tree(shown, attributes)
        _mount(tree, self._folder(place) if _is_folder(shown) else self._file(place))
        os.close(shown)

    def tmpfs(self, place: str, mode: int, size: int) -> None:
        """A memory file system of `size` bytes (0: the kernel's own bound)."""
        options = {"size": str(size)} if size else {}
        _mount(kernel.new_filesystem("tmpfs", _PLAIN, mode=f"{mode:o}", **options), self._folder(place))

    def folder(self, place: str) -> None:
        """A folder that everybody may read, unless there is one."""
        os.close(self._folder(place))

    def link(self, target: str, place: str) -> None:
        """A symbolic link."""
        parent = self._folder(os.path.dirname(place))
        os.symlink(target, os.path.basename(place), dir_fd=parent)
        os.close(parent)

    def data(self, source: int, place: str, mode: int) -> None:
        """A file with what can be read from a descriptor; read-only once the root is."""
        descriptor = self._create(place)
        os.write(descriptor, os.read(source, _DATA_AT_MOST))
        os.fchmod(descriptor, mode)
        os.close(descriptor)

    def proc(self, place: str, user_namespaces: int | None) -> None:
        """The processes of this pid namespace; the kernel's settings in it read-only.

        `user_namespaces` is how many this user namespace may still make.
        """
        _mount(kernel.new_filesystem("proc", _PLAIN | kernel.NO_PROGRAMS), self._folder(place))
        if user_namespaces is not None:
            with open(f"{place}/sys/user/max_user_namespaces", "w", encoding="ascii") as file:  # noqa: PTH123
                file.write(str(user_namespaces))
        for name in _KEPT_FROM_WRITING:
            try:
                covered = kernel.open_beneath(self._root, f"{place}/{name}")
            except FileNotFoundError:
                continue
            attributes = _PLAIN | kernel.NO_PROGRAMS | kernel.READ_ONLY
            _mount(kernel.clone_tree(covered, attributes, recursive=False), covered)

    def dev(self, place: str) -> None:
        """The devices that every program may have, and terminals of the sandbox's own."""
        self.tmpfs(place, 0o755, 0)
        for name in _DEVICES:
            self.bind(f"/dev/{name}", f"{place}/{name}", kernel.NO_SETUID)
        for name, target in _LINKS.items():
            self.link(target, f"{place}/{name}")
        self.folder(f"{place}/shm")
        terminals = kernel.new_filesystem("devpts", kernel.NO_SETUID | kernel.NO_PROGRAMS, ptmxmode="0666", mode="620")
        _mount(terminals, self._folder(f"{place}/pts"))
        self.link("pts/ptmx", f"{place}/ptmx")

    def make_read_only(self, place: str) -> None:
        """The mount at `place`, without those below it."""
        found = kernel.open_beneath(self._root, place)
        kernel.make_read_only(found)
        os.close(found)

    def leave_the_host(self) -> None:
        """Take the host's file system away; from here on nothing more can be shown."""
        os.close(self._host)
        kernel.detach(self._old)
        os.rmdir(self._old)

    def _folder(self, place: str) -> int:
        """A descriptor of the folder, made with those above it where there is none."""
        try:
            return kernel.open_beneath(self._root, place)
        except FileNotFoundError:
            parent = self._folder(os.path.dirname(place))
            os.mkdir(os.path.basename(place), 0o755, dir_fd=parent)
            os.close(parent)
            return kernel.open_beneath(self._root, place)

    def _file(self, place: str) -> int:
        """A descriptor of the file, made empty where there is none."""
        try:
            return kernel.open_beneath(self._root, place)
        except FileNotFoundError:
            os.close(self._create(place))
            return kernel.open_beneath(self._root, place)

    def _create(self, place: str) -> int:
        parent = self._folder(os.path.dirname(place))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(os.path.basename(place), flags, 0o444, dir_fd=parent)
        os.close(parent)
        return descriptor


def _mount(tree: int, place: int) -> None:
    """Mount at a descriptor, and close both."""
    kernel.mount_at(tree, place)
    os.close(tree)
    os.close(place)


def _is_folder(descriptor: int) -> bool:
    return os.fstat(descriptor).st_mode & 0o170000 == 0o040000
