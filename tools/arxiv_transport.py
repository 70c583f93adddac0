"""How arXiv's answers come: over the network or from recordings, checked before the `arxiv` library reads them.

Called by `tools.arxiv_api`. What is no whole Atom feed is refused here, because the library would read it as "no
results". Network trouble is tried again with growing pauses; a rate limit is not, its time is the caller's affair.
"""

from __future__ import annotations

import html
import json
import random
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

from registry.errors import BadInput, Problem, RateLimited, Retryable
from tools.pdf import text as pdf_text
from tools.web.courtesy import ARXIV_PAUSE_S, COURTESY

MAX_ANSWER_BYTES = 50 << 20
FIRST_BACKOFF_S = 2.0
LONGEST_BACKOFF_S = 60.0
_ATOM = b"http://www.w3.org/2005/Atom"
_SUMMARY = re.compile(rb"<summary[^>]{0,200}>([^<]{0,2000})</summary>")


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, by the attribute names under which the `arxiv` library reads it."""

    status_code: int
    content: bytes
    retry_after_s: float | None = None


class Transport(Protocol):
    """Fetches one URL. Raises `Retryable` where no answer comes."""

    def get(self, url: str) -> Answer: ...


class NetworkTransport:
    """HTTP with the site's pause between requests, one time limit for a whole answer and a bound on its size."""

    def __init__(self, timeout_s: float, pause_s: float = ARXIV_PAUSE_S, max_bytes: int = MAX_ANSWER_BYTES) -> None:
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._max_bytes = max_bytes

    def get(self, url: str) -> Answer:
        """The answer, whatever its status; RateLimited where the site wants patience."""
        from tools.web import transfer

        with COURTESY.turn(url, self._pause_s):
            answer = transfer.get(
                url, headers={}, timeout=self._timeout_s, max_bytes=self._max_bytes, bodies=frozenset({200, 400})
            )
            if answer.status in {429, 503}:
                raise RateLimited(f"{url}: HTTP {answer.status}", transfer.retry_after(answer.headers, time.time()))
        return Answer(answer.status, answer.body)


class RecordedTransport:
    """Answers kept in a folder, one JSON file each with `url`, `status_code` and `body` (bytes as Latin-1)."""

    def __init__(self, folder: Path) -> None:
        self._answers: dict[tuple[str, ...], Answer] = {}
        self.requests: list[tuple[str, ...]] = []
        for path in sorted(folder.glob("*.json")):
            try:
                record = json.loads(path.read_text(encoding="utf-8"))
                answer = Answer(int(record["status_code"]), str(record["body"]).encode("latin-1"))
                request = _request(str(record["url"]))
            except (OSError, ValueError, KeyError, TypeError) as error:
                expected = "JSON with url, status_code and body"
                raise BadInput(Problem(where=str(path), found=f"{type(error).__name__}", expected=expected)) from None
            self._answers[request] = answer
            self.requests.append(request)
        if not self._answers:
            raise BadInput(Problem(where=str(folder), found="no recorded answers", expected="*.json files"))

    def get(self, url: str) -> Answer:
        answer = self._answers.get(_request(url))
        if answer is None:
            raise Retryable(f"{url}: no such answer was recorded")
        return answer


class Checked:
    """A transport whose answers are whole feeds or exceptions that say why not. What the library fetches through."""

    def __init__(self, transport: Transport, retries: int = 0, backoff_s: float = FIRST_BACKOFF_S) -> None:
        self._transport = transport
        self._retries = retries
        self._backoff_s = backoff_s

    def get(self, url: str, **_: object) -> Answer:
        """A whole feed; the headers that the library passes are the transport's own affair."""
        for attempt in range(self._retries + 1):
            if attempt:
                wait = min(self._backoff_s * 2 ** (attempt - 1), LONGEST_BACKOFF_S)
                time.sleep(wait * (0.5 + random.random()))  # noqa: S311  (spreads requests, keeps no secret)
            try:
                return self._once(url)
            except RateLimited:
                raise
            except Retryable as error:
                failure = error
        if self._retries:
            raise Retryable(f"{failure} (after {self._retries + 1} attempts)")
        raise failure

    def _once(self, url: str) -> Answer:
        answer = self._transport.get(url)
        if answer.status_code in {429, 503}:
            raise RateLimited(f"{url}: HTTP {answer.status_code}", answer.retry_after_s)
        if answer.status_code == 400 or b"/api/errors#" in answer.content[:MAX_ANSWER_BYTES]:
            said = _SUMMARY.search(answer.content)
            reason = html.unescape(said[1].decode("utf-8", "replace")) if said else f"HTTP {answer.status_code}"
            raise BadInput(Problem(where=url, found=pdf_text.plain(reason, 300), expected="a query that arXiv accepts"))
        if answer.status_code != 200:
            raise Retryable(f"{url}: HTTP {answer.status_code}")
        _require_feed(url, answer.content)
        return answer


def _request(url: str) -> tuple[str, ...]:
    """What a request asks for, whatever the order of its arguments, its host and its sorting."""
    arguments = parse_qs(urlsplit(url).query)
    defaults = {"search_query": "", "id_list": "", "start": "0", "max_results": "10"}
    return tuple(arguments.get(name, [default])[0] for name, default in defaults.items())


def _require_feed(url: str, content: bytes) -> None:
    text = content.strip()
    if _ATOM not in text[:2000]:
        start = pdf_text.plain(text[:60].decode("utf-8", "replace"))
        raise Retryable(f"{url}: answered with something that is no Atom feed, starting with {start!r}")
    if not text.endswith(b"</feed>"):
        raise Retryable(f"{url}: the feed breaks off after {len(content)} bytes")
