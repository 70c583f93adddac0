"""Whether a site's robots.txt lets us look at an address. One object serves one pass over boards or feeds.

As RFC 9309 says: no robots.txt (any 4xx) allows everything; one that cannot be reached allows nothing for now.
"""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

from registry.errors import BadInput, Problem, RateLimited, Retryable
from tools.web import transfer
from tools.web.addresses import shown_url

LARGEST_ROBOTS = 500 * 1024
_RULES = ("user-agent", "allow", "disallow")


class Robots:
    """Remembers each site's rules while it lives, so that a pass asks each site once."""

    def __init__(self) -> None:
        self._sites: dict[str, RobotFileParser] = {}

    def check(self, url: str, *, timeout: float, now: float, origin: str = "") -> None:
        """Returns where the address may be fetched; raises BadInput where it is disallowed."""
        parts = urlsplit(url)
        site = f"{parts.scheme}://{parts.netloc}"
        if site not in self._sites:
            self._sites[site] = _rules(site, timeout, now, origin)
        if not self._sites[site].can_fetch(transfer.user_agent(), url):
            raise BadInput(
                Problem(
                    shown_url(url),
                    f"robots.txt of {shown_url(site)} disallows this address",
                    "an address that programs may read",
                    fix="ask its operator, or take its text by hand (a board: scrape_method manual)",
                )
            )


def _rules(site: str, timeout: float, now: float, origin: str) -> RobotFileParser:
    parser = RobotFileParser()
    answer = transfer.get(f"{site}/robots.txt", headers={}, timeout=timeout, max_bytes=LARGEST_ROBOTS, origin=origin)
    if answer.status == 429:
        raise RateLimited(f"{shown_url(site)}/robots.txt: HTTP 429", transfer.retry_after(answer.headers, now))
    if answer.status >= 500:
        raise Retryable(f"{shown_url(site)}/robots.txt: HTTP {answer.status}")
    text = answer.body.decode("utf-8", errors="replace").lstrip("\ufeff") if answer.status == 200 else ""
    # Only the lines we go by: the parser of the standard library fails on some values of the others.
    parser.parse([line for line in text.splitlines() if line.strip().lower().startswith(_RULES) or not line.strip()])
    return parser
