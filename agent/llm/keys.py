"""Finds an endpoint's key where `models.yaml` says it is, and takes keys out of everything that is kept or shown.

Called when an endpoint is first asked, and by doctor. A key is in this process's memory and in the request's header,
and nowhere else.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from registry.errors import BadInput, Problem
from registry.model_config import KeySource
from registry.workspace import Workspace

REDACTED = "[key]"
SHORTEST = 8
"""What is shorter is no secret, and taking it out would garble ordinary text."""
_LARGEST_FILE = 10_000


def find_key(workspace: Workspace, endpoint: str, source: KeySource | None) -> str | None:
    """The key of an endpoint; None where it has none. BadInput says what is missing and never shows what is there."""
    if source is None:
        return None
    where, place = str(workspace.models), f"endpoints.{endpoint}.key"
    if source.env is not None:
        found, said = os.environ.get(source.env, ""), f"the environment variable {source.env}"
        fix = f"export {source.env}=… before `agent run`"
        if not found.strip():
            raise BadInput(Problem(where, f"{said} not set", "the endpoint's key in it", place, fix=fix))
    else:
        path = key_file(workspace, source)
        said, fix = f"the file {path}", "put the key and nothing else into it"
        try:
            with path.open("rb") as stream:
                found = stream.read(_LARGEST_FILE).decode("ascii")
        except OSError as error:
            problem = Problem(where, f"{said}, which cannot be read ({error.strerror})", "the key", place, fix=fix)
            raise BadInput(problem) from None
        except UnicodeDecodeError:
            found = ""
    key = found.strip()
    if not SHORTEST <= len(key) <= 4000 or not key.isascii() or not key.isprintable() or " " in key:
        expected = f"one word of at least {SHORTEST} characters"
        fix += "; a server that wants no key needs no `key` here"
        raise BadInput(Problem(where, f"{said} with something that is no key (not shown)", expected, place, fix=fix))
    return key


def key_file(workspace: Workspace, source: KeySource) -> Path:
    """Where the key's file is."""
    return workspace.root / Path(source.file or "").expanduser()


class Redaction:
    """Takes keys out of text and bytes, in the spellings that servers and libraries give them."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._spellings: list[str] = []
        for key in keys:
            self.add(key)

    def add(self, key: str) -> None:
        """Take this key out as well from now on."""
        coded = [base64.b64encode(text.encode()).decode().rstrip("=") for text in (key, f":{key}")]
        for spelling in (key, quote(key, safe=""), json.dumps(key)[1:-1], *coded):
            if spelling not in self._spellings:
                self._spellings.append(spelling)
        self._spellings.sort(key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without any key."""
        for spelling in self._spellings:
            text = text.replace(spelling, REDACTED)
        return text

    def body(self, content: bytes) -> bytes:
        """An answer's bytes without any key, also where JSON spells it with escapes."""
        for spelling in self._spellings:
            content = content.replace(spelling.encode(), REDACTED.encode())
        if b"\\" in content and self._spellings:
            try:
                document = json.loads(content)
                cleaned = self.value(document)
            except (ValueError, RecursionError):
                return content
            if cleaned != document:
                content = json.dumps(cleaned).encode()
        return content

    def value(self, value: Any) -> Any:
        """A JSON value with every text in it redacted, names of fields included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(name): self.value(item) for name, item in value.items()}
        return value
