"""The distance between requests to one site, for the whole process: whoever asks, the site is asked one at a time.

Used around every request for papers (`tools.arxiv_transport`, `tools.citations`, `tools.feeds`). All hosts of arXiv
are one site, so a search and the files that it finds share arXiv's three seconds. A site that asked for patience is
not asked again before its time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from registry.errors import RateLimited
from tools.web.addresses import shown_url

ARXIV_PAUSE_S = 3.0
"""arXiv's terms of use: at most one request every three seconds, over one connection."""
PAUSE_S = 1.0
"""Between requests to any other site."""
REST_S = 60.0
"""How long a site is left alone that asked for patience and did not say how much."""
_TOGETHER = {"arxiv.org": ARXIV_PAUSE_S}
"""Sites of several hosts, each with the least pause that it asks for."""


class _Site:
    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.last = float("-inf")
        self.not_before = float("-inf")


class Courtesy:
    """When each site was asked last. One object, `COURTESY`, serves the process."""

    def __init__(self) -> None:
        self._sites: dict[str, _Site] = {}
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, url: str, pause_s: float) -> Iterator[None]:
        """Around one request: waits for its turn. Raises RateLimited, asking nobody, while the site wants patience."""
        name = site(url)
        with self._lock:
            state = self._sites.setdefault(name, _Site())
        with state.turn:
            left = state.not_before - time.monotonic()
            if left > 0:
                raise RateLimited(f"{shown_url(url)}: not asked, {name} wants to be left alone for {left:.0f} s", left)
            time.sleep(max(0.0, state.last + max(pause_s, _TOGETHER.get(name, 0.0)) - time.monotonic()))
            try:
                yield
            except RateLimited as refusal:
                wait = REST_S if refusal.retry_after_s is None else refusal.retry_after_s
                state.not_before = time.monotonic() + wait
                raise
            finally:
                state.last = time.monotonic()


def site(url: str) -> str:
    """Who is behind an address: its host and port, or the name that several hosts share."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return ""
    for name in _TOGETHER:
        if host == name or host.endswith("." + name):
            return name
    return f"{host}:{parts.port or parts.scheme}"


def pause_for(url: str) -> float:
    """The pause that the site behind an address is owed; a mirror on this machine is owed none."""
    name = site(url)
    if name.rpartition(":")[0] in {"localhost", "127.0.0.1", "::1"}:
        return 0.0
    return _TOGETHER.get(name, PAUSE_S)


COURTESY = Courtesy()
