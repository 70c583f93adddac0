"""A container engine for the tests: the one that answers here, else one of our own that no image download needs.

The first test process that asks starts the engine, the others find it, and the last to end stops it. Containers of
the tests run on an image with nothing in it, over which the host's own system is laid.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from docker import APIClient
from docker.errors import DockerException, ImageNotFound

from sandbox.contract import SandboxUnavailable
from sandbox.docker_client import connect

EMPTY = "sbx/empty"
_CHECKOUT = hashlib.sha256(__file__.encode()).hexdigest()[:8]
_FOLDER = Path(tempfile.gettempdir()) / f"auto-benchmark-test-engine-{os.geteuid()}-{_CHECKOUT}"
"""One for each checkout, whose tests may differ."""
_READY_WITHIN_S = 30.0


@functools.cache
def provide() -> str:
    """See to it that an engine answers and has the empty image; why not, or nothing."""
    if not _answers():
        if os.geteuid() != 0:
            return "no container engine answers, and only root may start one"
        if shutil.which("dockerd") is None:
            return "dockerd is not installed: apt-get install docker.io"
        if why := _start():
            return why
    import_image(EMPTY, {})
    return ""


def import_image(name: str, files: dict[str, Path], changes: list[str] | None = None) -> str:
    """An image of these files (path inside: path here) alone; returns its digest."""
    engine = connect()
    with engine:
        if not _known(engine, name):
            text = io.BytesIO()
            with tarfile.open(fileobj=text, mode="w", dereference=False) as archive:
                for inside, path in files.items():
                    archive.add(path, inside, filter=_as_root)
            engine.import_image_from_data(text.getvalue(), repository=name, changes=changes)
        return str(engine.inspect_image(name)["Id"])


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Ours, and without what a small Python does without."""
    name = Path(entry.name).name
    if name in _LEFT_OUT or name.startswith("config-"):
        return None
    entry.uid = entry.gid = 0
    entry.mode |= 0o444
    return entry


_LEFT_OUT = {"__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "ensurepip", "lib2to3"}
_LEFT_OUT |= {"tkinter", "turtledemo", "distutils", "pydoc_data", "asyncio", "sqlite3", "xml"}


@functools.cache
def python_image() -> str:
    """`name@sha256:...` of a small image: a Python with its standard library, and settings of a real image's kind."""
    program = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    files = {"opt/python/bin/python": program, f"opt/python/lib/{library.name}": library}
    extensions = sorted((library / "lib-dynload").glob("*.so"))
    listed = subprocess.run(["ldd", program, *extensions], capture_output=True, text=True, check=True).stdout
    for path in re.findall(r"(?:=> |^\s*)(/\S+) \(0x", listed, re.MULTILINE):
        files[path.lstrip("/")] = Path(path).resolve()
    changes = ["ENV PATH=/opt/python/bin", "ENV OF_THE_IMAGE=its-own", 'ENTRYPOINT ["/no/such/program"]']
    changes += ["USER 12345", "VOLUME /volume", "WORKDIR /elsewhere"]
    said = json.dumps([sorted(files), changes, sys.version, sorted(_LEFT_OUT)])
    name = f"sbx/python-{hashlib.sha256(said.encode()).hexdigest()[:12]}"
    return f"{name}@{import_image(name, files, changes)}"


def _known(engine: APIClient, name: str) -> bool:
    try:
        engine.inspect_image(name)
    except ImageNotFound:
        return False
    return True


def _answers() -> bool:
    try:
        with connect() as engine:
            return bool(engine.ping())
    except (SandboxUnavailable, DockerException, OSError):
        return False


def _start() -> str:
    _FOLDER.mkdir(mode=0o700, exist_ok=True)
    users = os.open(_FOLDER / "users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    turn = os.open(_FOLDER / "turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(turn, fcntl.LOCK_EX)
    try:
        os.environ["DOCKER_HOST"] = f"unix://{_FOLDER}/sock"
        fcntl.flock(users, fcntl.LOCK_SH)
        atexit.register(_leave, os.getpid(), users, turn)
        if _answers():
            return ""
        with (_FOLDER / "log").open("w") as log:
            subprocess.Popen(
                [
                    "dockerd",
                    "--iptables=false",
                    "--ip6tables=false",
                    "--bridge=none",
                    "-H",
                    f"unix://{_FOLDER}/sock",
                    "--data-root",
                    _FOLDER / "data",
                    "--exec-root",
                    _FOLDER / "exec",
                    "--pidfile",
                    _FOLDER / "pid",
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            ).returncode = 0  # not ours to wait for: another test process may be the one that stops it
        deadline = time.monotonic() + _READY_WITHIN_S
        while not _answers():
            if time.monotonic() > deadline:
                return f"dockerd did not start: {(_FOLDER / 'log').read_text()[-300:]}"
            time.sleep(0.1)
        return ""
    finally:
        fcntl.flock(turn, fcntl.LOCK_UN)


def _leave(pid: int, users: int, turn: int) -> None:
    """Stop the engine if nobody else uses it."""
    if pid != os.getpid():
        return
    fcntl.flock(turn, fcntl.LOCK_EX)
    with suppress(BlockingIOError):
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _stop(turn)
    os.close(users)
    os.close(turn)


# The files of the locks stay: somebody may be waiting for one, and would then hold what nobody else looks at.
_STOPPING = """
kill "$2"
for _ in $(seq 200); do kill -0 "$2" 2>/dev/null || break; sleep 0.1; done
cd "$1" && while read -r _ place _; do case $place in "$1"/*) umount -l "$place";; esac; done </proc/self/mounts
rm -rf data exec sock pid log
"""


def _stop(turn: int) -> None:
    """In a process of its own, for ours may be ended at any moment now; it keeps the turn until it is done."""
    words = ["sh", "-c", _STOPPING, "sh", str(_FOLDER), (_FOLDER / "pid").read_text()]
    quiet = subprocess.DEVNULL
    subprocess.Popen(
        words, pass_fds=(turn,), start_new_session=True, stdin=quiet, stdout=quiet, stderr=quiet
    ).returncode = 0  # not waited for
