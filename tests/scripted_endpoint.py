"""An OpenAI-compatible server on loopback that answers by script: tests talk to it over the wire a real one uses.

A script is a list of steps taken in turn, or a function of the request. A step is a reply's text, or a `Step` for
whatever a broken server does. Every request is kept, headers and all, so that a test can say what was sent.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Step:
    """One answer. Left as it is, an ordinary reply with `text`."""

    text: str = ""
    status: int = 200
    finish_reason: str = "stop"
    refusal: str | None = None
    tool_arguments: str | None = None
    """A call of the tool that was offered, with these arguments, in place of text."""
    input_tokens: int = 100
    output_tokens: int = 20
    usage: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """The whole answer instead of a completion."""
    stall_s: float = 0.0
    """Waits before it answers."""
    cut_after: int | None = None
    """Closes the connection after so many bytes of the body."""
    drip_s: float = 0.0
    """Sends the body byte by byte, with this pause between."""


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    document: dict[str, Any]

    @property
    def messages(self) -> list[dict[str, Any]]:
        return list(self.document["messages"])

    @property
    def said(self) -> str:
        """All messages as one text."""
        return "\n".join(str(message["content"]) for message in self.messages)


Script = Sequence[Step | str] | Callable[[Asked], Step | str]


class ScriptedEndpoint:
    """What a test holds of the server."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._lock = threading.Lock()
        self.asked: list[Asked] = []
        self.base_url = ""

    def answer(self, asked: Asked) -> Step:
        with self._lock:
            place = len(self.asked)
            self.asked.append(asked)
        if callable(self._script):
            step = self._script(asked)
        elif place < len(self._script):
            step = self._script[place]
        else:
            step = Step(status=500, body=b'{"error": {"message": "the script is over"}}')
        return Step(step) if isinstance(step, str) else step


def completion(step: Step, model: str) -> bytes:
    """A chat completion in the form of the public API."""
    message: dict[str, Any] = {"role": "assistant", "content": step.text}
    if step.refusal is not None:
        message |= {"content": None, "refusal": step.refusal}
    if step.tool_arguments is not None:
        function = {"name": "reply", "arguments": step.tool_arguments}
        message |= {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
    document: dict[str, Any] = {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": step.finish_reason}],
    }
    if step.usage:
        total = step.input_tokens + step.output_tokens
        document["usage"] = {
            "prompt_tokens": step.input_tokens,
            "completion_tokens": step.output_tokens,
            "total_tokens": total,
        }
    return json.dumps(document).encode()


@contextmanager
def serving(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[ScriptedEndpoint]:
    """The server on a free port of loopback, for the length of a `with`; over https where it has certificates."""
    endpoint = ScriptedEndpoint(script)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            document = json.loads(self.rfile.read(length) or b"{}")
            asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, document)
            step = endpoint.answer(asked)
            time.sleep(step.stall_s)
            default = completion(step, str(document.get("model", ""))) if step.status == 200 else b'{"error": {}}'
            body = step.body if step.body is not None else default
            try:
                self.send_response(step.status)
                for name, value in {"Content-Type": "application/json", **step.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                for place in range(len(body) if step.drip_s else 0):
                    self.wfile.write(body[place : place + 1])
                    time.sleep(step.drip_s)
                if not step.drip_s:
                    self.wfile.write(body if step.cut_after is None else body[: step.cut_after])
                if step.cut_after is not None:
                    self.wfile.flush()
                    self.connection.close()
            except (BrokenPipeError, ConnectionResetError):
                pass  # the caller had no more patience, which is what some tests are about

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None: ...

    server = Server(("127.0.0.1", 0), Handler)
    endpoint.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        endpoint.base_url = endpoint.base_url.replace("http:", "https:")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
