"""Brings the raw answer of a board: over HTTP, politely, or from a local file or git repository.

The monitor calls `obtain`. Every body goes through `put` before anyone reads it, so that each snapshot can be read
again. How the web is asked: `tools.web.fetching`.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from urllib.parse import unquote, urlsplit

from registry.errors import BadInput, Problem, Retryable
from tools.leaderboards import git_file
from tools.leaderboards.names import printable
from tools.leaderboards.sources import BoardSpec
from tools.web import fetching
from tools.web.addresses import shown_url
from tools.web.fetch_cache import FetchCache, Remembered
from tools.web.fetching import LARGEST_BODY, Fetched, Patience, Put, as_kept, stored
from tools.web.robots import Robots

PIECE = 256 * 1024


def obtain(
    spec: BoardSpec,
    cache: FetchCache,
    *,
    put: Put,
    base: Path,
    timeout: float = 20.0,
    patience: Patience | None = None,
    robots: Robots | None = None,
) -> Fetched:
    """The raw answer of one board, by its scrape method.

    `base` is what relative file names start from. One `robots` given to all boards of a pass asks each site once.
    """
    if spec.scrape_method == "manual" and spec.values:
        body = json.dumps(dict(spec.values), ensure_ascii=False, sort_keys=True).encode()
        return _kept(f"registry:{spec.name}", body, "application/json", cache, put)
    if spec.scrape_method == "git_file" and git_file.names_a_commit(spec.url):
        body = git_file.read(spec.url, base, max_bytes=LARGEST_BODY)
        return _kept(spec.url, body, _guessed_type(spec.url), cache, put)
    return fetch(spec.url, cache, put=put, base=base, timeout=timeout, patience=patience, robots=robots)


def fetch(
    url: str,
    cache: FetchCache,
    *,
    put: Put,
    base: Path,
    timeout: float = 20.0,
    max_bytes: int = LARGEST_BODY,
    patience: Patience | None = None,
    robots: Robots | None = None,
) -> Fetched:
    """One address: `http:`, `https:`, `file:` or a plain path."""
    try:
        scheme = urlsplit(url).scheme.lower()
    except ValueError:
        raise BadInput(Problem(shown_url(url), "an address that is none", "http://, https:// or a file")) from None
    if scheme in ("http", "https"):
        return fetching.fetch(
            url, cache, put=put, timeout=timeout, max_bytes=max_bytes, patience=patience, robots=robots
        )
    if scheme not in ("", "file"):
        raise BadInput(Problem(shown_url(url), f"an address of the kind {scheme}:", "http://, https:// or a file"))
    path = base / (unquote(urlsplit(url).path) if scheme == "file" else url)
    return _kept(url, read_regular_file(path, max_bytes), _guessed_type(str(path)), cache, put)


def _kept(url: str, body: bytes, content_type: str, cache: FetchCache, put: Put) -> Fetched:
    """A local answer: `not_modified` where its bytes are those of last time."""
    digest = stored(put, body)
    before = cache.load(url)
    remembered = Remembered(url, digest, content_type)
    if before and before[0].sha256 == digest:
        return as_kept("not_modified", remembered, body, url)
    cache.store(remembered, body)
    return as_kept("new", remembered, body, url)


def read_regular_file(path: Path, max_bytes: int) -> bytes:
    """A file's bytes; a pipe, device or folder, or a file above the limit, is refused without being read."""
    where = printable(str(path))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput(Problem(where, reason or "nothing", "a file that can be read")) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BadInput(Problem(where, "no regular file", "a file of scores"))
        with open(descriptor, "rb", closefd=False) as stream:
            body = bytearray()
            while len(body) <= max_bytes and (piece := stream.read(PIECE)):
                body += piece
    except OSError as error:
        raise Retryable(f"{where}: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(body) > max_bytes:
        raise BadInput(Problem(where, f"more than {max_bytes} bytes", f"at most {max_bytes} bytes"))
    return bytes(body)


_TYPES = {".json": "application/json", ".csv": "text/csv", ".tsv": "text/tab-separated-values", ".html": "text/html"}


def _guessed_type(name: str) -> str:
    return _TYPES.get(Path(name).suffix.lower(), "")
