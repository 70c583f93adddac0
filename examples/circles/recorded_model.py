"""A language model that was recorded: an OpenAI-compatible server on loopback that answers from `replies/`.

    .venv/bin/python examples/circles/recorded_model.py --port 8731

Each file of `replies/` holds one idea and the patches that go with it, in the order in which they are tried. An idea is
given once every idea before it stands in the question, so that a night that was killed goes on where it was. A patch is
given to the question that names its idea; the next one where the one before was refused. It knows nothing else: it is
asked over the wire like any model, and what it says is checked like any model's word.
"""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

REPLIES = Path(__file__).resolve().parent / "replies"
PROPOSE, PATCH = "recorded-propose", "recorded-patch"
"""Models by the role that asks them; `models.yaml` below says so."""
Document = dict[str, Any]


def load(folder: Path = REPLIES) -> list[Document]:
    """The recorded ideas in order, each with its patches as text."""
    found = []
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        for patch in document["patches"]:
            patch["patch"] = "\n".join(patch["patch"])
        found.append(document)
    return found


def answer(recorded: list[Document], request: Document) -> Document:
    """What the model says to one request: the form of the role that its name stands for, filled in."""
    messages = request["messages"]
    asked = "\n".join(str(message["content"]) for message in messages)
    if request["model"] == PROPOSE:
        following = next((one for one in recorded if one["idea"]["title"] not in asked), None)
        return {"ideas": [following["idea"]] if following is not None else []}
    refused = sum(message["role"] == "assistant" for message in messages)
    for one in recorded:
        if one["idea"]["title"] in asked and refused < len(one["patches"]):
            reply: Document = one["patches"][refused]
            return reply
    return {"note": "nothing was recorded for this", "read": [], "patch": ""}


def completion(request: Document, said: Document) -> Document:
    """A chat completion in the form of the public API; four characters count as a token."""
    text = json.dumps(said)
    sent = sum(len(str(message["content"])) for message in request["messages"]) // 4
    return {
        "id": "chatcmpl-recorded",
        "object": "chat.completion",
        "created": 1,
        "model": request["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": sent,
            "completion_tokens": len(text) // 4,
            "total_tokens": sent + len(text) // 4,
        },
    }


def models_yaml(base_url: str) -> str:
    """The workspace's `models.yaml` for this server."""
    return f"""# Recorded replies, served on this machine by recorded_model.py. They cost nothing.
version: 1
endpoints:
  recorded: {{base_url: "{base_url}"}}
models:
  default: {{endpoint: recorded, model: {PROPOSE}}}
  patch: {{model: {PATCH}, max_output_tokens: 16384}}
prices:
  models:
    {PROPOSE}: {{input: 0, output: 0}}
    {PATCH}: {{input: 0, output: 0}}
"""


@contextmanager
def serving(port: int = 0, folder: Path = REPLIES) -> Iterator[str]:
    """The server for the length of a `with`; gives its base URL. Port 0 takes a free one."""
    recorded = load(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers.get("content-length", "0"))) or b"{}")
            body = json.dumps(completion(request, answer(recorded, request))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve recorded replies as a language model.")
    parser.add_argument("--port", type=int, default=8731)
    options = parser.parse_args()
    with serving(options.port) as base_url:
        print(models_yaml(base_url), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
