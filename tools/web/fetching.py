"""A web page or feed, fetched politely: robots.txt, retries, validators and a cache around `tools.web.transfer`.

Called by `tools.leaderboards.fetching` and by the sources of papers. Every body goes through `put` before anyone
reads it, so that each answer can be read again. "Come back later" is a status here (`rate_limited`), not an error;
what stays unreachable is `Retryable`.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from registry.errors import BadInput, Problem, RateLimited, Retryable
from tools.leaderboards.names import printable
from tools.web import transfer
from tools.web.addresses import shown_url
from tools.web.fetch_cache import FetchCache, Remembered
from tools.web.robots import Robots
from tools.web.transfer import Answer

LARGEST_BODY = 20 * 1024 * 1024
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


def fetch(
    url: str,
    cache: FetchCache,
    *,
    put: Put,
    timeout: float = 20.0,
    max_bytes: int = LARGEST_BODY,
    patience: Patience | None = None,
    robots: Robots | None = None,
    origin: str = "",
) -> Fetched:
    """One `http:` or `https:` address; `origin` is what the user wrote down where a stranger names `url`."""
    return _over_http(_Errand(url, timeout, max_bytes, patience or Patience(), robots or Robots(), origin), cache, put)


@dataclass(frozen=True, slots=True)
class _Errand:
    url: str
    timeout: float
    max_bytes: int
    patience: Patience
    robots: Robots
    origin: str


def _over_http(errand: _Errand, cache: FetchCache, put: Put) -> Fetched:
    kept = cache.load(errand.url)
    now = errand.patience.clock()
    if kept and 0 < kept[0].not_before - now <= transfer.LONGEST_PATIENCE_S:
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
        stored(put, body)
        return as_kept("not_modified", remembered, body, answer.url)
    body = answer.body
    remembered = Remembered(
        errand.url,
        stored(put, body),
        printable(answer.headers.get("content-type", ""))[:200],
        _sendable(answer.headers.get("etag", "")),
        _sendable(answer.headers.get("last-modified", "")),
    )
    cache.store(remembered, body)
    unchanged = kept is not None and kept[0].sha256 == remembered.sha256
    return as_kept("not_modified" if unchanged else "new", remembered, body, answer.url)


def _sendable(validator: str) -> str:
    """A validator that can be sent back as it came; others are forgotten, and the page is fetched whole."""
    return validator if validator.isascii() and validator.isprintable() and len(validator) <= 500 else ""


def as_kept(status: Literal["new", "not_modified"], kept: Remembered, body: bytes, final_url: str) -> Fetched:
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


def _check(errand: _Errand, address: str) -> None:
    """Whether robots.txt allows an address; its own site is as trusted as the address is."""
    origin = errand.origin or (errand.url if address != errand.url else "")
    errand.robots.check(address, timeout=errand.timeout, now=errand.patience.clock(), origin=origin)


def _once(errand: _Errand, headers: Mapping[str, str]) -> Answer:
    answer = transfer.get(
        errand.url,
        headers=headers,
        timeout=errand.timeout,
        max_bytes=errand.max_bytes,
        allowed=lambda address: _check(errand, address),
        origin=errand.origin,
    )
    where = shown_url(errand.url)
    if answer.status == 200 or (answer.status == 304 and headers):
        return answer
    if answer.status == 429 or (answer.status == 503 and "retry-after" in answer.headers):
        wait = transfer.retry_after(answer.headers, errand.patience.clock())
        raise RateLimited(f"{where}: HTTP {answer.status}", wait)
    if answer.status in (408, 425) or answer.status >= 500:
        raise Retryable(f"{where}: HTTP {answer.status}")
    fix = {
        401: "it asks for a login: keep a copy by hand (a board: scrape_method manual)",
        403: "the server refuses programs: ask its operator, or keep a copy by hand (a board: scrape_method manual)",
        404: "look for its new address",
        410: "look for its new address",
    }.get(answer.status, "")
    raise BadInput(Problem(where, f"HTTP {answer.status}", "the page (HTTP 200)", fix=fix))


def stored(put: Put, body: bytes) -> str:
    """Keeps the raw answer; a store that answers with another address would break every later proof."""
    digest = hashlib.sha256(body).hexdigest()
    stored = put(body)
    if stored != digest:
        raise ValueError(f"the raw store kept {digest} under {stored}")
    return digest
