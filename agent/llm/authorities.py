"""Reads the certificates of an endpoint's `ca_file`, and says what is wrong with the file.

Called when an endpoint's connections are prepared, and by doctor. The certificates are trusted beside the machine's
own, and for this endpoint alone.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from registry.errors import BadInput, Problem
from registry.workspace import Workspace
from sandbox.outputs import plain_text

if TYPE_CHECKING:
    import ssl

_LARGEST_FILE = 4 << 20
_CERTIFICATE = re.compile(rb"-----BEGIN ((?:X509 )?CERTIFICATE)-----[^-]*-----END \1-----")
_FIX = "ask whoever runs the server or the proxy for the authority's certificate as a PEM file"


@dataclass(frozen=True, slots=True)
class Authorities:
    """What a `ca_file` holds."""

    path: Path
    pem: str
    """Its certificates and nothing else."""
    count: int
    names: tuple[str, ...]
    """Of those that may sign others, for people."""


class _Complaint(Protocol):
    def __call__(self, found: str, fix: str = ...) -> BadInput: ...


def find_authorities(workspace: Workspace, endpoint: str, file: str) -> Authorities:
    """The certificates in the file that an endpoint names. Raises BadInput."""
    path = workspace.root / Path(file).expanduser()
    where, place = str(workspace.models), f"endpoints.{endpoint}.ca_file"

    def complaint(found: str, fix: str = _FIX) -> BadInput:
        expected = "certificates that are in force, in PEM form"
        return BadInput(Problem(where, f"the file {path}, {found}", expected, place, fix=fix))

    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise complaint(f"which cannot be read ({error.strerror})") from None
    if len(content) > _LARGEST_FILE:
        raise complaint(f"which has more than {_LARGEST_FILE} bytes")
    blocks = [found.group().decode("ascii", "backslashreplace") for found in _CERTIFICATE.finditer(content)]
    if not blocks:
        raise _without_certificates(content, path, complaint)
    pem = "\n".join(blocks) + "\n"
    names, ends = _read(pem, complaint)
    if ends is not None and ends < time.time():
        raise complaint(f"whose last certificate ran out on {datetime.fromtimestamp(ends, UTC):%Y-%m-%d}")
    return Authorities(path, pem, len(blocks), names)


def trust(context: ssl.SSLContext, pem: str) -> None:
    """Trust these certificates too. One that another has signed counts by itself, as companies give out such ones."""
    import ssl

    context.load_verify_locations(cadata=pem)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _without_certificates(content: bytes, path: Path, complaint: _Complaint) -> BadInput:
    if content[:1] == b"\x30":
        return complaint(
            "which is in DER form", f"openssl x509 -inform der -in {path} -out {path.stem}.pem, and name that"
        )
    held = "a private key and no certificate" if b"PRIVATE KEY-----" in content else "no certificate in PEM form"
    return complaint(f"which holds {held}")


def _read(pem: str, complaint: _Complaint) -> tuple[tuple[str, ...], float | None]:
    """Names of the authorities, and when the last of them runs out (seconds since 1970); None where none signs."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        trust(context, pem)
    except (ssl.SSLError, ValueError) as error:
        said = getattr(error, "reason", None) or "it cannot be decoded"
        raise complaint(f"which holds a broken certificate ({said})") from None
    held: list[Any] = context.get_ca_certs()
    ends = [ssl.cert_time_to_seconds(one["notAfter"]) for one in held]
    return tuple(_name(one) for one in held), max(ends, default=None)


def _name(certificate: dict[str, Any]) -> str:
    said = {name: value for part in certificate.get("subject", ()) for name, value in part}
    return plain_text(said.get("commonName") or said.get("organizationName") or "without a name", 80)
