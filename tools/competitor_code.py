"""Competitors' code and reports as documents: a folder or a git address, read as data and never run or imported.

Called by the reading nodes through `agent.papers`. A repository is cloned bare and one commit deep into a temporary
folder, with no checkout, so that no filter, hook, link or submodule of it ever acts; then its files are read as blobs.
The document's first page lists the files, the n-th path standing for page n + 1. What is said in them is a
stranger's; `agent.researcher.rival_code` looks for settings in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from registry.errors import BadInput, Problem, Retryable
from registry.papers import Paper
from tools.papers import FolderSource, PaperBatch, PaperQuery, Unreadable
from tools.pdf.text import PdfText, plain

MAX_FILES = 300
MAX_FILE_BYTES = 200_000
MAX_TOTAL_BYTES = 4_000_000
MAX_WALKED = 20_000
CLONE_S = 120.0
GIT_OUTPUT_BYTES = 32 << 20
"""What git may answer; the listing of a tree that names itself over and over has no end."""
GIT_MEMORY_KIB = 4_000_000
GIT_OUTPUT_BYTES = 32 << 20
"""What git may answer: the listing of a tree that holds itself over and over has no end."""
CLONE_MEMORY_KIB = 4_000_000
CLONE_BLOCKS = 400_000
"""Blocks of 512 bytes that one file of a clone may take: some 200 MB."""

_READ = {".yaml", ".yml", ".json", ".toml"}
_CODE = {".py"}
_LEFT_OUT = {"node_modules", "site-packages", "__pycache__", "venv", "dist", "build"}
_LOCKS = {"package.json", "package-lock.json", "pnpm-lock.yaml", "tsconfig.json"}
_ADDRESS = re.compile(r"(?:https|file)://[^\s@\\]+")
_OPTIONS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.attributesFile": os.devnull,
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "http.followRedirects": "false",
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "protocol.file.allow": "always",
    "transfer.fsckObjects": "true",
    "gc.auto": "0",
    "maintenance.auto": "false",
}
_KEPT_ENVIRONMENT = ("PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")
PROXY = "AGENT_PROXY"
"""The variable that names a proxy, as for `tools.web.transfer`."""

Files = dict[str, bytes]


class CodeSource:
    """One competitor's code; a `tools.papers.PaperSource` of one document."""

    def __init__(self, place: str, root: Path) -> None:
        """`place` is a folder, relative to `root`, or an https:// or file:// address of a git repository."""
        self._place, self._root = place, root
        self._texts: dict[str, PdfText] = {}

    @property
    def name(self) -> str:
        return f"code:{_slug(self._place if '://' in self._place else str((self._root / self._place).resolve()))}"

    def find(self, query: PaperQuery) -> PaperBatch:
        """The code as one document; where it cannot be read, why: then its architecture is not public."""
        del query
        try:
            files = _cloned(self._place) if "://" in self._place else _in_folder(self._root / self._place)
            if not files:
                raise _bad(self._place, "no configuration file and no Python", "code whose architecture can be read")
        except BadInput as error:
            why = f"the architecture cannot be read from what is public: {error}"
            return PaperBatch(self.name, (), "incomplete", unreadable=(Unreadable(self.name, why),))
        text = as_document(files, self.name)
        paper = Paper(
            key=f"{self.name}@{text.sha256[:12]}",
            title=text.title,
            url=plain(self._place, 300),
            file_sha256=text.sha256,
            pages=len(text.pages),
        )
        self._texts = {paper.key: text}
        return PaperBatch(self.name, (paper,))

    def text(self, paper: Paper) -> PdfText:
        if paper.key not in self._texts:
            self.find(PaperQuery())
        if paper.key not in self._texts:
            raise _bad(self._place, f"no code with the content of {paper.key}", "the code that was listed")
        return self._texts[paper.key]


class ReportFolder(FolderSource):
    """Competitors' reports, PDFs of one local folder. They are read as papers are."""

    @property
    def name(self) -> str:
        return f"reports:{super().name.removeprefix('folder:')}"


def is_rival(source: str) -> bool:
    """Whether a source, by its name, holds what a competitor wrote."""
    return source.startswith(("code:", "reports:"))


def as_document(files: Files, name: str) -> PdfText:
    """Files as a document: page 1 lists them, one path a line, and each has a page of its own after that."""
    paths = sorted(files, key=_order)
    listed = [[path, hashlib.sha256(files[path]).hexdigest()] for path in paths]
    digest = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
    texts = [plain(files[path].decode("utf-8", "replace").replace("\r\n", "\n")) for path in paths]
    title = f"Code of {name.removeprefix('code:')} at {digest[:12]}"
    return PdfText(sha256=digest, title=title, pages=("\n".join(paths), *texts))


def _wanted(path: str, size: int) -> bool:
    parts = PurePosixPath(path)
    hidden = any(part.startswith(".") or part in _LEFT_OUT for part in parts.parts)
    known = parts.suffix.lower() in _READ | _CODE and parts.name not in _LOCKS
    return known and not hidden and 0 < size <= MAX_FILE_BYTES and plain(path) == path and len(path) <= 300


def _order(path: str) -> tuple[bool, int, str]:
    """Configurations first, then what lies nearest to the top."""
    return (PurePosixPath(path).suffix.lower() in _CODE, path.count("/"), path)


def _chosen(sizes: dict[str, int]) -> list[str]:
    chosen, room = [], MAX_TOTAL_BYTES
    for path in sorted((path for path, size in sizes.items() if _wanted(path, size)), key=_order)[:MAX_FILES]:
        room -= sizes[path]
        if room < 0:
            break
        chosen.append(path)
    return chosen


