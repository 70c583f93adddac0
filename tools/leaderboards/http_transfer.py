"""One polite HTTP request: bounded in time, size and redirects. Called by `tools.leaderboards.fetching` only.

Retries, robots.txt and the cache are the caller's business; this module turns one exchange into an `Answer`.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib import metadata
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from registry.errors import BadInput, Problem, Retryable
from tools.leaderboards.sources import shown_url

MOST_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
LONGEST_PATIENCE_S = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read to its end or to nothing where its status says that the body is of no use."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


def user_agent() -> str:
    """What we call ourselves to web servers and in robots.txt."""
    try:
        return f"auto-benchmark/{metadata.version('auto-benchmark')}"
    except metadata.PackageNotFoundError:
        return "auto-benchmark/0"


def get(
    url: str,
    *,
    headers: Mapping[str, str],
    timeout: float,
    max_bytes: int,
    allowed: Callable[[str], None],
) -> Answer:
    """GETs an address and follows redirects; `allowed` is asked before each request and raises where it may not be."""
    address = url
    extra = dict(headers)
    with httpx.Client(timeout=timeout, follow_redirects=False) as client, _Deadline(timeout) as deadline:
        for _ in range(MOST_REDIRECTS + 1):
            allowed(address)
            answer = _exchange(client, address, extra, deadline, max_bytes)
            target = answer.headers.get("location", "")
            if answer.status not in REDIRECTS or not target:
                return answer
            following = _followed(answer.url, target, origin=url)
            if urlsplit(following).netloc != urlsplit(url).netloc:
                extra = {}
            address = following
    raise BadInput(Problem(shown_url(url), f"more than {MOST_REDIRECTS} redirects", "the board's own address"))


def _exchange(
    client: httpx.Client, url: str, headers: Mapping[str, str], deadline: _Deadline, max_bytes: int
) -> Answer:
    try:
        request = client.build_request(
            "GET",
            url,
            headers={"User-Agent": user_agent(), "Accept-Encoding": "gzip", **headers},
            extensions={"trace": deadline.watch},
        )
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise BadInput(Problem(shown_url(url), f"an address that is none ({error})", "http:// or https://")) from None
    try:
        response = client.send(request, stream=True)
        try:
            body = _bounded_body(response, url, deadline, max_bytes) if response.status_code == 200 else b""
        finally:
            response.close()
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise BadInput(Problem(shown_url(url), f"a redirect to no address ({error})", "http:// or https://")) from None
    except (httpx.TransportError, httpx.DecodingError) as error:
        late = f"no whole answer within {deadline.seconds:g} s" if deadline.passed else ""
        raise Retryable(f"{shown_url(url)}: {late or str(error) or type(error).__name__}") from None
    return Answer(url, response.status_code, {key.lower(): value for key, value in response.headers.items()}, body)


def _bounded_body(response: httpx.Response, url: str, deadline: _Deadline, max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    for piece in response.iter_bytes():
        size += len(piece)
        if size > max_bytes:
            raise BadInput(Problem(shown_url(url), f"more than {max_bytes} bytes", f"at most {max_bytes} bytes"))
        pieces.append(piece)
        if deadline.passed:
            break
    if deadline.passed:  # a connection we cut looks like the end of a body whose length was not said
        raise Retryable(f"{shown_url(url)}: no whole answer within {deadline.seconds:g} s")
    return b"".join(pieces)


def _followed(current: str, target: str, *, origin: str) -> str:
    """Where a redirect leads, unless it leaves the web or leads from a public host into a private network."""
    try:
        following = urljoin(current, target)
        parts = urlsplit(following)
        host = parts.hostname
    except ValueError:
        host, parts, following = None, urlsplit(""), target
    if parts.scheme not in ("http", "https") or not host:
        raise BadInput(Problem(shown_url(origin), f"a redirect to {shown_url(target)[:200]}", "http:// or https://"))
    if _is_private(host) and not _is_private(urlsplit(origin).hostname or ""):
        raise BadInput(
            Problem(
                shown_url(origin), f"a redirect into a private network ({shown_url(following)[:200]})", "a public host"
            )
        )
    return following


def _is_private(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return not ipaddress.ip_address(host.partition("%")[0]).is_global
    except ValueError:
        return False


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a `Retry-After` header asks for (a number or a date), within a week."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        seconds = float(value[:12])
    else:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_PATIENCE_S)


class _Deadline:
    """Ends a whole exchange after `seconds`, however slowly the other side drips: httpx only bounds single reads."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds
        self._streams: list[Any] = []
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    @property
    def passed(self) -> bool:
        return time.monotonic() >= self._end

    def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """httpcore's trace hook: remembers every connection as it opens."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._streams.append(info["return_value"])

    def _cut(self) -> None:
        for stream in self._streams:
            connection = stream.get_extra_info("socket")
            if connection is not None:
                try:
                    connection.shutdown(2)
                except OSError:
                    continue  # closed meanwhile, which is what was wanted
