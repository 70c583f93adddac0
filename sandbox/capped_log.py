"""Keeps the beginning and the end of a program's output, whatever its length, in constant memory.

Written by the supervisor only. The beginning goes to a file as it comes; of what exceeds the cap only the last
few kilobytes are remembered. Standard library only, for the supervisor.
"""

# Plain os calls throughout: this runs twenty times a second beside somebody's training.
from __future__ import annotations

import os

TAIL_BYTES = 8 << 10


class CappedLog:
    """Output of one run: `total` bytes seen, of which the first `cap` and the last few (`tail`) reach the file."""

    def __init__(self, path: str, cap: int) -> None:
        self.total = 0
        self._cap = cap
        self.tail = b""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o644) if path else -1

    def add(self, chunk: bytes) -> None:
        """Take the next piece of output."""
        room = self._cap - self.total
        if self._file >= 0 and room > 0:
            self._write(chunk[:room])
        self.total += len(chunk)
        if len(chunk) >= TAIL_BYTES:
            self.tail = chunk[-TAIL_BYTES:]
        else:
            self.tail = (self.tail + chunk)[-TAIL_BYTES:]

    def close(self) -> bytes:
        """Finish the file, saying how much is missing between beginning and end; returns the last bytes."""
        if self._file >= 0:
            beyond = self.total - self._cap
            if beyond > 0:
                tail = self.tail[-beyond:]
                self._write(f"\n[{beyond - len(tail)} bytes of output left out]\n".encode() + tail)
            os.close(self._file)
            self._file = -1
        return self.tail

    def _write(self, data: bytes) -> None:
        """Write what fits: a full disk costs the log, never the run."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError:
            return
