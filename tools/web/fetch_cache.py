"""What is remembered of each address between fetches: validators, the last body, and until when not to ask again.

Used by `tools.web.fetching` and `tools.leaderboards.fetching`. One pair of files an address; a pair that does not fit
together is forgotten.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from registry.errors import Retryable


@dataclass(frozen=True, slots=True)
class Remembered:
    """The last good answer of one address."""

    url: str
    sha256: str
    content_type: str = ""
    etag: str = ""
    last_modified: str = ""
    not_before: float = 0.0
    """Clock time (seconds) before which the other side asked not to be asked again."""


class FetchCache:
    """Answers on disk, under one folder that may be deleted at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, url: str) -> tuple[Remembered, bytes] | None:
        """What was kept for an address; None where nothing was, or where it was damaged."""
        try:
            raw = json.loads(self._meta(url).read_text(encoding="utf-8"))
            remembered = Remembered(**raw)
            body = self._body(url).read_bytes() if remembered.sha256 else b""
        except (OSError, ValueError, TypeError):
            return None
        if remembered.url != url or (remembered.sha256 and hashlib.sha256(body).hexdigest() != remembered.sha256):
            return None
        return remembered, body

    def store(self, remembered: Remembered, body: bytes) -> None:
        """Keeps an answer; the body first, so that a crash in between leaves a pair that does not fit."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write(self._body(remembered.url), body)
            self._write(self._meta(remembered.url), json.dumps(asdict(remembered)).encode())
        except OSError as error:
            raise Retryable(f"{self._folder}: an answer could not be kept ({error.strerror})") from None

    def _meta(self, url: str) -> Path:
        return self._folder / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"

    def _body(self, url: str) -> Path:
        return self._meta(url).with_suffix(".body")

    def _write(self, path: Path, content: bytes) -> None:
        descriptor, temporary = tempfile.mkstemp(dir=self._folder)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
