"""Content-addressed bytes: raw answers, papers, model replies, kept once under their own SHA-256.

Called by whoever logs an event about content too large for the log. It never deletes and knows no meaning.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from registry.durable import fsync_folder, make_folder, write_atomically
from registry.errors import AgentError

_DIGEST = re.compile("[0-9a-f]{64}")


class BlobMissing(AgentError):
    """No content under this digest."""


class BlobDamaged(AgentError):
    """What is stored does not have the digest it is stored under."""


class Blobs:
    """A folder of blobs, `<first two digits>/<digest>`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, content: bytes) -> str:
        """Keep `content` and return its digest; content already there and whole is not written again."""
        digest = hashlib.sha256(content).hexdigest()
        path = self.path(digest)
        if not self._holds(path, digest):
            if not path.parent.is_dir():
                make_folder(path.parent)
                fsync_folder(self.folder)
            write_atomically(path, content)
        return digest

    def get(self, digest: str) -> bytes:
        """The content with this digest, checked; raises BlobMissing or BlobDamaged."""
        path = self.path(digest)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise BlobMissing(f"{path}: nothing is stored under this digest") from None
        if (actual := hashlib.sha256(content).hexdigest()) != digest:
            raise BlobDamaged(f"{path}: the content has the digest {actual[:12]}…; fetch it again")
        return content

    def path(self, digest: str) -> Path:
        """Where content with this digest is kept, whether or not it is there."""
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"{digest[:80]!r} is no SHA-256 digest in lower-case hexadecimal")
        return self.folder / digest[:2] / digest

    def __contains__(self, digest: str) -> bool:
        return self.path(digest).is_file()

    @staticmethod
    def _holds(path: Path, digest: str) -> bool:
        try:
            with path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest() == digest
        except FileNotFoundError:
            return False
