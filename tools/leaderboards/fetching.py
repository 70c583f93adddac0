"""Brings the raw answer of a board: over HTTP, politely, or from a local file or git repository.

The monitor calls `obtain`. Every body goes through `put` before anyone reads it, so that each snapshot can be read
again. "Come back later" is a status here (`rate_limited`), not an error; what stays unreachable is `Retryable`.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from registry.errors import BadInput, Problem, RateLimited, Retryable
from tools.leaderboards import git_file, http_transfer
from tools.leaderboards.fetch_cache import FetchCache, Remembered
from tools.leaderboards.http_transfer import Answer
from tools.leaderboards.names import printable
from tools.leaderboards.robots import Robots
from tools.leaderboards.sources import BoardSpec, shown_url

LARGEST_BODY = 20 * 1024 * 1024
PIECE = 256 * 1024
ATTEMPTS = 3
FIRST_PAUSE_S = 1.0

Put = Callable[[bytes], str]
"""Keeps bytes content-addressed and says their sha256."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """One look at an address."""

    status: Literal["new", "not_modified", "rate_limited"]
    url: str
    body: bytes = b""
    """Also for `not_modified`: the answer kept from before; empty for `rate_limited`."""
    sha256: str = ""
    content_type: str = ""
    etag: str = ""
    last_modified: str = ""
    retry_after_s: float | None = None
    final_url: str = ""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how slowly to try again; tests give their own clock."""

    attempts: int = ATTEMPTS
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    clock: Callable[[], float] = time.time

    def pause(self, attempt: int) -> None:
        self.sleep(FIRST_PAUSE_S * 2**attempt * (0.5 + self.jitter()))


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
        errand = _Errand(url, timeout, max_bytes, patience or Patience(), robots or Robots())
        return _over_http(errand, cache, put)
    if scheme not in ("", "file"):
        raise BadInput(Problem(shown_url(url), f"an address of the kind {scheme}:", "http://, https:// or a file"))
    path = base / (unquote(urlsplit(url).path) if scheme == "file" else url)
    return _kept(url, read_regular_file(path, max_bytes), _guessed_type(str(path)), cache, put)


@dataclass(frozen=True, slots=True)
class _Errand:
    url: str
    timeout: float
    max_bytes: int
    patience: Patience
    robots: Robots


def _over_http(errand: _Errand, cache: FetchCache, put: Put) -> Fetched:
    kept = cache.load(errand.url)
    now = errand.patience.clock()
    if kept and 0 < kept[0].not_before - now <= http_transfer.LONGEST_PATIENCE_S:
        return Fetched("rate_limited", errand.url, retry_after_s=kept[0].not_before - now)
    try:
        answer = _with_retries(errand, _validators(kept))
    except RateLimited as refusal:
        if refusal.retry_after_s:
            remembered, body = kept or (Remembered(errand.url, ""), b"")
            cache.store(replace(remembered, not_before=now + refusal.retry_after_s), body)
        return Fetched("rate_limited", errand.url, retry_after_s=refusal.retry_after_s)
    if answer.status == 304 and kept:
        remembered, body = kept
        _put(put, body)
        return _fetched("not_modified", remembered, body, answer.url)
    body = answer.body
    remembered = Remembered(
        errand.url,
        _put(put, body),
        printable(answer.headers.get("content-type", ""))[:200],
        _sendable(answer.headers.get("etag", "")),
        _sendable(answer.headers.get("last-modified", "")),
    )
    cache.store(remembered, body)
    unchanged = kept is not None and kept[0].sha256 == remembered.sha256
    return _fetched("not_modified" if unchanged else "new", remembered, body, answer.url)


def _sendable(validator: str) -> str:
    """A validator that can be sent back as it came; others are forgotten, and the page is fetched whole."""
    return validator if validator.isascii() and validator.isprintable() and len(validator) <= 500 else ""


def _fetched(status: Literal["new", "not_modified"], kept: Remembered, body: bytes, final_url: str) -> Fetched:
    return Fetched(
        status, kept.url, body, kept.sha256, kept.content_type, kept.etag, kept.last_modified, None, final_url
    )


def _validators(kept: tuple[Remembered, bytes] | None) -> dict[str, str]:
    headers = {}
    if kept and kept[0].sha256:
        if kept[0].etag:
            headers["If-None-Match"] = kept[0].etag
        if kept[0].last_modified:
            headers["If-Modified-Since"] = kept[0].last_modified
    return headers


def _with_retries(errand: _Errand, headers: Mapping[str, str]) -> Answer:
    """At most `attempts` requests; only what may pass is tried again."""
    for attempt in range(errand.patience.attempts):
        if attempt:
            errand.patience.pause(attempt - 1)
        try:
            return _once(errand, headers)
        except RateLimited:
            raise
        except Retryable as error:
            failure = error
    raise Retryable(f"{failure} (after {errand.patience.attempts} attempts)")


def _once(errand: _Errand, headers: Mapping[str, str]) -> Answer:
    answer = http_transfer.get(
        errand.url,
        headers=headers,
        timeout=errand.timeout,
        max_bytes=errand.max_bytes,
        allowed=lambda address: errand.robots.check(address, timeout=errand.timeout, now=errand.patience.clock()),
    )
    where = shown_url(errand.url)
    if answer.status == 200 or (answer.status == 304 and headers):
        return answer
    if answer.status == 429 or (answer.status == 503 and "retry-after" in answer.headers):
        wait = http_transfer.retry_after(answer.headers, errand.patience.clock())
        raise RateLimited(f"{where}: HTTP {answer.status}", wait)
    if answer.status in (408, 425) or answer.status >= 500:
        raise Retryable(f"{where}: HTTP {answer.status}")
    fix = {
        401: "the page asks for a login: use scrape_method manual with an exported file",
        403: "the server refuses programs: ask its operator, or use scrape_method manual",
        404: "look for the board's new address",
        410: "look for the board's new address",
    }.get(answer.status, "")
    raise BadInput(Problem(where, f"HTTP {answer.status}", "the board (HTTP 200)", fix=fix))


def _put(put: Put, body: bytes) -> str:
    """Keeps the raw answer; a store that answers with another address would break every later proof."""
    digest = hashlib.sha256(body).hexdigest()
    stored = put(body)
    if stored != digest:
        raise ValueError(f"the raw store kept {digest} under {stored}")
    return digest


def _kept(url: str, body: bytes, content_type: str, cache: FetchCache, put: Put) -> Fetched:
    """A local answer: `not_modified` where its bytes are those of last time."""
    digest = _put(put, body)
    before = cache.load(url)
    remembered = Remembered(url, digest, content_type)
    if before and before[0].sha256 == digest:
        return _fetched("not_modified", remembered, body, url)
    cache.store(remembered, body)
    return _fetched("new", remembered, body, url)


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
