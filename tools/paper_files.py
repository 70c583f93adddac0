"""Files of papers, fetched once: kept as blobs under their hash, with a note of which address gave which hash.

Used by `tools.arxiv_api`. An address names one version of a paper, so what it gave once is what it gives; where a
blob is gone or damaged, the file is fetched again. The notes are a cache and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

from registry.durable import make_folder, write_atomically
from registry.errors import AgentError

_DIGEST = re.compile("[0-9a-f]{64}")


class PaperFiles:
    """Contents by address. `put` keeps bytes and says their SHA-256, `get` gives them back or raises AgentError."""

    def __init__(self, folder: Path, put: Callable[[bytes], str], get: Callable[[str], bytes]) -> None:
        self._folder = folder
        self._put = put
        self._get = get

    def kept(self, url: str) -> bytes | None:
        """What an address gave before; None where it was never asked or its content is not there any more."""
        try:
            note = json.loads(self._note(url).read_text(encoding="utf-8"))
            digest = str(note["sha256"])
            if note["url"] != url or not _DIGEST.fullmatch(digest):
                return None
            return self._get(digest)
        except (OSError, ValueError, KeyError, TypeError, AgentError):
            return None

    def keep(self, url: str, content: bytes) -> None:
        """Keep what an address gave."""
        digest = self._put(content)
        if not self._folder.is_dir():
            make_folder(self._folder)
        write_atomically(self._note(url), json.dumps({"url": url, "sha256": digest}).encode())

    def _note(self, url: str) -> Path:
        return self._folder / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.paper.json"
