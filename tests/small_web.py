"""A web server on loopback whose answers a test writes, for sources of papers; it remembers what it was asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain"
    headers: dict[str, str] = field(default_factory=dict)
    drip_s: float = 0.0
    """Seconds between two bytes."""
    cut: int | None = None
    """Bytes after which the connection ends, although more were announced."""


Route = Answer | list[Answer] | Callable[[dict[str, str]], Answer]
"""One answer, answers in turn (the last one stays), or a function of the query's arguments."""


@dataclass
class SmallWeb:
    url: str = ""
    routes: dict[str, Route] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def paths(self) -> list[str]:
        return [urlsplit(path).path for path in self.asked if not path.startswith("/robots.txt")]

    def arguments(self, path: str) -> list[dict[str, str]]:
        found = [urlsplit(one) for one in self.asked]
        return [{key: value[0] for key, value in parse_qs(one.query).items()} for one in found if one.path == path]


@contextmanager
def small_web(**routes: Route) -> Iterator[SmallWeb]:
    web = SmallWeb(routes=dict(routes))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            web.asked.append(self.path)
            web.times.append(time.monotonic())
            web.headers.append({key.lower(): value for key, value in self.headers.items()})
            route = web.routes.get(parts.path, Answer(404))
            if isinstance(route, list):
                route = route.pop(0) if len(route) > 1 else route[0]
            if callable(route):
                route = route({key: value[0] for key, value in parse_qs(parts.query).items()})
            self.send_response(route.status)
            self.send_header("Content-Type", route.content_type)
            self.send_header("Content-Length", str(len(route.body)))
            for name, value in route.headers.items():
                self.send_header(name, value)
            self.end_headers()
            body = route.body if route.cut is None else route.body[: route.cut]
            try:
                for byte in [body[i : i + 1] for i in range(len(body))] if route.drip_s else [body]:
                    time.sleep(route.drip_s)
                    self.wfile.write(byte)
            except OSError:
                return
            self.close_connection = True

        def log_message(self, *words: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    web.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def arxiv_entry(identifier: str, title: str, summary: str = "An abstract.", more: str = "") -> str:
    return (
        f"<entry><id>http://arxiv.org/abs/{identifier}</id><title>{title}</title>"
        "<updated>2026-02-10T00:00:00Z</updated><published>2026-02-01T00:00:00Z</published>"
        f"<summary>{summary}</summary><author><name>A. Author</name></author>{more}</entry>"
    )


def arxiv_feed(*entries: str, total: int | None = None) -> Answer:
    count = len(entries) if total is None else total
    head = (
        '<feed xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" xmlns="http://www.w3.org/2005/Atom" '
        'xmlns:arxiv="http://arxiv.org/schemas/atom">'
        f"<opensearch:totalResults>{count}</opensearch:totalResults>"
    )
    return Answer(200, (head + "".join(entries) + "</feed>").encode(), "application/atom+xml")