def _in_folder(folder: Path) -> Files:
    if not folder.is_dir():
        raise _bad(
            str(folder),
            "no such folder",
            "a folder of code, or a repository's https:// address",
            "change it in research_config.yaml",
        )
    sizes = dict(_walked(folder))
    files = {}
    for path in _chosen(sizes):
        try:
            descriptor = os.open(folder / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as stream:
                files[path] = stream.read(MAX_FILE_BYTES)
        except OSError:
            continue
    return files


def _walked(folder: Path) -> Iterator[tuple[str, int]]:
    count = 0
    for at, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _LEFT_OUT)
        for name in sorted(names):
            count += 1
            if count > MAX_WALKED:
                return
            try:
                found = os.lstat(Path(at) / name)
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode):
                yield (Path(at) / name).relative_to(folder).as_posix(), found.st_size


def _cloned(address: str) -> Files:
    """The files of a repository's default branch, from a bare clone that is gone again afterwards."""
    if not _ADDRESS.fullmatch(address):
        raise _bad(address, "an address of another kind", "https://… or file://… without user name and password")
    with tempfile.TemporaryDirectory(prefix="agent-code-") as folder:
        bare = str(Path(folder) / "code.git")
        shallow = ("--quiet", "--bare", "--depth=1", "--single-branch", "--no-tags")
        _git(folder, "clone", *shallow, "--", address, bare, options=_where_it_leads(address))
        sizes, blobs = {}, {}
        for record in _git(bare, "ls-tree", "-r", "-l", "-z", "--full-tree", "HEAD").split(b"\0"):
            head, _, name = record.partition(b"\t")
            mode, _, blob, size = head.split() if head else (b"", b"", b"", b"-")
            if mode in (b"100644", b"100755"):
                path = name.decode("utf-8", "replace")
                sizes[path], blobs[path] = int(size), blob.decode()
        return {path: _git(bare, "cat-file", "blob", blobs[path]) for path in _chosen(sizes)}


def _git(folder: str, *arguments: str, options: Mapping[str, str] | None = None) -> bytes:
    """What git answers, run with no configuration but ours, no prompt, and bounds on time, memory, files and words."""
    wanted = {**_OPTIONS, **(options or {})}
    words = [word for name, value in wanted.items() for word in ("-c", f"{name}={value}")]
    # Words pass through the shell as its arguments; it only sets the limits.
    limits = f"ulimit -f {CLONE_BLOCKS}; ulimit -v {CLONE_MEMORY_KIB}"
    command = ["/bin/sh", "-c", f'{limits}; exec git "$@"', "git", *words, *arguments]
    environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    environment |= {
        "https_proxy": os.environ.get(PROXY, ""),
        "HOME": folder,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "LC_ALL": "C",
    }
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,
        )
        out, late = _answer(child)
        said.seek(0)
        err = said.read(GIT_OUTPUT_BYTES)
    if late:
        raise _bad(arguments[0], f"nothing within {CLONE_S:g} s", "a repository that can be cloned in that time")
    if len(out) > GIT_OUTPUT_BYTES:
        raise _bad(f"git {arguments[0]}", f"more than {GIT_OUTPUT_BYTES >> 20} MiB", "a listing and files below that")
    if child.returncode != 0:
        saying = " ".join(plain(err.decode("utf-8", "replace")).split())[-300:] or f"status {child.returncode}"
        raise _bad(f"git {arguments[0]}", saying, "a public git repository")
    return out


def _answer(child: subprocess.Popen[bytes]) -> tuple[bytes, bool]:
    """What a child says, up to the bound and a byte, and whether its time ran out; it is gone afterwards."""
    ended = threading.Event()
    late = threading.Event()

    def end() -> None:
        if not ended.is_set():
            late.set()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

    timer = threading.Timer(CLONE_S, end)
    timer.start()
    try:
        stream = child.stdout
        out = stream.read(GIT_OUTPUT_BYTES + 1) if stream is not None else b""
        if len(out) <= GIT_OUTPUT_BYTES:
            child.wait()
        return out, late.is_set()
    finally:
        ended.set()
        timer.cancel()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)  # whatever it started, and itself where it said too much
        child.communicate()


def _where_it_leads(address: str) -> dict[str, str]:
    """Options that make git connect to the address that the host's name has now, where it may be asked at all.

    A name that leads to this machine or to a link-local address was not meant by whoever wrote it down, and a name may
    answer differently the second time. Behind a proxy the name is the proxy's to find.
    """
    if not address.startswith("https:") or os.environ.get(PROXY):
        return {}
    from tools.web import addresses

    try:
        found = addresses.place(address)
    except Retryable as error:
        raise _bad(address, str(error), "a public git repository") from None
    allowed = ",".join(f"[{one}]" if one.version == 6 else str(one) for one in addresses.allowed_start(address, found))
    return {} if found.literal else {"http.curloptResolve": f"{found.host}:{found.port}:{allowed}"}


def _slug(place: str) -> str:
    """A name for a folder or an address: its last two parts, and a digest that tells it from others."""
    parts = [part for part in re.split(r"[/\\]", place.partition("://")[2] or place) if part not in {"", ".", ".."}]
    words = re.sub(r"[^\w.-]+", "-", "/".join(parts[-2:]).removesuffix(".git").replace("/", "-")).strip("-")[:80]
    return f"{words or 'code'}-{hashlib.sha256(place.encode('utf-8', 'surrogateescape')).hexdigest()[:6]}"


def _bad(where: str, found: str, expected: str, fix: str = "") -> BadInput:
    return BadInput(Problem(where=plain(where, 300), found=found, expected=expected, fix=fix))
