"""The leaderboard of the digits, as a web page and as JSON over real HTTP on loopback. Standard library only.

    python rivals/board.py serve --standings standings.json --ours ours.json   # prints the page's URL, serves on
    python rivals/board.py update --ours ours.json --accuracy 0.9689           # what a submission would do

Run by the demo as a process of its own. Both files are read anew for every request, so a rewritten file is a changed
board. The page stands at `/`, the same as JSON at `/standings.json`; both answer conditional requests.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import json
import math
import os
import sys
import threading
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DEFAULT_NAME = "Our perceptron"
MEDALS = {1: "🥇", 2: "🥈", 3: "🥉"}
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:48rem;padding:0 1rem;color:#1b1b1b}"
    "table{border-collapse:collapse;width:100%}caption{text-align:left;color:#555;padding-bottom:.5rem}"
    "th,td{text-align:left;padding:.4rem .8rem;border-bottom:1px solid #ddd}"
    "td.number{font-variant-numeric:tabular-nums}"
    "tr.ours{background:#f2f7ff}"
)


@dataclass(frozen=True)
class Row:
    """One line of the board, ranked: equal scores share a rank and the next one is skipped."""

    rank: int
    name: str
    accuracy: float
    method: str
    ours: bool


def ranked(standings: dict[str, Any], ours: dict[str, Any] | None) -> list[Row]:
    """All entries, best first."""
    entries = [(entry, False) for entry in standings["entries"]]
    if ours is not None:
        entries.append((ours, True))
    entries.sort(key=lambda pair: (-pair[0]["accuracy"], pair[0]["name"]))
    scores = [entry["accuracy"] for entry, _ in entries]
    return [
        Row(1 + scores.index(entry["accuracy"]), entry["name"], entry["accuracy"], entry.get("method", ""), is_ours)
        for entry, is_ours in entries
    ]


def page(rows: list[Row], standings: dict[str, Any]) -> str:
    """The board as HTML, complete in itself."""
    lines = []
    for row in rows:
        medal = f"{MEDALS[row.rank]} " if row.rank in MEDALS else ""
        cells = f"<td>{row.rank}</td><td>{medal}{html.escape(row.name)}</td>"
        cells += f'<td class="number">{row.accuracy:.4f}</td><td>{html.escape(row.method)}</td>'
        opening = '<tr class="ours">' if row.ours else "<tr>"
        lines.append(f"{opening}{cells}</tr>")
    note = f"Rivals measured on this machine with {html.escape(standings['library'])} by the solution's evaluate.py."
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f"<title>Digits leaderboard</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>Digits leaderboard</h1>",
            '<table id="leaderboard">\n<caption>Accuracy on the test split; higher is better</caption>',
            "<thead><tr><th>Rank</th><th>System</th><th>Accuracy</th><th>Method</th></tr></thead>\n<tbody>",
            *lines,
            f"</tbody>\n</table>\n<p>{note}</p>\n</body>\n</html>\n",
        ]
    )


def document(rows: list[Row], standings: dict[str, Any]) -> str:
    """The board as JSON."""
    entries = [{"rank": row.rank, "name": row.name, "accuracy": row.accuracy, "method": row.method} for row in rows]
    return json.dumps({"board": standings["board"], "metric": standings["metric"], "entries": entries}, indent=2) + "\n"


class Board(ThreadingHTTPServer):
    """The server; knows the two files and renders them."""

    daemon_threads = True

    def __init__(self, standings: Path, ours: Path, port: int) -> None:
        self._standings, self._ours = standings, ours
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that went away in the middle is no fault of the board's."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def render(self, path: str) -> tuple[str, str, float] | None:
        """Content type, body and time of the last change; None for an address the board does not have."""
        if path not in ("/", "/standings.json"):
            return None
        standings = json.loads(self._standings.read_text(encoding="utf-8"))
        changed = self._standings.stat().st_mtime
        ours = None
        if self._ours.exists():
            ours = json.loads(self._ours.read_text(encoding="utf-8"))
            changed = max(changed, self._ours.stat().st_mtime)
        rows = ranked(standings, ours)
        if path == "/":
            return "text/html; charset=utf-8", page(rows, standings), changed
        return "application/json", document(rows, standings), changed


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD with ETag and Last-Modified."""

    server: Board
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        try:
            rendered = self.server.render(self.path.partition("?")[0])
        except (OSError, ValueError, KeyError, TypeError) as error:
            return self._send(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", f"{error}\n", {}, with_body=with_body)
        if rendered is None:
            return self._send(HTTPStatus.NOT_FOUND, "text/plain", "no such page\n", {}, with_body=with_body)
        kind, body, changed = rendered
        etag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
        headers = {"ETag": etag, "Last-Modified": formatdate(changed, usegmt=True), "Cache-Control": "no-cache"}
        if self._is_known(etag, changed):
            return self._send(HTTPStatus.NOT_MODIFIED, kind, "", headers, with_body=False)
        return self._send(HTTPStatus.OK, kind, body, headers, with_body=with_body)

    def _is_known(self, etag: str, changed: float) -> bool:
        """Whether the client has this version; its ETag decides where it sends one."""
        if (tags := self.headers.get("If-None-Match")) is not None:
            return tags.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        if (since := self.headers.get("If-Modified-Since")) is not None:
            try:
                return math.floor(changed) <= parsedate_to_datetime(since).timestamp()
            except (ValueError, OverflowError):
                return False
        return False

    def _send(self, status: HTTPStatus, kind: str, body: str, headers: dict[str, str], *, with_body: bool) -> None:
        content = body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status is not HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
        """Requests are not logged: the demo's screen belongs to the loop."""


def update(ours: Path, name: str, accuracy: float) -> None:
    """Put our score on the board. The file is replaced whole, so a request sees the old one or the new one."""
    if not 0 <= accuracy <= 1:
        raise SystemExit(f"--accuracy: found {accuracy}, expected a number from 0 to 1")
    entry = {"name": name, "accuracy": accuracy, "method": "multi-layer perceptron, this repository"}
    beside = ours.with_name(f".{ours.name}.{os.getpid()}")
    beside.write_text(json.dumps(entry, indent=2) + "\n", encoding="utf-8")
    beside.replace(ours)


def serve(standings: Path, ours: Path, port: int = 0, *, until_input_ends: bool = False) -> None:
    """Print the page's URL and serve until terminated, or until standard input ends: the starter has gone."""
    with Board(standings, ours, port) as board:
        print(board.url, flush=True)
        if until_input_ends:
            threading.Thread(target=lambda: (sys.stdin.buffer.read(), board.shutdown()), daemon=True).start()
        try:
            board.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            return


def main() -> int:
    parser = argparse.ArgumentParser(description="The leaderboard of the digits.")
    actions = parser.add_subparsers(dest="action", required=True)
    serving = actions.add_parser("serve", help="serve the board on loopback and print its URL")
    serving.add_argument("--standings", type=Path, required=True)
    serving.add_argument("--ours", type=Path, required=True, help="may not exist yet: then we are not on the board")
    serving.add_argument("--port", type=int, default=0, help="0 takes a free one")
    serving.add_argument("--until-input-ends", action="store_true", help="end when standard input does")
    updating = actions.add_parser("update", help="write our score to the file that the board reads")
    updating.add_argument("--ours", type=Path, required=True)
    updating.add_argument("--name", default=DEFAULT_NAME)
    updating.add_argument("--accuracy", type=float, required=True)
    options = parser.parse_args()
    if options.action == "serve":
        serve(options.standings, options.ours, options.port, until_input_ends=options.until_input_ends)
    else:
        update(options.ours, options.name, options.accuracy)
    return 0


if __name__ == "__main__":
    sys.exit(main())
