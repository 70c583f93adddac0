"""Which web addresses may be asked: http(s) without credentials, and never a private place that a stranger names.

Called by `tools.web.transfer` before each hop, and for showing addresses. A name is resolved here, and the connection
goes to an address that was looked at here, so that a name which answers differently the next time (DNS rebinding)
gains nothing. Spellings such as `2130706433`, `0x7f.1` or `::ffff:127.0.0.1` are judged by the address they mean.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from registry.errors import BadInput, Problem, Retryable
from tools.leaderboards.names import printable

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Kind = Literal["public", "private", "loopback", "special"]
"""`private`: a network of one's own (10.0.0.0/8, fc00::/7 …); `special`: link-local, multicast, reserved and so on."""

_SCHEMES = {"http": 80, "https": 443}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SHARED = ipaddress.IPv4Network("100.64.0.0/10")
_OWN_V6 = ipaddress.IPv6Network("fc00::/7")
_OWN_V4 = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address leads, resolved once."""

    host: str
    """As the address has it, in lower case and without brackets."""
    port: int
    literal: bool
    """Whether the address names the machine itself and no name has to be looked up."""
    addresses: tuple[IpAddress, ...]

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset(map(kind, self.addresses))


def shown_url(url: str) -> str:
    """An address without user name and password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return printable(url)
    if "@" not in parts.netloc:
        return printable(url)
    return printable(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])))


def kind(address: IpAddress) -> Kind:
    """What an address is for; one that wraps another (IPv4-mapped, 6to4, Teredo, NAT64) is what it wraps."""
    if isinstance(address, ipaddress.IPv6Address):
        if (inner := _wrapped(address)) is not None:
            found = kind(inner)
            return found if address.ipv4_mapped is not None or found == "public" else "special"
        if address.is_site_local:
            return "special"
        own = address in _OWN_V6
    else:
        own = address in _SHARED or any(address in network for network in _OWN_V4)
    if address.is_loopback:
        return "loopback"
    if own:
        return "private"
    if address.is_multicast or address.is_unspecified or address.is_reserved or not address.is_global:
        return "special"
    return "public"


def place(url: str, host: str = "", within_s: float = 20.0) -> Place:
    """Resolve an address. BadInput where it is none that may be asked, Retryable where its name is not found now.

    `host` is the host in ASCII, where the address has it in another script.
    """
    written, port = _host_and_port(url)
    host = host or written
    try:
        literal: IpAddress | None = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        literal = None
    if literal is not None:
        return Place(host, port, True, (literal,))
    entries = _resolved(url, host, port, within_s)
    # The resolver writes a link-local address with its scope ("fe80::1%eth0"); nothing public has one.
    return Place(
        host, port, False, tuple(dict.fromkeys(ipaddress.ip_address(one.partition("%")[0]) for one in entries))
    )


def _resolved(url: str, host: str, port: int, within_s: float) -> list[str]:
    """The addresses of a name. The system's resolver knows no deadline, so it is waited for no longer than that."""
    found: list[str] = []
    failure: list[Exception] = []

    def look_up() -> None:
        try:
            found.extend(str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            failure.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(within_s)
    if failure and isinstance(failure[0], UnicodeError):
        raise _none(url, "a host name that is none")
    if failure:
        raise Retryable(f"{shown_url(url)}: {getattr(failure[0], 'strerror', '') or 'the name is not found'}")
    if thread.is_alive() or not found:
        raise Retryable(f"{shown_url(url)}: the name was not found within {within_s:g} s")
    return found


def allowed_start(url: str, found: Place) -> tuple[IpAddress, ...]:
    """Addresses that an address which the user wrote down may be asked at.

    Whoever writes `127.0.0.1`, `localhost` or a name of their own network means it. A name of the public kind
    (`blog.example.com`) that leads to this machine or to a link-local address was not meant, and is refused.
    """
    if "public" in found.kinds:
        return tuple(address for address in found.addresses if kind(address) == "public")
    if found.literal or not _looks_like_a_name(found.host):
        return found.addresses
    own = tuple(address for address in found.addresses if kind(address) == "private")
    if not own:
        raise BadInput(
            Problem(
                shown_url(url),
                f"a name that leads to {_listed(found)}",
                "a public host, or one of your own network",
                fix="write the numeric address where you mean it",
            )
        )
    return own


def allowed_next(url: str, found: Place, start: Place, origin: str) -> tuple[IpAddress, ...]:
    """Addresses that a stranger's word (a redirect, a link in a feed) may lead to, from where the user began.

    Public ones; and, where the user began in a network of their own or on this machine, that kind too.
    """
    began = {kind(address) for address in allowed_start(origin, start)} - {"special"}
    for wanted in ({"public"}, began):
        if good := tuple(address for address in found.addresses if kind(address) in wanted):
            return good
    if found.literal and (found.host, found.port) == (start.host, start.port):
        return found.addresses
    raise BadInput(
        Problem(
            shown_url(origin),
            f"a way into a private network ({shown_url(url)[:200]}, which is {_listed(found)})",
            "a public host",
        )
    )


def _host_and_port(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _none(url, "an address that is none") from None
    if parts.scheme not in _SCHEMES:
        raise _none(url, f"an address of the kind {printable(parts.scheme)[:20]}:")
    if not host or "\\" in url or any(character <= " " or character == "\x7f" for character in url):
        raise _none(url, "an address that is none")
    if "@" in parts.netloc:
        raise BadInput(Problem(shown_url(url), "an address with a user name or password in it", "one without them"))
    return host, port or _SCHEMES[parts.scheme]


def _none(url: str, found: str) -> BadInput:
    return BadInput(Problem(shown_url(url)[:300], found, "http:// or https://"))


def _looks_like_a_name(host: str) -> bool:
    """Whether it is a name as the public web has them: dots, and a last part that is no number and not of a LAN."""
    last = host.rstrip(".").rpartition(".")
    own = {"localhost", "local", "lan", "internal", "intranet", "home", "corp", "test"}
    return bool(last[0]) and last[2].isalpha() and last[2] not in own


def _wrapped(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _listed(found: Place) -> str:
    return ", ".join(f"{address} ({kind(address)})" for address in found.addresses[:4])
