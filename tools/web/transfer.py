"""One polite and safe HTTP request: bounded in time, size and redirects, to addresses that were looked at.

Called by `tools.web.fetching` (boards, feeds, pages), `tools.arxiv_api` and `tools.citations`. Retries, robots.txt,
courtesy and the cache are theirs; this module turns one exchange into an `Answer`. It sends no cookie, reads no
`.netrc`, follows no proxy but the one that `AGENT_PROXY` names, and connects to the very address that
`tools.web.addresses` allowed.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from importlib import metadata
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from registry.errors import BadInput, Problem, Retryable
from tools.leaderboards.names import printable
from tools.web import addresses
from tools.web.addresses import IpAddress, Place, shown_url

MOST_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
LONGEST_PATIENCE_S = 7 * 24 * 3600.0
PROXY = "AGENT_PROXY"
"""The variable that names a proxy; others such as HTTP_PROXY are for other programs."""
_MOST_ADDRESSES = 4
"""Addresses of one host that are tried where the first ones do not answer."""


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
    allowed: Callable[[str], None] = lambda _: None,
    origin: str = "",
    bodies: Set[int] = frozenset({200}),
) -> Answer:
    """GETs an address and follows redirects; `allowed` is asked before each request and raises where it may not be.

    `origin` is the address that the user wrote down, where `url` comes from a stranger (a link in a feed). `timeout`
    in seconds is for everything together; bodies are read for the statuses in `bodies` only. Raises BadInput where
    the address must not be asked or answers too much, Retryable where no whole answer comes.
    """
    address, extra = url, dict(headers)
    with _Deadline(timeout) as deadline, _clients(timeout) as (direct, proxied):
        errand = _Errand(direct, proxied, deadline, max_bytes, bodies)
        start = errand.place(origin or url)
        for hop in range(MOST_REDIRECTS + 1):
            found = start if address == (origin or url) else errand.place(address)
            if not found.addresses:
                to: tuple[IpAddress, ...] = ()
            elif hop or origin:
                to = addresses.allowed_next(address, found, start, origin or url)
            else:
                to = addresses.allowed_start(url, found)
            allowed(address)
            answer = errand.answer(address, extra, found, to)
            target = answer.headers.get("location", "")
            if answer.status not in REDIRECTS or not target:
                return answer
            following = _followed(answer.url, target, origin=url)
            if urlsplit(following)[:2] != urlsplit(url)[:2]:
                extra = {}
            address = following
    raise BadInput(Problem(shown_url(url), f"more than {MOST_REDIRECTS} redirects", "the page's own address"))


@contextmanager
def _clients(timeout: float) -> Iterator[tuple[httpx.Client, httpx.Client | None]]:
    """A client for connections of our own, and one for those through the proxy where there is one."""
    options: dict[str, Any] = {"timeout": timeout, "follow_redirects": False, "trust_env": False}
    options["verify"] = _certificates()
    with ExitStack() as stack:
        direct = stack.enter_context(httpx.Client(**options))
        named = os.environ.get(PROXY, "")
        if not named:
            yield direct, None
            return
        try:
            proxied = httpx.Client(**options, proxy=named)
        except (ValueError, TypeError, httpx.InvalidURL):
            problem = Problem(f"the variable {PROXY}", "no address of a proxy", "http://host:port")
            raise BadInput(problem) from None  # without the value, which may hold a password
        yield direct, stack.enter_context(proxied)


class _NobodyThereError(Exception):
    """No connection to one address of a host."""


@dataclass(frozen=True, slots=True)
class _Errand:
    """What all hops of one request share."""

    direct: httpx.Client
    proxied: httpx.Client | None
    deadline: _Deadline
    max_bytes: int
    bodies: Set[int]

    def place(self, url: str) -> Place:
        """Where an address leads; behind a proxy a public name need not be known here, the proxy finds it."""
        try:
            host = httpx.URL(url).raw_host.decode("ascii")
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise _no_address(url, error) from None
        try:
            return addresses.place(url, host, self.deadline.left)
        except Retryable:
            if self.proxied is None or self.deadline.passed:
                raise
            return Place(host, 0, False, ())

    def answer(self, url: str, headers: Mapping[str, str], found: Place, to: tuple[IpAddress, ...]) -> Answer:
        """The answer of the first of a host's addresses where somebody listens, or of the proxy."""
        if self.proxied is not None and all(addresses.kind(one) == "public" for one in to):
            hops: tuple[IpAddress | None, ...] = (None,)
        else:
            hops = to[:_MOST_ADDRESSES]
        for number, address in enumerate(hops, start=1):
            try:
                return self._exchange(url, headers, found, address)
            except _NobodyThereError as error:
                if number == len(hops) or self.deadline.passed:
                    raise Retryable(str(error)) from None
        raise Retryable(f"{shown_url(url)}: the name has no address")

    def _exchange(self, url: str, headers: Mapping[str, str], found: Place, to: IpAddress | None) -> Answer:
        client = self.direct if to is not None or self.proxied is None else self.proxied
        client.cookies.clear()
        request = self._request(client, url, headers, found, to)
        try:
            response = client.send(request, stream=True)
            try:
                known = response.status_code in self.bodies
                body = _bounded_body(response, url, self.deadline, self.max_bytes) if known else b""
            finally:
                response.close()
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            found_there = f"a redirect to no address ({printable(str(error))})"
            raise BadInput(Problem(shown_url(url), found_there, "http:// or https://")) from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _NobodyThereError(self._why(url, error)) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Retryable(self._why(url, error)) from None
        return Answer(url, response.status_code, {key.lower(): value for key, value in response.headers.items()}, body)

    def _request(
        self, client: httpx.Client, url: str, headers: Mapping[str, str], found: Place, to: IpAddress | None
    ) -> httpx.Request:
        """A request that goes to `to` and speaks to the host by its name."""
        extensions: dict[str, Any] = {"trace": self.deadline.watch}
        if to is not None and not found.literal:
            extensions["sni_hostname"] = found.host
        try:
            written = httpx.URL(url)
            host = written.netloc.decode("ascii")
            address = written if to is None else written.copy_with(host=str(to))
            sent = {"User-Agent": user_agent(), "Accept-Encoding": "gzip", **headers, "Host": host}
            return client.build_request("GET", address, headers=sent, extensions=extensions)
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise _no_address(url, error) from None

    def _why(self, url: str, error: Exception) -> str:
        late = f"no whole answer within {self.deadline.seconds:g} s" if self.deadline.passed else ""
        return f"{shown_url(url)}: {late or printable(str(error))[:200] or type(error).__name__}"


def _no_address(url: str, error: Exception) -> BadInput:
    return BadInput(
        Problem(shown_url(url), f"an address that is none ({printable(str(error))})", "http:// or https://")
    )


@cache
def _certificates() -> ssl.SSLContext:
    """Whom to believe: the usual authorities, or those that SSL_CERT_FILE or SSL_CERT_DIR name."""
    return httpx.create_ssl_context()


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
    """Where a redirect leads, unless it leaves the web."""
    try:
        following = urljoin(current, target)
        parts = urlsplit(following)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable, following = False, target
    if not usable:
        raise BadInput(Problem(shown_url(origin), f"a redirect to {shown_url(target)[:200]}", "http:// or https://"))
    return following


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
    def left(self) -> float:
        """Seconds that remain, at least a hundredth."""
        return max(self._end - time.monotonic(), 0.01)

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
