"""Finds an endpoint's secrets where `models.yaml` says they are, and takes them out of all that is kept or shown.

Called when an endpoint is first asked, and by doctor. A key, or a proxy's login, is in this process's memory and in
the request's header, and nowhere else.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from registry.errors import BadInput, Problem
from registry.model_config import KeySource
from registry.workspace import Workspace

REDACTED = "[key]"
SHORTEST = 8
"""What is shorter is no secret, and taking it out would garble ordinary text."""
_LARGEST_FILE = 10_000
_DEEPEST = 16
"""Backslashes before a character that are taken for JSON within JSON; bounded, so that no answer takes long."""
_WRAPPED = re.compile(r"[\"'`]|[A-Z_][A-Z0-9_]*=[^=]")
"""How a line of a shell's file begins: sent on, it would be no key, and redacted only as a whole."""


def find_key(workspace: Workspace, endpoint: str, source: KeySource | None) -> str | None:
    """The key of an endpoint; None where it has none. BadInput says what is missing and never shows what is there."""
    if source is None:
        return None
    hint = "a server that wants no key needs no `key` here"
    return _secret(workspace, f"endpoints.{endpoint}.key", source, "key", hint)


def find_login(workspace: Workspace, endpoint: str, source: KeySource | None) -> tuple[str, str] | None:
    """User and password for an endpoint's proxy; None where it wants none. BadInput as for a key."""
    if source is None:
        return None
    place, hint = f"endpoints.{endpoint}.proxy_login", "a proxy that wants no login needs no `proxy_login` here"
    user, _, password = _secret(workspace, place, source, "login", hint).partition(":")
    if not user or len(password) < SHORTEST:
        said = f"the variable {source.env}" if source.env is not None else f"the file {key_file(workspace, source)}"
        found = f"{said} with something that is no login (not shown)"
        expected = f"user:password, the password of at least {SHORTEST} characters"
        raise BadInput(Problem(str(workspace.models), found, expected, place, fix=hint))
    return user, password


def _secret(workspace: Workspace, place: str, source: KeySource, what: str, hint: str) -> str:
    where = str(workspace.models)
    if source.env is not None:
        found, said = os.environ.get(source.env, ""), f"the environment variable {source.env}"
        fix = f"export {source.env}=… before `agent run`"
        if not found.strip():
            raise BadInput(Problem(where, f"{said} not set", f"the endpoint's {what} in it", place, fix=fix))
    else:
        path = key_file(workspace, source)
        said, fix = f"the file {path}", f"put the {what} and nothing else into it"
        try:
            with path.open("rb") as stream:
                found = stream.read(_LARGEST_FILE).decode("ascii")
        except OSError as error:
            problem = Problem(where, f"{said}, which cannot be read ({error.strerror})", f"the {what}", place, fix=fix)
            raise BadInput(problem) from None
        except UnicodeDecodeError:
            found = ""
    secret = found.strip()
    if _WRAPPED.match(secret):
        found = f"{said} with a {what} in quotes or behind a name (not shown)"
        raise BadInput(Problem(where, found, f"the {what} and nothing around it", place, fix=fix))
    if not SHORTEST <= len(secret) <= 4000 or not secret.isascii() or not secret.isprintable() or " " in secret:
        expected = f"one word of at least {SHORTEST} characters"
        found = f"{said} with something that is no {what} (not shown)"
        raise BadInput(Problem(where, found, expected, place, fix=f"{fix}; {hint}"))
    return secret


def key_file(workspace: Workspace, source: KeySource) -> Path:
    """Where the file of a key or a login is."""
    return workspace.root / Path(source.file or "").expanduser()


class Redaction:
    """Takes keys out of text and bytes, in the spellings that servers and libraries give them."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._spellings: list[str] = []
        self._escaped: list[re.Pattern[str]] = []
        for key in keys:
            self.add(key)

    def add(self, key: str) -> None:
        """Take this key out as well from now on."""
        coded = [base64.b64encode(text.encode()).decode().rstrip("=") for text in (key, f":{key}")]
        for spelling in (key, quote(key, safe=""), json.dumps(key)[1:-1], *coded):
            if spelling not in self._spellings:
                self._spellings.append(spelling)
        self._spellings.sort(key=len, reverse=True)
        self._escaped.append(re.compile("".join(map(_with_escapes, key))))

    def text(self, text: str) -> str:
        """The text without any key, also where JSON, or JSON within JSON, spells it with escapes."""
        for spelling in self._spellings:
            text = text.replace(spelling, REDACTED)
        if "\\" in text:
            for pattern in self._escaped:
                text = pattern.sub(REDACTED, text)
        return text

    def body(self, content: bytes) -> bytes:
        """An answer's bytes without any key. What they mean is not asked: a body need not be what it says it is."""
        if b"\0" in content:  # what readers of JSON take for UTF-16 or UTF-32
            content = content.decode(json.detect_encoding(content), "replace").encode("utf-8", "replace")
        return self.text(content.decode("latin-1")).encode("latin-1")


def _with_escapes(character: str) -> str:
    """A pattern for the character itself, and for the same behind backslashes."""
    spelled = rf"\\{{1,{_DEEPEST}}}u(?i:{ord(character):04x})"
    either = [re.escape(character), spelled]
    if character in '"/\\':
        either.append(rf"\\{{1,{_DEEPEST}}}{re.escape(character)}")
    return f"(?:{'|'.join(either)})"
