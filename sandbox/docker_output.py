"""A container's output, as the engine sends it over a connection of its own.

Called by `sandbox.docker_runs`, which reads it to its end whatever happens.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker import APIClient

_CHUNK = 1 << 16
_HEADER = 8


@contextlib.contextmanager
def attached(client: APIClient, container: str) -> Iterator[socket.socket]:
    """The raw connection over which the container's output will come."""
    opened = client.attach_socket(container, params={"stdout": 1, "stderr": 1, "stream": 1})
    response = getattr(opened, "_response", None)
    stream: socket.socket = getattr(opened, "_sock", opened)
    stream.settimeout(None)
    try:
        yield stream
    finally:
        # In this order: the response flushes what the connection's file must still be open for.
        if response is not None:
            response.close()
        opened.close()


def pieces(stream: socket.socket) -> Iterator[bytes]:
    """The output in pieces, both streams as they come.

    The engine sends it in frames: a byte that tells the streams apart, three of nothing, four of length, the text.
    """
    buffer = b""
    wanted = 0
    while chunk := stream.recv(_CHUNK):
        buffer += chunk
        while buffer:
            if wanted == 0:
                if len(buffer) < _HEADER:
                    break
                wanted = struct.unpack(">I", buffer[4:_HEADER])[0]
                buffer = buffer[_HEADER:]
            piece, buffer = buffer[:wanted], buffer[wanted:]
            wanted -= len(piece)
            if piece:
                yield piece
