"""What a company puts between a workspace and a model, on loopback: its own certificate authority, and a proxy.

The authority's certificates are made with the `openssl` program; the proxy keeps what it saw.
"""

from __future__ import annotations

import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*arguments: str | int | Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl program to make certificates with")
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=20)


class Authority:
    """A certificate authority of one's own: `ca.pem`, `ca.key` and what it has signed, in a folder."""

    def __init__(self, folder: Path, name: str = "Example Company CA") -> None:
        folder.mkdir(parents=True)
        self.folder, self.pem, self.key = folder, folder / "ca.pem", folder / "ca.key"
        openssl("req", "-x509", *NEW_KEY, "-subj", f"/CN={name}", "-days", 2, "-keyout", self.key, "-out", self.pem)

    def server(self, names: str = "DNS:localhost,IP:127.0.0.1") -> ssl.SSLContext:
        """What a server needs whose certificate this authority has signed."""
        key, request, pem, wanted = (self.folder / f"server.{end}" for end in ("key", "csr", "pem", "ext"))
        wanted.write_text(f"subjectAltName={names}\n")
        openssl("req", *NEW_KEY, "-subj", "/CN=server", "-keyout", key, "-out", request)
        openssl(
            "x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self.key, "-CAcreateserial", "-days", 2,
            "-extfile", wanted, "-out", pem,
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
        return context


@dataclass
class Proxy:
    """What a test holds of a proxy."""

    url: str = ""
    answer: str = ""
    """A status line in the place of a connection."""
    login: str = ""
    """The header that it wants, if any."""
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """First line and headers of each request."""
    passed: bytearray = field(default_factory=bytearray)
    """All that clients sent after that."""


@contextmanager
def proxying(answer: str = "", login: str = "", tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """A proxy on a free port of loopback: tunnels, and requests for http that it passes on."""
    proxy = Proxy(answer=answer, login=login)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            first = self.rfile.readline().decode().strip()
            headers: dict[str, str] = {}
            while line := self.rfile.readline().decode().strip():
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            if not first:
                return
            proxy.seen.append((first, headers))
            refusal = proxy.answer
            if proxy.login and headers.get("proxy-authorization") != proxy.login:
                refusal = "407 Proxy Authentication Required"
            if refusal:
                self.wfile.write(f"HTTP/1.1 {refusal}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
                return
            method, target, _ = first.split()
            if method == "CONNECT":
                host, _, port = target.rpartition(":")
                with socket.create_connection((host, int(port))) as onward:
                    self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    self.pump(onward)
                return
            authority, _, path = target.removeprefix("http://").partition("/")
            host, _, port = authority.partition(":")
            body = self.rfile.read(int(headers.get("content-length", "0")))
            proxy.passed += body
            kept = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if not name.startswith("proxy-"))
            with socket.create_connection((host, int(port))) as onward:
                onward.sendall(f"{method} /{path} HTTP/1.1\r\n{kept}\r\n".encode() + body)
                while piece := onward.recv(65536):
                    self.wfile.write(piece)

        def pump(self, onward: socket.socket) -> None:
            def back() -> None:
                try:
                    while piece := onward.recv(65536):
                        self.connection.sendall(piece)
                    self.connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the client was done

            thread = threading.Thread(target=back, daemon=True)
            thread.start()
            try:
                while piece := self.connection.recv(65536):
                    proxy.passed += piece
                    onward.sendall(piece)
                onward.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the server was done
            thread.join(5)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, *_: object) -> None: ...

    server = Server(("127.0.0.1", 0), Handler)
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        proxy.url = proxy.url.replace("http:", "https:")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
